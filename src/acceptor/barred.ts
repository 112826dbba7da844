/**
 * Addresses from which nobody is let in for a while, because too many there could not say who they were.
 *
 * Invariant: at most ADDRESSES_MAX are remembered; the one that was barred first makes room.
 */
const ADDRESSES_MAX = 4096;

export class Barred {
  /** By address: when it is over, in milliseconds of the acceptor's clock. */
  readonly #untilMs = new Map<string, number>();

  /** None is barred, as far as is known: nobody has to be asked where he comes from. */
  get isEmpty(): boolean {
    return this.#untilMs.size === 0;
  }

  bar(address: string, untilMs: number): void {
    this.#untilMs.delete(address);
    if (this.#untilMs.size >= ADDRESSES_MAX) {
      for (const first of this.#untilMs.keys()) {
        this.#untilMs.delete(first);
        break;
      }
    }
    this.#untilMs.set(address, untilMs);
  }

  /** Nobody is barred any more. */
  clear(): void {
    this.#untilMs.clear();
  }

  has(address: string, nowMs: number): boolean {
    const untilMs = this.#untilMs.get(address);
    if (untilMs === undefined) return false;
    if (nowMs < untilMs) return true;
    this.#untilMs.delete(address);
    return false;
  }
}
