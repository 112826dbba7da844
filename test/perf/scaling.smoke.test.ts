// The measurement runs here in its tiny size, so that it never rots; what it measures is no verdict.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { runNode } from '../cli/processes.js';
import { root } from './module.js';

const SCALING = join(root, 'perf', 'scaling.mjs');
const scratch = mkdtempSync(join(tmpdir(), 'memorystreamer-scaling-'));

interface Whole {
  results: { scaling: { figures: Figure[] } };
}

interface Figure {
  peer: string;
  pairs: number;
  framesPerSecond: number;
  runs: { faults: string[]; reports: Report[] }[];
}

interface Report {
  framesPerSecond: number;
  expected: number;
  delivered: number;
}

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

it('measures one pair and two, each on a stream of its own', () => {
  const json = join(scratch, 'scaling.json');
  const { code, stdout, stderr } = runNode([SCALING, '--smoke', '--json', json], {}, 120_000);
  // Progress goes to standard error.
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr: expect.not.stringContaining('Error') as string,
  });
  expect(stdout).toMatch(/128 B: N pairs[^]*memorystreamer 2 +[\d,]+[^]*relay 2 +[\d,]+/);
  const whole = JSON.parse(readFileSync(json, 'utf8')) as Whole;
  const { figures } = whole.results.scaling;
  expect(figures.map(({ peer, pairs }) => `${peer} ${pairs}`)).toEqual([
    'memorystreamer 1',
    'relay 1',
    'memorystreamer 2',
    'relay 2',
  ]);
  for (const { pairs, framesPerSecond, runs } of figures) {
    const [{ faults, reports }] = runs as [Figure['runs'][0]];
    // It may be none in so short a time, where others have the CPUs.
    expect(framesPerSecond).toBe(reports.reduce((sum, each) => sum + each.framesPerSecond, 0));
    expect(faults).toEqual([]);
    expect(reports).toHaveLength(pairs);
    for (const { expected, delivered } of reports) {
      expect(delivered).toBe(expected);
      expect(delivered).toBeGreaterThan(0);
    }
  }
}, 120_000);

it.each([
  [['--pairs', '0'], '--pairs: a whole number from 1 is wanted, not "0"'],
  [
    ['--peers', 'kafka'],
    '--peers: "kafka" is none of memorystreamer, nats, redis, mosquitto, aedes, relay',
  ],
])('refuses %s', (argv, line) => {
  const { code, stderr } = runNode([SCALING, ...argv]);
  expect({ code, line: stderr.split('\n')[0] }).toEqual({ code: 64, line });
});
