/** What makes two configurations the same, and what differs between two. */
import { hash } from 'node:crypto';
import { holdsSecrets } from './kinds.js';
import { replaced, type Secret } from './secrets.js';
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
  if (!holdsSecrets(row)) return value;
  const fingerprint = (path: string) => secrets.get(path)?.fingerprint() ?? '';
  if (row.isSecretFile === true) return fingerprint(value as string);
  return (value as readonly object[]).map((item) =>
    row.secretPaths!.reduce<unknown>((made, path) => replaced(made, path, fingerprint), item),
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
  /** As people write them; cut where they are long. */
  readonly before: string;
  readonly after: string;
  /** Of a list: what became of its items, by their names, as `added a; changed b, c`; or that it is another secret. */
  readonly items?: string;
}

const SHOWN_CHARACTERS_MAX = 200;
const NAMES_MAX = 10;

/** A value as people write it, cut where it is long. */
export function shownShort(row: TableRow, value: unknown): string {
  const text = row.show(value);
  return text.length > SHOWN_CHARACTERS_MAX ? `${text.slice(0, SHOWN_CHARACTERS_MAX)}…` : text;
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
    const change = {
      ...{ key, apply },
      before: shownShort(row, before.flat[key]),
      after: shownShort(row, after.flat[key]),
    };
    const items = itemsText(row, before, after);
    return [items === undefined ? change : { ...change, items }];
  });
}

/** Undefined where the values say all. */
function itemsText(row: TableRow, before: Compared, after: Compared): string | undefined {
  if (row.isSecretFile === true) return 'another secret';
  const [nameField] = Object.keys(row.fields ?? {});
  if (nameField === undefined) return undefined;
  const byName = ({ flat, secrets }: Compared): Map<string, string> => {
    const found = new Map<string, string>();
    const list = flat[row.key] as unknown as readonly Record<string, string>[];
    const printed = withFingerprints(row, list, secrets) as readonly unknown[];
    list.forEach((item, at) => {
      const name = item[nameField]!;
      // Of two with one name both count.
      found.set(name, `${found.get(name) ?? ''}${canonical([item, printed[at]])}\n`);
    });
    return found;
  };
  const [old, now] = [byName(before), byName(after)];
  const names = {
    added: [...now.keys()].filter((name) => !old.has(name)),
    removed: [...old.keys()].filter((name) => !now.has(name)),
    changed: [...now].filter(([name, text]) => (old.get(name) ?? text) !== text).map(([n]) => n),
  };
  const parts = Object.entries(names)
    .filter(([, some]) => some.length > 0)
    .map(([what, some]) => `${what} ${namesText(some)}`);
  return parts.length === 0 ? 'in another order' : parts.join('; ');
}

function namesText(names: readonly string[]): string {
  const more = names.length - NAMES_MAX;
  const first = names.slice(0, NAMES_MAX).join(', ');
  return more > 0 ? `${first} and ${more} more` : first;
}
