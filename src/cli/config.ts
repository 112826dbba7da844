/** `memorystreamer config`: looks at configurations, as `serve` would, without a broker. */
import { takenAway } from '../config/boundary.js';
import { diff } from '../config/digest.js';
import { ConfigurationRefused, Faults, oneLine } from '../config/faults.js';
import { readDocument, realFiles } from '../config/files.js';
import { loadConfiguration, type Configuration } from '../config/load.js';
import { machineList, machineOf, readMachine, type Machine } from '../config/machine.js';
import { nearest } from '../config/nearest.js';
import { lineAndColumn, plain, type ConfigNode } from '../config/node.js';
import { explain, initialYaml, printJson, printYaml } from '../config/print.js';
import { ENV_PREFIX, TABLE } from '../config/table.js';
import { wrongnesses } from '../config/wrongness.js';
import { arenaHoldsTables } from '../control/arena-plan.js';
import { usageError } from './client-options.js';
import { EXIT_DONE } from './exit-codes.js';

type Command = (argv: readonly string[]) => Promise<void> | void;

const COMMANDS: ReadonlyMap<string, Command> = new Map<string, Command>([
  ['check', check],
  ['print', print],
  ['diff', printDiff],
  ['explain', printExplanation],
  ['init', noArguments('init', () => initialYaml(TABLE))],
  ['schema', noArguments('schema', schemaText)],
  ['machine', noArguments('machine', () => json(readMachine()))],
]);

/** Runs the command; answers its exit code, or throws a MemoryStreamerError. */
export async function runConfig(argv: readonly string[]): Promise<number> {
  const [name = '--help', ...rest] = argv;
  if (name === '--help' || name === '-h' || rest.includes('--help') || rest.includes('-h')) {
    const { CONFIG_HELP } = await import('./help.js');
    say(CONFIG_HELP);
    return EXIT_DONE;
  }
  const command = COMMANDS.get(name);
  if (command === undefined) {
    const near = nearest(name, [...COMMANDS.keys()]);
    const hint = near === undefined ? '' : `; did you mean "${near}"?`;
    throw usageError(`${JSON.stringify(name)} is not a command of config${hint}`);
  }
  await command(rest);
  return EXIT_DONE;
}

async function check(argv: readonly string[]): Promise<void> {
  const { files, flags, machine } = await parse('check', argv);
  const { digest, paths } = await load(configFlags(files, flags), process.env, machine);
  say(`ok, ${paths.length} ${paths.length === 1 ? 'path' : 'paths'} read, digest ${digest}\n`);
}

async function print(argv: readonly string[]): Promise<void> {
  const { files, flags, machine, isJson } = await parse('print', argv);
  const configuration = await load(configFlags(files, flags), process.env, machine);
  say(isJson ? printJson(configuration, TABLE) : printYaml(configuration, TABLE));
}

async function printDiff(argv: readonly string[]): Promise<void> {
  const { files, flags, machine } = await parse('diff', argv);
  const [a, b] = files;
  if (a === undefined || b === undefined || files.length !== 2) {
    throw usageError(`config diff takes two files, not ${files.length}`);
  }
  // What the environment says would hide what the files say.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith(ENV_PREFIX)),
  );
  const before = await load(configFlags([a], flags), env, machine);
  const after = await load(configFlags([b], flags), env, machine);
  const changes = diff(before, after, TABLE);
  const lines = changes.map(
    ({ key, apply, before: old, after: now, items = `${old} -> ${now}` }) =>
      `${apply.padEnd(7)}  ${key}: ${items}\n`,
  );
  const restarts = changes.filter(({ apply }) => apply === 'restart').length;
  for (const reason of takenAway(before, after)) {
    lines.push(`a broker that runs refuses this: ${reason}\n`);
  }
  lines.push(
    `${changes.length} differ: ${changes.length - restarts} hot, ${restarts} by restart\n`,
  );
  say(lines.join(''));
}

function printExplanation(argv: readonly string[]): void {
  if (argv.length > 1) throw usageError(`config explain takes one KEY, not ${argv.length}`);
  const [wanted = ''] = argv;
  const isMeant = (key: string) => wanted === '' || key === wanted || key.startsWith(`${wanted}.`);
  const rows = TABLE.filter((row) => isMeant(row.key));
  if (rows.length === 0) {
    const keys = TABLE.map((row) => row.key);
    const near = nearest(wanted, keys);
    const hint = near === undefined ? '' : `; did you mean ${near}?`;
    throw usageError(`${JSON.stringify(wanted)} is not a known key${hint}`);
  }
  say(rows.map(explain).join('\n'));
}

async function schemaText(): Promise<string> {
  const { jsonSchema } = await import('../config/json-schema.js');
  return json(jsonSchema(TABLE));
}

function noArguments(name: string, text: () => string | Promise<string>): Command {
  return async (argv) => {
    if (argv.length > 0) throw usageError(`config ${name} takes no arguments`);
    say(await text());
  };
}

interface Arguments {
  readonly files: readonly string[];
  /** What is for the loader. */
  readonly flags: readonly string[];
  readonly machine: Machine;
  readonly isJson: boolean;
}

async function parse(
  name: 'check' | 'print' | 'diff',
  argv: readonly string[],
): Promise<Arguments> {
  const files: string[] = [];
  const flags: string[] = [];
  let machine: string | undefined;
  let isJson = false;
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at]!;
    if (word === '--json' && name === 'print') isJson = true;
    else if (word === '--machine') machine = argv[++at] ?? '';
    else if (word.startsWith('--machine=')) machine = word.slice('--machine='.length);
    else if (!word.startsWith('-')) files.push(word);
    else {
      flags.push(word);
      if (takesNext(word) && at + 1 < argv.length) flags.push(argv[++at]!);
    }
  }
  if (machine === '') throw usageError('--machine needs a value: the path of a file');
  const isNamed = flags.some((flag) => flag.startsWith('--config'));
  if (name === 'check' && files.length === 0 && !isNamed)
    throw usageError('config check takes a FILE');
  return { files, flags, machine: await machineFrom(machine), isJson };
}

function takesNext(word: string): boolean {
  const isAlone = TABLE.some((row) => `--${row.flag}` === word && row.placeholder === '');
  return !word.includes('=') && !isAlone;
}

function configFlags(files: readonly string[], flags: readonly string[]): string[] {
  return [...files.map((file) => `--config=${file}`), ...flags];
}

async function machineFrom(path: string | undefined): Promise<Machine> {
  if (path === undefined) return readMachine();
  const faults = new Faults();
  const document = await readDocument(path, realFiles, faults);
  if (document !== undefined) {
    const list: ConfigNode = { kind: 'list', items: [document.root], at: document.root.at };
    const kind = machineList();
    const result = kind.type.safeParse(plain(list));
    if (result.success) return machineOf(result.data[0]!);
    for (const { at, path: fieldPath, text } of wrongnesses(kind, list, result.error.issues)) {
      const place = lineAndColumn(document.text, at);
      faults.add(`${path}:${place}`, ...fieldPath.slice(1).map(String), text);
    }
  }
  throw new ConfigurationRefused(faults.all, [path]);
}

/** Warnings go to standard error: the configuration can be used all the same. */
async function load(
  argv: readonly string[],
  env: NodeJS.ProcessEnv,
  machine: Machine,
): Promise<Configuration> {
  const rules = [arenaHoldsTables];
  const configuration = await loadConfiguration({ argv, env, machine, rules });
  for (const warning of configuration.warnings) {
    process.stderr.write(`memorystreamer: warning: ${oneLine(warning)}\n`);
  }
  return configuration;
}

function json(value: unknown): string {
  return `${JSON.stringify(value, (_, inner: unknown) => (inner === Infinity ? undefined : inner), 2)}\n`;
}

function say(text: string): void {
  process.stdout.write(text);
}
