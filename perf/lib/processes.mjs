// Child processes: each is ended by the one that started it, by its own pid, however the run ends.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { clearTimeout, setTimeout } from 'node:timers';
import { setTimeout as delay } from 'node:timers/promises';

const READY_TIMEOUT_MS = 15_000;
const STOP_TIMEOUT_MS = 5_000;
const STDERR_CHARACTERS_KEPT = 2_000;

const running = new Set();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => process.exit(signal === 'SIGINT' ? 130 : 143));
}

/** The file that the shell would run for `name`, or null. */
export function findOnPath(name, searched = process.env.PATH ?? '') {
  for (const directory of searched.split(delimiter)) {
    const path = join(directory, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this directory.
    }
  }
  return null;
}

/** `command` with `taskset` before it where `cpus` names some; taskset becomes the command: same pid. */
function pinned(command, args, cpus) {
  if (!cpus) return [command, args];
  return ['taskset', ['-c', cpus.join(','), command, ...args]];
}

export function start(command, args, { cpus = null, stdin = 'ignore' } = {}) {
  const [file, fileArgs] = pinned(command, args, cpus);
  const child = spawn(file, fileArgs, { stdio: [stdin, 'pipe', 'pipe'] });
  const handle = { child, pid: child.pid, stdout: '', stderr: '', status: null, changed: () => {} };
  running.add(child);
  child.stdout.setEncoding('utf8').on('data', (text) => {
    handle.stdout += text;
    handle.changed();
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    handle.stderr = (handle.stderr + text).slice(-STDERR_CHARACTERS_KEPT);
    handle.changed();
  });
  handle.ended = once(child, 'close').then(
    ([code, signal]) => finish(handle, code ?? signal),
    (error) => finish(handle, error.message),
  );
  return handle;
}

function finish(handle, status) {
  running.delete(handle.child);
  handle.status = status;
  handle.changed();
  return status;
}

/** Waits until `pattern` matches what the process wrote to either stream; answers the match. */
export async function matched(handle, pattern, what) {
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    handle.changed();
  }, READY_TIMEOUT_MS);
  try {
    for (;;) {
      const match = pattern.exec(handle.stdout) ?? pattern.exec(handle.stderr);
      if (match) return match;
      if (handle.status !== null || late) break;
      await new Promise((resolve) => (handle.changed = resolve));
    }
  } finally {
    clearTimeout(timer);
    handle.changed = () => {};
  }
  const why = late ? `not ready within ${READY_TIMEOUT_MS} ms` : `it ended (${handle.status})`;
  if (late) await stop(handle);
  throw new Error(`${what}: ${why}. ${handle.stderr.trim()}`.trim());
}

/** Ends a process that `start` began; answers its exit status or signal. */
export async function stop(handle) {
  handle.child.kill('SIGTERM');
  const late = delay(STOP_TIMEOUT_MS, 'late', { ref: false });
  if ((await Promise.race([handle.ended, late])) === 'late') handle.child.kill('SIGKILL');
  return handle.ended;
}
