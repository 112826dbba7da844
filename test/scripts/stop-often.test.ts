import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { runNode } from '../cli/processes.js';

const SCRIPT = fileURLToPath(new URL('../../scripts/stop-often.mjs', import.meta.url));

/** Ends when it was stopped twice: when no turn came for longer than the shortest stop. */
const WATCHER = `
  let last = performance.now();
  let stops = 0;
  const watch = setInterval(() => {
    const now = performance.now();
    if (now - last > 150 && ++stops === 2) clearInterval(watch);
    last = now;
  }, 1);
  process.on('exit', () => require('node:fs').writeSync(1, 'seen\\n'));
`;

test('the processes of a command are stopped, its children too, and go on', () => {
  const parent = `
    const { spawn } = require('node:child_process');
    const start = (detached) =>
      spawn(process.execPath, ['-e', ${JSON.stringify(WATCHER)}], { stdio: 'inherit', detached });
    let left = 2;
    for (const detached of [false, true]) {
      start(detached).on('exit', () => { if (--left === 0) process.exitCode = 7; });
    }
  `;
  const { code, stdout, stderr } = runNode([SCRIPT, process.execPath, '-e', parent]);
  expect({ code, stdout }).toEqual({ code: 7, stdout: 'seen\nseen\n' });
  expect(Number(/^stopped (\d+) times\n$/.exec(stderr)?.[1])).toBeGreaterThanOrEqual(2);
});

test('what the command itself has stopped stays so', () => {
  const parent = `
    const { spawn } = require('node:child_process');
    const { readFileSync, writeSync } = require('node:fs');
    const stopped = spawn('sleep', ['60'], { stdio: 'ignore' });
    stopped.on('spawn', () => stopped.kill('SIGSTOP'));
    stopped.unref();
    let states = '';
    setInterval(() => {
      const stat = readFileSync('/proc/' + stopped.pid + '/stat', 'utf8');
      const state = stat[stat.lastIndexOf(')') + 2];
      if (!states.endsWith(state)) states += state;
    }, 5).unref();
    ${WATCHER}
    process.on('exit', () => {
      stopped.kill('SIGKILL');
      writeSync(1, states);
    });
  `;
  const { code, stdout } = runNode([SCRIPT, process.execPath, '-e', parent]);
  expect(code).toBe(0);
  // It may have been seen before its own stop.
  expect(stdout).toMatch(/^seen\n[A-Z]?T$/);
});

test('the end by a signal is told as a shell tells it', () => {
  const { code } = runNode([
    SCRIPT,
    process.execPath,
    '-e',
    'process.kill(process.pid, "SIGKILL")',
  ]);
  expect(code).toBe(137);
});

test.each([[[]], [['--help']]])('%j is no command', (argv) => {
  const { code, stderr } = runNode([SCRIPT, ...argv]);
  expect(code).toBe(64);
  expect(stderr).toContain('usage: ');
});

test('a command that is not there', () => {
  const { code, stderr } = runNode([SCRIPT, '/nonexistent']);
  expect({ code, stderr }).toEqual({ code: 1, stderr: 'spawn /nonexistent ENOENT\n' });
});
