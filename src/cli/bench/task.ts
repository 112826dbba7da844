/** What the threads of a bench are told, and what they answer. */
import type { Identity } from '../credential-flags.js';
import type { ErrorCode } from '../../errors.js';
import type { From } from '../../frame/payloads.js';

export type BenchKind = 'pub' | 'sub' | 'latency' | 'rtt';
export type AckMode = 'bulk' | 'each' | 'none';

/** One thread's part. */
export interface BenchTask {
  readonly kind: BenchKind;
  readonly url: string;
  readonly identity: Identity;
  /** One for each connection of `pub` and `sub`, and for each pair of the others. */
  readonly subjects: readonly string[];
  readonly sizeBytes: number;
  /** Frames a second of this thread; undefined: as many as it can. */
  readonly rate: number | undefined;
  /** Frames of this thread; undefined: until the time is over, or it is told to stop. */
  readonly count: number | undefined;
  readonly durationMs: number | undefined;
  /** Before what is counted begins (`latency` and `rtt`). */
  readonly warmupMs: number;
  readonly ack: AckMode;
  /** Frames of a connection without their acknowledgement, with `each`. */
  readonly window: number;
  /** Where `sub` begins. */
  readonly from: From;
  /** Tells the frames of this run from others on the same subject; u32. */
  readonly run: number;
}

/** What one thread has done; counters and histograms are on its board. */
export interface BenchResult {
  /** From the common start, or the first frame, to the last one that counts. */
  readonly elapsedMs: number;
  /** Frames of each connection, or pair. */
  readonly perConnection: readonly number[];
  /** The part of that time in which the thread did something, 0 … 1. */
  readonly busy: number;
}

export type FromMain = 'go' | 'stop';

export type FromWorker =
  | { readonly type: 'ready' }
  | { readonly type: 'done'; readonly result: BenchResult }
  | {
      readonly type: 'failed';
      readonly message: string;
      /** Where it is an error that a user may see. */
      readonly code: ErrorCode | undefined;
      readonly stack: string | undefined;
    };

/** `total` in `parts` whole parts, as even as they can be. */
export function shares(total: number, parts: number): number[] {
  return Array.from(
    { length: parts },
    (_, i) => Math.floor(((i + 1) * total) / parts) - Math.floor((i * total) / parts),
  );
}
