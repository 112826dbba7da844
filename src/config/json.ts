/**
 * JSON as RFC 8259 has it, read so that every value and every fault has its place. Invariant: no name appears
 * twice in an object.
 *
 * `JSON.parse` lets the last of two equal names win, and in Node.js 20 tells no position for most faults.
 */
import {
  DEPTH_MAX,
  SyntaxFault,
  TOO_DEEP,
  type ConfigNode,
  type Entry,
  type GroupNode,
  type ListNode,
  type Scalar,
} from './node.js';

/** The value that `text` holds; throws a `SyntaxFault`. */
export function readJson(text: string): ConfigNode {
  const reader = new Reader(text);
  const value = reader.value(0);
  reader.end();
  return value;
}

const SPACES = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
// eslint-disable-next-line no-control-regex
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const WORDS: readonly (readonly [string, Scalar])[] = [
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

  value(depth: number): ConfigNode {
    if (depth > DEPTH_MAX) this.#fail(TOO_DEEP);
    this.#skipSpace();
    const first = this.#text[this.#at];
    if (first === '{') return this.#object(depth);
    if (first === '[') return this.#array(depth);
    const at = this.#at;
    return { kind: 'scalar', value: this.#scalar(first), at };
  }

  #scalar(first: string | undefined): Scalar {
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

  #object(depth: number): GroupNode {
    const entries = new Map<string, Entry>();
    const object: GroupNode = { kind: 'group', entries, at: this.#at };
    this.#at += 1;
    if (this.#accept('}')) return object;
    do {
      this.#skipSpace();
      const nameAt = this.#at;
      if (this.#text[nameAt] !== '"') this.#fail('a name in double quotes is expected');
      const name = this.#string();
      if (entries.has(name)) {
        this.#at = nameAt;
        this.#fail(`${JSON.stringify(name)} stands here a second time`);
      }
      if (!this.#accept(':')) this.#fail('":" is expected');
      entries.set(name, { at: nameAt, node: this.value(depth + 1) });
    } while (this.#accept(','));
    if (!this.#accept('}')) this.#fail('"," or "}" is expected');
    return object;
  }

  #array(depth: number): ListNode {
    const items: ConfigNode[] = [];
    const array: ListNode = { kind: 'list', items, at: this.#at };
    this.#at += 1;
    if (this.#accept(']')) return array;
    do items.push(this.value(depth + 1));
    while (this.#accept(','));
    if (!this.#accept(']')) this.#fail('"," or "]" is expected');
    return array;
  }

  #string(): string {
    const literal = this.#take(STRING);
    if (literal === undefined)
      this.#fail('this string does not end, or holds what must be escaped');
    return literal.includes('\\') ? (JSON.parse(literal) as string) : literal.slice(1, -1);
  }

  #take(pattern: RegExp): string | undefined {
    const begin = this.#at;
    pattern.lastIndex = begin;
    if (!pattern.test(this.#text)) return undefined;
    this.#at = pattern.lastIndex;
    return this.#text.slice(begin, this.#at);
  }

  #skipSpace(): void {
    SPACES.lastIndex = this.#at;
    SPACES.test(this.#text);
    this.#at = SPACES.lastIndex;
  }

  #accept(character: string): boolean {
    this.#skipSpace();
    if (this.#text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  #fail(message: string): never {
    const end = this.#at >= this.#text.length ? ', but the text ends' : '';
    throw new SyntaxFault(this.#at, message + end);
  }
}
