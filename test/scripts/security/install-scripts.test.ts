import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { INTEGRITY, Project, runScript } from '../../support/project.js';

let project: Project;

beforeEach(() => {
  project = new Project();
});

afterEach(() => {
  project.remove();
});

const ENTRY = { version: '1.2.3', integrity: INTEGRITY };
const SCRIPTED = { ...ENTRY, hasInstallScript: true };
const INSTALLED = 'node_modules/planted/package.json';

async function check(entry: typeof ENTRY, reviewed: object = {}, npmrc = 'ignore-scripts=true\n') {
  project.lock({ planted: '1.2.3' }, { 'node_modules/planted': entry });
  project.write('.npmrc', npmrc).write('reviewed.json', reviewed);
  const args = ['--folder', project.folder, '--reviewed', join(project.folder, 'reviewed.json')];
  return runScript('security/install-scripts.mjs', args);
}

test('this repository passes', async () => {
  const { code, stderr } = await runScript('security/install-scripts.mjs', []);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
});

test('a package with a script that nobody has reviewed fails, and passes with its review', async () => {
  const { code, stderr } = await check(SCRIPTED);
  expect(stderr).toBe(
    'planted@1.2.3 (node_modules/planted): nobody has reviewed its install script\n',
  );
  expect(code).toBe(1);
  expect(await check(SCRIPTED, { planted: 'works without' })).toMatchObject({ code: 0 });
});

test.each([['preinstall'], ['install'], ['postinstall']])(
  'a %s script that the lock file conceals is found where it is installed',
  async (event) => {
    project.write(INSTALLED, { scripts: { [event]: 'node steal.js' } });
    const { code, stderr } = await check(ENTRY, { planted: 'works without' });
    expect(stderr).toContain('which the lock file conceals');
    expect(code).toBe(1);
  },
);

test('so is a compilation, which needs no script to be named', async () => {
  project.write(INSTALLED, {}).write('node_modules/planted/binding.gyp', '{}');
  expect((await check(ENTRY)).stderr).toContain('which the lock file conceals');
});

test('other scripts run at no installation', async () => {
  project.write(INSTALLED, { scripts: { test: 'node test.js', prepublish: 'x' } });
  expect(await check(ENTRY)).toMatchObject({ code: 0, stderr: '' });
});

test('a review of what has no script any more fails', async () => {
  const { code, stderr } = await check(ENTRY, { planted: 'works without' });
  expect(stderr).toContain('planted has no install script any more');
  expect(code).toBe(1);
});

test.each(['', 'ignore-scripts=false\n', 'ignore-scripts=true\nignore-scripts=false\n', '#x'])(
  'a setting of %j lets scripts run',
  async (npmrc) => {
    const { code, stderr } = await check(ENTRY, {}, npmrc);
    expect(stderr).toContain('.npmrc: it does not say ignore-scripts=true');
    expect(code).toBe(1);
  },
);
