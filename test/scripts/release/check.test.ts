import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Project, runScript } from '../../support/project.js';

const RELEASED = `# Changelog

## [Unreleased]

## [1.0.0] - 2026-01-31

### Added

- All of it.

## [0.9.0] - 2025-12-01

- Most of it.
`;

let project: Project;

beforeEach(() => {
  project = new Project().lock({}, {}).write('CHANGELOG.md', RELEASED);
});

afterEach(() => {
  project.remove();
});

const check = (...args: string[]) =>
  runScript('release/check.mjs', ['--folder', project.folder, ...args]);

test('this repository passes', async () => {
  expect(await runScript('release/check.mjs', [])).toMatchObject({ code: 0, stderr: '' });
});

test('a tag that agrees passes, and its notes are the changelog’s words alone', async () => {
  const file = join(project.folder, 'notes.md');
  expect(await check('--tag', 'v1.0.0', '--notes', file)).toMatchObject({ code: 0, stderr: '' });
  expect(readFileSync(file, 'utf8')).toBe('### Added\n\n- All of it.\n');
});

test.each([
  ['another tag', 'v1.0.1', RELEASED, 'the tag is v1.0.1, but package.json has 1.0.0'],
  ['a tag without its v', '1.0.0', RELEASED, 'the tag is 1.0.0'],
  ['no section', 'v1.0.0', RELEASED.replaceAll('[1.0.0]', '[1.0.1]'), 'no section [1.0.0]'],
  ['an empty one', 'v1.0.0', RELEASED.replace('- All of it.', ''), '[1.0.0] says nothing'],
  [
    'something left over',
    'v1.0.0',
    RELEASED.replace('[Unreleased]\n', '[Unreleased]\n\n- More.\n'),
    'something stands under [Unreleased]',
  ],
  [
    'an older version',
    'v1.0.0',
    RELEASED.replace('[1.0.0]', '[x]').replace('[0.9.0]', '[1.0.0]').replace('[x]', '[2.0.0]'),
    'does not follow [Unreleased]',
  ],
])('a failure: %s', async (_, tag, changelog, message) => {
  project.write('CHANGELOG.md', changelog);
  const { code, stderr } = await check('--tag', tag);
  expect(stderr).toContain(message);
  expect(code).toBe(1);
});

test.each([
  ['no section for what comes', RELEASED.replace('## [Unreleased]\n', ''), 'not [Unreleased]'],
  ['no date', RELEASED.replace(' - 2026-01-31', ''), '[1.0.0] has no date'],
  ['a version twice', RELEASED.replace('[0.9.0]', '[1.0.0]'), '[1.0.0] stands in it twice'],
])('a changelog is wrong without a tag, too: %s', async (_, changelog, message) => {
  project.write('CHANGELOG.md', changelog);
  const { code, stderr } = await check();
  expect(stderr).toContain(message);
  expect(code).toBe(1);
});

test('a lock file of another version', async () => {
  project.write('package.json', { name: 'planted', version: '1.1.0' });
  const { code, stderr } = await check();
  expect(stderr).toBe('package-lock.json: version 1.0.0, but package.json has 1.1.0\n');
  expect(code).toBe(1);
});

test.each([
  [undefined, 1],
  ['https://example.com/other/planted', 1],
  ['https://example.com/owner/planted', 0],
  [{ type: 'git', url: 'git+https://example.com/owner/planted.git' }, 0],
])('a repository of %j: %d', async (repository, code) => {
  project.write('package.json', { name: 'planted', version: '1.0.0', repository });
  expect((await check('--repository', 'https://example.com/owner/planted')).code).toBe(code);
});

test('notes of a version that the changelog does not know, and no changelog, are refused', async () => {
  project.write('CHANGELOG.md', '# Changelog\n\n## [Unreleased]\n');
  const notes = ['--notes', join(project.folder, 'notes.md')];
  expect((await check(...notes)).code).toBe(2);
  expect((await check('--nope')).code).toBe(2);
});
