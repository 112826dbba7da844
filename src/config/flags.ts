/** The flags of `serve` and of the commands that look at its configuration. */
import { MemoryStreamerError } from '../errors.js';
import { lookupOf } from './lookup.js';
import { nearest } from './nearest.js';
import { TABLE, type TableRow } from './table.js';

export interface Flags {
  /** By flag without dashes, for the keys of the table. */
  readonly values: ReadonlyMap<string, string>;
  /** `--config`, in the order given. */
  readonly files: readonly string[];
  /** `--config-dir`, in the order given. */
  readonly folders: readonly string[];
  readonly profile: string | undefined;
}

/** Flags that say where a configuration comes from, with what stands for their values. */
export const SOURCE_FLAGS: ReadonlyMap<string, string> = new Map([
  ['config', 'the path of a JSON, YAML or TOML file'],
  ['config-dir', 'the path of a folder'],
  ['profile', 'the name of a profile'],
]);

/**
 * `--name value`, `--name=value`, and for true-or-false keys `--name` alone. Throws MS_ERR_USAGE for what is
 * no flag, lacks its value or stands twice; `--config` and `--config-dir` may stand often.
 */
export function parseFlags(argv: readonly string[], table: readonly TableRow[] = TABLE): Flags {
  const { byFlag } = lookupOf(table);
  const values = new Map<string, string>();
  const lists = { config: [] as string[], 'config-dir': [] as string[] };
  let profile: string | undefined;
  for (let at = 0; at < argv.length; at++) {
    const [, name, inline] = /^--([^=]+)(?:=(.*))?$/s.exec(argv[at]!) ?? [];
    if (name === undefined) throw usage(`${JSON.stringify(argv[at])} is not expected here`);
    const row = byFlag.get(name);
    const what = row?.allowed ?? SOURCE_FLAGS.get(name);
    if (what === undefined) throw usage(unknownFlag(name, table));
    if (values.has(name) || (name === 'profile' && profile !== undefined)) {
      throw usage(`--${name} stands twice`);
    }
    const isAlone = inline === undefined && row?.placeholder === '';
    const value = inline ?? (isAlone ? 'true' : argv[++at]);
    if (value === undefined || (inline === undefined && value.startsWith('--'))) {
      throw usage(`--${name} needs a value: ${what}`);
    }
    if (name === 'config' || name === 'config-dir') lists[name].push(value);
    else if (name === 'profile') profile = value;
    else values.set(name, value);
  }
  return { values, files: lists.config, folders: lists['config-dir'], profile };
}

function unknownFlag(name: string, table: readonly TableRow[]): string {
  const known = [...table.map((row) => row.flag), ...SOURCE_FLAGS.keys(), 'help', 'version'];
  const near = nearest(name, known);
  const hint = near === undefined ? '' : `; did you mean --${near}?`;
  return `--${name} is not a flag of serve${hint}`;
}

function usage(message: string): MemoryStreamerError {
  return new MemoryStreamerError('MS_ERR_USAGE', `${message} (try --help)`);
}
