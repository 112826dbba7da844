/**
 * What a thread of a bench counts, in memory that the main thread reads whenever it wants to print. One writer,
 * plain stores: the figures of a live line may be a moment apart.
 */
import { Histogram, histogramWords, type HistogramShape } from '../../histogram.js';

/** A value is known to 0.8 %, up to 73 minutes in nanoseconds. */
export const BENCH_SHAPE: HistogramShape = { subBucketBits: 7, valueBits: 42 };

const COUNTERS = [
  'sent',
  'acknowledged',
  'received',
  'receivedBytes',
  /** Frames that a gap announced. */
  'skipped',
  'disordered',
  /** Frames of another run on the same subject. */
  'foreign',
] as const;

export type Counter = (typeof COUNTERS)[number];
export type Counts = Record<Counter, number>;

const HISTOGRAM_BYTES = histogramWords(BENCH_SHAPE) * 8;
const COUNTER_BYTES = COUNTERS.length * 8;

export class Board {
  readonly buffer: SharedArrayBuffer;
  /** ns: what the bench is about. */
  readonly times: Histogram;
  /** ns: how late this tool sent. */
  readonly lag: Histogram;
  readonly #counters: Float64Array;

  constructor(buffer = new SharedArrayBuffer(COUNTER_BYTES + 2 * HISTOGRAM_BYTES)) {
    this.buffer = buffer;
    this.#counters = new Float64Array(buffer, 0, COUNTERS.length);
    const histogramAt = (at: number) =>
      new Histogram(BENCH_SHAPE, new Float64Array(buffer, at, histogramWords(BENCH_SHAPE)));
    this.times = histogramAt(COUNTER_BYTES);
    this.lag = histogramAt(COUNTER_BYTES + HISTOGRAM_BYTES);
  }

  add(counter: Counter, count = 1): void {
    const at = COUNTERS.indexOf(counter);
    this.#counters[at] = this.#counters[at]! + count;
  }

  get counts(): Counts {
    return Object.fromEntries(COUNTERS.map((name, at) => [name, this.#counters[at]!])) as Counts;
  }
}

/** The boards of all threads as one. */
export function summed(boards: readonly Board[]): {
  counts: Counts;
  times: Histogram;
  lag: Histogram;
} {
  const [times, lag] = [new Histogram(BENCH_SHAPE), new Histogram(BENCH_SHAPE)];
  const counts = new Board().counts;
  for (const board of boards) {
    times.merge(board.times);
    lag.merge(board.lag);
    const own = board.counts;
    for (const name of COUNTERS) counts[name] += own[name];
  }
  return { counts, times, lag };
}
