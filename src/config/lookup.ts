/** A table of keys, found by the names under which each source knows them. */
import { TABLE, type TableRow } from './table.js';

export interface Lookup {
  readonly byKey: ReadonlyMap<string, TableRow>;
  readonly byEnv: ReadonlyMap<string, TableRow>;
  readonly byFlag: ReadonlyMap<string, TableRow>;
  /** Of `streams.default.onFull` both `streams` and `streams.default`. */
  readonly groups: ReadonlySet<string>;
}

const made = new WeakMap<readonly TableRow[], Lookup>();

export function lookupOf(table: readonly TableRow[]): Lookup {
  let lookup = made.get(table);
  if (lookup === undefined) {
    const by = (name: 'key' | 'env' | 'flag') => new Map(table.map((row) => [row[name], row]));
    lookup = {
      byKey: by('key'),
      byEnv: by('env'),
      byFlag: by('flag'),
      groups: new Set(table.flatMap(({ key }) => groupsOf(key))),
    };
    made.set(table, lookup);
  }
  return lookup;
}

/** The groups that a key stands in, the outermost first. */
function groupsOf(key: string): string[] {
  const parts = key.split('.');
  return parts.slice(1).map((_, at) => parts.slice(0, at + 1).join('.'));
}

// With the module, as the table itself: so no load waits for it.
lookupOf(TABLE);
