/**
 * The kinds of value that a key may have. A kind says in one place what is accepted (a zod type), in which
 * words (`allowed`), how text from the environment or a flag is read, and how a value is shown to people.
 */
import { isIP } from 'node:net';
import { z } from 'zod';
import { formatDuration, formatSize, parseDuration, parseSize } from './units.js';

export interface Kind<Value> {
  /** Accepts what a JSON file may hold, and answers the value; idempotent on its own answers. */
  readonly type: z.ZodType<Value>;
  /** What is accepted, for messages and documentation. */
  readonly allowed: string;
  /** Unit of the value in the configuration object. */
  readonly unit: 'bytes' | 'milliseconds' | 'count' | 'none';
  /** Stands for the value in help texts; empty where a flag needs none. */
  readonly placeholder: string;
  /** What a text from the environment or a flag means; the text itself where it means nothing. */
  fromText(text: string): unknown;
  show(value: Value): string;
}

export function integer(min: number, max: number): Kind<number> {
  return {
    type: z.int().min(min).max(max),
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
    type: z.union([z.literal(word), z.int().min(min).max(max)]),
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
    type: quantity(parseSize, min, max),
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
    type: quantity(parseDuration, min, max),
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
      .string()
      .transform((text) => (text === 'localhost' ? '127.0.0.1' : text))
      // A zone ("fe80::1%eth0") is the machine's own affair, and the system seam takes none.
      .refine((text) => isIP(text) !== 0 && !text.includes('%')),
    allowed: 'a numeric IPv4 or IPv6 address, or "localhost"',
    unit: 'none',
    placeholder: 'ADDRESS',
    fromText: (text) => text,
    show: (text) => text,
  };
}

function numberFromText(text: string): unknown {
  return /^-?\d{1,15}$/.test(text) ? Number(text) : text;
}

function quantity(
  parse: (text: string) => number | undefined,
  min: number,
  max: number,
): z.ZodType<number> {
  return z
    .union([z.number(), z.string().transform((text) => parse(text) ?? Number.NaN)])
    .pipe(z.int().min(min).max(max));
}
