import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bars } from '../../../src/cli/bench/bars.js';
import { BENCH_SHAPE } from '../../../src/cli/bench/board.js';
import { Histogram } from '../../../src/histogram.js';

function of(...values: readonly [value: number, times: number][]): Histogram {
  const histogram = new Histogram(BENCH_SHAPE);
  for (const [value, times] of values) histogram.record(value, times);
  return histogram;
}

test('steps are round numbers, the longest bar is the fullest step, and holes are shown', () => {
  expect(bars(of([60_000, 680], [110_000, 17], [310_000, 1]))).toEqual([
    '   50us - 70us             680   97.42 %  ##################################',
    '   70us - 100us              0    0.00 %',
    '  100us - 150us             17    2.44 %  #',
    '  150us - 200us              0    0.00 %',
    '  200us - 300us              0    0.00 %',
    '  300us - 500us              1    0.14 %  #',
  ]);
});

test('nothing counted is no line', () => {
  expect(bars(of())).toEqual([]);
});

test('zero has a step of its own', () => {
  expect(bars(of([0, 5]))).toEqual([
    '    0ns - 1ns                5  100.00 %  ##################################',
  ]);
});

test('a wide spread has coarser steps', () => {
  const lines = bars(of([1500, 1], [900_000_000, 1]));
  expect(lines[0]).toMatch(/^ {4}1us - 2us /);
  expect(lines.length).toBeLessThanOrEqual(18);
  const wider = bars(of([15, 1], [90_000_000_000, 1]));
  expect(wider[0]).toMatch(/^ {3}10ns - 100ns /);
  expect(wider.at(-1)).toMatch(/^ {4}10s - 100s /);
});

test('every value is in some line, and no line is wider than a terminal', () => {
  const value = fc
    .tuple(fc.integer({ min: 0, max: 41 }), fc.double({ min: 0, max: 1, noNaN: true }))
    .map(([bits, part]) => Math.floor(part * 2 ** bits));
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 50 }), (values) => {
      const lines = bars(of(...values.map((each) => [each, 1_000_000] as [number, number])));
      const counts = lines.map((line) =>
        Number(/ ([\d,]+) +[\d.]+ %/.exec(line)![1]!.replaceAll(',', '')),
      );
      expect(counts.reduce((sum, count) => sum + count, 0)).toBe(values.length * 1_000_000);
      expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
    }),
  );
});
