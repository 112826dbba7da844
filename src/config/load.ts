/**
 * Defaults < file < environment < flags, layered by convict. Invariant: the answer is deeply frozen, and
 * every value in it passed its key's zod type and all rules.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import convict from 'convict';
import { z } from 'zod';
import { MemoryStreamerError } from '../errors.js';
import { readMachine, type Machine } from './machine.js';
import { brokenRules, fittedArena, fittedRetention } from './rules.js';
import {
  envLayer,
  Faults,
  FILE_BYTES_MAX,
  fileLayer,
  flagLayer,
  parseFlags,
  type Given,
  type Layer,
} from './sources.js';
import { TABLE, type Config, type FlatConfig, type KeyName, type TableRow } from './table.js';

export interface LoadOptions {
  /** What follows the subcommand: flags only. */
  readonly argv: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** Reads the file of `--config`; may stop one byte after `FILE_BYTES_MAX`. */
  readonly readFile?: (path: string) => Uint8Array;
  readonly machine?: Machine;
}

/** Every key with its type; unknown ones are refused. */
const schema = z.strictObject(
  Object.fromEntries(TABLE.map((row) => [row.key, row.type])),
) as unknown as z.ZodType<FlatConfig>;

const explicitKeys = new WeakMap<Config, ReadonlySet<KeyName>>();

/**
 * The configuration. Throws MS_ERR_USAGE for a wrong flag, and MS_ERR_CONFIG with every fault of all
 * sources, each one line `SOURCE: KEY: what is wrong; what is allowed`.
 */
export function loadConfig(options: LoadOptions): Config {
  const flags = parseFlags(options.argv);
  const machine = options.machine ?? readMachine();
  const faults = new Faults();
  const path = flags.get('config');
  const file =
    path === undefined
      ? new Map<KeyName, Given>()
      : fileLayer(path, options.readFile ?? readLimited, faults);
  const layers = [file, envLayer(options.env, faults), flagLayer(flags, faults)] as const;

  const given = new Map(layers.flatMap((layer) => [...layer]));
  const values = layered(layers, given, machine);
  for (const { key, wrong, allowed } of brokenRules(values, machine)) {
    faults.add(given.get(key)?.source ?? 'default', key, wrong, allowed);
  }
  if (faults.lines.length > 0)
    throw new MemoryStreamerError('MS_ERR_CONFIG', faults.lines.join('\n'));

  const config = nest(schema.parse(values));
  explicitKeys.set(config, new Set(given.keys()));
  return config;
}

/** Whether a source gave the key's value, so that it is not merely the default. */
export function isExplicit(config: Config, key: KeyName): boolean {
  return explicitKeys.get(config)?.has(key) ?? false;
}

function layered(
  [file, env, flags]: readonly [Layer, Layer, Layer],
  given: Layer,
  machine: Machine,
): FlatConfig {
  const arena = (given.get('memory.arena')?.value as number | undefined) ?? fittedArena(machine);
  const fitted = new Map<KeyName, unknown>([
    ['memory.arena', arena],
    ['streams.default.retention.bytes', fittedRetention(arena)],
  ]);
  const properties = convict<Record<string, unknown>>(
    Object.fromEntries(TABLE.map((row) => [flatName(row.key), convictProperty(row, fitted)])),
    {
      env: Object.fromEntries(named(env, (row, { value }) => [row.env, String(value)])),
      args: named(flags, (row, { value }) => `--${row.flag}=${String(value)}`),
    },
  )
    .load(Object.fromEntries(named(file, (row, { value }) => [flatName(row.key), value])))
    .validate({ allowed: 'strict' })
    .getProperties() as Record<string, unknown>;
  return Object.fromEntries(
    TABLE.map((row) => [row.key, properties[flatName(row.key)]]),
  ) as unknown as FlatConfig;
}

/**
 * Convict takes a group named "default" for a key with that default value, so it sees flat names without
 * dots. A format is registered per key, since convict reads text by a format's name only.
 */
function convictProperty(row: TableRow, fitted: ReadonlyMap<KeyName, unknown>) {
  const format = `memorystreamer:${row.key}`;
  convict.addFormat({
    name: format,
    validate: (value: unknown) => void row.type.parse(value),
    coerce: (text: string) => row.type.parse(row.fromText(text)),
  });
  return {
    format: format as '*',
    default: fitted.get(row.key) ?? row.standard,
    doc: row.doc,
    env: row.env,
    arg: row.flag,
  };
}

function flatName(key: KeyName): string {
  return key.replaceAll('.', '/');
}

function named<Result>(layer: Layer, show: (row: TableRow, given: Given) => Result): Result[] {
  return TABLE.flatMap((row) => {
    const found = layer.get(row.key);
    return found === undefined ? [] : [show(row, found)];
  });
}

type Group = Record<string, unknown>;

function nest(values: FlatConfig): Config {
  const root: Group = {};
  const groups = [root];
  for (const [key, value] of Object.entries(values)) {
    const path = key.split('.');
    const last = path.pop()!;
    let group = root;
    for (const name of path) {
      if (group[name] === undefined) groups.push((group[name] = {}));
      group = group[name] as Group;
    }
    group[last] = value;
  }
  for (const group of groups) Object.freeze(group);
  return root as unknown as Config;
}

function readLimited(path: string): Uint8Array {
  const bytes = new Uint8Array(FILE_BYTES_MAX + 1);
  const fd = openSync(path, 'r');
  try {
    let filled = 0;
    while (filled < bytes.length) {
      const count = readSync(fd, bytes, filled, bytes.length - filled, null);
      if (count === 0) break;
      filled += count;
    }
    return bytes.subarray(0, filled);
  } finally {
    closeSync(fd);
  }
}
