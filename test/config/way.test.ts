import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { realFiles } from '../../src/config/files.js';
import { wayFault } from '../../src/config/way.js';
import { fakeFiles, type FakeFile } from './support/sources.js';

const OWN = 1000;
const X: FakeFile = { content: 'x' };
const FILE = { '/a/b/c': X };

function faultOf(table: Record<string, FakeFile>, path = '/a/b/c'): string | undefined {
  return wayFault(path, fakeFiles(table), OWN);
}

describe('nobody else can change', () => {
  test.each<[string, Record<string, FakeFile>]>([
    ['folders of root', FILE],
    ['one’s own folders', { ...FILE, '/a': { uid: OWN }, '/a/b': { uid: OWN, mode: 0o700 } }],
    ['a sticky folder of root, as /tmp is', { ...FILE, '/a': { mode: 0o1777 } }],
    [
      'what Kubernetes mounts: sticky, of a group, with links in it',
      {
        '/a/b': { mode: 0o3777 },
        '/a/b/c': { link: '..data/c' },
        '/a/b/..data': { link: '..2026' },
        '/a/b/..2026': { mode: 0o2755 },
        '/a/b/..2026/c': { content: 'x', mode: 0o640, uid: 0 },
      },
    ],
    ['a link of one’s own', { '/a/b/c': { link: '/d/c', uid: OWN }, '/d/c': X }],
  ])('%s', (_, table) => {
    expect(faultOf(table)).toBeUndefined();
  });
});

describe('others can change', () => {
  test.each<[string, Record<string, FakeFile>, string]>([
    ['a folder that everybody can write', { ...FILE, '/a/b': { mode: 0o757 } }, '/a/b '],
    ['one that a group can write', { ...FILE, '/a/b': { mode: 0o770, uid: OWN } }, '(mode 0770)'],
    ['one further up', { ...FILE, '/a': { mode: 0o777 } }, 'the folder /a on its way (mode 0777)'],
    ['the root', { ...FILE, '/': { mode: 0o777 } }, 'the folder / on its way'],
    [
      'somebody’s folder',
      { ...FILE, '/a': { uid: 7 } },
      'the folder /a on its way belongs to user 7',
    ],
    ['somebody’s sticky folder', { ...FILE, '/a': { uid: 7, mode: 0o1777 } }, 'belongs to user 7'],
    [
      'the folder that a link leads to',
      { '/a/b/c': { link: '../../d/c' }, '/d': { mode: 0o777 }, '/d/c': X },
      'the folder /d on its way',
    ],
    [
      'the folder in which a link to the folder stands',
      { '/a/b': { link: '/d' }, '/a': { mode: 0o777 }, '/d/c': X },
      'the folder /a on its way',
    ],
    [
      'somebody’s link in a sticky folder',
      { '/a/b': { mode: 0o1777 }, '/a/b/c': { link: '/d/c', uid: 7 }, '/d/c': X },
      'the link /a/b/c on its way belongs to user 7',
    ],
  ])('%s', (_, table, fault) => {
    expect(faultOf(table)).toContain(fault);
  });
});

test('as many links as Linux follows are followed, and no more', () => {
  const chain = (links: number) =>
    Object.fromEntries(
      Array.from({ length: links }, (_, at) => [`/l${at}`, { link: `/l${at + 1}` }]),
    );
  expect(faultOf({ ...chain(40), '/l40': X }, '/l0')).toBeUndefined();
  expect(() => faultOf({ ...chain(41), '/l41': X }, '/l0')).toThrow(
    expect.objectContaining({ code: 'ELOOP' }) as Error,
  );
});

test('links that lead in a circle are given up, what is not there is told', () => {
  const circle = { '/a/b/c': { link: '/a/b/d' }, '/a/b/d': { link: '/a/b/c' } };
  expect(() => faultOf(circle)).toThrow(expect.objectContaining({ code: 'ELOOP' }) as Error);
  expect(() => faultOf(FILE, '/a/x/c')).toThrow(
    expect.objectContaining({ code: 'ENOENT' }) as Error,
  );
});

describe('on the real file system', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'way-'));
    mkdirSync(join(folder, 'keys'));
    writeFileSync(join(folder, 'keys', 'a'), 'x');
    symlinkSync(join('keys', 'a'), join(folder, 'link'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const fault = () => wayFault(join(folder, 'link'), realFiles, process.geteuid!());

  test('a folder of one’s own below /tmp is fine, and is not once it is opened to others', () => {
    expect(fault()).toBeUndefined();
    chmodSync(join(folder, 'keys'), 0o777);
    expect(fault()).toBe(
      `others can write the folder ${join(folder, 'keys')} on its way (mode 0777); allowed: chmod go-w`,
    );
    chmodSync(join(folder, 'keys'), 0o1777);
    expect(fault()).toBeUndefined();
  });
});
