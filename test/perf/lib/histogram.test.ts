// Percentiles are checked against hdr-histogram-js, which others rely on; both round up to within 1 %.
import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { build, decodeFromCompressedBase64 } from 'hdr-histogram-js';
import { beforeAll, describe, expect, it } from 'vitest';
import { perfModule } from '../module.js';

type Counts = [ns: number, count: number][];

const histogram = await perfModule<{
  merged(histograms: Counts[]): Counts;
  quantilesOf(counts: Counts): (q: number) => number;
  encodedOf(counts: Counts): string;
  curveOf(counts: Counts): [oneIn: number, us: number][];
  binsOf(counts: Counts): [us: number, share: number][];
  tooFewFor(q: number, samples: number): boolean;
}>('lib/histogram.mjs');

const QUANTILES = [0.5, 0.9, 0.99, 0.999, 0.9999];
const NAMES = ['p50Us', 'p90Us', 'p99Us', 'p999Us', 'p9999Us'] as const;

interface Printed extends Record<(typeof NAMES)[number], number> {
  count: number;
  maxUs: number;
  counts: Counts;
}

let loadgen = '';

beforeAll(async () => {
  const module = await perfModule<{ compileLoadgen(): string }>('lib/loadgen.mjs');
  loadgen = module.compileLoadgen();
}, 60_000);

function printedOf(values: number[]): Printed {
  const stdout = execFileSync(loadgen, ['histogram'], { input: values.join('\n') });
  return (JSON.parse(stdout.toString()) as { histogram: Printed }).histogram;
}

function referenceOf(values: number[]) {
  const reference = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: 1e12,
    numberOfSignificantValueDigits: 3,
  });
  for (const value of values) reference.recordValue(value);
  return reference;
}

/** Latencies as they are: most near a median, some far out, over seven decades. */
const latencies = fc.array(
  fc.oneof(
    { weight: 9, arbitrary: fc.integer({ min: 5_000, max: 90_000 }) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 20_000_000_000 }) },
  ),
  { minLength: 1, maxLength: 3_000 },
);

function within(percent: number, actual: number, expected: number) {
  expect(Math.abs(actual - expected)).toBeLessThanOrEqual((expected * percent) / 100 + 100);
}

describe('percentiles', () => {
  it('are those of hdr-histogram-js within 1 %, from the generator and from its buckets', () => {
    fc.assert(
      fc.property(latencies, (values) => {
        const printed = printedOf(values);
        const reference = referenceOf(values);
        expect(printed.count).toBe(values.length);
        within(0, printed.maxUs * 1e3, Math.max(...values));
        const quantile = histogram.quantilesOf(printed.counts);
        for (const [i, q] of QUANTILES.entries()) {
          const expected = reference.getValueAtPercentile(q * 100);
          within(1.1, printed[NAMES[i]!] * 1e3, expected);
          within(1.1, quantile(q), expected);
        }
      }),
      { numRuns: 25 },
    );
  });

  it('of two runs together are those of all their values', () => {
    const [first, second] = [
      Array.from({ length: 900 }, (_, i) => 1000 + i),
      [5_000_000, 7_000_000],
    ];
    const both = histogram.merged([printedOf(first).counts, printedOf(second).counts]);
    const reference = referenceOf([...first, ...second]);
    const quantile = histogram.quantilesOf(both);
    for (const q of QUANTILES) {
      within(1.1, quantile(q), reference.getValueAtPercentile(q * 100));
    }
  });

  it('are never above the greatest value, and of nothing none', () => {
    const quantile = histogram.quantilesOf([
      [1_000, 9],
      [1_000_001, 1],
    ]);
    expect(quantile(1)).toBe(1_000_001);
    expect(histogram.quantilesOf([])(0.5)).toBeNaN();
  });

  it('are kept in a result as other tools of HdrHistogram read them', () => {
    const { counts } = printedOf([...Array.from({ length: 999 }, (_, i) => 50_000 + i), 3e12]);
    const read = decodeFromCompressedBase64(histogram.encodedOf(counts), 64, false);
    expect(read.totalCount).toBe(1000);
    within(1.1, read.getValueAtPercentile(50), 50_500);
    // What takes longer than a quarter of an hour is taken for that.
    within(1.1, read.maxValue, 900e9);
  });

  it('are not shown where fewer than five messages lie behind them', () => {
    expect(histogram.tooFewFor(0.99, 499)).toBe(true);
    expect(histogram.tooFewFor(0.99, 500)).toBe(false);
    expect(histogram.tooFewFor(0.9999, 49_999)).toBe(true);
    expect(histogram.tooFewFor(0.9999, 50_000)).toBe(false);
  });
});

describe('what the report draws', () => {
  const counts: Counts = [
    [1_000, 90],
    [10_000, 9],
    [1_000_000, 1],
  ];

  it('a curve goes from all messages to one in all, and never down', () => {
    const curve = histogram.curveOf(counts);
    expect(curve[0]).toEqual([1, 1]);
    expect(curve.at(-1)).toEqual([100, expect.closeTo(10, 1)]);
    const times = curve.map(([, us]) => us);
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });

  it('bins hold every message once', () => {
    const bins = histogram.binsOf(counts);
    expect(bins.reduce((sum, [, share]) => sum + share, 0)).toBeCloseTo(1, 6);
    expect(bins.find(([, share]) => share === 0.9)?.[0]).toBeLessThanOrEqual(1);
    expect(bins.at(-1)![1]).toBe(0.01);
  });

  it('nothing gives nothing', () => {
    expect(histogram.curveOf([])).toEqual([]);
    expect(histogram.binsOf([])).toEqual([]);
  });
});
