// Command lines of scripts that do one thing. What is wrong in one is told with how it is used, exit code 64.
import { parseArgs } from 'node:util';

const USAGE = 64;

const wholeNumberFrom = (least) => (text) => {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least || !Number.isSafeInteger(value)) {
    throw new Error(`a whole number from ${least} is wanted, not "${text}"`);
  }
  return value;
};

const oneOf = (words) => (text) => {
  if (!words.includes(text)) throw new Error(`"${text}" is none of ${words.join(', ')}`);
  return text;
};

const kinds = {
  flag: (isGiven) => isGiven,
  text: (text) => text,
  seed: wholeNumberFrom(0),
  count: wholeNumberFrom(1),
  counts: (text) => text.split(',').map(wholeNumberFrom(1)),
  seconds(text) {
    const value = Number(text);
    if (text.trim() === '' || !(value > 0) || !Number.isFinite(value)) {
      throw new Error(`seconds above 0 are wanted, not "${text}"`);
    }
    return value;
  },
};

function readerOf(kind) {
  return Array.isArray(kind) ? (text) => text.split(',').map(oneOf(kind)) : kinds[kind];
}

function read(usage, wanted, fileWord) {
  const options = Object.fromEntries(
    Object.entries({ ...wanted, help: 'flag' }).map(([name, kind]) => [
      name,
      { type: kind === 'flag' ? 'boolean' : 'string' },
    ]),
  );
  const { values: given, positionals } = parseArgs({
    options,
    allowPositionals: fileWord !== undefined,
  });
  const { help, ...texts } = given;
  if (help) {
    console.log(`usage: ${usage}`);
    process.exit(0);
  }
  const isFileMissing = fileWord !== undefined && positionals.length === 0;
  if (isFileMissing) throw new Error(`a ${fileWord} is wanted`);
  const values = Object.entries(texts).map(([name, value]) => {
    try {
      return [name, readerOf(wanted[name])(value)];
    } catch (error) {
      throw new Error(`--${name}: ${error.message}`, { cause: error });
    }
  });
  return { ...Object.fromEntries(values), files: positionals };
}

/**
 * The options that were given, by name. `wanted` says what each is: a `flag`, a `text`, a `count` (a whole number from 1),
 * `counts` (some of them, with commas), a `seed` (from 0), `seconds`, or the words of which some may be given, with
 * commas. With `fileWord`, which says of what, files are wanted besides: `files`, one at least. Ends the process where one
 * is wrong, and after `--help`.
 */
export function scriptOptions(usage, wanted, fileWord) {
  try {
    return read(usage, wanted, fileWord);
  } catch (error) {
    console.error(`${error.message}\nusage: ${usage}`);
    return process.exit(USAGE);
  }
}
