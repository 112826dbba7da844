/**
 * Where values come from: a file, the environment, flags. Each source is read whole and its faults are
 * gathered, so that all are told at once; a value that got into a `Layer` is valid by itself.
 */
import { MemoryStreamerError } from '../errors.js';
import { JsonFault, readJson, type JsonObject, type JsonValue } from './json.js';
import { nearest } from './nearest.js';
import { ENV_PREFIX, TABLE, type KeyName, type TableRow } from './table.js';

/** A file longer than this is refused. */
export const FILE_BYTES_MAX = 1024 * 1024;

/** Names in the environment that belong to others than the broker: the client's URL. */
const FOREIGN_ENV: readonly string[] = [`${ENV_PREFIX}URL`];

/** A valid value, and the source to name where it breaks a rule together with others. */
export interface Given {
  readonly value: unknown;
  readonly source: string;
}

export type Layer = ReadonlyMap<KeyName, Given>;

/** Lines `SOURCE: KEY: what is wrong; what is allowed`. */
export class Faults {
  readonly lines: string[] = [];

  add(source: string, key: string, wrong: string, allowed: string): void {
    // A name or value from outside must not break the line.
    const line = `${source}: ${key}: ${wrong}; ${allowed}`;
    this.lines.push(line.replace(/\p{Cc}/gu, '?'));
  }
}

/** Names with values from `--config`'s file at `path`. */
export function fileLayer(
  path: string,
  readFile: (path: string) => Uint8Array,
  faults: Faults,
): Layer {
  const layer = new Map<KeyName, Given>();
  const root = readRoot(path, readFile, faults);
  if (root !== undefined) collect(root, '', path, layer, faults);
  return layer;
}

export function envLayer(env: NodeJS.ProcessEnv, faults: Faults): Layer {
  const layer = new Map<KeyName, Given>();
  const names = TABLE.map((row) => row.env);
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith(ENV_PREFIX) || text === undefined || FOREIGN_ENV.includes(name)) continue;
    const row = TABLE.find((candidate) => candidate.env === name);
    if (row === undefined) {
      faults.add('environment', name, 'is not a known name', suggestion(name, names));
    } else {
      take(row, row.fromText(text), name, layer, faults);
    }
  }
  return layer;
}

export function flagLayer(flags: ReadonlyMap<string, string>, faults: Faults): Layer {
  const layer = new Map<KeyName, Given>();
  for (const row of TABLE) {
    const text = flags.get(row.flag);
    if (text !== undefined) take(row, row.fromText(text), `--${row.flag}`, layer, faults);
  }
  return layer;
}

/**
 * Flags by name without dashes: `--name value`, `--name=value`, and for true-or-false keys `--name` alone.
 * Throws MS_ERR_USAGE for what is no flag, lacks its value or stands twice.
 */
export function parseFlags(argv: readonly string[]): Map<string, string> {
  const flags = new Map<string, string>();
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at]!;
    const [, name, inline] = /^--([^=]+)(?:=(.*))?$/s.exec(word) ?? [];
    if (name === undefined) throw usage(`"${word}" is not expected here`);
    const row = TABLE.find((candidate) => candidate.flag === name);
    if (row === undefined && name !== 'config') throw usage(unknownFlag(name));
    if (flags.has(name)) throw usage(`--${name} stands twice`);
    const next = argv[at + 1];
    if (inline !== undefined) {
      flags.set(name, inline);
    } else if (row?.placeholder === '') {
      flags.set(name, 'true');
    } else if (next !== undefined && !next.startsWith('--')) {
      flags.set(name, next);
      at += 1;
    } else {
      throw usage(`--${name} needs a value: ${row?.allowed ?? 'the path of a JSON file'}`);
    }
  }
  return flags;
}

function unknownFlag(name: string): string {
  const near = nearest(name, [...TABLE.map((row) => row.flag), 'config', 'help', 'version']);
  return (
    `--${name} is not a flag of serve` + (near === undefined ? '' : `; did you mean --${near}?`)
  );
}

function usage(message: string): MemoryStreamerError {
  return new MemoryStreamerError('MS_ERR_USAGE', `${message} (try --help)`);
}

function readRoot(
  path: string,
  readFile: (path: string) => Uint8Array,
  faults: Faults,
): JsonObject | undefined {
  try {
    const bytes = readFile(path);
    if (bytes.length > FILE_BYTES_MAX) {
      faults.add('--config', path, 'is too large', `at most ${FILE_BYTES_MAX} bytes`);
      return undefined;
    }
    const root = readJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (isObject(root)) return root;
    faults.add('--config', path, `holds ${shown(root)}`, 'a JSON object is expected');
  } catch (error) {
    if (error instanceof JsonFault) {
      const where = `line ${error.line}, column ${error.column}`;
      faults.add('--config', path, `${where}: ${error.message}`, 'valid JSON is expected');
    } else {
      const reason = error instanceof Error ? error.message : String(error);
      faults.add(
        '--config',
        path,
        `cannot be read: ${reason}`,
        'a readable file in UTF-8 is expected',
      );
    }
  }
  return undefined;
}

function collect(
  object: JsonObject,
  prefix: string,
  source: string,
  layer: Map<KeyName, Given>,
  faults: Faults,
): void {
  for (const [name, value] of Object.entries(object)) {
    const key = prefix + name;
    // A name with a dot is no path: {"listen.port": 1} would be a second way to say the same.
    const row = name.includes('.') ? undefined : TABLE.find((candidate) => candidate.key === key);
    const isGroup = !name.includes('.') && TABLE.some((other) => other.key.startsWith(`${key}.`));
    if (row !== undefined) {
      take(row, value, source, layer, faults);
    } else if (!isGroup) {
      faults.add(source, key, 'is not a known key', hint(key, name));
    } else if (isObject(value)) {
      collect(value, `${key}.`, source, layer, faults);
    } else {
      faults.add(
        source,
        key,
        `${shown(value)} is not an object`,
        'an object with keys is expected',
      );
    }
  }
}

function hint(key: string, name: string): string {
  if (TABLE.some((row) => row.key === key) && name.includes('.')) {
    return `write it nested, as ${nested(key)}`;
  }
  return suggestion(
    key,
    TABLE.map((row) => row.key),
  );
}

function nested(key: string): string {
  const parts = key.split('.');
  return parts.map((part) => `{"${part}": `).join('') + '…' + '}'.repeat(parts.length);
}

function suggestion(wrong: string, names: readonly string[]): string {
  const near = nearest(wrong, names);
  return near === undefined ? `known are ${names.join(', ')}` : `did you mean ${near}?`;
}

function take(
  row: TableRow,
  given: unknown,
  source: string,
  layer: Map<KeyName, Given>,
  faults: Faults,
): void {
  const result = row.type.safeParse(given);
  if (result.success) {
    layer.set(row.key, { value: result.data, source });
    return;
  }
  const code = result.error.issues[0]?.code;
  const wrong =
    code === 'too_small' ? 'is too small' : code === 'too_big' ? 'is too large' : 'is not valid';
  faults.add(source, row.key, `${shown(given)} ${wrong}`, `allowed: ${row.allowed}`);
}

/** A value in a message: as JSON, cut where it is long. */
function shown(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
