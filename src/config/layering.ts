/** Convict lays what is given over the defaults. */
import convict from 'convict';
import { TABLE, type FlatConfig, type KeyName, type TableRow } from './table.js';

type Properties = convict.Config<Record<string, unknown>>;

/** What convict makes of a table: once, for it reads command lines and copies all of it. */
const compiled = new WeakMap<readonly TableRow[], Properties>();

/** Values of all keys, deeply frozen: those of `given`, else those of `fitted`, else the table's. */
export function layered(
  table: readonly TableRow[],
  fitted: ReadonlyMap<KeyName, unknown>,
  given: ReadonlyMap<KeyName, { readonly value: unknown }>,
): FlatConfig {
  const properties = compiled.get(table) ?? compile(table);
  // Every key is there each time, so that nothing is left of the load before.
  const values = table.map(({ key, standard }): [string, unknown] => [
    flatName(key),
    given.has(key) ? given.get(key)!.value : (fitted.get(key) ?? standard),
  ]);
  const merged = properties.load(Object.fromEntries(values)).getProperties();
  const flat = table.map(({ key }) => [key, deepFrozen(merged[flatName(key)])]);
  return Object.freeze(Object.fromEntries(flat)) as FlatConfig;
}

function compile(table: readonly TableRow[]): Properties {
  // A value has passed its key's type where it was read, and a default is held against it by a test.
  const format = () => undefined;
  const schema = table.map(({ key, standard, doc }) => [
    flatName(key),
    { format, default: standard, doc },
  ]);
  const properties: Properties = convict(
    Object.fromEntries(schema) as Record<string, convict.SchemaObj>,
    { env: {}, args: [] },
  );
  compiled.set(table, properties);
  return properties;
}

/** Convict takes a group named "default" for a key with that default value, so it sees names without dots. */
function flatName(key: string): string {
  return key.replaceAll('.', '/');
}

function deepFrozen(value: unknown): unknown {
  if (typeof value === 'object' && value !== null) {
    Object.values(value).forEach(deepFrozen);
    Object.freeze(value);
  }
  return value;
}

// With the module, as zod's types are made with theirs: so no load waits for it.
compile(TABLE);
