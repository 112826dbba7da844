/**
 * When the fake system misbehaves, and how.
 *
 * Invariant: the same seed and the same calls give the same faults.
 */

/** Probabilities of 0 … 1, each 0 unless set. Tests may change them while they run. */
export interface FakeFaults {
  /** A receive, peek or discard takes fewer bytes than there are; the others "arrive" right after. */
  shortRead: number;
  /** A send takes fewer bytes than there is room for; it may end at any byte of any span. */
  shortWrite: number;
  /** A receive answers -EAGAIN although bytes wait; readiness is told again. */
  readWouldBlock: number;
  /** A send answers -EAGAIN although there is room; readiness is told again. */
  writeWouldBlock: number;
  /** A receive finds the connection reset: -ECONNRESET. */
  readReset: number;
  /** A send finds the connection broken: -EPIPE. */
  writeBroken: number;
  /** An accept answers -EMFILE; the connection goes on waiting. */
  acceptTooManyFiles: number;
  /** An accept answers -ECONNABORTED; the connection is gone. */
  acceptAborted: number;
  /** A wait also tells of one stream that has no news. */
  spuriousWakeup: number;
  /** A wait is interrupted: 0 events at once, whatever is ready. */
  interruptedWait: number;
}

export const NO_FAULTS: Readonly<FakeFaults> = {
  shortRead: 0,
  shortWrite: 0,
  readWouldBlock: 0,
  writeWouldBlock: 0,
  readReset: 0,
  writeBroken: 0,
  acceptTooManyFiles: 0,
  acceptAborted: 0,
  spuriousWakeup: 0,
  interruptedWait: 0,
};

/** The system calls that `FakeSys.failNext` can make fail. `send` stands for `sendSpans` too. */
export type FakeCall =
  | 'listen'
  | 'accept'
  | 'socketpair'
  | 'receive'
  | 'send'
  | 'epollCreate'
  | 'epollAdd'
  | 'eventfd'
  | 'setAffinity';

/** Decides about faults, by scripts first, then by chance (mulberry32). */
export class FaultSource {
  #state: number;
  readonly #scripts = new Map<FakeCall, number[]>();

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** The next calls of that name answer `-errno`, one for each script. */
  script(call: FakeCall, errno: number): void {
    this.#scripts.set(call, [...(this.#scripts.get(call) ?? []), errno]);
  }

  /** The errno that the script has for this call; 0 = none. */
  scripted(call: FakeCall): number {
    return this.#scripts.get(call)?.shift() ?? 0;
  }

  /** True with that probability. Draws nothing for 0, so that a fault switched off shifts no other. */
  strikes(probability: number): boolean {
    return probability > 0 && this.#next() < probability;
  }

  /** An integer of `min` … `max`. */
  between(min: number, max: number): number {
    return min + Math.floor(this.#next() * (max - min + 1));
  }

  #next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  }
}
