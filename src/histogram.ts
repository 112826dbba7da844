/**
 * Histograms of whole numbers whose buckets widen with their values: each power of two has the same number of them,
 * so that a value is known to the same part of itself wherever it lies.
 *
 * Invariant: the buckets of 0, 1, 2 … lie side by side, without holes and without overlap.
 */

export interface HistogramShape {
  /** Buckets of each power of two, as a power of two: a bucket is at most `2 ** -subBucketBits` of its values wide. */
  readonly subBucketBits: number;
  /** Values from `2 ** valueBits` on share the last bucket; at most 53. */
  readonly valueBits: number;
}

/** How many buckets there are. */
export function bucketCount({ subBucketBits, valueBits }: HistogramShape): number {
  return (valueBits - subBucketBits + 1) * 2 ** subBucketBits;
}

/** The bucket of `value`, a whole number of 0 or more. */
export function bucketOf(value: number, { subBucketBits, valueBits }: HistogramShape): number {
  const limited = Math.min(value, 2 ** valueBits - 1);
  const top = limited < 2 ** 32 ? 31 - Math.clz32(limited) : 63 - Math.clz32(limited / 2 ** 32);
  const shift = Math.max(0, top - subBucketBits);
  return shift * 2 ** subBucketBits + Math.floor(limited / 2 ** shift);
}

/** The greatest whole number that falls into the bucket. */
export function bucketEnd(bucket: number, { subBucketBits }: HistogramShape): number {
  const subBuckets = 2 ** subBucketBits;
  const shift = Math.max(0, Math.floor(bucket / subBuckets) - 1);
  return (bucket - shift * subBuckets + 1) * 2 ** shift - 1;
}

const COUNT = 0;
const SUM = 1;
const MAX = 2;
const FIRST_BUCKET = 3;

/** Words that the storage of a histogram has. */
export function histogramWords(shape: HistogramShape): number {
  return FIRST_BUCKET + bucketCount(shape);
}

export class Histogram {
  readonly shape: HistogramShape;
  readonly #words: Float64Array;

  /** Over `words`, which may be shared: one thread records, and who reads meanwhile sees some counts before others. */
  constructor(
    shape: HistogramShape,
    words: Float64Array = new Float64Array(histogramWords(shape)),
  ) {
    this.shape = shape;
    this.#words = words;
  }

  /** One that was counted elsewhere, by bucket. */
  static of(
    shape: HistogramShape,
    counts: readonly number[],
    { sum, max }: { sum: number; max: number },
  ): Histogram {
    const count = counts.reduce((all, each) => all + each, 0);
    return new Histogram(shape, Float64Array.from([count, sum, max, ...counts]));
  }

  get count(): number {
    return this.#words[COUNT]!;
  }

  get sum(): number {
    return this.#words[SUM]!;
  }

  /** The greatest value, exactly; 0 where there is none. */
  get max(): number {
    return this.#words[MAX]!;
  }

  /** Counts `value`, 0 or more, of which a fraction is dropped, `times` times. */
  record(value: number, times = 1): void {
    const whole = Math.floor(value);
    const words = this.#words;
    const bucket = FIRST_BUCKET + bucketOf(whole, this.shape);
    words[bucket] = words[bucket]! + times;
    words[COUNT] = words[COUNT]! + times;
    words[SUM] = words[SUM]! + whole * times;
    if (whole > words[MAX]!) words[MAX] = whole;
  }

  /** Counts what another one of the same shape has counted. */
  merge(other: Histogram): void {
    const max = Math.max(this.max, other.max);
    for (const [at, word] of other.#words.entries()) this.#words[at] = this.#words[at]! + word;
    this.#words[MAX] = max;
  }

  /** A value that the part `fraction` (0 … 1) of all values does not exceed: the end of its bucket, and never more than `max`. */
  valueAt(fraction: number): number {
    const rank = Math.max(1, Math.ceil(fraction * this.count));
    let seen = 0;
    for (const [end, count] of this.entries()) {
      seen += count;
      if (seen >= rank) return Math.min(end, this.max);
    }
    return this.max;
  }

  /** The buckets that hold something, in order: where each ends, and how many values lie in it. */
  *entries(): Generator<[end: number, count: number], void, undefined> {
    for (let bucket = 0; bucket < bucketCount(this.shape); bucket++) {
      const count = this.#words[FIRST_BUCKET + bucket]!;
      if (count > 0) yield [bucketEnd(bucket, this.shape), count];
    }
  }
}
