// The load generator: compiled when it is older than its sources, run, and its one line of JSON read.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { buildDirectory, projectRoot } from './paths.mjs';
import { findOnPath, matched, start } from './processes.mjs';

const sourceDirectories = ['loadgen', 'ceiling'].map((name) => join(projectRoot, 'perf', name));
export const loadgenPath = join(buildDirectory, 'loadgen');

function modifiedMs(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** Compiles the generator with gcc into build/, unless that is done. Answers its path. */
export function compileLoadgen() {
  const names = sourceDirectories.flatMap((directory) =>
    readdirSync(directory).map((name) => join(directory, name)),
  );
  if (names.every((name) => modifiedMs(name) < modifiedMs(loadgenPath))) return loadgenPath;
  if (!findOnPath('gcc')) {
    throw new Error('gcc is missing. The load generator is C: install gcc (apt-get install gcc).');
  }
  mkdirSync(buildDirectory, { recursive: true });
  // Two runs at once may both compile: each writes a file of its own, and the rename is atomic.
  const fresh = `${loadgenPath}.${process.pid}`;
  const sources = names.filter((name) => name.endsWith('.c'));
  const flags = ['-O2', '-std=gnu17', '-Wall', '-Wextra', '-Werror'];
  execFileSync('gcc', [...flags, '-o', fresh, ...sources], { stdio: 'inherit' });
  renameSync(fresh, loadgenPath);
  return loadgenPath;
}

function argumentsOf(mode, options) {
  return Object.entries(options).reduce(
    (args, [name, value]) => {
      if (value === true) args.push(`--${name}`);
      else if (value !== false && value !== null && value !== undefined) {
        args.push(`--${name}`, String(value));
      }
      return args;
    },
    [mode],
  );
}

/** Runs one mode to its end; answers what it reported. */
export async function runLoadgen(mode, options) {
  const handle = start(loadgenPath, argumentsOf(mode, options));
  const status = await handle.ended;
  if (status !== 0)
    throw new Error(`loadgen ${mode} ended with ${status}: ${handle.stderr.trim()}`);
  return JSON.parse(handle.stdout);
}

/** Starts a mode that is a peer itself (relay, answer) and waits until it listens. */
export async function startLoadgenPeer(mode, options, cpus) {
  const handle = start(loadgenPath, argumentsOf(mode, { port: 0, ...options }), { cpus });
  const [, port] = await matched(handle, /"port":(\d+)/, `loadgen ${mode}`);
  return { handle, port: Number(port) };
}

/** Starts the mode `reload`, and waits until all its connections are up. */
export async function startLoadgen(mode, options) {
  const handle = start(loadgenPath, argumentsOf(mode, options), { stdin: 'pipe' });
  await matched(handle, /"up":\d+.*\n/, `loadgen ${mode}`);
  let entered = 0;
  return {
    /** What comes from now on is counted under that letter. */
    async enter(letter) {
      handle.child.stdin.write(letter);
      const pattern = new RegExp(`(?:"period":"\\w"[^]*?){${++entered}}`);
      try {
        await matched(handle, pattern, `loadgen ${mode}`);
      } catch (error) {
        // It gives up where a connection is lost, and says so in its report.
        const { error: reason } = JSON.parse(handle.stdout.trim().split('\n').at(-1));
        throw reason ? new Error(`loadgen ${mode}: ${reason}`) : error;
      }
    },
    /** No more is sent; answers the report once all has come. */
    async end() {
      handle.child.stdin.end();
      const status = await handle.ended;
      if (status !== 0)
        throw new Error(`loadgen ${mode} ended with ${status}: ${handle.stderr.trim()}`);
      return JSON.parse(handle.stdout.trim().split('\n').at(-1));
    },
  };
}

/** Opens idle connections and holds them until `release()`, which answers what became of them. */
export async function holdConnections(options) {
  const handle = start(loadgenPath, argumentsOf('idle', options), { stdin: 'pipe' });
  await matched(handle, /"up":\d+.*\n/, 'loadgen idle');
  return {
    up: JSON.parse(handle.stdout),
    async release() {
      handle.child.stdin.end();
      const status = await handle.ended;
      if (status !== 0)
        throw new Error(`loadgen idle ended with ${status}: ${handle.stderr.trim()}`);
      return JSON.parse(handle.stdout.trim().split('\n').at(-1));
    },
  };
}
