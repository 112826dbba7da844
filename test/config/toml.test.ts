/** Where TOML's values are said to stand; what is refused is in load.refused.test.ts. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ConfigNode, Scalar } from '../../src/config/node.js';
import { readToml } from '../../src/config/toml.js';

type Value = Scalar | readonly Value[] | { readonly [name: string]: Value };
type Group = Readonly<Record<string, Value>>;

/** A node without the order of names, nor what a reader keeps for itself. */
type Placed =
  | { value: Scalar; at: number }
  | { items: Placed[]; at: number }
  | { entries: Map<string, { nameAt: number; node: Placed }>; at: number };
type PlacedGroup = Extract<Placed, { entries: object }>;

function placed(node: ConfigNode): Placed {
  const { at } = node;
  if (node.kind === 'scalar') return { value: node.value, at };
  if (node.kind === 'list') return { items: node.items.map(placed), at };
  const entries: PlacedGroup['entries'] = new Map();
  for (const [name, entry] of node.entries) {
    entries.set(name, { nameAt: entry.at, node: placed(entry.node) });
  }
  return { entries, at };
}

/** Writes a group in each of the ways that TOML has, and knows where it has put what. */
class Writer {
  text = '';
  readonly #choices: readonly number[];
  #next = 0;

  constructor(choices: readonly number[]) {
    this.#choices = choices;
  }

  document(group: Group): PlacedGroup {
    const root: PlacedGroup = { entries: new Map(), at: 0 };
    this.#between();
    this.#table(root, [], group);
    return root;
  }

  #chosen<T>(...from: readonly T[]): T {
    const choice = this.#choices[this.#next++ % this.#choices.length]!;
    return from[choice % from.length]!;
  }

  #blank(): void {
    this.text += this.#chosen('', '', ' ', '\t ');
  }

  #between(): void {
    this.text += this.#chosen('', '', ' ', '\n', '\r\n\t', ' # "a" = [\n', "\n#'''{\r\n");
  }

  #lineEnd(): void {
    this.text += this.#chosen('\n', '\r\n', ' # x = """\n');
    this.#between();
  }

  /** What stands under a header, then what has headers of its own. */
  #table(into: PlacedGroup, path: readonly string[], group: Group): void {
    const entries = Object.entries(group);
    const below = entries.filter(([, value]) => hasHeaders(value) && this.#chosen(true, false));
    for (const [name, value] of entries) {
      if (below.some(([other]) => other === name)) continue;
      this.#pair(into, name, value);
      this.#lineEnd();
    }
    for (const [name, value] of below) {
      if (Array.isArray(value)) this.#items(into, path, name, value as readonly Group[]);
      else this.#header(into, path, name, value as Group);
    }
  }

  #header(into: PlacedGroup, path: readonly string[], name: string, group: Group): void {
    this.text += '[';
    const at = this.#path(path, name);
    this.text += ']';
    this.#lineEnd();
    const inner: PlacedGroup = { entries: new Map(), at };
    into.entries.set(name, { nameAt: at, node: inner });
    this.#table(inner, [...path, name], group);
  }

  #items(into: PlacedGroup, path: readonly string[], name: string, list: readonly Group[]): void {
    const items: Placed[] = [];
    for (const group of list) {
      this.text += '[[';
      const at = this.#path(path, name);
      this.text += ']]';
      this.#lineEnd();
      if (items.length === 0) into.entries.set(name, { nameAt: at, node: { items, at } });
      const inner: PlacedGroup = { entries: new Map(), at };
      items.push(inner);
      this.#table(inner, [...path, name], group);
    }
  }

  /** Answers where the last name of it stands. */
  #path(path: readonly string[], name: string): number {
    for (const each of path) {
      this.#name(each);
      this.text += '.';
    }
    return this.#name(name);
  }

  #name(name: string): number {
    this.#blank();
    const at = this.text.length;
    const isBare = /^[\w-]+$/.test(name);
    const literal = /['\r\n]/.test(name) ? JSON.stringify(name) : `'${name}'`;
    this.text +=
      isBare && this.#chosen(true, false) ? name : this.#chosen(JSON.stringify(name), literal);
    this.#blank();
    return at;
  }

  /** A group may be a pair for each of what is in it: `name.one = 1`, `name.two = 2`. */
  #pair(into: PlacedGroup, name: string, value: Value): void {
    if (isGroup(value) && Object.keys(value).length > 0 && this.#chosen(true, false)) {
      this.#dotted(into, name, value);
      return;
    }
    const nameAt = this.#name(name);
    this.text += '=';
    this.#blank();
    into.entries.set(name, { nameAt, node: this.#value(value) });
  }

  #dotted(into: PlacedGroup, name: string, group: Group): void {
    const inner: PlacedGroup = { entries: new Map(), at: 0 };
    Object.entries(group).forEach(([each, value], index) => {
      if (index > 0) this.#lineEnd();
      const at = this.#name(name);
      if (index === 0) into.entries.set(name, { nameAt: (inner.at = at), node: inner });
      this.text += '.';
      const nameAt = this.#name(each);
      this.text += '=';
      this.#blank();
      inner.entries.set(each, { nameAt, node: this.#value(value) });
    });
  }

  #value(value: Value): Placed {
    const at = this.text.length;
    if (Array.isArray(value)) {
      const items: Placed[] = [];
      this.#each('[', value as readonly Value[], ']', (item) => items.push(this.#value(item)));
      return { items, at };
    }
    if (isGroup(value)) {
      const inner: PlacedGroup = { entries: new Map(), at };
      this.#each('{', Object.entries(value), '}', ([name, item]) => {
        const nameAt = this.#name(name);
        this.text += '=';
        this.#blank();
        inner.entries.set(name, { nameAt, node: this.#value(item) });
      });
      return inner;
    }
    this.text += typeof value === 'string' ? this.#string(value) : JSON.stringify(value);
    return { value: value as Scalar, at };
  }

  #each<T>(begin: string, all: readonly T[], end: string, write: (one: T) => void): void {
    this.text += begin;
    this.#between();
    all.forEach((one, index) => {
      write(one);
      this.#between();
      if (index < all.length - 1 || this.#chosen(true, false)) this.text += ',';
      this.#between();
    });
    this.text += end;
  }

  #string(value: string): string {
    const ways = [JSON.stringify(value), `"""${this.#chosen('\n', '\r\n')}${long(value)}"""`];
    // Of a text that begins with a quote there the parser leaves that out.
    if (/^[^\s"]/.test(value))
      ways.push(`"""\\${this.#chosen('\n', ' \r\n\n  ')}${long(value)}"""`);
    if (!/['\n]/.test(value)) ways.push(`'${value}'`);
    if (!/'''|'{3,}$/.test(value)) ways.push(`'''\n${value}'''`);
    return this.#chosen(...ways);
  }
}

/** As little escaped as three quotes around it allow. */
function long(value: string): string {
  const escaped = value.replaceAll('\\', '\\\\');
  return escaped.includes('"""') ? escaped.replaceAll('"', '\\"') : escaped;
}

function isGroup(value: Value): value is Group {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function hasHeaders(value: Value): boolean {
  if (isGroup(value)) return true;
  return Array.isArray(value) && value.length > 0 && (value as readonly Value[]).every(isGroup);
}

const name = fc.oneof(
  fc.stringMatching(/^[a-z_-]{1,3}$/),
  fc.constantFrom('', 'a.b', 'it"s', "it's", '#', '[x]', ' ', '8', 'ä\\', '__proto__', 'a\nb'),
);
const scalar = fc.oneof(
  fc.constantFrom('', 'x', '"', "'", '""', "''", '""""', "'''", '\\', '# }', '],\n[', 'ä\ttab'),
  fc.string({ unit: fc.constantFrom('a', '"', "'", '\\', ']', '#', '\n') }),
  fc.integer(),
  fc.boolean(),
  fc.double({ noNaN: true, noDefaultInfinity: true, min: 0.5, max: 1e9, noInteger: true }),
);
const { value } = fc.letrec<{ value: Value; group: Group }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    scalar,
    fc.array(tie('value'), { maxLength: 3 }),
    fc.array(tie('group'), { maxLength: 3 }),
    tie('group'),
  ),
  group: fc.dictionary(name, tie('value'), { maxKeys: 4, noNullPrototype: false }),
}));

test('each name and value stands where it was written, in whichever way', () => {
  const choices = fc.array(fc.nat({ max: 11 }), { minLength: 1, maxLength: 50 });
  const document = fc.dictionary(name, value, { maxKeys: 5 });
  fc.assert(
    fc.property(document, choices, (group, chosen) => {
      const writer = new Writer(chosen);
      const expected = writer.document(group);
      expect(placed(readToml(writer.text))).toEqual(expected);
    }),
    { numRuns: 2_000 },
  );
});

test.each([
  ['names with dots', (depth: number) => `${'a.'.repeat(depth - 1)}a = 1`],
  ['a header', (depth: number) => `[${'a.'.repeat(depth - 1)}a]`],
  ['a header below a list', (depth: number) => `[[a]]\n[a.${'a.'.repeat(depth - 3)}a]`],
  ['lists of tables', (depth: number) => lists(depth / 2)],
  ['lists', (depth: number) => `a = ${'['.repeat(depth - 1)}1${']'.repeat(depth - 1)}`],
  ['an empty list', (depth: number) => `${'a.'.repeat(depth - 1)}a = []`],
  [
    'tables in a line',
    (depth: number) => `a = ${'{a = '.repeat(depth - 1)}1${'}'.repeat(depth - 1)}`,
  ],
  ['an empty table', (depth: number) => `${'a.'.repeat(depth - 1)}a = {}`],
])('values may lie 32 deep by %s', (_, text) => {
  expect(() => readToml(text(32))).not.toThrow();
  // Lists of tables are two deep each.
  const tooDeep = text(33) === text(32) ? text(34) : text(33);
  expect(() => readToml(tooDeep)).toThrow('values are nested more than 32 deep');
});

/** Each two deep. */
function lists(count: number): string {
  return Array.from({ length: count }, (_, at) => `[[${'a.'.repeat(at)}a]]\n`).join('');
}
