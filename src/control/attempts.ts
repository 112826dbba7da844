/**
 * How often an address may fail to say who it is: a bucket for each that has failed of late, of at most
 * ADDRESSES_MAX; the one that has been quiet for longest makes room.
 */
import type { Clock } from '../clock.js';

const ADDRESSES_MAX = 4096;
const MINUTE_MS = 60_000;

interface Bucket {
  failures: number;
  atMs: number;
}

export class Attempts {
  /** Failures that an address may have at once, and that it is forgiven each minute. */
  perMinute: number;
  readonly #clock: Clock;
  /** The one that failed last is the last. */
  readonly #buckets = new Map<string, Bucket>();

  constructor(perMinute: number, clock: Clock) {
    this.perMinute = perMinute;
    this.#clock = clock;
  }

  /** Whether another attempt from there is looked at. */
  mayTry(address: string): boolean {
    const bucket = this.#buckets.get(address);
    return !bucket || this.#failuresNow(bucket) + 1 <= this.perMinute;
  }

  /** Answers for how many milliseconds nobody from there is looked at; 0: another one is. */
  failed(address: string): number {
    const bucket = this.#buckets.get(address);
    const failures = bucket ? this.#failuresNow(bucket) : 0;
    this.#buckets.delete(address);
    if (this.#buckets.size >= ADDRESSES_MAX) {
      for (const oldest of this.#buckets.keys()) {
        this.#buckets.delete(oldest);
        break;
      }
    }
    this.#buckets.set(address, { failures: failures + 1, atMs: this.#clock.monotonicMs() });
    return Math.max(0, ((failures + 2 - this.perMinute) * MINUTE_MS) / this.perMinute);
  }

  get size(): number {
    return this.#buckets.size;
  }

  #failuresNow({ failures, atMs }: Bucket): number {
    const forgiven = ((this.#clock.monotonicMs() - atMs) * this.perMinute) / MINUTE_MS;
    return Math.max(0, failures - forgiven);
  }
}
