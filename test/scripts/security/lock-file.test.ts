import { afterEach, beforeEach, expect, test } from 'vitest';
import { INTEGRITY, Project, runScript, type Entry } from '../../support/project.js';

const GOOD: Entry = { version: '1.2.3', integrity: INTEGRITY };
const PATH = 'node_modules/planted';

let project: Project;

beforeEach(() => {
  project = new Project();
});

afterEach(() => {
  project.remove();
});

const check = () => runScript('security/lock-file.mjs', ['--folder', project.folder]);

test('this repository passes', async () => {
  const { code, stdout, stderr } = await runScript('security/lock-file.mjs', []);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/^package-lock\.json pins \d{2,} packages\n$/);
});

test.each<[string, Record<string, string>, Entry]>([
  ['without an address', { planted: '^1.2.0' }, GOOD],
  [
    'from the registry',
    { planted: '^1.2.0' },
    { ...GOOD, resolved: 'https://registry.npmjs.org/planted/-/planted-1.2.3.tgz' },
  ],
  [
    'under another name, from the registry',
    { planted: 'npm:@scope/other@^1.0.0' },
    { ...GOOD, name: '@scope/other' },
  ],
])('passes: %s', async (_, dependencies, entry) => {
  project.lock(dependencies, { [PATH]: entry });
  expect(await check()).toMatchObject({ code: 0, stderr: '' });
});

test.each<[string, Partial<Entry>, string]>([
  ['no checksum', { integrity: '' }, `${PATH}: its integrity is`],
  ['a weak checksum', { integrity: 'sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=' }, 'not sha512'],
  ['a cut checksum', { integrity: INTEGRITY.slice(0, 50) }, 'not sha512'],
  ['another registry', { resolved: 'https://evil.example/planted.tgz' }, 'comes from https://evil'],
  [
    'a registry that only begins like it',
    { resolved: 'https://registry.npmjs.org.evil.example/p.tgz' },
    'comes from',
  ],
  ['no encryption', { resolved: 'http://registry.npmjs.org/p.tgz' }, 'comes from http:'],
  ['git', { resolved: 'git+ssh://git@github.com/a/b.git#abc' }, 'comes from git+ssh'],
  ['a link', { link: true, resolved: 'elsewhere' }, 'it is a link to a folder'],
])('a failure: %s', async (_, fault, message) => {
  project.lock({ planted: '^1.2.0' }, { [PATH]: { ...GOOD, ...fault } });
  const { code, stderr } = await check();
  expect(stderr).toContain(message);
  expect(code).toBe(1);
});

test.each([
  ['git+https://github.com/a/b.git'],
  ['github:a/b'],
  ['a/b'],
  ['file:vendor/b'],
  ['https://example.com/b.tgz'],
])('a dependency that is %s is no version', async (range) => {
  project.lock({ planted: range }, { [PATH]: GOOD });
  const { code, stderr } = await check();
  expect(stderr).toContain(`package.json: planted is ${range}, not a version`);
  expect(code).toBe(1);
});

test('a dependency of a dependency that comes from elsewhere is found, too', async () => {
  project.lock(
    { planted: '^1.2.0' },
    {
      [PATH]: { ...GOOD, dependencies: { deep: 'github:a/deep' } },
      'node_modules/deep': GOOD,
    },
  );
  expect((await check()).stderr).toContain(`${PATH}: deep is github:a/deep, not a version`);
});

test('package.json that asks for more than is pinned', async () => {
  project.lock({ planted: '^1.2.0' }, { [PATH]: GOOD });
  const dependencies = { planted: '^2.0.0', absent: '^1.0.0' };
  project.write('package.json', {
    name: 'planted',
    version: '1.0.0',
    license: 'MIT',
    dependencies,
  });
  const { code, stderr } = await check();
  expect(stderr).toContain('its dependencies are not those of package.json');
  expect(stderr).toContain('invalid: planted@1.2.3');
  expect(stderr).toContain('missing: absent@^1.0.0');
  expect(code).toBe(1);
});

test('a lock file whose pins do not satisfy what it says itself', async () => {
  project.lock({ planted: '^2.0.0' }, { [PATH]: GOOD });
  expect((await check()).stderr).toContain('npm ls: invalid: planted@1.2.3');
});

test('another version of the lock file, and none', async () => {
  project.lock({}, {});
  project.write('package-lock.json', { lockfileVersion: 2, packages: { '': {} } });
  expect((await check()).stderr).toContain('lockfileVersion 2, not 3');
  project.write('package-lock.json', '{');
  expect((await check()).code).toBe(2);
});
