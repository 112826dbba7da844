import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { runNode } from '../cli/processes.js';

const SCRIPT = fileURLToPath(new URL('../../scripts/test-summary.mjs', import.meta.url));

function file(status: string, ...tests: string[]) {
  return { status, assertionResults: tests.map((each) => ({ status: each })) };
}

function summaryOf(report: string) {
  const folder = mkdtempSync(join(tmpdir(), 'test-summary-'));
  try {
    const path = join(folder, 'report.json');
    writeFileSync(path, report);
    const { code, stdout } = runNode([SCRIPT, path]);
    return `${stdout.trimEnd()} → ${String(code)}`;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test.each([
  [[file('passed', 'passed', 'passed')], '2 passed, 0 failed → 0'],
  [[file('failed', 'passed', 'failed')], '1 passed, 1 failed → 1'],
  [[file('passed', 'passed', 'skipped', 'pending', 'todo')], '1 passed, 0 failed, 3 skipped → 0'],
  // A file that did not load, and one whose hook threw.
  [[file('failed'), file('passed', 'passed')], '1 passed, 1 failed → 1'],
  [[file('failed', 'skipped'), file('passed', 'passed')], '1 passed, 1 failed, 1 skipped → 1'],
  [[], '0 passed, 0 failed → 1'],
])('%j', (testResults, line) => {
  expect(summaryOf(JSON.stringify({ testResults }))).toBe(line);
});

test('without a readable report there is no line, and code 1', () => {
  expect(summaryOf('{')).toBe(' → 1');
  expect(runNode([SCRIPT, '/nonexistent']).code).toBe(1);
  expect(runNode([SCRIPT]).code).toBe(1);
});
