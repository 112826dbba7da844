import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Project, runScript } from '../../support/project.js';

const CHANGELOG = `# Changelog

Its words.

## [Unreleased]

### Fixed

- A fault.

## [1.0.0] - 2026-01-31

- All of it.
`;

let project: Project;

beforeEach(() => {
  project = new Project().lock({}, {}).write('CHANGELOG.md', CHANGELOG);
});

afterEach(() => {
  project.remove();
});

const prepare = (...args: string[]) =>
  runScript('release/prepare.mjs', [...args, '--folder', project.folder]);
const text = (name: string) => readFileSync(join(project.folder, name), 'utf8');
const versionIn = (name: string) => (JSON.parse(text(name)) as { version: string }).version;

test.each([
  ['patch', '1.0.1'],
  ['minor', '1.1.0'],
  ['major', '2.0.0'],
  ['1.2.0-rc.1', '1.2.0-rc.1'],
])('%s makes %s of 1.0.0 everywhere, and the check of its tag passes', async (step, version) => {
  expect(await prepare(step)).toMatchObject({ code: 0, stderr: '' });
  expect(versionIn('package.json')).toBe(version);
  expect(versionIn('package-lock.json')).toBe(version);
  expect(text('CHANGELOG.md').replace(/\d{4}-\d\d-\d\d/, 'TODAY')).toBe(
    CHANGELOG.replace('[Unreleased]', `[Unreleased]\n\n## [${version}] - TODAY`),
  );
  const args = ['--tag', `v${version}`, '--folder', project.folder];
  expect(await runScript('release/check.mjs', args)).toMatchObject({ code: 0, stderr: '' });
});

test('the first release has the version that is there', async () => {
  project.write('CHANGELOG.md', CHANGELOG.split('## [1.0.0]')[0]);
  expect(await prepare('1.0.0')).toMatchObject({ code: 0 });
  expect(versionIn('package.json')).toBe('1.0.0');
  expect(text('CHANGELOG.md')).toContain('## [1.0.0] - ');
});

test.each([
  ['nothing under [Unreleased]', CHANGELOG.replace('- A fault.', ''), 'minor', 'nothing stands'],
  ['no such section', CHANGELOG.replace('[Unreleased]', '[1.0.1]'), 'minor', 'not [Unreleased]'],
  ['a version that is out', CHANGELOG, '1.0.0', '1.0.0 is released already'],
])('refused, and nothing is changed: %s', async (_, changelog, step, message) => {
  project.write('CHANGELOG.md', changelog);
  const { code, stderr } = await prepare(step);
  expect(stderr).toContain(message);
  expect(code).toBe(1);
  expect(versionIn('package.json')).toBe('1.0.0');
  expect(text('CHANGELOG.md')).toBe(changelog);
});

test.each([[[]], [['bigger']], [['minor', 'major']], [['--nope']]])(
  'a wrong command line is refused: %j',
  async (args) => {
    expect((await prepare(...args)).code).toBe(2);
  },
);
