import { describe, expect, test } from 'vitest';
import { takenAway } from '../../src/config/boundary.js';
import type { Configuration } from '../../src/config/load.js';
import { fakeFiles, load, type Given } from './support/sources.js';

const CREDENTIALS = 'credentials: [{keyId: a, method: hmac-sha256, secretFile: a}]\n';
const FULL = `auth: {required: true, integrity: siphash-2-4}\n${CREDENTIALS}`;

function read(yaml: string, given: Given = {}): Promise<Configuration> {
  const files = fakeFiles({ '/b.yaml': yaml, '/a': 'a secret of some length' });
  return load({ argv: ['--config', '/b.yaml'], files, ...given });
}

const lost = (key: string, explicit: string) =>
  `${key}: is given no more, and its default protects less; allowed: ${explicit}, written out`;
const REQUIRED = lost('auth.required', 'auth.required: false');
const INTEGRITY = lost('auth.integrity', 'auth.integrity: any');
const LIST = lost('credentials', 'credentials: []');

describe('a file that says nothing takes nothing away', () => {
  test.each<[string, string, string, string[]]>([
    ['an empty one', FULL, '', [REQUIRED, INTEGRITY, LIST]],
    ['one without auth', FULL, CREDENTIALS, [REQUIRED, INTEGRITY]],
    [
      'one without auth.required',
      FULL,
      `auth: {integrity: siphash-2-4}\n${CREDENTIALS}`,
      [REQUIRED],
    ],
    ['one without credentials, where none are asked for', CREDENTIALS, '', [LIST]],
    ['one that says so', FULL, 'auth: {required: false, integrity: any}\ncredentials: []', []],
    ['one that says a part of it', FULL, 'auth: {required: false}', [INTEGRITY, LIST]],
    ['one that says the same', FULL, FULL, []],
    ['one that adds to what was nothing', '', FULL, []],
    ['one that is as open as before', '', '', []],
  ])('%s', async (_, before, after, reasons) => {
    expect(takenAway(await read(before), await read(after))).toEqual(reasons);
  });

  test('a profile that says so says it', async () => {
    const yaml = `profiles: {open: {auth: {required: false}}}\n${CREDENTIALS}`;
    const argv = ['--config', '/b.yaml', '--profile', 'open'];
    const before = await read(`auth: {required: true}\n${CREDENTIALS}`);
    expect(takenAway(before, await read(yaml))).toEqual([REQUIRED]);
    expect(takenAway(before, await read(yaml, { argv }))).toEqual([]);
  });
});
