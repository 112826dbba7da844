/** From the command line to a command, and from its outcome to the exit code. */
import { readFileSync } from 'node:fs';
import { nearest } from '../config/nearest.js';
import { MemoryStreamerError } from '../errors.js';
import { errorText, EXIT_DONE, exitCodeOf } from './exit-codes.js';

type Command = (argv: readonly string[]) => Promise<number>;

/** Modules and the function of each, loaded only when they are asked for. */
const COMMANDS: ReadonlyMap<string, { module: string; run: string }> = new Map([
  ['serve', { module: './serve.js', run: 'runServe' }],
  ['pub', { module: './pub.js', run: 'runPub' }],
  ['sub', { module: './sub.js', run: 'runSub' }],
]);

/** Runs the command line `argv` (without node and script), and ends the process with its code. */
export async function main(argv: readonly string[]): Promise<void> {
  try {
    process.exitCode = await dispatch(argv);
  } catch (error) {
    process.stderr.write(errorText(error));
    // Not `exitCode`: threads that a failed start left behind would keep the process alive.
    process.exit(exitCodeOf(error));
  }
}

async function dispatch(argv: readonly string[]): Promise<number> {
  const [first = '', ...rest] = argv;
  if (first === '--version' || first === '-v') return print(`${version()}\n`);
  if (first === '--help' || first === '-h' || first === 'help') {
    const { GENERAL_HELP } = await import('./help.js');
    return print(GENERAL_HELP);
  }
  if (first === '' || first.startsWith('-')) return run('serve', argv);
  if (COMMANDS.has(first)) return run(first, rest);
  const near = nearest(first, [...COMMANDS.keys()]);
  const hint = near === undefined ? '' : `; did you mean "${near}"?`;
  throw new MemoryStreamerError(
    'MS_ERR_USAGE',
    `${JSON.stringify(first)} is not a command${hint} (try --help)`,
  );
}

async function run(name: string, argv: readonly string[]): Promise<number> {
  const command = COMMANDS.get(name)!;
  const loaded = (await import(command.module)) as Record<string, Command>;
  return loaded[command.run]!(argv);
}

function print(text: string): number {
  process.stdout.write(text);
  return EXIT_DONE;
}

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
