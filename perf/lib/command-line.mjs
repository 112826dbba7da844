// Command lines of the scripts that measure one thing. What is wrong in one is told with how it is used, exit code 64.
import { parseArgs } from 'node:util';

const USAGE = 64;

function wholeNumber(text) {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || !Number.isSafeInteger(value)) {
    throw new Error(`a whole number from 1 is wanted, not "${text}"`);
  }
  return value;
}

const kinds = {
  flag: (isGiven) => isGiven,
  text: (text) => text,
  count: wholeNumber,
  counts: (text) => text.split(',').map(wholeNumber),
  seconds(text) {
    const value = Number(text);
    if (text.trim() === '' || !(value > 0) || !Number.isFinite(value)) {
      throw new Error(`seconds above 0 are wanted, not "${text}"`);
    }
    return value;
  },
};

function read(usage, wanted) {
  const options = Object.fromEntries(
    Object.entries({ ...wanted, help: 'flag' }).map(([name, kind]) => [
      name,
      { type: kind === 'flag' ? 'boolean' : 'string' },
    ]),
  );
  const { help, ...given } = parseArgs({ options }).values;
  if (help) {
    console.log(`usage: ${usage}`);
    process.exit(0);
  }
  return Object.fromEntries(
    Object.entries(given).map(([name, value]) => {
      try {
        return [name, kinds[wanted[name]](value)];
      } catch (error) {
        throw new Error(`--${name}: ${error.message}`, { cause: error });
      }
    }),
  );
}

/**
 * The options that were given, by name. `wanted` says what each is: a `flag`, a `text`, a `count` (a whole number from 1),
 * `counts` (some of them, with commas) or `seconds`. Ends the process where one is wrong, and after `--help`.
 */
export function scriptOptions(usage, wanted) {
  try {
    return read(usage, wanted);
  } catch (error) {
    console.error(`${error.message}\nusage: ${usage}`);
    return process.exit(USAGE);
  }
}
