// The gate runs here in its tiny size, so that it never rots; what it measures is no verdict.
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '..', '..');
const scratch = mkdtempSync(join(tmpdir(), 'memorystreamer-gate-'));
const run = promisify(execFile);

interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs the gate; a status other than 0 is an answer here. */
async function gate(...args: string[]): Promise<Ended> {
  const command = [join(root, 'perf', 'gate.mjs'), ...args];
  return run(process.execPath, command, { cwd: root }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: unknown) => error as Ended,
  );
}

interface Whole {
  outcome: string;
  rounds: number;
  seed: number;
  base: { commit: string };
  comparisons: { metric: { id: string }; pairs: [number, number][] }[];
}

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

it('compares the working tree with a commit, as a table, as JSON and as Markdown', async () => {
  const json = join(scratch, 'gate.json');
  const markdown = join(scratch, 'gate.md');
  const { code, stdout, stderr } = await gate(
    ...['HEAD', '--smoke', '--seed', '7', '--json', json, '--markdown', markdown],
  );
  // One round bounds no interval, so nothing can be shown.
  expect({ code, stderr }).toEqual({ code: 2, stderr: '' });
  expect(stdout).toContain('broker CPU per frame, 16 B');
  expect(stdout).toContain('VOID');

  const whole = JSON.parse(readFileSync(json, 'utf8')) as Whole;
  const { stdout: head } = await run('git', ['rev-parse', 'HEAD'], { cwd: root });
  expect(whole).toMatchObject({ outcome: 'void', rounds: 1, seed: 7 });
  expect(whole.base.commit).toBe(head.trim());
  expect(whole.comparisons.map(({ metric }) => metric.id)).toContain('config.load');
  for (const { metric, pairs } of whole.comparisons) {
    expect(pairs, metric.id).toHaveLength(1);
    expect(Math.min(...pairs[0]!), metric.id).toBeGreaterThan(0);
  }

  const table = readFileSync(markdown, 'utf8');
  expect(table.match(/^\| .* \|$/gm)).toHaveLength(2 + whole.comparisons.length);
  expect(table).toContain(`base: ${head.trim()}`);
  expect(table).toContain('seed: 7');
}, 300_000);

describe('a wrong command line is told apart from a result', () => {
  it.each([
    [[], 'BASE'],
    [['HEAD', 'HEAD'], 'BASE'],
    [['HEAD', '--rounds', '0'], '--rounds'],
    [['HEAD', '--seed', 'x'], '--seed'],
    [['HEAD', '--fast'], '--fast'],
  ])('%j', async (args, named) => {
    const { code, stderr } = await gate(...args);
    expect(code).toBe(64);
    expect(stderr.split('\n')[0]).toContain(named);
  });

  it('a base that is no commit makes it void', async () => {
    const { code, stderr } = await gate('no-such-branch');
    expect(code).toBe(2);
    expect(stderr).toContain('"no-such-branch"');
  });

  it('a base that looks like an option is no option', async () => {
    const { code, stderr } = await gate('--', '--help');
    expect(code).toBe(2);
    expect(stderr).toContain('"--help"');
  });
});
