import { expect, test } from 'vitest';
import { INTEGRITY, Project, runScript } from '../../support/project.js';

test('every check runs, and none fails here', async () => {
  const { code, stdout } = await runScript('security/run.mjs', []);
  const checks = ['lock-file', 'install-scripts', 'licences', 'secrets', 'dependency-audit'];
  expect([...stdout.matchAll(/^-- (.*)$/gm)].map((found) => found[1])).toEqual(checks);
  expect(code).toBe(0);
});

test('after one that fails the others run, and all that failed are named at the end', async () => {
  const project = new Project();
  try {
    const entry = { version: '1.0.0', integrity: INTEGRITY, license: 'AGPL-3.0-only' };
    project.lock({ planted: '1.0.0' }, { 'node_modules/planted': entry });
    const { code, stderr } = await runScript('security/run.mjs', ['--folder', project.folder]);
    expect(stderr.trimEnd().split('\n').pop()).toMatch(
      /^failed: install-scripts \(exit code 1\), licences \(exit code 1\), secrets \(exit code 2\)/,
    );
    expect(code).toBe(1);
  } finally {
    project.remove();
  }
});

test('wrong flags are refused', async () => {
  expect((await runScript('security/run.mjs', ['--nope'])).code).toBe(2);
});
