// The measurement runs here in its tiny size, so that it never rots; what it measures is no verdict.
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, it } from 'vitest';
import { root } from './module.js';

const run = promisify(execFile);
const scratch = mkdtempSync(join(tmpdir(), 'memorystreamer-meters-'));

interface Whole {
  rounds: number;
  results: {
    title: string;
    rounds: { without: number; withThem: number; pairs: number }[];
    verdict: string;
  }[];
}

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

it('measures every load with the histograms and without', async () => {
  const json = join(scratch, 'meters.json');
  const args = [join(root, 'perf', 'meters.mjs'), '--smoke', '--json', json];
  // One round bounds no interval, so that nothing is clear.
  await expect(run(process.execPath, args, { cwd: root })).rejects.toMatchObject({
    code: 2,
    stderr: '',
    stdout: expect.stringMatching(/without and with histograms[^]*10,000\/s, 128 B/) as string,
  });
  const { rounds, results } = JSON.parse(readFileSync(json, 'utf8')) as Whole;
  expect(rounds).toBe(1);
  expect(results).toHaveLength(6);
  for (const { title, rounds: measured, verdict } of results) {
    expect(measured, title).toHaveLength(1);
    const [{ without, withThem, pairs }] = measured as [(typeof measured)[0]];
    expect(Math.min(without, withThem, pairs), title).toBeGreaterThan(0);
    expect(verdict, title).toBe('unclear');
  }
}, 300_000);
