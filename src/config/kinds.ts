/**
 * The kinds of value that a key may have. A kind says in one place what is accepted (a zod type), in which
 * words (`allowed`), how text from the environment or a flag is read, and how a value is shown to people.
 */
import { isIP } from 'node:net';
import * as z from 'zod/mini';
import { readJson } from './json.js';
import { plain, SyntaxFault } from './node.js';
import { DURATION, formatDuration, formatSize, parseDuration, parseSize, SIZE } from './units.js';

export interface Kind<Value> {
  /** Accepts what a JSON file may hold, and answers the value; idempotent on its own answers. */
  readonly type: z.ZodMiniType<Value>;
  /** What is accepted, for messages and documentation. */
  readonly allowed: string;
  /** Unit of the value in the configuration object. */
  readonly unit: 'bytes' | 'milliseconds' | 'count' | 'none';
  /** Stands for the value in help texts; empty where a flag needs none. */
  readonly placeholder: string;
  /** What a text from the environment or a flag means; the text itself where it means nothing. */
  fromText(text: string): unknown;
  /** For people; `fromText` reads it back. */
  show(value: Value): string;
  /** The value is the path of a file whose content nobody is shown. */
  readonly isSecretFile?: true;
  /** Of a secret's file: bytes that the secret must have. */
  readonly secretBytesMin?: number;
  /** Of a list: the fields of each item, by their paths in it. */
  readonly fields?: Readonly<Record<string, Field>>;
  /** Of such a list: the fields that name files of secrets, if there are any. */
  readonly secretPaths?: readonly (readonly string[])[];
}

/** Whether a value of it names files of secrets, or may. */
export function holdsSecrets({ isSecretFile, secretPaths }: Kind<unknown>): boolean {
  return isSecretFile === true || secretPaths !== undefined;
}

export interface Field {
  readonly kind: Kind<unknown>;
  readonly doc: string;
  readonly isOptional: boolean;
}

/** A field that each item must have. */
export function field<Value>(kind: Kind<Value>, doc: string): Field {
  return { kind, doc, isOptional: false };
}

export function optionalField<Value>(kind: Kind<Value>, doc: string): Field {
  return { kind, doc, isOptional: true };
}

/**
 * A list of at most `max` items with these fields, where `retention.bytes` is `{"retention": {"bytes": …}}`.
 * A later source replaces the whole list.
 */
export function listOf<Item>(
  fields: Readonly<Record<string, Field>>,
  max: number,
): Kind<readonly Item[]> {
  const paths = Object.entries(fields).map(([name, each]): FieldAtPath => [name.split('.'), each]);
  const item = objectOf(paths);
  const secretPaths = paths.filter(([, { kind }]) => kind.isSecretFile).map(([path]) => path);
  return {
    type: z.array(item).check(z.maxLength(max)) as unknown as z.ZodMiniType<readonly Item[]>,
    allowed: `a list of at most ${max} objects with ${Object.keys(fields).join(', ')}`,
    unit: 'none',
    placeholder: 'JSON',
    fromText: jsonFromText,
    show: (value) => JSON.stringify(value),
    fields,
    ...(secretPaths.length > 0 && { secretPaths }),
  };
}

type FieldAtPath = readonly [path: readonly string[], field: Field];

function objectOf(fields: readonly FieldAtPath[]): z.ZodMiniType {
  const names = new Set(fields.map(([path]) => path[0]!));
  const shape = [...names].map((name): [string, z.ZodMiniType] => {
    const inside = fields.filter(([path]) => path[0] === name);
    const [path, only] = inside[0]!;
    const isGroup = path.length > 1;
    const isOptional = inside.every(([, each]) => each.isOptional);
    const type = isGroup
      ? objectOf(inside.map(([longer, each]) => [longer.slice(1), each]))
      : only.kind.type;
    return [name, isOptional ? z.optional(type) : type];
  });
  const type = z.strictObject(Object.fromEntries(shape));
  // Zod writes an object's code when it first sees one: with the module, so that no load waits for it.
  type.safeParse({});
  return type;
}

/**
 * The path of a file that holds a secret, so that none stands in a configuration. The value is the whole
 * path; src/config/secrets.ts finds and reads it.
 */
export function secretFile(bytesMin = 1): Kind<string> {
  return {
    secretBytesMin: bytesMin,
    type: z.string().check(z.minLength(1), z.maxLength(4_096)),
    allowed: 'the path of a file that only its owner can read, or a name in $CREDENTIALS_DIRECTORY',
    unit: 'none',
    placeholder: 'FILE',
    fromText: (text) => text,
    show: (text) => text,
    isSecretFile: true,
  };
}

/** A subject, or a pattern of subjects as in a subscription (docs/PROTOCOL.md, section 5). */
export function subjectPattern(): Kind<string> {
  return {
    type: z.string().check(z.refine(isPattern)),
    allowed: 'a subject of 1 to 255 bytes, where "*" stands for a token and ">" for the last ones',
    unit: 'none',
    placeholder: 'SUBJECT',
    fromText: (text) => text,
    show: (text) => text,
  };
}

const SUBJECT_BYTES_MAX = 255;
// eslint-disable-next-line no-control-regex
const PATTERN = /^(?:(?:\*|[^\u0000-\u0020\u007f.*>]+)\.)*(?:\*|>|[^\u0000-\u0020\u007f.*>]+)$/;

/** As `patternFault` of src/frame/subject.ts, which this part may not know; a test holds them together. */
function isPattern(text: string): boolean {
  return PATTERN.test(text) && text.isWellFormed() && Buffer.byteLength(text) <= SUBJECT_BYTES_MAX;
}

export function integer(min: number, max: number): Kind<number> {
  return {
    type: wholeNumber(min, max),
    allowed: `a whole number from ${min} to ${max}`,
    unit: 'count',
    placeholder: 'N',
    fromText: numberFromText,
    show: String,
  };
}

export function integerOr<Word extends string>(
  word: Word,
  min: number,
  max: number,
): Kind<number | Word> {
  return {
    type: z.union([z.literal(word), wholeNumber(min, max)]),
    allowed: `"${word}" or a whole number from ${min} to ${max}`,
    unit: 'count',
    placeholder: 'N',
    fromText: numberFromText,
    show: String,
  };
}

/** `min` and `max` in bytes. */
export function size(min: number, max: number): Kind<number> {
  const range = `from ${formatSize(min)} to ${formatSize(max)}`;
  return {
    type: quantity(parseSize, SIZE, min, max),
    allowed: `bytes as a number, or text with B, KiB, MiB or GiB such as "512MiB", ${range}`,
    unit: 'bytes',
    placeholder: 'SIZE',
    fromText: (text) => text,
    show: formatSize,
  };
}

/** `min` and `max` in milliseconds. */
export function duration(min: number, max: number): Kind<number> {
  const range = `from ${formatDuration(min)} to ${formatDuration(max)}`;
  return {
    type: quantity(parseDuration, DURATION, min, max),
    allowed: `milliseconds as a number, or text with ms, s, m or h such as "250ms", ${range}`,
    unit: 'milliseconds',
    placeholder: 'TIME',
    fromText: (text) => text,
    show: formatDuration,
  };
}

export function oneOf<const Word extends string>(...words: readonly Word[]): Kind<Word> {
  return {
    type: z.enum(words),
    allowed: `one of ${words.map((word) => `"${word}"`).join(', ')}`,
    unit: 'none',
    placeholder: 'WORD',
    fromText: (text) => text,
    show: (word) => word,
  };
}

export function truth(): Kind<boolean> {
  return {
    type: z.boolean(),
    allowed: 'true or false',
    unit: 'none',
    placeholder: '',
    fromText: (text) => (text === 'true' ? true : text === 'false' ? false : text),
    show: String,
  };
}

/** A numeric address. "localhost" is read as 127.0.0.1: the broker resolves no names. */
export function address(): Kind<string> {
  return {
    type: z
      .pipe(
        z.string(),
        z.transform((text: string) => (text === 'localhost' ? '127.0.0.1' : text)),
      )
      .check(
        // A zone ("fe80::1%eth0") is the machine's own affair, and the system seam takes none.
        z.refine((text) => isIP(text) !== 0 && !text.includes('%')),
      ),
    allowed: 'a numeric IPv4 or IPv6 address, or "localhost"',
    unit: 'none',
    placeholder: 'ADDRESS',
    fromText: (text) => text,
    show: (text) => text,
  };
}

function jsonFromText(text: string): unknown {
  try {
    return plain(readJson(text));
  } catch (error) {
    if (error instanceof SyntaxFault) return text;
    throw error;
  }
}

function numberFromText(text: string): unknown {
  return /^-?\d{1,15}$/.test(text) ? Number(text) : text;
}

function quantity(
  parse: (text: string) => number | undefined,
  pattern: RegExp,
  min: number,
  max: number,
): z.ZodMiniType<number> {
  const numberOf = (given: unknown) =>
    typeof given === 'string' ? (parse(given) ?? Number.NaN) : given;
  const type = z.pipe(z.pipe(z.unknown(), z.transform(numberOf)), wholeNumber(min, max));
  return type.register(z.globalRegistry, {
    anyOf: [
      { type: 'integer', minimum: min, maximum: max },
      { type: 'string', pattern: pattern.source },
    ],
  });
}

function wholeNumber(min: number, max: number) {
  return z.int().check(z.minimum(min), z.maximum(max));
}
