/** Runs the command: as the build has put it together, or module by module where somebody looks at those. */
import { existsSync } from 'node:fs';
import { Bundle } from './bundle.js';

type Dispatch = typeof import('./cli/dispatch.js');

/** Runs the command line `argv` (without node and script), and ends the process with its code. */
export async function start(argv: readonly string[]): Promise<void> {
  const { main } = await dispatch();
  await main(argv);
}

function dispatch(): Dispatch | Promise<Dispatch> {
  const folder = new URL('./bundle/', import.meta.url);
  if (isLookedAt() || !existsSync(folder)) return import('./cli/dispatch.js');
  return new Bundle(folder).load('dispatch.cjs') as Dispatch;
}

/** By a debugger, a profiler, source maps or counts of what runs: all come with options of Node.js. */
function isLookedAt(): boolean {
  const { NODE_OPTIONS = '', NODE_V8_COVERAGE = '' } = process.env;
  return process.execArgv.length > 0 || NODE_OPTIONS !== '' || NODE_V8_COVERAGE !== '';
}
