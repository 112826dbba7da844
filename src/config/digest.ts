/** What makes two configurations the same, and what differs between two. */
import { hash } from 'node:crypto';
import { replaced, secretPaths, type Secret } from './secrets.js';
import type { Apply, FlatConfig, KeyName, TableRow } from './table.js';

/**
 * SHA-256 of the effective values, in hexadecimal digits. A secret counts by its content, not by its path,
 * and no more than its fingerprint goes in.
 */
export function digestOf(
  table: readonly TableRow[],
  values: FlatConfig,
  secrets: ReadonlyMap<string, Secret>,
): string {
  const lines = table.map(
    (row) => `${row.key}=${canonical(withFingerprints(row, values[row.key], secrets))}\n`,
  );
  return hash('sha256', lines.sort().join(''));
}

function withFingerprints(
  row: TableRow,
  value: unknown,
  secrets: ReadonlyMap<string, Secret>,
): unknown {
  const fingerprint = (path: string) => secrets.get(path)?.fingerprint() ?? '';
  if (row.isSecretFile === true) return fingerprint(value as string);
  const paths = secretPaths(row);
  if (paths.length === 0) return value;
  return (value as readonly object[]).map((item) =>
    paths.reduce<unknown>((made, path) => replaced(made, path, fingerprint), item),
  );
}

/** JSON with the names of objects in order, so that the order in which they were written is nothing. */
function canonical(value: unknown): string {
  if (typeof value !== 'object') return JSON.stringify(value);
  return JSON.stringify(value, (_, inner: unknown) => {
    if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) return inner;
    return Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

export interface Change {
  readonly key: KeyName;
  readonly apply: Apply;
  /** As people write them. */
  readonly before: string;
  readonly after: string;
}

interface Compared {
  readonly flat: FlatConfig;
  readonly secrets: ReadonlyMap<string, Secret>;
}

/** Keys that differ, in the table's order; a secret that changed in its file is a change of its key. */
export function diff(before: Compared, after: Compared, table: readonly TableRow[]): Change[] {
  return table.flatMap((row) => {
    const state = ({ flat, secrets }: Compared) =>
      canonical([flat[row.key], withFingerprints(row, flat[row.key], secrets)]);
    if (state(before) === state(after)) return [];
    const { key, apply } = row;
    return [{ key, apply, before: row.show(before.flat[key]), after: row.show(after.flat[key]) }];
  });
}
