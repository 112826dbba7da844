/**
 * What a file says, and where: the one form into which JSON, YAML and TOML are read. Invariant: a group's
 * names are unique and held in a `Map`, so that no name can reach a prototype.
 */
export type Scalar = null | boolean | number | string;

export interface ScalarNode {
  readonly kind: 'scalar';
  readonly value: Scalar;
  /** Offset in the text, in UTF-16 units; so in the others. */
  readonly at: number;
}

export interface ListNode {
  readonly kind: 'list';
  readonly items: readonly ConfigNode[];
  readonly at: number;
}

export interface GroupNode {
  readonly kind: 'group';
  readonly entries: ReadonlyMap<string, Entry>;
  readonly at: number;
}

export interface Entry {
  /** Where the name stands. */
  readonly at: number;
  readonly node: ConfigNode;
}

export type ConfigNode = ScalarNode | ListNode | GroupNode;

/** Nesting beyond this is refused, so that a file cannot exhaust the stack. */
export const DEPTH_MAX = 32;
export const TOO_DEEP = `values are nested more than ${DEPTH_MAX} deep`;

/** Where and why a text is not what its format wants. */
export class SyntaxFault extends Error {
  override readonly name = 'SyntaxFault';
  readonly at: number;

  constructor(at: number, message: string) {
    super(message);
    this.at = at;
  }
}

/** Where lines begin in a text that may be asked for many places; looked for when it is asked first. */
export class Lines {
  readonly #text: string;
  #starts: readonly number[] | undefined;

  constructor(text: string) {
    this.#text = text;
  }

  /** `LINE:COLUMN` of an offset, both from 1, the column in UTF-16 units. */
  placeOf(at: number): string {
    const starts = (this.#starts ??= lineStarts(this.#text));
    let line = 0;
    for (let above = starts.length; above - line > 1;) {
      const middle = (line + above) >>> 1;
      if (starts[middle]! <= at) line = middle;
      else above = middle;
    }
    return `${line + 1}:${at - starts[line]! + 1}`;
  }
}

function lineStarts(text: string): number[] {
  const starts = [0];
  for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', end + 1)) {
    starts.push(end + 1);
  }
  return starts;
}

/** The same of one place. */
export function lineAndColumn(text: string, at: number): string {
  return new Lines(text).placeOf(at);
}

/** The value as JavaScript has it. Groups have no prototype, so `__proto__` is a name like any other. */
export function plain(node: ConfigNode): unknown {
  if (node.kind === 'scalar') return node.value;
  if (node.kind === 'list') return node.items.map(plain);
  const object = Object.create(null) as Record<string, unknown>;
  node.entries.forEach((entry, name) => {
    object[name] = plain(entry.node);
  });
  return object;
}

/** Where a name stands that the group at a path has. */
export function nameAt(node: ConfigNode, path: readonly PropertyKey[], name: string): number {
  return (nodeAt(node, path) as GroupNode).entries.get(name)!.at;
}

/** The node at a path of names and indices, or the nearest one above it that there is. */
export function nodeAt(node: ConfigNode, path: readonly PropertyKey[]): ConfigNode {
  let found = node;
  for (const step of path) {
    const next =
      found.kind === 'group'
        ? found.entries.get(String(step))?.node
        : found.kind === 'list'
          ? found.items[Number(step)]
          : undefined;
    if (next === undefined) return found;
    found = next;
  }
  return found;
}
