/** Time and randomness, which are passed in: this file alone reads the real ones. */
export interface Clock {
  /** Milliseconds since 1970, UTC; may jump when the machine's clock is set. */
  wallMs(): number;
  /** Milliseconds since some fixed instant, with fractions; never goes back. */
  monotonicMs(): number;
}

/** A number in [0, 1). */
export type Random = () => number;

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};

// eslint-disable-next-line no-restricted-properties -- this is where it comes from
export const systemRandom: Random = () => Math.random();
