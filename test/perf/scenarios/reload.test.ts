// The benchmark of reloads in a tiny size: that every reload is seen, and nothing is lost. How long it takes is no verdict.
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, test } from 'vitest';
import { root } from '../module.js';

const run = promisify(execFile);
const scratch = mkdtempSync(join(tmpdir(), 'memorystreamer-perf-'));
afterAll(() => rmSync(scratch, { recursive: true }));

interface Period {
  readonly seconds: number;
  readonly framesPerSecond: number;
  readonly latency: { readonly count: number };
}

interface Figure {
  readonly period: string;
  readonly gapMs: number;
  readonly samples: number;
  readonly runs: readonly {
    readonly connections: number;
    readonly sent: number;
    readonly expected: number;
    readonly delivered: number;
    readonly error: string;
    readonly reloads: number;
    readonly shards: number;
    readonly periods: Readonly<Record<string, Period>>;
  }[];
}

test('each reload is applied, every shard shows it, and nobody loses a frame or a connection', async () => {
  const out = join(scratch, 'reload.json');
  const argv = ['perf/bench.mjs', 'reload', '--smoke', '--reloads', '5', '--out', out];
  const { stdout } = await run(process.execPath, argv, { cwd: root });
  expect(stdout).toMatch(/^reload: \d+ of them, 10 connections, 2 shards/m);
  const { results } = JSON.parse(readFileSync(out, 'utf8')) as {
    results: { reload: { figures: Figure[] } };
  };
  const { figures } = results.reload;
  expect(figures.map(({ period }) => period)).toEqual([
    ...['without', 'one each second', 'one behind the other'],
  ]);
  for (const { gapMs, samples } of figures) {
    expect(gapMs).toBeGreaterThan(0);
    expect(samples).toBeGreaterThan(0);
  }
  const [one] = figures[0]!.runs;
  expect(one).toMatchObject({
    connections: 10,
    error: '',
    gaps: 0,
    reordered: 0,
    corrupt: 0,
    shards: 2,
  });
  // One at least in the period with one each second.
  expect(one!.reloads).toBeGreaterThanOrEqual(6);
  expect(one!.delivered).toBe(one!.expected);
  expect(one!.delivered).toBe(one!.sent);
  for (const period of Object.values(one!.periods)) {
    expect(period.framesPerSecond).toBeGreaterThan(0);
    expect(period.latency.count).toBeGreaterThan(0);
  }
}, 60_000);
