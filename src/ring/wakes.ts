/**
 * Signals that a kernel owes: a thread that told news to a sleeping one has taken its flag, and must write its
 * eventfd, or the sleeper hears of it only when its wait is over.
 */
import type { RingKernel } from './kernel.js';

/** Calls `signal` for each thread that was asleep when the kernel told it something; then none is owed. */
export function payWakes(
  kernel: Pick<RingKernel, 'takeWakes'>,
  signal: (thread: number) => void,
): void {
  let low = kernel.takeWakes(0) >>> 0;
  while (low !== 0) {
    signal(31 - Math.clz32(low & -low));
    low = (low & (low - 1)) >>> 0;
  }
  let high = kernel.takeWakes(1) >>> 0;
  while (high !== 0) {
    signal(63 - Math.clz32(high & -high));
    high = (high & (high - 1)) >>> 0;
  }
}
