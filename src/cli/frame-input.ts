/** What `frame` reads: raw bytes, hex, or JSON objects, from a file or standard input, a piece at a time. */
import { createReadStream, readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { MemoryStreamerError } from '../errors.js';
import type { InspectorKey } from '../frame/inspect.js';
import { KEY_SECRET_BYTES } from '../frame/layout.js';
import { usageError } from './client-options.js';

const READ_BYTES = 64 * 1024;
/** One object of JSON: far above the largest payload in hex. */
const OBJECT_CHARS_MAX = 1024 * 1024;

/** How messages name the input. */
export function inputName(file: string | undefined): string {
  return file === undefined || file === '-' ? 'standard input' : file;
}

/** The bytes of `file`, or of standard input. Throws MS_ERR_INPUT where they cannot be read. */
export async function* readBytes(file: string | undefined): AsyncGenerator<Buffer> {
  const stream: Readable =
    file === undefined || file === '-'
      ? process.stdin
      : createReadStream(file, { highWaterMark: READ_BYTES });
  try {
    for await (const chunk of stream) yield chunk as Buffer;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw inputError(file, why, error);
  }
}

export function inputError(
  file: string | undefined,
  why: string,
  cause?: unknown,
): MemoryStreamerError {
  return new MemoryStreamerError('MS_ERR_INPUT', `${inputName(file)}: ${why}`, { cause });
}

/** Bytes as they are, or out of hex: `auto` takes for hex what begins with a hex digit, space or `#`. */
export async function* readFrames(
  file: string | undefined,
  form: 'auto' | 'hex' | 'raw',
): AsyncGenerator<Uint8Array> {
  let hex = form === 'hex' ? new HexReader(file) : undefined;
  let isFirst = form === 'auto';
  for await (const chunk of readBytes(file)) {
    if (isFirst && chunk.length > 0) {
      isFirst = false;
      if (/[0-9A-Fa-f\s#]/.test(String.fromCharCode(chunk[0]!))) hex = new HexReader(file);
    }
    yield hex === undefined ? chunk : hex.take(chunk);
  }
  hex?.end();
}

const U64_MAX = 2n ** 64n - 1n;

/** For `parseArgs`: the key of a direction. */
export const KEY_FLAGS = { 'key-file': { type: 'string' }, counter: { type: 'string' } } as const;

/** The key in `--key-file`: 16 bytes, or their 32 hex digits. Throws MS_ERR_USAGE and MS_ERR_INPUT, which quotes nothing of it. */
export function keyOf(
  file: string | undefined,
  counter: string | undefined,
): InspectorKey | undefined {
  if (file === undefined) {
    if (counter !== undefined) throw usageError('--counter needs --key-file');
    return undefined;
  }
  if (!/^[0-9]{1,20}$/.test(counter ?? '0') || BigInt(counter ?? '0') > U64_MAX) {
    throw usageError('--counter: a whole number of at most 64 bits is wanted');
  }
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw inputError(file, error instanceof Error ? error.message : String(error), error);
  }
  const text = bytes.toString('latin1').trim();
  const secret = /^[0-9A-Fa-f]{32}$/.test(text) ? Buffer.from(text, 'hex') : bytes;
  if (secret.length !== KEY_SECRET_BYTES) {
    throw inputError(file, `a key has ${KEY_SECRET_BYTES} bytes, or twice as many hex digits`);
  }
  return { secret, counter: BigInt(counter ?? '0') };
}

const LINE_END = 0x0a;
const HASH = 0x23;

/** Pairs of hex digits with anything white between them; `#` begins a remark that ends with its line. */
export class HexReader {
  readonly #file: string | undefined;
  #line = 1;
  #high = -1;
  #isRemark = false;

  constructor(file: string | undefined) {
    this.#file = file;
  }

  /** The bytes that `chunk` completes. Throws MS_ERR_INPUT with the line of what is no hex. */
  take(chunk: Uint8Array): Uint8Array {
    const bytes = new Uint8Array((chunk.length + 1) >>> 1);
    let count = 0;
    for (const char of chunk) {
      if (char === LINE_END) this.#line++;
      if (char === HASH || this.#isRemark) {
        this.#isRemark = char !== LINE_END;
        continue;
      }
      if (char === 0x20 || (char >= 0x09 && char <= 0x0d)) continue;
      const digit = digitOf(char);
      if (digit < 0)
        throw this.#fault(`${JSON.stringify(String.fromCharCode(char))} is no hex digit`);
      if (this.#high < 0) {
        this.#high = digit;
      } else {
        bytes[count++] = (this.#high << 4) | digit;
        this.#high = -1;
      }
    }
    return bytes.subarray(0, count);
  }

  /** Throws MS_ERR_INPUT where half a byte is left. */
  end(): void {
    if (this.#high >= 0) throw this.#fault('the last byte has one hex digit only');
  }

  #fault(why: string): MemoryStreamerError {
    return inputError(this.#file, `line ${this.#line}: ${why} (--raw reads a raw capture)`);
  }
}

function digitOf(char: number): number {
  if (char >= 0x30 && char <= 0x39) return char - 0x30;
  const letter = char | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x61 + 10 : -1;
}

/**
 * The objects of JSON in the input, one by one: each on a line, one after another, or in an array. Only the
 * one that is being read is held. Throws MS_ERR_INPUT for what is none, and for one of more than 1 MiB.
 */
export async function* readObjects(file: string | undefined): AsyncGenerator {
  const splitter = new ObjectSplitter(file);
  const decoder = new TextDecoder('utf-8', { fatal: true });
  for await (const chunk of readBytes(file)) yield* splitter.take(decode(chunk, true));
  yield* splitter.take(decode(new Uint8Array(0), false));
  splitter.end();

  function decode(bytes: Uint8Array, stream: boolean): string {
    try {
      return decoder.decode(bytes, { stream });
    } catch (error) {
      throw inputError(file, 'is not UTF-8', error);
    }
  }
}

class ObjectSplitter {
  readonly #file: string | undefined;
  #text = '';
  #depth = 0;
  #isString = false;
  #isEscaped = false;
  #count = 0;

  constructor(file: string | undefined) {
    this.#file = file;
  }

  *take(text: string): Generator {
    let start = 0;
    for (let i = 0; i < text.length; i++) {
      const char = text[i]!;
      if (this.#depth === 0) {
        if (char === '{') start = i;
        else if (/[\s[\],]/.test(char)) continue;
        else throw inputError(this.#file, `${JSON.stringify(char)} where an object {…} is wanted`);
      }
      if (!this.#closes(char)) continue;
      yield this.#parse(this.#text + text.slice(start, i + 1));
      this.#text = '';
    }
    if (this.#depth === 0) return;
    this.#text += text.slice(start);
    if (this.#text.length > OBJECT_CHARS_MAX) {
      throw inputError(this.#file, `object ${this.#count + 1} is larger than 1 MiB`);
    }
  }

  /** Goes on by one character; whether it ends the object. */
  #closes(char: string): boolean {
    if (this.#isString) {
      if (this.#isEscaped) this.#isEscaped = false;
      else if (char === '\\') this.#isEscaped = true;
      else if (char === '"') this.#isString = false;
      return false;
    }
    if (char === '"') this.#isString = true;
    else if (char === '{') this.#depth++;
    else if (char === '}') return --this.#depth === 0;
    return false;
  }

  #parse(text: string): unknown {
    this.#count++;
    try {
      return JSON.parse(text);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw inputError(this.#file, `object ${this.#count}: ${why}`, error);
    }
  }

  end(): void {
    if (this.#depth > 0) throw inputError(this.#file, `object ${this.#count + 1} does not end`);
  }
}
