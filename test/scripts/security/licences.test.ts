import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Project, runScript, type Entry } from '../../support/project.js';

let project: Project;

beforeEach(() => {
  project = new Project();
});

afterEach(() => {
  project.remove();
});

/** Checks a project that pins one package, and has it installed where `installed` says what it says of itself. */
async function check(entry: Partial<Entry>, installed?: object, packages: object = {}) {
  project.lock({ planted: '1.0.0' }, { 'node_modules/planted': { version: '1.0.0', ...entry } });
  if (installed !== undefined) project.write('node_modules/planted/package.json', installed);
  const list = { production: ['MIT', 'ISC'], development: ['MPL-2.0'], packages };
  project.write('allowed.json', list);
  const args = ['--folder', project.folder, '--allowed', join(project.folder, 'allowed.json')];
  const { code, stderr } = await runScript('security/licences.mjs', args);
  return { code, stderr };
}

test('this repository passes', async () => {
  const { code, stdout, stderr } = await runScript('security/licences.mjs', []);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/^the licences of \d{2,} packages are allowed\n$/);
});

test.each<[string, Partial<Entry>, object?]>([
  ['as installed', {}, { license: 'MIT' }],
  ['one of a choice', {}, { license: '(GPL-3.0-only OR MIT)' }],
  ['all of several', {}, { license: 'MIT AND ISC' }],
  ['as it was written before', {}, { license: { type: 'MIT' } }],
  ['a list of those', {}, { licenses: [{ type: 'GPL-2.0-only' }, { type: 'ISC' }] }],
  ['not installed, of another platform', { license: 'MIT', optional: true }],
  ['for development', { license: 'MPL-2.0', dev: true }],
])('allowed: %s', async (_, entry, installed) => {
  expect(await check(entry, installed)).toEqual({ code: 0, stderr: '' });
});

test.each<[string, Partial<Entry>, object | undefined, string]>([
  ['not on the list', {}, { license: 'GPL-3.0-only' }, 'GPL-3.0-only is not allowed in production'],
  ['one of several is not', {}, { license: 'MIT AND GPL-2.0-only' }, 'is not allowed'],
  ['a part is only for development', {}, { license: 'MPL-2.0' }, 'not allowed in production'],
  [
    'for development, neither',
    { license: 'AGPL-3.0-only', dev: true },
    undefined,
    'AGPL-3.0-only is not allowed for development',
  ],
  ['nothing is said', {}, {}, 'its licence is not known'],
  ['nothing is said by the lock file', { optional: true }, undefined, 'its licence is not known'],
  ['the lock file says otherwise', { license: 'MIT' }, { license: 'GPL-2.0-only' }, 'GPL-2.0-only'],
  ['no licence at all', {}, { license: 'UNLICENSED' }, '"UNLICENSED" is not a licence'],
  ['a text', {}, { license: 'SEE LICENSE IN LICENSE.txt' }, 'is not a licence that SPDX knows'],
  ['nonsense', {}, { license: 'MIT OR' }, '"MIT OR" is not a licence that SPDX knows'],
])('a failure: %s', async (_, entry, installed, message) => {
  const { code, stderr } = await check(entry, installed);
  expect(stderr).toMatch(/^planted@1\.0\.0: .*\n$/);
  expect(stderr).toContain(message);
  expect(code).toBe(1);
});

test('what was reviewed by hand counts for that version alone', async () => {
  const reviewed = { licence: 'MIT', reason: 'its LICENSE file says so' };
  expect((await check({}, {}, { 'planted@1.0.0': reviewed })).code).toBe(0);
  expect((await check({}, {}, { 'planted@1.0.1': reviewed })).code).toBe(1);
});
