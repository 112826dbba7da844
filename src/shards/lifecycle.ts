/**
 * How a connection ends.
 *
 *   open ──fatal error, GOODBYE──▶ closing ──output sent──▶ lingering ──peer's end, or 1 s──▶ closed
 *     │                              └──not sent within 1 s──────────────────────────────────▶ closed
 *     ├──peer's end, all sent──────────────────────────────────────────────────────────────▶ closed
 *     └──reset──────────────────────────────────────────────────────────────────────────────▶ closed
 *
 * Invariant: a connection's rows, blocks and cursors are given back before its slot is, and its slot
 * before its fd is closed.
 */
import { Buffer } from 'node:buffer';
import { CODE_SLOW_CONSUMER, TYPE_ERROR, TYPE_GOODBYE } from '../frame/codes.js';
import { errorName, isFatal } from '../frame/names.js';
import { FRAME_HEADER_BYTES } from '../frame/layout.js';
import { EAGAIN } from '../sys/sys.js';
import { TICK_MS, type ShardContext } from './context.js';
import * as layout from './layout.js';
import { refusalLevel } from './refusals.js';

/** How long output may take to leave before a close, and input is discarded after it (the protocol's second). */
const CLOSE_TICKS = 1000 / TICK_MS;
const LOG_TICKS = 1000 / TICK_MS;
const DISCARD_BYTES = 1 << 20;
const DISCARDS_PER_TURN = 16;

/** Of an error code: when it was last logged, how many there were since, and the last of them. */
interface Noted {
  tick: number;
  count: number;
  fields: Readonly<Record<string, unknown>>;
}

export interface ClosedListener {
  /** Called before the rows are given back. */
  connectionClosing(slot: number): void;
}

export class Lifecycle {
  readonly #context: ShardContext;
  readonly #listener: ClosedListener;
  /** Connections that are closing or lingering, and the tick at which that ends. */
  readonly #deadlines = new Map<number, number>();
  readonly #noted = new Map<number, Noted>();
  /** Connections of this shard. */
  openCount = 0;

  constructor(context: ShardContext, listener: ClosedListener) {
    this.#context = context;
    this.#listener = listener;
  }

  /** Queues a control frame; false: there is no room, the peer does not read. */
  reply(
    slot: number,
    type: number,
    code: number,
    stream: number,
    sequence: bigint,
    payload: Uint8Array,
  ): boolean {
    const { kernel, bytes } = this.#context;
    const frameBytes = (FRAME_HEADER_BYTES + payload.length + 7) & ~7;
    const at = frameBytes > layout.OUT_FRAME_BYTES_MAX ? 0 : kernel.outRoom(slot, frameBytes) >>> 0;
    if (at === 0) return false;
    bytes.set(payload, at + FRAME_HEADER_BYTES);
    kernel.outFrame(slot, type | (code << 8), stream, payload.length, sequence);
    kernel.wantSend(slot);
    return true;
  }

  /** Answers with an ERROR; a fatal one ends the connection. */
  error(slot: number, code: number, stream: number, sequence: bigint, text: string): void {
    this.#note(slot, code, text);
    if (isFatal(code)) {
      this.close(slot, TYPE_ERROR, code, stream, sequence, text);
      return;
    }
    const payload = Buffer.from(text).subarray(0, 1024);
    if (!this.reply(slot, TYPE_ERROR, code, stream, sequence, payload)) this.closeNow(slot);
  }

  /** Counts it, and logs it: of each code at most a line a second, which says how many there were. */
  #note(slot: number, code: number, text: string): void {
    const { words, areaAt, tick, thread } = this.#context;
    const countIndex = (areaAt + layout.AREA_ERROR_COUNTS + (code % layout.ERROR_COUNTS) * 4) >>> 2;
    words[countIndex] = (words[countIndex]! + 1) >>> 0;
    const noted = this.#noted.get(code) ?? { tick: tick - LOG_TICKS, count: 0, fields: {} };
    this.#noted.set(code, noted);
    noted.count++;
    noted.fields = { shard: thread, slot, code: errorName(code), reason: text };
    this.#logNoted(code, noted);
  }

  #logNoted(code: number, noted: Noted): void {
    const { tick, control } = this.#context;
    if (noted.count === 0 || tick - noted.tick < LOG_TICKS) return;
    const fields = { ...noted.fields, count: noted.count };
    const message = isFatal(code) ? 'connection refused further service' : 'request refused';
    control.post({ type: 'log', level: refusalLevel(code), message, fields });
    noted.tick = tick;
    noted.count = 0;
  }

  goodbye(slot: number, reason: string): void {
    this.close(slot, TYPE_GOODBYE, 0, 0, 0n, reason);
  }

  /** GOODBYE to a connection that still gets what is its due. False: there is no room for it. */
  farewell(slot: number, reason: string): boolean {
    this.#context.kernel.writeAcks(slot);
    return this.reply(slot, TYPE_GOODBYE, 0, 0, 0n, Buffer.from(reason));
  }

  /** Last words, and then the end: no input is handled any more, no DATA follows. */
  close(
    slot: number,
    type: number,
    code: number,
    stream: number,
    sequence: bigint,
    text: string,
  ): void {
    const { kernel } = this.#context;
    kernel.writeAcks(slot);
    this.#listener.connectionClosing(slot);
    // A frame that is half-sent and can't be ended leaves nothing that could be said after it.
    const whole = kernel.endCursors(slot) !== 0;
    kernel.dropPublications(slot);
    const payload = Buffer.from(text).subarray(0, 1024);
    if (!whole || !this.reply(slot, type, code, stream, sequence, payload)) {
      this.closeNow(slot);
      return;
    }
    this.beginClosing(slot);
  }

  /** What is queued is sent, and then the connection ends. */
  beginClosing(slot: number): void {
    const context = this.#context;
    if (context.has(slot, layout.FLAG_CLOSING)) return;
    context.raise(slot, layout.FLAG_CLOSING);
    this.#deadlines.set(slot, context.tick + CLOSE_TICKS);
    context.kernel.wantSend(slot);
  }

  /** All is sent: ends our sending side, and waits for the peer's end, so that a reset does not swallow the last words. */
  linger(slot: number): void {
    const context = this.#context;
    const fd = context.shared.fd(slot);
    if (context.has(slot, layout.FLAG_END_OF_INPUT) || context.sys.shutdownWrite(fd) < 0) {
      this.closeNow(slot);
      return;
    }
    context.raise(slot, layout.FLAG_LINGERING);
    this.#deadlines.set(slot, context.tick + CLOSE_TICKS);
    this.discard(slot);
  }

  /** Drops what a lingering peer still sends; closes at its end. */
  discard(slot: number): void {
    const { sys, shared } = this.#context;
    for (let i = 0; i < DISCARDS_PER_TURN; i++) {
      const dropped = sys.discard(shared.fd(slot), DISCARD_BYTES);
      if (dropped === -EAGAIN) return;
      if (dropped <= 0) {
        this.closeNow(slot);
        return;
      }
    }
    this.#context.raise(slot, layout.FLAG_READABLE);
  }

  /** Ends every connection whose second is over, and logs what there was no time for. */
  expire(): void {
    for (const [slot, deadline] of this.#deadlines) {
      if (this.#context.tick >= deadline) this.closeNow(slot);
    }
    for (const [code, noted] of this.#noted) this.#logNoted(code, noted);
  }

  get hasDeadlines(): boolean {
    return this.#deadlines.size > 0;
  }

  /** The peer reads nothing, and what it must be told has no room. */
  closeSlow(slot: number): void {
    this.error(slot, CODE_SLOW_CONSUMER, 0, 0n, 'this connection does not read what it asked for');
  }

  /** Gives everything back and closes the fd, without another word. */
  closeNow(slot: number): void {
    const { kernel, shared, sys } = this.#context;
    if (shared.fd(slot) < 0) return;
    this.#listener.connectionClosing(slot);
    this.#deadlines.delete(slot);
    kernel.dropFromQueue(slot);
    kernel.dropRest(slot);
    kernel.endCursors(slot);
    kernel.dropPublications(slot);
    kernel.dropOutput(slot);
    kernel.closeKeys(slot);
    this.#context.set(slot, layout.CONNECTION_FLAGS, 0);
    this.openCount--;
    const fd = shared.release(slot);
    if (fd >= 0) sys.close(fd);
  }
}
