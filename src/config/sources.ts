/**
 * Where values come from: files with their profiles, the environment, flags. Each source is read whole and
 * its faults are gathered, so that all are told at once; a value that got into a `Layer` is valid by itself.
 */
import { Faults, oneLine, placeOf, shown, type Origin } from './faults.js';
import type { Document } from './files.js';
import { FIRST_VERSION, migrate, newestVersion, type Step } from './migrate.js';
import { nearest } from './nearest.js';
import { lookupOf, type Lookup } from './lookup.js';
import { Lines, nodeAt, plain, type ConfigNode, type Entry, type GroupNode } from './node.js';
import { ENV_PREFIX, type KeyName, type TableRow } from './table.js';
import { singly, wrongnesses, wrongnessOf } from './wrongness.js';

/** Names in the environment that belong to others than the broker: the client's URL. */
const FOREIGN_ENV: readonly string[] = [`${ENV_PREFIX}URL`];

/** Names that reach an object's prototype wherever they are assigned; refused at any depth. */
const PROTOTYPE_NAMES: readonly string[] = ['__proto__', 'constructor', 'prototype'];

/** Names in a file beside those of keys. */
const VERSION = 'configVersion';
const PROFILES = 'profiles';
const META_NAMES: readonly string[] = ['$schema', '$provenance', VERSION, PROFILES];

/** A valid value, and where it stands. */
export interface Given {
  readonly value: unknown;
  /** The file that it stands in, in whose folder relative paths begin; of a flag and the environment undefined. */
  readonly file: string | undefined;
  /** Where the value stands, or a part of it such as `[2, 'secretFile']`. */
  readonly originAt: (path: readonly PropertyKey[]) => Origin;
}

export type Layer = Map<KeyName, Given>;

/** What one file gives. */
export interface FileLayers {
  readonly values: Layer;
  readonly profiles: ReadonlyMap<string, Layer>;
}

export interface Reading {
  readonly table: readonly TableRow[];
  readonly steps: readonly Step[];
  readonly faults: Faults;
  readonly warnings: string[];
}

export function fileLayers(document: Document, reading: Reading): FileLayers {
  const reader = new FileReader(document, reading);
  return reader.layers();
}

class FileReader {
  readonly #document: Document;
  readonly #reading: Reading;
  readonly #lookup: Lookup;
  readonly #lines: Lines;

  constructor(document: Document, reading: Reading) {
    this.#document = document;
    this.#reading = reading;
    this.#lookup = lookupOf(reading.table);
    this.#lines = new Lines(document.text);
  }

  layers(): FileLayers {
    const profiles = new Map<string, Layer>();
    const root = this.#migrated();
    if (root === undefined) return { values: new Map(), profiles };
    const found = root.entries.get(PROFILES)?.node;
    if (found !== undefined && found.kind !== 'group') {
      this.#fault(found.at, PROFILES, 'is not an object', 'an object of named sets is expected');
    } else {
      for (const [name, { node }] of found?.entries ?? []) {
        profiles.set(name, this.#profile(name, node));
      }
    }
    const values: Layer = new Map();
    this.#collect(root.entries, '', 'file', values);
    return { values, profiles };
  }

  #profile(name: string, node: ConfigNode): Layer {
    const layer: Layer = new Map();
    if (node.kind === 'group') this.#collect(node.entries, '', 'profile', layer);
    else
      this.#fault(
        node.at,
        `${PROFILES}.${name}`,
        'is not an object',
        'an object with keys is expected',
      );
    return layer;
  }

  /** Undefined where the file's version is not one that this broker knows. */
  #migrated(): GroupNode | undefined {
    const { root, path } = this.#document;
    const { steps, warnings } = this.#reading;
    const found = root.entries.get(VERSION)?.node;
    const version = found === undefined ? FIRST_VERSION : plain(found);
    const newest = newestVersion(steps);
    if (!Number.isInteger(version) || Number(version) < FIRST_VERSION || Number(version) > newest) {
      this.#fault(
        found!.at,
        VERSION,
        `${shown(version)} is not a known version`,
        `allowed: ${FIRST_VERSION} to ${newest}`,
      );
      return undefined;
    }
    const migrated = migrate(root, Number(version), steps);
    for (const { at, from, to, isClash } of migrated.renamings) {
      if (isClash)
        this.#fault(
          at,
          from,
          `is called ${to} now, which stands here too`,
          'leave one of them out',
        );
      else warnings.push(oneLine(`${path}:${this.#place(at)}: ${from}: is called ${to} now`));
    }
    return migrated.root;
  }

  #collect(
    entries: ReadonlyMap<string, Entry>,
    prefix: string,
    from: 'file' | 'profile',
    layer: Layer,
  ): void {
    const { byKey, groups } = this.#lookup;
    const isTop = from === 'file' && prefix === '';
    entries.forEach(({ at, node }, name) => {
      if (isTop && META_NAMES.includes(name)) return;
      const key = prefix + name;
      // A name with a dot is no path: {"listen.port": 1} would be a second way to say the same.
      const isPath = name.includes('.');
      const row = isPath ? undefined : byKey.get(key);
      const isGroup = !isPath && groups.has(key);
      if (row !== undefined) {
        this.#take(row, node, from, layer);
      } else if (!isGroup) {
        this.#faultOfName(name, at, prefix);
      } else if (node.kind === 'group') {
        this.#collect(node.entries, `${key}.`, from, layer);
      } else {
        const wrong = `${shown(plain(node))} is not an object`;
        this.#fault(node.at, key, wrong, 'an object with keys is expected');
      }
    });
  }

  /** Of a name that is none of the table's. */
  #faultOfName(name: string, at: number, prefix: string): void {
    const key = prefix + name;
    if (isHostileName(name)) this.#faultOfHostileName(name, at, key);
    else {
      this.#reading.faults.addBy(
        () =>
          `${this.#document.path}:${this.#place(at)}: ${key}: is not a known key; ` +
          hint(key, name, prefix, this.#lookup),
      );
    }
  }

  #take(row: TableRow, node: ConfigNode, from: 'file' | 'profile', layer: Layer): void {
    const originAt = (path: readonly PropertyKey[]) => this.#originOf(nodeAt(node, path).at, from);
    if (isHostile(node)) {
      this.#faultsOfHostile(node, row.key);
      return;
    }
    const result = row.type.safeParse(plain(node));
    if (result.success) {
      layer.set(row.key, { value: result.data, file: this.#document.path, originAt });
      return;
    }
    for (const { at, path, text } of wrongnesses(row, node, result.error.issues)) {
      const place = placeOf(this.#originOf(at, from), row.key, path);
      this.#reading.faults.addOf(row.key, place, text);
    }
  }

  #faultOfHostileName(name: string, at: number, key: string): void {
    const isPrototype = PROTOTYPE_NAMES.includes(name);
    const wrong = isPrototype
      ? 'is a name that no key may have'
      : 'has a control character in its name';
    this.#fault(at, key, wrong, 'leave it out');
  }

  #faultsOfHostile(node: ConfigNode, key: string): void {
    if (node.kind === 'scalar') {
      if (isHostile(node)) {
        this.#fault(node.at, key, 'has a control character in its value', 'leave it out');
      }
    } else if (node.kind === 'list') {
      node.items.forEach((item, at) => this.#faultsOfHostile(item, `${key}[${at}]`));
    } else {
      node.entries.forEach(({ at, node: inner }, name) => {
        const below = `${key}.${name}`;
        if (isHostileName(name)) this.#faultOfHostileName(name, at, below);
        else this.#faultsOfHostile(inner, below);
      });
    }
  }

  #originOf(at: number, from: 'file' | 'profile'): Origin {
    return { from, where: `${this.#document.path}:${this.#place(at)}` };
  }

  #place(at: number): string {
    return this.#lines.placeOf(at);
  }

  #fault(at: number, key: string, wrong: string, allowed: string): void {
    this.#reading.faults.add(
      `${this.#document.path}:${this.#place(at)}`,
      key,
      `${wrong}; ${allowed}`,
    );
  }
}

// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

function isHostileName(name: string): boolean {
  return PROTOTYPE_NAMES.includes(name) || CONTROL.test(name);
}

/** Whether a value has names that reach prototypes, or control characters that an escape has hidden. */
function isHostile(node: ConfigNode): boolean {
  if (node.kind === 'scalar') return typeof node.value === 'string' && CONTROL.test(node.value);
  if (node.kind === 'list') return node.items.some(isHostile);
  let found = false;
  node.entries.forEach((entry, name) => {
    found ||= isHostileName(name) || isHostile(entry.node);
  });
  return found;
}

export function envLayer(env: NodeJS.ProcessEnv, { table, faults }: Reading): Layer {
  const layer: Layer = new Map();
  const { byEnv } = lookupOf(table);
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith(ENV_PREFIX) || text === undefined || FOREIGN_ENV.includes(name)) continue;
    const row = byEnv.get(name);
    if (row === undefined) {
      const hinted = suggestion(name, [...byEnv.keys()]);
      faults.add('environment', name, `is not a known name; ${hinted}`);
    } else {
      takeText(row, text, { from: 'environment', where: name }, layer, faults);
    }
  }
  return layer;
}

export function flagLayer(flags: ReadonlyMap<string, string>, { table, faults }: Reading): Layer {
  const layer: Layer = new Map();
  const { byFlag } = lookupOf(table);
  for (const [flag, text] of flags) {
    const row = byFlag.get(flag)!;
    takeText(row, text, { from: 'flag', where: `--${row.flag}` }, layer, faults);
  }
  return layer;
}

function takeText(row: TableRow, text: string, origin: Origin, layer: Layer, faults: Faults): void {
  if (CONTROL.test(text)) {
    faults.addOf(row.key, origin.where, 'has a control character in its value; leave it out');
    return;
  }
  const given = row.fromText(text);
  const result = row.type.safeParse(given);
  if (result.success) {
    layer.set(row.key, { value: result.data, file: undefined, originAt: () => origin });
    return;
  }
  for (const issue of singly(result.error.issues)) {
    const place = placeOf(origin, row.key, issue.path);
    faults.addOf(row.key, place, wrongnessOf(row, issue, given));
  }
}

function hint(key: string, name: string, prefix: string, { byKey, groups }: Lookup): string {
  if (byKey.has(key) && name.includes('.')) return `write it nested, as ${nested(key)}`;
  if (META_NAMES.includes(name)) return 'allowed: at the top of the file';
  const keys = [...byKey.keys()];
  // Where the wrong name stands is no group that it could be meant for.
  const others = [...groups].filter((group) => !key.startsWith(`${group}.`));
  const near = nearest(key, [...keys, ...others, ...META_NAMES]);
  if (near !== undefined) return `did you mean ${near}?`;
  const inside = keys.filter((each) => each.startsWith(prefix));
  const names = inside.map((each) => each.slice(prefix.length).split('.')[0]!);
  return `known here are ${[...new Set(names), ...(prefix === '' ? META_NAMES : [])].join(', ')}`;
}

function nested(key: string): string {
  const parts = key.split('.');
  return parts.map((part) => `{"${part}": `).join('') + '…' + '}'.repeat(parts.length);
}

export function suggestion(wrong: string, names: readonly string[]): string {
  const near = nearest(wrong, names);
  return near === undefined ? `known are ${names.join(', ')}` : `did you mean ${near}?`;
}
