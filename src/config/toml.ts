/**
 * TOML 1.1. Its dates are refused: no key takes one, and as text they would be something else.
 *
 * The parser tells what stands in a text and what is wrong with it, but no places; the text is gone over once
 * more for those.
 */
import { parse, TomlError } from 'smol-toml';
import {
  DEPTH_MAX,
  SyntaxFault,
  TOO_DEEP,
  type ConfigNode,
  type Entry,
  type Scalar,
} from './node.js';

/** As the parser makes one. */
type Table = Readonly<Record<string, unknown>>;

/** The value that `text` holds; throws a `SyntaxFault`. A name that stands twice has the parser refused. */
export function readToml(text: string): ConfigNode {
  return new Reader(text, parsed(text)).document();
}

const SECOND = 'this name stands here a second time';

/** What the parser says, in the words of the other formats, or with what is expected. */
const REASONS: ReadonlyMap<string, string> = new Map([
  ['document contains excessively nested structures. aborting.', TOO_DEEP],
  ['trying to redefine an already defined table or value', SECOND],
  ['trying to redefine an already defined value', SECOND],
  ['invalid value', 'a text in quotes, a number, true, false, a list or a table is expected'],
  // As of `level = info`, which it takes for `inf` and more.
  [
    'each key-value declaration must be followed by an end-of-line',
    'the line goes on after its value; a text stands in quotes',
  ],
  ['expected comma or end of structure', '"," or an end is expected; a text stands in quotes'],
]);

function parsed(text: string): Table {
  try {
    return parse(text, { maxDepth: DEPTH_MAX });
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    // A line with its reason, then the lines of the text around the place.
    const reason = error.message.slice(
      'Invalid TOML document: '.length,
      error.message.indexOf('\n'),
    );
    const at = offsetOf(text, error.line, error.column);
    throw new SyntaxFault(at, REASONS.get(reason) ?? reason);
  }
}

/** Of a line and a column that count from 1. */
function offsetOf(text: string, line: number, column: number): number {
  let begin = 0;
  for (let above = 1; above < line; above++) begin = text.indexOf('\n', begin) + 1;
  return Math.min(begin + column - 1, text.length);
}

interface Group {
  readonly kind: 'group';
  readonly entries: Map<string, Entry>;
  readonly at: number;
  /** Groups and lists around it. */
  readonly depth: number;
  /** What the parser has of it. */
  readonly values: Table;
}

interface List {
  readonly kind: 'list';
  readonly items: ConfigNode[];
  readonly at: number;
}

/** A part of a name with dots. */
interface Key {
  readonly name: string;
  readonly at: number;
}

const BLANK = /[ \t]*/y;
/** Line ends and comments too. */
const BETWEEN = /(?:[ \t\r\n]+|#[^\n]*)*/y;
const BARE_NAME = /[\w-]+/y;
const BASIC = /"(?:[^"\\]|\\.)*"/y;
const LITERAL = /'[^']*'/y;
const LONG_BASIC = /"""(?:[^"\\]|\\[^]|"(?!""))*"{3,5}/y;
const LONG_LITERAL = /'''(?:[^']|'(?!''))*'{3,5}/y;
const BARE_VALUE = /[^\s,\]}#]+/y;

/** Goes over a text that the parser has understood, so that only what may stand there has to be told apart. */
class Reader {
  readonly #text: string;
  readonly #root: Group;
  #at = 0;

  constructor(text: string, values: Table) {
    this.#text = text;
    this.#root = group(0, 0, values);
  }

  document(): ConfigNode {
    let table = this.#root;
    this.#take(BETWEEN);
    while (this.#at < this.#text.length) {
      if (this.#accept('[')) table = this.#header();
      else this.#pair(table);
      this.#take(BETWEEN);
    }
    return this.#root;
  }

  /** Behind the first bracket of `[name]` or `[[name]]`. */
  #header(): Group {
    const isItem = this.#accept('[');
    const keys = this.#keys();
    const last = keys.pop()!;
    const parent = keys.reduce(below, this.#root);
    this.#at += isItem ? ']]'.length : ']'.length;
    return isItem ? addItem(parent, last) : below(parent, last);
  }

  #pair(table: Group): void {
    const keys = this.#keys();
    const last = keys.pop()!;
    const parent = keys.reduce(below, table);
    this.#accept('=');
    this.#take(BLANK);
    const node = this.#value(parent.values[last.name], parent.depth + 1);
    parent.entries.set(last.name, { at: last.at, node });
  }

  /** With the space around it. */
  #keys(): Key[] {
    const keys: Key[] = [];
    do {
      this.#take(BLANK);
      keys.push({ at: this.#at, name: this.#name() });
      this.#take(BLANK);
    } while (this.#accept('.'));
    return keys;
  }

  #name(): string {
    const first = this.#text[this.#at];
    if (first === "'") return this.#take(LITERAL).slice(1, -1);
    if (first !== '"') return this.#take(BARE_NAME);
    const literal = this.#take(BASIC);
    return literal.includes('\\') ? (parse(`_ = ${literal}`)['_'] as string) : literal.slice(1, -1);
  }

  #value(value: unknown, depth: number): ConfigNode {
    const at = this.#at;
    if (this.#accept('[')) return this.#array(value as unknown[], at, depth);
    if (this.#accept('{')) return this.#inline(value as Table, at, depth);
    if (typeof value === 'object') {
      throw new SyntaxFault(at, 'a text, a number, true or false is expected');
    }
    limitDepth(depth, at);
    this.#take(this.#endOfScalar());
    return { kind: 'scalar', value: value as Scalar, at };
  }

  #endOfScalar(): RegExp {
    const isLong = (quote: string) => this.#text.startsWith(quote.repeat(3), this.#at);
    const first = this.#text[this.#at];
    if (first === '"') return isLong('"') ? LONG_BASIC : BASIC;
    if (first === "'") return isLong("'") ? LONG_LITERAL : LITERAL;
    return BARE_VALUE;
  }

  #array(values: readonly unknown[], at: number, depth: number): List {
    limitDepth(depth, at);
    const items: ConfigNode[] = [];
    this.#each(']', () => items.push(this.#value(values[items.length], depth + 1)));
    return { kind: 'list', items, at };
  }

  #inline(values: Table, at: number, depth: number): Group {
    const inline = group(at, depth, values);
    this.#each('}', () => this.#pair(inline));
    return inline;
  }

  /** What stands between commas until `end`, and goes on behind it. */
  #each(end: string, read: () => void): void {
    this.#take(BETWEEN);
    while (!this.#accept(end)) {
      read();
      this.#take(BETWEEN);
      this.#accept(',');
      this.#take(BETWEEN);
    }
  }

  #accept(character: string): boolean {
    const isThere = this.#text[this.#at] === character;
    if (isThere) this.#at += 1;
    return isThere;
  }

  /** Throws where the text does not go on so: then the parser has understood it otherwise. */
  #take(pattern: RegExp): string {
    const begin = this.#at;
    pattern.lastIndex = begin;
    if (!pattern.test(this.#text)) throw new SyntaxFault(begin, 'this cannot be understood');
    this.#at = pattern.lastIndex;
    return this.#text.slice(begin, this.#at);
  }
}

/** Refused where it would be too deep. */
function group(at: number, depth: number, values: Table): Group {
  limitDepth(depth, at);
  return { kind: 'group', entries: new Map(), at, depth, values };
}

/** The group of that name, made where there is none; of a list of tables, the last one. */
function below(parent: Group, { name, at }: Key): Group {
  const found = parent.entries.get(name)?.node;
  if (found !== undefined) return (found.kind === 'list' ? found.items.at(-1) : found) as Group;
  const made = group(at, parent.depth + 1, parent.values[name] as Table);
  parent.entries.set(name, { at, node: made });
  return made;
}

function addItem(parent: Group, { name, at }: Key): Group {
  const values = parent.values[name] as Table[];
  const found = parent.entries.get(name)?.node as List | undefined;
  const list: List = found ?? { kind: 'list', items: [], at };
  if (found === undefined) parent.entries.set(name, { at, node: list });
  const item = group(at, parent.depth + 2, values[list.items.length]!);
  list.items.push(item);
  return item;
}

function limitDepth(depth: number, at: number): void {
  if (depth > DEPTH_MAX) throw new SyntaxFault(at, TOO_DEEP);
}
