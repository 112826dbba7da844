/**
 * Frames on their way to the socket: blocks of the kernel's memory that are filled, written one after
 * another, and filled again once the socket has taken them. A block belongs either to the encoder or to
 * the socket, never to both. More load makes larger writes, not more of them.
 */
import { FrameEncoder, type FrameFields } from '../frame/codec.js';
import type { FrameKernel, FrameKey } from '../frame/frame-kernel.js';

/** One write to the socket at most; it holds any frame, and is small enough to stay in a core's cache. */
export const BLOCK_BYTES = 128 * 1024;

export interface OutboxSink {
  /** Hands `bytes` to the socket; `done` is called once they may be overwritten. */
  write(bytes: Buffer, done: () => void): void;
  /** There is room again after `putBytes` or `putText` answered false. */
  room(): void;
}

export class Outbox {
  readonly #free: FrameEncoder[] = [];
  readonly #sealed: FrameEncoder[] = [];
  /** Control frames that found no room; they go first, and are limited by what asks for them. */
  readonly #control: FrameFields[] = [];
  readonly #sink: OutboxSink;
  #current: FrameEncoder | undefined;
  #writing = false;
  #flushAsked = false;
  #roomWanted = false;
  #open = true;

  constructor(blocks: readonly FrameEncoder[], sink: OutboxSink) {
    for (const block of blocks) block.clear();
    this.#free.push(...blocks);
    this.#sink = sink;
  }

  /** Blocks share the direction's key: they are filled, and sent, one after another. */
  static blocks(kernel: FrameKernel, blockCount: number, key: FrameKey): FrameEncoder[] {
    return Array.from({ length: blockCount }, () => new FrameEncoder(kernel, BLOCK_BYTES, key));
  }

  /** Whether the socket has taken everything. */
  get idle(): boolean {
    return !this.#writing && this.#sealed.length === 0 && (this.#current?.usedBytes ?? 0) === 0;
  }

  /** The block that takes a frame with `payloadBytes`, or undefined: no room now, `room()` will be called. */
  blockFor(payloadBytes: number): FrameEncoder | undefined {
    let block = this.#current;
    if (block?.fits(payloadBytes) !== true) {
      if (block !== undefined) this.#seal(block);
      block = this.#current = this.#free.pop();
      if (block === undefined) {
        this.#roomWanted = true;
        return undefined;
      }
    }
    if (!this.#flushAsked) this.#askFlush();
    return block;
  }

  /** Sends a frame that must not wait for a publisher's: it is kept where there is no room. */
  control(frame: FrameFields): void {
    const block = this.blockFor(frame.payload?.length ?? 0);
    if (block === undefined) this.#control.push(frame);
    else block.put(frame);
  }

  /** Nothing is written any more. */
  close(): void {
    this.#open = false;
  }

  /** Frames of one turn of the event loop leave together. */
  #askFlush(): void {
    this.#flushAsked = true;
    queueMicrotask(() => {
      this.#flushAsked = false;
      this.#flush();
    });
  }

  #seal(block: FrameEncoder): void {
    this.#sealed.push(block);
    this.#current = undefined;
    this.#flush();
  }

  /** Writes the next block, where none is being written: what is not full yet goes on filling meanwhile. */
  #flush(): void {
    if (this.#writing || !this.#open) return;
    let block = this.#sealed.shift();
    if (block === undefined && (this.#current?.usedBytes ?? 0) > 0) {
      block = this.#current;
      this.#current = undefined;
    }
    if (block === undefined) return;
    const written = block;
    this.#writing = true;
    this.#sink.write(written.view(), () => {
      this.#writing = false;
      written.clear();
      this.#free.push(written);
      this.#refill();
      this.#flush();
    });
  }

  #refill(): void {
    if (!this.#open) return;
    while (this.#control.length > 0) {
      const block = this.blockFor(this.#control[0]!.payload?.length ?? 0);
      if (block === undefined) return;
      block.put(this.#control.shift()!);
    }
    if (this.#roomWanted) {
      this.#roomWanted = false;
      this.#sink.room();
    }
  }
}
