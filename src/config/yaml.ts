/**
 * YAML 1.2 (core schema), as far as a configuration needs it. Anchors, aliases and tags are refused: a few
 * lines of them can stand for a billion values, and a configuration can say all it has to without.
 */
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  parseAllDocuments,
  type Document,
  type Node,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml';
import { DEPTH_MAX, SyntaxFault, type ConfigNode, type Entry, type Scalar } from './node.js';

/** The value that `text` holds, an empty group where it holds none; throws a `SyntaxFault`. */
export function readYaml(text: string): ConfigNode {
  // Its own search for second names takes the square of their number; `entriesOf` has a Map.
  const documents = parseAllDocuments(text, { uniqueKeys: false, prettyErrors: false });
  const [first, second] = documents as readonly Document.Parsed[];
  if (first === undefined) return { kind: 'group', entries: new Map(), at: 0 };
  const error = first.errors[0];
  if (error !== undefined) throw new SyntaxFault(error.pos[0], firstLine(error.message));
  if (second !== undefined) throw new SyntaxFault(second.range[0], 'a second document begins here');
  if (first.contents === null) return { kind: 'group', entries: new Map(), at: 0 };
  return nodeOf(first.contents, 0, 0);
}

function nodeOf(node: Node | null, at: number, depth: number): ConfigNode {
  if (node === null) return { kind: 'scalar', value: null, at };
  const offset = node.range?.[0] ?? at;
  if (depth > DEPTH_MAX) {
    throw new SyntaxFault(offset, `values are nested more than ${DEPTH_MAX} deep`);
  }
  if (isAlias(node)) throw new SyntaxFault(offset, 'aliases are refused: write the value out');
  if (node.anchor !== undefined) throw new SyntaxFault(offset, 'anchors are refused');
  if (node.tag !== undefined) throw new SyntaxFault(offset, `the tag ${node.tag} is refused`);
  if (isMap(node)) return { kind: 'group', entries: entriesOf(node, depth), at: offset };
  if (isSeq(node)) {
    const items = (node as YAMLSeq<Node | null>).items;
    return {
      kind: 'list',
      items: items.map((item) => nodeOf(item, offset, depth + 1)),
      at: offset,
    };
  }
  return { kind: 'scalar', value: scalarOf(node, offset), at: offset };
}

function entriesOf(map: YAMLMap, depth: number): Map<string, Entry> {
  const entries = new Map<string, Entry>();
  for (const { key, value } of map.items as { key: Node | null; value: Node | null }[]) {
    const at = key?.range?.[0] ?? map.range?.[0] ?? 0;
    if (!isScalar(key) || key.anchor !== undefined || key.tag !== undefined) {
      throw new SyntaxFault(at, 'a name is expected');
    }
    // `null: 1` and `8: 1` are names too, as they are written.
    const name = key.source ?? String(key.value);
    if (entries.has(name)) {
      throw new SyntaxFault(at, `${JSON.stringify(name)} stands here a second time`);
    }
    entries.set(name, { at, node: nodeOf(value, at, depth + 1) });
  }
  return entries;
}

function scalarOf(node: Node, at: number): Scalar {
  const value: unknown = isScalar(node) ? node.value : undefined;
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number') return value;
  throw new SyntaxFault(at, 'a text, a number, true, false or null is expected');
}

function firstLine(message: string): string {
  return message.split('\n', 1).join('');
}
