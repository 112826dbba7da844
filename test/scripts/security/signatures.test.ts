import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Project, runScript } from '../../support/project.js';

let project: Project;

beforeEach(() => {
  project = new Project();
});

afterEach(() => {
  project.remove();
});

/**
 * What npm answers is recorded, as a command in its place: the real one asks sigstore on the network, for
 * which there is no other address to give.
 */
function check(script: string, ...args: string[]) {
  const path = `bin/npm`;
  project.write(path, `#!/bin/sh\n${script}\n`);
  chmodSync(join(project.folder, path), 0o755);
  const env = { PATH: `${join(project.folder, 'bin')}:${process.env['PATH'] ?? ''}` };
  return runScript('security/signatures.mjs', ['--folder', project.folder, ...args], env);
}

const says = (answer: object) => `cat <<'END'\n${JSON.stringify(answer)}\nEND`;

test('all signed', async () => {
  expect(await check(says({ invalid: [], missing: [] }), '--require')).toMatchObject({ code: 0 });
});

test('one that is not signed, and one whose signature does not hold', async () => {
  const invalid = { name: 'a', version: '1.0.0', code: 'EINTEGRITYSIGNATURE', message: 'invalid' };
  const answer = { invalid: [invalid], missing: [{ name: 'b', version: '2.0.0' }] };
  const { code, stderr } = await check(`${says(answer)}\nexit 1`);
  expect(stderr).toBe('a@1.0.0: invalid\nb@2.0.0: it is not signed\n');
  expect(code).toBe(1);
});

test.each([
  [says({ error: { code: 'ENOTFOUND', summary: 'getaddrinfo ENOTFOUND' } }), /ENOTFOUND/],
  ['echo "npm error network" >&2; exit 1', /network/],
  [says({}), /no lists/],
  ['exec sleep 60', /no answer within 1 s/],
])('no answer is a failure with --require, else a warning: %s', async (script, why) => {
  const limit = script.includes('sleep') ? ['--timeout-s', '1'] : [];
  const required = await check(script, '--require', ...limit);
  expect(required.stderr).toMatch(/^FAILED: .*Nothing was checked\.\n$/);
  expect(required.stderr).toMatch(why);
  expect({ code: required.code, stdout: required.stdout }).toEqual({ code: 3, stdout: '' });
  const asked = await check(script, ...limit);
  expect(asked.stderr).toMatch(/^WARNING: /);
  expect(asked.code).toBe(0);
});
