/** TOML 1.0. Its dates are refused: no key takes one, and as text they would be something else. */
import { createRequire } from 'node:module';
import type { AST } from 'toml-eslint-parser';
import { DEPTH_MAX, SyntaxFault, type ConfigNode, type Entry, type Scalar } from './node.js';

// Node.js looks through a CommonJS module for what it exports where one imports it, for longer than it takes to load.
const { parseTOML, ParseError } = createRequire(import.meta.url)(
  'toml-eslint-parser',
) as typeof import('toml-eslint-parser');

interface Group {
  readonly kind: 'group';
  readonly entries: Map<string, Entry>;
  readonly at: number;
  /** Groups and lists around it. */
  readonly depth: number;
}

interface List {
  readonly kind: 'list';
  readonly items: ConfigNode[];
  readonly at: number;
}

/** The value that `text` holds; throws a `SyntaxFault`. A name that stands twice has the parser refused. */
export function readToml(text: string): ConfigNode {
  const root = group(0, 0);
  for (const node of parsed(text).body[0].body) {
    if (node.type === 'TOMLKeyValue') addPair(root, node);
    else addTable(root, node);
  }
  return root;
}

function parsed(text: string): AST.TOMLProgram {
  try {
    return parseTOML(text, { tomlVersion: '1.0' });
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    throw new SyntaxFault(error.index, error.message);
  }
}

/** Refused where it would be too deep. */
function group(at: number, depth: number): Group {
  limitDepth(depth, at);
  return { kind: 'group', entries: new Map(), at, depth };
}

function addTable(root: Group, table: AST.TOMLTable): void {
  let target = root;
  const { keys } = table.key;
  for (const [index, key] of keys.entries()) {
    const isItem = table.kind === 'array' && index === keys.length - 1;
    target = isItem ? addItem(target, key) : below(target, key);
  }
  for (const pair of table.body) addPair(target, pair);
}

type Key = AST.TOMLBare | AST.TOMLQuoted;

function nameOf(key: Key): string {
  return key.type === 'TOMLBare' ? key.name : key.value;
}

/** The group of that name, made where there is none; of a list of tables, the last one. */
function below(parent: Group, key: Key): Group {
  const found = parent.entries.get(nameOf(key))?.node;
  if (found === undefined) {
    const made = group(key.range[0], parent.depth + 1);
    parent.entries.set(nameOf(key), { at: key.range[0], node: made });
    return made;
  }
  return (found.kind === 'list' ? found.items.at(-1) : found) as Group;
}

function addItem(parent: Group, key: Key): Group {
  const at = key.range[0];
  const found = parent.entries.get(nameOf(key))?.node;
  const item = group(at, parent.depth + 2);
  if (found === undefined) {
    const list: List = { kind: 'list', items: [item], at };
    parent.entries.set(nameOf(key), { at, node: list });
  } else {
    (found as List).items.push(item);
  }
  return item;
}

function addPair(parent: Group, pair: AST.TOMLKeyValue): void {
  const { keys } = pair.key;
  let target = parent;
  for (const key of keys.slice(0, -1)) target = below(target, key);
  const last = keys.at(-1)!;
  const node = nodeOf(pair.value, target.depth + 1);
  target.entries.set(nameOf(last), { at: last.range[0], node });
}

function nodeOf(content: AST.TOMLContentNode, depth: number): ConfigNode {
  const at = content.range[0];
  limitDepth(depth, at);
  if (content.type === 'TOMLArray') {
    return { kind: 'list', items: content.elements.map((item) => nodeOf(item, depth + 1)), at };
  }
  if (content.type === 'TOMLInlineTable') {
    const inline = group(at, depth);
    for (const pair of content.body) addPair(inline, pair);
    return inline;
  }
  return { kind: 'scalar', value: scalarOf(content), at };
}

function scalarOf({ value, range }: AST.TOMLValue): Scalar {
  if (typeof value === 'object') {
    throw new SyntaxFault(range[0], 'a text, a number, true or false is expected');
  }
  return value;
}

function limitDepth(depth: number, at: number): void {
  if (depth > DEPTH_MAX) {
    throw new SyntaxFault(at, `values are nested more than ${DEPTH_MAX} deep`);
  }
}
