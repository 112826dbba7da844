/** Shards that die so often within so long are not replaced any more: something is broken for good. */

export const DEATHS_MAX = 16;
export const DEATHS_WITHIN_MS = 10_000;

export class Deaths {
  /** The newest ones, oldest first. */
  readonly #atMs: number[] = [];

  /** One more, at `nowMs` of a clock that never goes back. True: these were too many. */
  areTooMany(nowMs: number): boolean {
    this.#atMs.push(nowMs);
    if (this.#atMs.length > DEATHS_MAX) this.#atMs.shift();
    return this.#atMs.length === DEATHS_MAX && nowMs - this.#atMs[0]! < DEATHS_WITHIN_MS;
  }
}
