/**
 * Copies of the frames of one stream that were not acknowledged yet, in order, so that they can be sent
 * again on another connection. Their numbers are consecutive: the first is `firstNumber`.
 */
const SLAB_BYTES = 128 * 1024;
const SLAB_FRAMES_MAX = 4096;

interface Slab {
  readonly bytes: Uint8Array;
  /** Number of its first frame. */
  readonly firstNumber: number;
  /** Where each frame ends. */
  readonly ends: number[];
  usedBytes: number;
}

export class ResendLog {
  readonly #slabs: Slab[] = [];
  #nextNumber: number;
  #firstNumber: number;
  /** Bytes of the slabs that it holds. */
  heldBytes = 0;

  constructor(firstNumber: number) {
    this.#firstNumber = firstNumber;
    this.#nextNumber = firstNumber;
  }

  /** The oldest frame that it holds; the number that `append` gives next where it holds none. */
  get firstNumber(): number {
    return this.#firstNumber;
  }

  /** Keeps a copy of `start` … `end` of `source` under the next number. */
  append(source: Uint8Array, start: number, end: number): void {
    const slab = this.#slabFor(end - start);
    const at = slab.usedBytes;
    if (end - start === source.length) slab.bytes.set(source, at);
    else slab.bytes.set(source.subarray(start, end), at);
    slab.usedBytes = at + end - start;
    slab.ends.push(slab.usedBytes);
    this.#nextNumber++;
  }

  #slabFor(byteCount: number): Slab {
    const last = this.#slabs.at(-1);
    if (
      last !== undefined &&
      last.bytes.length - last.usedBytes >= byteCount &&
      last.ends.length < SLAB_FRAMES_MAX
    ) {
      return last;
    }
    const slab: Slab = {
      bytes: new Uint8Array(this.#slabs.length === 0 ? Math.max(byteCount, 1024) : SLAB_BYTES),
      firstNumber: this.#nextNumber,
      ends: [],
      usedBytes: 0,
    };
    this.#slabs.push(slab);
    this.heldBytes += slab.bytes.length;
    return slab;
  }

  /** Forgets the frames up to `number`, itself included. */
  release(number: number): void {
    this.#firstNumber = Math.max(this.#firstNumber, Math.min(number + 1, this.#nextNumber));
    while (this.#slabs.length > 0) {
      const slab = this.#slabs[0]!;
      if (slab.firstNumber + slab.ends.length > this.#firstNumber) return;
      this.#slabs.shift();
      this.heldBytes -= slab.bytes.length;
    }
  }

  /** Calls `visit` for each frame from `number` on, in order, until it answers false. Answers the first number that it did not take. */
  visit(
    number: number,
    visit: (number: number, bytes: Uint8Array, start: number, end: number) => boolean,
  ): number {
    let next = Math.max(number, this.#firstNumber);
    for (const slab of this.#slabs) {
      for (let i = next - slab.firstNumber; i >= 0 && i < slab.ends.length; i++) {
        const start = i === 0 ? 0 : slab.ends[i - 1]!;
        if (!visit(next, slab.bytes, start, slab.ends[i]!)) return next;
        next++;
      }
    }
    return next;
  }
}
