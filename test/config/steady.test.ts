/** Files that change while they are read. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { realFiles, type Files } from '../../src/config/files.js';
import { loadConfiguration } from '../../src/config/load.js';
import { SteadyFiles } from '../../src/config/steady.js';
import { MemoryStreamerError } from '../../src/errors.js';
import { fakeFiles, faultsOf, load } from './support/sources.js';

const FIRST = { '/a.json': '{"shards": 1}', '/b.json': '{"limits": {"streams": 1}}' };
const SECOND = { '/a.json': '{"shards": 2}', '/b.json': '{"limits": {"streams": 2}}' };
const argv = ['--config', '/a.json', '--config', '/b.json'];

/** Both files are exchanged before each of the `exchanges` first readings of the second one. */
function exchanged(exchanges: number): Files {
  const table: Record<string, string> = { ...FIRST };
  const files = fakeFiles(table);
  let left = exchanges;
  return {
    ...files,
    read(path, bytesMax) {
      if (path === '/b.json' && left-- > 0) {
        const next = left % 2 === 0 ? SECOND : FIRST;
        Object.assign(table, next, { '/a.json': next['/a.json'] + ' '.repeat(left) });
      }
      return files.read(path, bytesMax);
    },
  };
}

test('what was exchanged in the middle is read again, and is of one moment', async () => {
  const { values } = await load({ argv, files: exchanged(1) });
  expect([values.shards, values.limits.streams]).toEqual([2, 2]);
});

test('what is never at rest is refused in words, and what rests at last is not', async () => {
  expect(await faultsOf({ argv, files: exchanged(5) })).toEqual([
    '/a.json: was written each of the 5 times that it was read; try again',
  ]);
  expect(await faultsOf({ argv, files: exchanged(4) })).toEqual([]);
});

test('a fault in what was torn is no fault', async () => {
  const table = { '/b.json': '{"sha' };
  const files = fakeFiles(table);
  const torn: Files = {
    ...files,
    read(path, bytesMax) {
      const content = files.read(path, bytesMax);
      table['/b.json'] = '{"shards": 3}';
      return content;
    },
  };
  expect((await load({ file: '', files: torn })).values.shards).toBe(3);
});

test('what could not be read and is there by the end is read again', async () => {
  const table: Record<string, string> = { '/b.json': '{}' };
  const files = fakeFiles(table);
  const late: Files = {
    ...files,
    read(path, bytesMax) {
      if (path === '/b.json') table['/a.json'] = '{"shards": 3}';
      return files.read(path, bytesMax);
    },
  };
  expect((await load({ argv, files: late })).values.shards).toBe(3);
});

test('what comes the moment after it could not be read is read', async () => {
  const table: Record<string, string> = {};
  const files = fakeFiles(table);
  const late: Files = {
    ...files,
    read(path, bytesMax) {
      try {
        return files.read(path, bytesMax);
      } finally {
        table[path] = '{"shards": 3}';
      }
    },
  };
  expect((await load({ argv: ['--config', '/a.json'], files: late })).values.shards).toBe(3);
});

test('what is told of a file is the same before, while and after it is read', () => {
  const folder = mkdtempSync(join(tmpdir(), 'steady-'));
  try {
    const path = join(folder, 'a.json');
    writeFileSync(path, '{}');
    const { print } = realFiles.read(path, 100);
    expect(print).toMatch(/^\d+ \d+ 2 /);
    expect(realFiles.print(path)).toBe(print);
    writeFileSync(path, '{ }');
    expect(realFiles.print(path)).not.toBe(print);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a folder to which a file is added meanwhile is listed again', () => {
  const table: Record<string, string> = { '/d': 'print 1', '/d/a.json': '{}' };
  const files = new SteadyFiles(fakeFiles(table));
  expect(files.list('/d')).toEqual(['a.json']);
  expect(files.changed()).toBeUndefined();
  table['/d'] = 'print 2';
  expect(files.changed()).toBe('/d');
  expect(files.print('/d')).toBe(JSON.stringify('print 2'));
});

/** Number N is in the configuration and in the secret, and both are exchanged at once by one link, as Kubernetes does. */
const WRITER = `
const { mkdirSync, writeFileSync, symlinkSync, renameSync, rmSync } = require('node:fs');
const { join } = require('node:path');
const [folder, count] = process.argv.slice(1);
for (let n = 2; n <= Number(count); n++) {
  const data = join(folder, '..' + n);
  mkdirSync(data);
  writeFileSync(join(data, 'b.json'), JSON.stringify({
    limits: { subscriptions: n },
    credentials: [{ keyId: 'a', method: 'token', secretFile: 'token' }],
  }));
  writeFileSync(join(data, 'token'), String(n).padStart(20, '0'), { mode: 0o600 });
  symlinkSync('..' + n, join(folder, '..data_tmp'));
  renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
  rmSync(join(folder, '..' + (n - 1)), { recursive: true });
}
`;

test('300 exchanges of a mounted folder: configuration and secret are always of one', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'steady-'));
  try {
    const data = join(folder, '..1');
    mkdirSync(data);
    writeFileSync(join(data, 'b.json'), '{}');
    symlinkSync('..1', join(folder, '..data'));
    for (const name of ['b.json', 'token']) symlinkSync(join('..data', name), join(folder, name));
    const argv = ['--config', join(folder, 'b.json')];
    const seen = new Set<number>();
    let isEnded = false;
    const writer = spawn(process.execPath, ['-e', WRITER, '--', folder, '300'], {
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    const ended = once(writer, 'exit').then(([code]) => {
      isEnded = true;
      return code as number;
    });
    for (let wasEnded = false; !wasEnded;) {
      wasEnded = isEnded;
      try {
        const { values, secrets } = await loadConfiguration({ argv, env: {} });
        for (const secret of secrets.values()) {
          const number = Number(new TextDecoder().decode(secret.reveal()));
          expect(number).toBe(values.limits.subscriptions);
          seen.add(number);
        }
      } catch (error) {
        if (!(error instanceof MemoryStreamerError)) throw error;
      }
      await new Promise((turn) => setImmediate(turn));
    }
    expect(await ended).toBe(0);
    expect(seen).toContain(300);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
