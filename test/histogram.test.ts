import fc from 'fast-check';
import { build } from 'hdr-histogram-js';
import { expect, test } from 'vitest';
import { bucketCount, bucketEnd, bucketOf, Histogram } from '../src/histogram.js';

const SHAPES = [
  { subBucketBits: 0, valueBits: 8 },
  { subBucketBits: 4, valueBits: 40 },
  { subBucketBits: 7, valueBits: 53 },
];
const PARTS = [0, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 1];

/** Whole numbers of every magnitude up to 2^53. */
const anyValue = fc
  .tuple(fc.integer({ min: 0, max: 53 }), fc.double({ min: 0, max: 1, noNaN: true }))
  .map(([bits, part]) => Math.floor(part * (2 ** bits - 1)));

test.each(SHAPES)(
  'buckets lie side by side, and each value in the one that ends at it or behind: $subBucketBits bits',
  (shape) => {
    expect(bucketOf(0, shape)).toBe(0);
    const last = bucketCount(shape) - 1;
    for (let bucket = 0; bucket < last; bucket++) {
      const end = bucketEnd(bucket, shape);
      expect(bucketOf(end, shape)).toBe(bucket);
      expect(bucketOf(end + 1, shape)).toBe(bucket + 1);
    }
    expect(bucketEnd(last, shape)).toBe(2 ** shape.valueBits - 1);
    expect(bucketOf(Number.MAX_SAFE_INTEGER, shape)).toBe(last);
  },
);

test.each(SHAPES)('a bucket is no wider than 2^-$subBucketBits of its values', (shape) => {
  fc.assert(
    fc.property(anyValue, (value) => {
      const limited = Math.min(value, 2 ** shape.valueBits - 1);
      const end = bucketEnd(bucketOf(value, shape), shape);
      expect(end).toBeGreaterThanOrEqual(limited);
      expect(end - limited).toBeLessThanOrEqual(limited / 2 ** shape.subBucketBits);
    }),
  );
});

test('the part of a value behind the point is dropped', () => {
  const histogram = new Histogram(SHAPES[1]!);
  histogram.record(3.99, 2);
  expect([histogram.count, histogram.sum, histogram.max, histogram.valueAt(1)]).toEqual([
    2, 6, 3, 3,
  ]);
});

test('a percentile is the value of its rank, to the width of a bucket', () => {
  const shape = { subBucketBits: 5, valueBits: 53 };
  fc.assert(
    fc.property(
      fc.array(anyValue, { minLength: 1, maxLength: 2000 }),
      fc.constantFrom(...PARTS),
      (values, part) => {
        const histogram = new Histogram(shape);
        for (const value of values) histogram.record(value);
        const rank = Math.max(1, Math.ceil(part * values.length));
        const exact = values.toSorted((a, b) => a - b)[rank - 1]!;
        const told = histogram.valueAt(part);
        expect(told).toBeGreaterThanOrEqual(exact);
        expect(told - exact).toBeLessThanOrEqual(exact / 32);
        expect(told).toBeLessThanOrEqual(Math.max(...values));
      },
    ),
  );
});

test('0.9999 of 10,000 is 9,999', () => {
  const histogram = new Histogram({ subBucketBits: 12, valueBits: 20 });
  for (let value = 1; value <= 10_000; value++) histogram.record(value);
  expect(PARTS.slice(1).map((part) => Math.floor(histogram.valueAt(part) / 4) * 4)).toEqual(
    [1000, 5000, 9000, 9900, 9990, 9999, 10_000].map((value) => Math.floor(value / 4) * 4),
  );
});

test('percentiles are those of hdr-histogram-js', () => {
  const shape = { subBucketBits: 10, valueBits: 53 };
  fc.assert(
    fc.property(fc.array(anyValue, { minLength: 1, maxLength: 500 }), (values) => {
      const ours = new Histogram(shape);
      const theirs = build({
        numberOfSignificantValueDigits: 3,
        useWebAssembly: false,
        bitBucketSize: 64,
        autoResize: true,
      });
      for (const value of values) {
        const known = Math.min(value, 2 ** 40);
        ours.record(known);
        theirs.recordValue(known);
      }
      for (const part of PARTS.slice(1)) {
        const expected = theirs.getValueAtPercentile(part * 100);
        expect(Math.abs(ours.valueAt(part) - expected)).toBeLessThanOrEqual(expected / 500);
      }
      expect(ours.count).toBe(theirs.totalCount);
    }),
    { numRuns: 50 },
  );
});

test('nothing counted is 0 everywhere', () => {
  const histogram = new Histogram(SHAPES[1]!);
  expect([histogram.count, histogram.sum, histogram.max]).toEqual([0, 0, 0]);
  expect(histogram.valueAt(0.5)).toBe(0);
});

test('sum and max are exact, and two are as one that has counted both', () => {
  const shape = SHAPES[1]!;
  const [a, b, both] = [new Histogram(shape), new Histogram(shape), new Histogram(shape)];
  for (const value of [1_000_003, 17]) for (const each of [a, both]) each.record(value, 2);
  for (const value of [5_000_001, 0]) for (const each of [b, both]) each.record(value);
  a.merge(b);
  expect([a.count, a.sum, a.max]).toEqual([6, 2 * 1_000_020 + 5_000_001, 5_000_001]);
  expect([a.count, a.sum, a.max]).toEqual([both.count, both.sum, both.max]);
  for (const part of PARTS) expect(a.valueAt(part)).toBe(both.valueAt(part));
});

test('what is counted elsewhere is read as it is', () => {
  const shape = { subBucketBits: 2, valueBits: 6 };
  const counts = Array.from({ length: bucketCount(shape) }, () => 0);
  counts[bucketOf(3, shape)] = 9;
  counts[bucketOf(50, shape)] = 1;
  const histogram = Histogram.of(shape, counts, { sum: 77, max: 49 });
  expect([histogram.count, histogram.sum, histogram.max]).toEqual([10, 77, 49]);
  expect([0.9, 0.91].map((part) => histogram.valueAt(part))).toEqual([3, 49]);
});

test('entries are the buckets that hold something, in order', () => {
  const histogram = new Histogram({ subBucketBits: 3, valueBits: 20 });
  for (const value of [1000, 0, 7, 100, 1000, 16]) histogram.record(value);
  expect([...histogram.entries()]).toEqual([
    [0, 1],
    [7, 1],
    [17, 1],
    [103, 1],
    [1023, 2],
  ]);
});
