// What the scripts that measure one thing say to a command line that is wrong, before they start anything.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { root } from '../module.js';

function run(script: string, ...args: string[]) {
  const path = join(root, script.includes('/') ? '' : 'perf', script);
  const { status, stdout, stderr } = spawnSync(process.execPath, [path, ...args], {
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}

it.each([
  ['keyed.mjs', ['--round', '1'], /^Unknown option '--round'/],
  ['keyed.mjs', ['--sizes', '16,many'], /^--sizes: a whole number from 1 is wanted, not "many"\n/],
  ['keyed.mjs', ['--seconds', '-1'], /^Option '--seconds' argument is ambiguous/],
  ['handshake.mjs', ['--rounds', '0'], /^--rounds: a whole number from 1 is wanted, not "0"\n/],
  ['meters.mjs', ['--seconds', 'long'], /^--seconds: seconds above 0 are wanted, not "long"\n/],
  ['meters.mjs', ['more'], /^Unexpected argument 'more'/],
  [
    'ring.mjs',
    ['--only', 'one,two'],
    /^--only: "two" is none of one, shared, apart, read, through\n/,
  ],
  ['scripts/fuzz.mjs', ['--seed', '-'], /^--seed: a whole number from 0 is wanted, not "-"\n/],
  ['profile.mjs', ['a', '--top', 'all'], /^--top: a whole number from 1 is wanted, not "all"\n/],
  ['profile.mjs', [], /^a file of a profile is wanted\n/],
  ['figures.mjs', ['--check'], /^a result is wanted\n/],
  ['gate-self-test.mjs', ['--runs'], /^Option '--runs <value>' argument missing\n/],
])('%s %j says what is wrong, and how it is used', (script, args, words) => {
  const { status, stdout, stderr } = run(script, ...args);
  expect(stderr).toMatch(words);
  expect(stderr).toMatch(/\nusage: \S+ .*\[--(?:json FILE|json|dry|top N|readme FILE)\]\n$/);
  expect({ status, stdout }).toEqual({ status: 64, stdout: '' });
});

it('--help says how a script is used', () => {
  const { status, stdout } = run('meters.mjs', '--help');
  expect(stdout).toMatch(/^usage: node perf\/meters\.mjs \[--rounds N\]/);
  expect(status).toBe(0);
});
