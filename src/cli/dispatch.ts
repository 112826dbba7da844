/** From the command line to a command, and from its outcome to the exit code. */
import { nearest } from '../config/nearest.js';
import { MemoryStreamerError } from '../errors.js';
import { VERSION } from '../version.js';
import { errorText, EXIT_DONE, exitCodeOf } from './exit-codes.js';

type Command = (argv: readonly string[]) => Promise<number>;

/** Loaded only when they are asked for: `pub` needs no koffi, and nothing but `serve` a configuration. */
const COMMANDS: ReadonlyMap<string, () => Promise<Command>> = new Map([
  ['serve', async (): Promise<Command> => (await import('./serve.js')).runServe],
  ['pub', async (): Promise<Command> => (await import('./pub.js')).runPub],
  ['sub', async (): Promise<Command> => (await import('./sub.js')).runSub],
  ['ping', async (): Promise<Command> => (await import('./ping.js')).runPing],
  ['bench', async (): Promise<Command> => (await import('./bench.js')).runBench],
  ['config', async (): Promise<Command> => (await import('./config.js')).runConfig],
  ['frame', async (): Promise<Command> => (await import('./frame.js')).runFrame],
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
  if (first === '--version' || first === '-v') return print(`${VERSION}\n`);
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
  const command = await COMMANDS.get(name)!();
  return command(argv);
}

function print(text: string): number {
  process.stdout.write(text);
  return EXIT_DONE;
}
