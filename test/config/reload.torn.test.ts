/** A file that another process rewrites in bad ways while it is watched: whatever is applied is valid and whole. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadConfiguration, type Configuration } from '../../src/config/load.js';
import { Reloader } from '../../src/config/reload.js';
import { Watcher } from '../../src/config/watch.js';
import { systemClock } from '../../src/clock.js';
import { Watched } from '../support/watched.js';

const REWRITES = 1_000;

/** Number N is in both keys of a whole file. The last one is whole, and is left to be found. */
const WRITER = `
const { openSync, readSync, writeSync, closeSync, writeFileSync, renameSync, truncateSync, unlinkSync } = require('node:fs');
const [file, count] = process.argv.slice(1);
const whole = (n) => JSON.stringify({ limits: { subscriptions: n, publications: n } }) + '\\n';
const ways = [
  (n) => writeFileSync(file, whole(n).slice(0, n % 50)),
  (n) => { const fd = openSync(file, 'w'); for (const byte of whole(n)) writeSync(fd, byte); closeSync(fd); },
  (n) => { writeFileSync(file, whole(n)); truncateSync(file, 20); },
  (n) => { writeFileSync(file + '.new', whole(n)); renameSync(file + '.new', file); },
  (n) => { unlinkSync(file); writeFileSync(file, ''); },
  (n) => writeFileSync(file, whole(0)),
  (n) => writeFileSync(file, whole(n) + whole(n)),
  (n) => writeFileSync(file, Buffer.from([0xff, 0xfe, n & 0xff])),
  (n) => writeFileSync(file, whole(n)),
];
for (let n = 1; n < Number(count); n++) {
  ways[n % ways.length](n);
  // Every tenth state rests until it was read.
  if (n % 10 === 0) {
    writeSync(1, 'r');
    readSync(0, Buffer.alloc(1));
  }
}
writeFileSync(file + '.new', whole(Number(count)));
renameSync(file + '.new', file);
`;

let folder: string;
let watcher: Watcher | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'torn-'));
});

afterEach(() => {
  watcher?.close();
  rmSync(folder, { recursive: true });
});

test(`${REWRITES} bad rewrites: every state that is applied is whole, and the last one is`, async () => {
  const file = join(folder, 'broker.json');
  writeFileSync(file, '{}\n');
  const watched = new Watched();
  /** When the last load began that has ended, as files tell the time. */
  let readMs = 0;
  const load = async (): Promise<Configuration> => {
    const beganMs = performance.timeOrigin + performance.now();
    try {
      return await loadConfiguration({ argv: ['--config', file], env: {} });
    } finally {
      readMs = beganMs;
      watched.changed();
    }
  };
  const applied: [number, number][] = [];
  const reloader = new Reloader({
    current: await load(),
    load,
    apply: ({ values }) => {
      applied.push([values.limits.subscriptions, values.limits.publications]);
      watched.changed();
      return Promise.resolve();
    },
    log: { info: () => undefined, warn: () => undefined },
    clock: systemClock,
  });
  watcher = new Watcher({
    paths: () => reloader.current.paths,
    changed: () => void reloader.reload('watch'),
    deaf: (reason) => expect.fail(reason),
  });
  const writer = spawn(process.execPath, ['-e', WRITER, '--', file, `${REWRITES}`], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(writer, 'exit');
  for await (const word of writer.stdout) {
    expect(String(word)).toBe('r');
    const { mtimeMs } = statSync(file);
    await watched.until(
      () => readMs > mtimeMs,
      () => 'a load of the state that rests',
    );
    writer.stdin.write('g');
  }
  expect(await ended).toEqual([0, null]);
  await watched.until(
    () => applied.at(-1)?.[0] === REWRITES,
    () => `the last state; applied: ${JSON.stringify(applied)}`,
  );
  for (const [subscriptions, publications] of applied) expect(subscriptions).toBe(publications);
  // Of the hundred that rested every third is whole.
  expect(applied.length).toBeGreaterThan(20);
  expect(reloader.history.map(({ result }) => result)).toContain('refused');
});
