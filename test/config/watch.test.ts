/** The real file system, in every way in which programs change files. */
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Watcher } from '../../src/config/watch.js';
import { Watched } from '../support/watched.js';

let folder: string;
let file: string;
let watcher: Watcher | undefined;
let tellings: string[];
let deaf: string[];
let watched: Watched;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'watch-'));
  file = join(folder, 'a.json');
  tellings = [];
  deaf = [];
  watched = new Watched();
});

afterEach(() => {
  watcher?.close();
  rmSync(folder, { recursive: true });
});

/** Notes what the file holds whenever it is told of a change. */
function watch(...paths: string[]): void {
  watcher = new Watcher({
    paths: () => paths,
    changed: () => {
      tellings.push(content());
      watched.changed();
    },
    deaf: (reason) => deaf.push(reason),
  });
}

function content(): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '(none)';
  }
}

async function told(text: string): Promise<void> {
  await watched.until(
    () => tellings.at(-1) === text,
    () => `to be told of ${text}; told: ${tellings.join()}`,
  );
}

describe('a change is told when a file', () => {
  test('is written in place', async () => {
    writeFileSync(file, '1');
    watch(file);
    writeFileSync(file, '2');
    await told('2');
  });

  test('is replaced by a rename', async () => {
    writeFileSync(file, '1');
    watch(file);
    for (const text of ['2', '3']) {
      writeFileSync(join(folder, '.a.json.swp'), text);
      renameSync(join(folder, '.a.json.swp'), file);
      await told(text);
    }
  });

  test('is moved away and written anew, as some editors do', async () => {
    writeFileSync(file, '1');
    watch(file);
    writeFileSync(join(folder, '4913'), '');
    unlinkSync(join(folder, '4913'));
    renameSync(file, `${file}~`);
    writeFileSync(file, '2');
    unlinkSync(`${file}~`);
    await told('2');
  });

  test('vanishes, and when it comes back', async () => {
    writeFileSync(file, '1');
    watch(file);
    unlinkSync(file);
    await told('(none)');
    writeFileSync(file, '2');
    await told('2');
  });

  test('is one behind a link that is exchanged, as a mounted set of files is', async () => {
    for (const [version, text] of [
      ['v1', '1'],
      ['v2', '2'],
      ['v3', '3'],
    ] as const) {
      mkdirSync(join(folder, version));
      writeFileSync(join(folder, version, 'a.json'), text);
    }
    symlinkSync('v1', join(folder, '..data'));
    symlinkSync(join('..data', 'a.json'), file);
    watch(file);
    for (const [version, text] of [
      ['v2', '2'],
      ['v3', '3'],
    ] as const) {
      symlinkSync(version, join(folder, '..data_tmp'));
      renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
      await told(text);
    }
    // What the link leads to now is watched as well.
    writeFileSync(join(folder, 'v3', 'a.json'), '4');
    await told('4');
  });

  test('lies in a folder that is a link and is exchanged', async () => {
    for (const version of ['v1', 'v2']) {
      mkdirSync(join(folder, version));
      writeFileSync(join(folder, version, 'a.json'), version);
    }
    symlinkSync('v1', join(folder, 'current'));
    file = join(folder, 'current', 'a.json');
    watch(file);
    symlinkSync('v2', join(folder, 'next'));
    renameSync(join(folder, 'next'), join(folder, 'current'));
    await told('v2');
  });

  test('is added to a folder', async () => {
    const drops = join(folder, 'conf.d');
    mkdirSync(drops);
    file = join(drops, 'b.json');
    watch(drops);
    writeFileSync(file, '1');
    await told('1');
  });
});

describe('on a clock of its own', () => {
  beforeEach(() => {
    vi.useFakeTimers({
      toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'],
    });
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  test('a change is told when it has stood still from one look to the next', () => {
    writeFileSync(file, '1');
    watch(file);
    writeFileSync(file, '22');
    vi.advanceTimersByTime(2_000);
    writeFileSync(file, '333');
    vi.advanceTimersByTime(50);
    expect(tellings).toEqual([]);
    vi.advanceTimersByTime(50);
    expect(tellings).toEqual(['333']);
    vi.advanceTimersByTime(10_000);
    expect(tellings).toEqual(['333']);
  });

  test('what never stands still is told after a second', () => {
    writeFileSync(file, '');
    watch(file);
    let text = '';
    const write = (): void => writeFileSync(file, (text += 'x'));
    write();
    vi.advanceTimersByTime(2_000);
    for (let look = 1; look < 20; look++) {
      write();
      vi.advanceTimersByTime(50);
    }
    expect(tellings).toEqual([]);
    write();
    vi.advanceTimersByTime(50);
    expect(tellings).toEqual([text]);
  });
});

/** Without the poll a change is seen by the kernel's notices alone. */
describe('by a notice of the kernel', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  test.each([
    ['in its folder', 'v1', 'v1'],
    ['in the folder of a link further up', 'v1/deep', 'v1'],
  ])('%s a change is told', async (_, inside, exchanged) => {
    for (const version of ['v1', 'v2']) {
      mkdirSync(join(folder, inside.replace('v1', version)), { recursive: true });
      writeFileSync(join(folder, inside.replace('v1', version), 'a.json'), version);
    }
    symlinkSync(exchanged, join(folder, 'current'));
    file = join(folder, inside.replace('v1', 'current'), 'a.json');
    watch(file);
    symlinkSync('v2', join(folder, 'next'));
    renameSync(join(folder, 'next'), join(folder, 'current'));
    await told('v2');
    writeFileSync(file, 'v2, changed');
    await told('v2, changed');
  });
});

test('many changes at once are told once they rest', async () => {
  writeFileSync(file, '0');
  watch(file);
  for (let i = 1; i <= 500; i++) writeFileSync(file, `${i}`);
  await told('500');
  expect(tellings.length).toBeLessThan(5);
});

test('what lies beside a file is none of its business', async () => {
  writeFileSync(file, '1');
  watch(file);
  writeFileSync(join(folder, 'other'), 'x');
  writeFileSync(file, '2');
  await told('2');
  expect(tellings).toEqual(['2']);
});

test('a folder that is not there yet is found once it is, without a notice of the kernel', async () => {
  file = join(folder, 'later', 'a.json');
  watch(file);
  expect(deaf).toHaveLength(1);
  expect(deaf[0]).toContain('ENOENT');
  mkdirSync(join(folder, 'later'));
  writeFileSync(file, '1');
  await told('1');
});

test('once closed it says nothing', async () => {
  writeFileSync(file, '1');
  watch(file);
  watcher!.close();
  let second: Watcher | undefined;
  const noticed = new Promise<void>((changed) => {
    second = new Watcher({ paths: () => [file], changed, deaf: () => undefined });
  });
  writeFileSync(file, '2');
  await noticed;
  second!.close();
  expect(tellings).toEqual([]);
});
