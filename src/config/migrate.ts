/**
 * Files that were written for an older `configVersion`. A file without one is of version 1.
 *
 * A step renames keys, from its own version to the next; a key that got another meaning gets another name.
 */
import type { ConfigNode, Entry, GroupNode } from './node.js';

export interface Step {
  /** New names of keys by the old ones, as `listen.port`. */
  readonly renamed: Readonly<Record<string, string>>;
}

/** The step at index 0 leads from version 1 to version 2. No key has got another name so far. */
export const STEPS: readonly Step[] = [];

export const FIRST_VERSION = 1;

export function newestVersion(steps: readonly Step[]): number {
  return FIRST_VERSION + steps.length;
}

/** A key that has got another name, and where it stands. */
export interface Renaming {
  readonly at: number;
  readonly from: string;
  readonly to: string;
  /** The file has something under the new name as well, and it counts. */
  readonly isClash: boolean;
}

export interface Migrated {
  readonly root: GroupNode;
  readonly renamings: readonly Renaming[];
}

/** The file's keys under the names of the newest version; each keeps its place in the text. */
export function migrate(root: GroupNode, version: number, steps: readonly Step[]): Migrated {
  if (version === newestVersion(steps)) return { root, renamings: [] };
  const copy = copyOf(root);
  const renamings: Renaming[] = [];
  for (const { renamed } of steps.slice(version - FIRST_VERSION)) {
    for (const [from, to] of Object.entries(renamed)) {
      for (const group of [copy, ...profilesOf(copy)]) {
        const entry = take(group, from.split('.'));
        if (entry === undefined) continue;
        const isClash = !put(group, to.split('.'), entry);
        renamings.push({ at: entry.at, from, to, isClash });
      }
    }
  }
  return { root: copy, renamings };
}

interface Group {
  readonly kind: 'group';
  readonly entries: Map<string, Entry>;
  readonly at: number;
}

function copyOf(group: GroupNode): Group {
  const entries = [...group.entries].map(([name, { at, node }]): [string, Entry] => [
    name,
    { at, node: node.kind === 'group' ? copyOf(node) : node },
  ]);
  return { kind: 'group', entries: new Map(entries), at: group.at };
}

function profilesOf(root: Group): Group[] {
  const profiles = root.entries.get('profiles')?.node;
  if (profiles?.kind !== 'group') return [];
  return [...profiles.entries.values()].map(({ node }) => node).filter(isGroup);
}

function isGroup(node: ConfigNode | undefined): node is Group {
  return node?.kind === 'group';
}

function take(group: Group, [name = '', ...rest]: readonly string[]): Entry | undefined {
  const entry = group.entries.get(name);
  if (entry === undefined) return undefined;
  if (rest.length > 0)
    return isGroup(entry.node) ? takeBelow(group, name, entry.node, rest) : undefined;
  group.entries.delete(name);
  return entry;
}

/** A group that has lost its last key goes with it: its name may be unknown by now. */
function takeBelow(
  group: Group,
  name: string,
  below: Group,
  rest: readonly string[],
): Entry | undefined {
  const taken = take(below, rest);
  if (taken !== undefined && below.entries.size === 0) group.entries.delete(name);
  return taken;
}

/** Whether there was room for it. */
function put(group: Group, [name = '', ...rest]: readonly string[], entry: Entry): boolean {
  const found = group.entries.get(name);
  if (rest.length === 0) {
    if (found !== undefined) return false;
    group.entries.set(name, entry);
    return true;
  }
  let below = found?.node;
  if (below === undefined) {
    below = { kind: 'group', entries: new Map<string, Entry>(), at: entry.at };
    group.entries.set(name, { at: entry.at, node: below });
  }
  return isGroup(below) && put(below, rest, entry);
}
