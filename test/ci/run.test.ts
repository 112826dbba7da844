import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const reportOf = (status: string) =>
  JSON.stringify({ testResults: [{ status, assertionResults: [{ status }] }] });

/** Stands for npm and npx: writes down what it is asked for, says a hundred lines, and fails where FAILS matches that. */
const NPM = `#!/usr/bin/env bash
echo "$*" >>"$CALLS"
if [[ "$*" =~ ^test ]]; then echo "$REPORT" >build/test-report.json; fi
for i in {1..100}; do echo "line $i of $*"; done
if [[ -n "$FAILS" && "$*" =~ $FAILS ]]; then exit 3; fi
`;

/** `.ci/run` in a folder of its own, with gates that do nothing. */
function ciRun(fails: string, report = reportOf('passed')) {
  const folder = mkdtempSync(join(tmpdir(), 'ci-run-'));
  try {
    const programs = join(folder, 'programs');
    for (const name of ['.ci/run', 'scripts/test-summary.mjs']) {
      cpSync(join(ROOT, name), join(folder, name), { recursive: true });
    }
    writeFileSync(join(folder, '.ci/tools'), '');
    mkdirSync(programs);
    for (const name of ['npm', 'npx']) writeFileSync(join(programs, name), NPM, { mode: 0o755 });
    const calls = join(folder, 'calls');
    const { status, stdout } = spawnSync('bash', [join(folder, '.ci/run')], {
      env: {
        PATH: `${programs}:${process.env['PATH']!}`,
        CALLS: calls,
        FAILS: fails,
        REPORT: report,
      },
      encoding: 'utf8',
    });
    const lines = stdout.trimEnd().split('\n');
    return {
      status,
      lines,
      calls: readFileSync(calls, 'utf8').replaceAll(folder, '').trimEnd().split('\n'),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('where all gates pass the counts of the tests are the end', () => {
  const { status, lines } = ciRun('');
  expect(status).toBe(0);
  expect(lines.at(-1)).toBe('1 passed, 0 failed');
  expect(lines.filter((line) => line.includes('FAILED'))).toEqual([]);
});

test('what failed is said again at the end, and no gate is left out for it', () => {
  const { status, lines, calls } = ciRun('lint|vitest');
  expect(status).toBe(1);
  expect(calls).toEqual(ciRun('').calls);
  const again = lines.slice(lines.indexOf('== lint FAILED, and its last 60 lines:'));
  expect(again).toHaveLength(2 * 61 + 1);
  expect(again.slice(0, 2)).toEqual([
    '== lint FAILED, and its last 60 lines:',
    'line 41 of run --silent lint',
  ]);
  expect(again[61]).toBe('== command FAILED, and its last 60 lines:');
  expect(again.at(-2)).toMatch(/^line 100 of vitest run /);
  expect(again.at(-1)).toBe('1 passed, 0 failed');
});

test.each(['format:check', 'test --', 'coverage'])('%s fails alone: code 1', (gate) => {
  expect(ciRun(gate).status).toBe(1);
});

test('a failure that only the report of the tests tells is one', () => {
  const { status, lines } = ciRun('', reportOf('failed'));
  expect(status).toBe(1);
  expect(lines.at(-1)).toBe('0 passed, 1 failed');
});

test('nothing is tried without what is to be installed', () => {
  const { status, calls } = ciRun('^ci$');
  expect(status).not.toBe(0);
  expect(calls).toEqual(['ci']);
});
