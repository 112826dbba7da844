/**
 * JSON as RFC 8259 has it, read so that a fault has a line and a column. Invariant: no name appears twice
 * in an object, and objects have no prototype, so that `__proto__` is a name like any other.
 *
 * `JSON.parse` lets the last of two equal names win, and in Node.js 20 tells no position for most faults.
 */
export type JsonValue = null | boolean | number | string | JsonValue[] | JsonObject;

export interface JsonObject {
  [name: string]: JsonValue;
}

/** Nesting beyond this is refused, so that a file cannot exhaust the stack. */
export const JSON_DEPTH_MAX = 32;

/** Where (line and column from 1, in UTF-16 units) and why a text is not JSON. */
export class JsonFault extends Error {
  override readonly name = 'JsonFault';
  readonly line: number;
  readonly column: number;

  constructor(text: string, at: number, message: string) {
    super(message);
    const before = text.slice(0, at).split('\n');
    this.line = before.length;
    this.column = before.at(-1)!.length + 1;
  }
}

/** The value that `text` holds; throws a `JsonFault`. */
export function readJson(text: string): JsonValue {
  const reader = new Reader(text);
  const value = reader.value(0);
  reader.end();
  return value;
}

const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
// eslint-disable-next-line no-control-regex
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const WORDS: readonly (readonly [string, JsonValue])[] = [
  ['null', null],
  ['true', true],
  ['false', false],
];

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  value(depth: number): JsonValue {
    if (depth > JSON_DEPTH_MAX) this.#fail(`values are nested more than ${JSON_DEPTH_MAX} deep`);
    this.#skipSpace();
    const first = this.#text[this.#at];
    if (first === '{') return this.#object(depth);
    if (first === '[') return this.#array(depth);
    if (first === '"') return this.#string();
    const number = this.#take(NUMBER);
    if (number !== undefined) return Number(number);
    for (const [word, value] of WORDS) {
      if (this.#text.startsWith(word, this.#at)) {
        this.#at += word.length;
        return value;
      }
    }
    return this.#fail('a value is expected');
  }

  end(): void {
    this.#skipSpace();
    if (this.#at < this.#text.length) this.#fail('the text goes on after its value');
  }

  #object(depth: number): JsonObject {
    const object = Object.create(null) as JsonObject;
    this.#at += 1;
    if (this.#accept('}')) return object;
    do {
      this.#skipSpace();
      const nameAt = this.#at;
      if (this.#text[nameAt] !== '"') this.#fail('a name in double quotes is expected');
      const name = this.#string();
      if (name in object) {
        this.#at = nameAt;
        this.#fail(`${JSON.stringify(name)} stands here a second time`);
      }
      if (!this.#accept(':')) this.#fail('":" is expected');
      object[name] = this.value(depth + 1);
    } while (this.#accept(','));
    if (!this.#accept('}')) this.#fail('"," or "}" is expected');
    return object;
  }

  #array(depth: number): JsonValue[] {
    const array: JsonValue[] = [];
    this.#at += 1;
    if (this.#accept(']')) return array;
    do array.push(this.value(depth + 1));
    while (this.#accept(','));
    if (!this.#accept(']')) this.#fail('"," or "]" is expected');
    return array;
  }

  #string(): string {
    const literal = this.#take(STRING);
    if (literal === undefined)
      this.#fail('this string does not end, or holds what must be escaped');
    return JSON.parse(literal) as string;
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    this.#at += found?.length ?? 0;
    return found;
  }

  #skipSpace(): void {
    this.#take(SPACE);
  }

  #accept(character: string): boolean {
    this.#skipSpace();
    if (this.#text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  #fail(message: string): never {
    const end = this.#at >= this.#text.length ? ', but the text ends' : '';
    throw new JsonFault(this.#text, this.#at, message + end);
  }
}
