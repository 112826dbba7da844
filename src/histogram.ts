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

/** The bucket of `value`, a number of 0 or more, of which a fraction is dropped. */
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

export class Histogram {
  readonly shape: HistogramShape;
  readonly #counts: Float64Array;
  #count = 0;
  #sum = 0;
  #max = 0;

  constructor(shape: HistogramShape) {
    this.shape = shape;
    this.#counts = new Float64Array(bucketCount(shape));
  }

  /** A histogram that was counted elsewhere, by bucket. */
  static of(
    shape: HistogramShape,
    counts: Iterable<number>,
    { sum, max }: { sum: number; max: number },
  ): Histogram {
    const histogram = new Histogram(shape);
    let bucket = 0;
    for (const count of counts) {
      histogram.#counts[bucket++] = count;
      histogram.#count += count;
    }
    histogram.#sum = sum;
    histogram.#max = max;
    return histogram;
  }

  get count(): number {
    return this.#count;
  }

  get sum(): number {
    return this.#sum;
  }

  /** The greatest value, exactly; 0 where there is none. */
  get max(): number {
    return this.#max;
  }

  /** Counts `value`, 0 or more, `times` times. */
  record(value: number, times = 1): void {
    const bucket = bucketOf(value, this.shape);
    this.#counts[bucket] = this.#counts[bucket]! + times;
    this.#count += times;
    this.#sum += value * times;
    if (value > this.#max) this.#max = value;
  }

  /** Counts what another one of the same shape has counted. */
  merge(other: Histogram): void {
    for (const [bucket, count] of other.#counts.entries()) {
      this.#counts[bucket] = this.#counts[bucket]! + count;
    }
    this.#count += other.#count;
    this.#sum += other.#sum;
    this.#max = Math.max(this.#max, other.#max);
  }

  /** A value that the part `fraction` (0 … 1) of all values does not exceed: the end of its bucket, and never more than `max`. */
  valueAt(fraction: number): number {
    const rank = Math.max(1, Math.ceil(fraction * this.#count));
    let seen = 0;
    for (const [bucket, count] of this.#counts.entries()) {
      seen += count;
      if (seen >= rank) return Math.min(bucketEnd(bucket, this.shape), this.#max);
    }
    return this.#max;
  }

  /** What lies in `from` … `to`, both included, as far as buckets can tell: each belongs where it ends. */
  countBetween(from: number, to: number): number {
    let sum = 0;
    for (const [bucket, count] of this.#counts.entries()) {
      const end = bucketEnd(bucket, this.shape);
      if (end >= from && end <= to) sum += count;
    }
    return sum;
  }
}
