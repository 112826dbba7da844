/**
 * Receiving: bytes from a socket into a block, frames out of it by the kernel, and what becomes of bytes
 * that cannot be handled yet.
 *
 *   receive ──▶ block ──ingest──▶ logs            a partial frame at the end ──▶ stash (idle: no buffer at all)
 *                        │                         a full log, an OPEN under way ──▶ stash, or the whole block
 *                        └──▶ control frames       no stash or block left ──▶ the bytes stay in the kernel
 *
 * Invariant: a connection's frames are handled in the order in which they came, and none twice.
 */
import {
  CODE_INTERNAL,
  CODE_PAYLOAD_CORRUPT,
  CODE_SHUTTING_DOWN,
  TYPE_ACK,
  TYPE_CREDIT,
  TYPE_GOODBYE,
  TYPE_PING,
  TYPE_PONG,
  TYPE_UNSUBSCRIBE,
} from '../frame/codes.js';
import { isFatal } from '../frame/names.js';
import {
  FRAME_HEADER_BYTES,
  PAYLOAD_LENGTH_BYTE_OFFSET,
  SEQUENCE_BYTE_OFFSET,
  STREAM_BYTE_OFFSET,
  TYPE_BYTE_OFFSET,
} from '../frame/layout.js';
import { EAGAIN } from '../sys/sys.js';
import { FLAGS_HELD, type ShardContext } from './context.js';
import { faultText } from './refusals.js';
import * as layout from './layout.js';
import type { Lifecycle } from './lifecycle.js';
import type { Requests } from './requests.js';

/** Where the bytes that are being handled lie. */
const IN_BLOCK = -1;
const IN_KERNEL = 0;
/** Otherwise: the row of a parked block. */
type Source = number;

export class Input {
  readonly #context: ShardContext;
  readonly #lifecycle: Lifecycle;
  readonly #requests: Requests;
  /** Connections that wait for room in a log, by stream. */
  readonly #heldByStream = new Map<number, Set<number>>();
  #block = 0;
  #blockAt = 0;
  readonly #blockBytes: number;
  /** Bytes that were received so far, from all connections. */
  receivedBytes = 0;

  constructor(context: ShardContext, lifecycle: Lifecycle, requests: Requests) {
    this.#context = context;
    this.#lifecycle = lifecycle;
    this.#requests = requests;
    const pool = layout.AREA_POOLS + layout.POOL_RECEIVE_BLOCKS * layout.POOL_BYTES;
    this.#blockBytes = context.u32(context.areaAt + pool + layout.POOL_ROW_BYTES);
    this.#takeBlock();
  }

  /** Reads a block of what a socket has. True: it may have more, and be received from again. */
  receive(slot: number): boolean {
    const context = this.#context;
    const flags = context.flags(slot);
    if (flags & layout.FLAG_LINGERING) this.#lifecycle.discard(slot);
    if (flags & (FLAGS_HELD | layout.FLAG_CLOSING)) return false;
    if (!(flags & layout.FLAG_READABLE)) return false;
    return this.#receiveOnce(slot) && context.has(slot, layout.FLAG_READABLE);
  }

  /** True: this connection may be received from again at once. */
  #receiveOnce(slot: number): boolean {
    const { kernel } = this.#context;
    this.#resetLowWater(slot);
    const isScarce =
      kernel.freeRows(layout.POOL_LARGE_STASHES) === 0 ||
      kernel.freeRows(layout.POOL_RECEIVE_BLOCKS) === 0;
    if (isScarce) return this.#receiveScarce(slot);
    const before = this.#loadStash(slot);
    return this.#receiveInto(slot, before, this.#blockBytes - before);
  }

  #receiveInto(slot: number, before: number, wantedBytes: number): boolean {
    const context = this.#context;
    const { sys, shared } = context;
    const received = sys.receive(shared.fd(slot), this.#blockAt + before, wantedBytes);
    if (received <= 0) {
      if (before > 0) this.#leave(slot, this.#blockAt, this.#blockAt + before, IN_BLOCK);
      return this.#nothingReceived(slot, received);
    }
    this.receivedBytes += received;
    context.set(slot, layout.CONNECTION_HEARD, context.tick);
    // Edge-triggered: a short read says that the kernel has no more, and will tell of what comes next.
    if (received < wantedBytes) this.#clearReadable(slot);
    return this.#handle(slot, this.#blockAt, this.#blockAt + before + received, IN_BLOCK);
  }

  /** After the peer's end there is no further edge: then only a read of 0 bytes ends the reading. */
  #clearReadable(slot: number): void {
    if (!this.#context.has(slot, layout.FLAG_END_SEEN)) {
      this.#context.lower(slot, layout.FLAG_READABLE);
    }
  }

  #nothingReceived(slot: number, received: number): boolean {
    const context = this.#context;
    if (received === -EAGAIN) {
      context.lower(slot, layout.FLAG_READABLE);
    } else if (received === 0) {
      context.lower(slot, layout.FLAG_READABLE);
      context.raise(slot, layout.FLAG_END_OF_INPUT);
      // Part of a frame is left: its sender is gone in the middle of it.
      this.dropInput(slot);
      context.kernel.wantSend(slot);
    } else {
      this.#lifecycle.closeNow(slot);
    }
    return false;
  }

  // ---- Without a place for what might be left over, bytes stay in the kernel until they can be handled ----

  #receiveScarce(slot: number): boolean {
    const context = this.#context;
    const { sys, shared } = context;
    if (context.get(slot, layout.CONNECTION_INPUT) !== 0) return this.#completeFrame(slot);
    const fd = shared.fd(slot);
    const peeked = sys.peek(fd, this.#blockAt, this.#blockBytes);
    if (peeked <= 0) return this.#nothingReceived(slot, peeked);
    this.receivedBytes += peeked;
    context.set(slot, layout.CONNECTION_HEARD, context.tick);
    this.#consumed = 0;
    const generation = shared.generation(slot);
    const goOn = this.#handle(slot, this.#blockAt, this.#blockAt + peeked, IN_KERNEL);
    if (shared.fd(slot) !== fd || shared.generation(slot) !== generation) return false;
    if (this.#consumed > 0)
      return this.#dropHandled(slot, Math.min(this.#consumed, peeked)) && goOn;
    if (!goOn) return false;
    // Not even one whole frame: to be told when it is there, but look once more, for it may just have come.
    const wantedBytes = this.#bytesOfFrame(peeked);
    sys.setReceiveLowWater(fd, wantedBytes);
    context.set(slot, layout.CONNECTION_LOW_WATER, wantedBytes);
    const again = sys.peek(fd, this.#blockAt, wantedBytes);
    if (again >= wantedBytes) return true;
    this.#clearReadable(slot);
    return context.has(slot, layout.FLAG_READABLE) && this.#atEnd(slot, again);
  }

  #consumed = 0;

  /** What was handled leaves the kernel, all of it: what stayed would be handled again. */
  #dropHandled(slot: number, byteCount: number): boolean {
    const { sys, shared } = this.#context;
    for (let left = byteCount; left > 0;) {
      const dropped = sys.discard(shared.fd(slot), left);
      if (dropped <= 0) {
        this.#lifecycle.closeNow(slot);
        return false;
      }
      left -= dropped;
    }
    return true;
  }

  /** The frame that was waited for is being received: smaller ones are news again. */
  #resetLowWater(slot: number): void {
    const context = this.#context;
    if (context.get(slot, layout.CONNECTION_LOW_WATER) === 0) return;
    context.sys.setReceiveLowWater(context.shared.fd(slot), 1);
    context.set(slot, layout.CONNECTION_LOW_WATER, 0);
  }

  /** The peer has ended in the middle of a frame: nothing will complete it. */
  #atEnd(slot: number, peeked: number): boolean {
    this.#context.sys.discard(this.#context.shared.fd(slot), Math.max(peeked, 1));
    return true;
  }

  #bytesOfFrame(thereBytes: number): number {
    if (thereBytes < FRAME_HEADER_BYTES) return FRAME_HEADER_BYTES;
    const payloadBytes = this.#context.u32(this.#blockAt + PAYLOAD_LENGTH_BYTE_OFFSET);
    return (FRAME_HEADER_BYTES + payloadBytes + 7) & ~7;
  }

  /** A connection that has part of a frame stashed receives exactly the rest of it. */
  #completeFrame(slot: number): boolean {
    const before = this.#loadStash(slot);
    const wantedBytes = this.#bytesOfFrame(before);
    return this.#receiveInto(slot, before, Math.max(1, wantedBytes - before));
  }

  // ---- Handling ----

  /** Handles frames from `at` to `end`. True: all of them were, and the connection may be received from. */
  #handle(slot: number, at: number, end: number, source: Source): boolean {
    const { kernel, shared } = this.#context;
    const generation = shared.generation(slot);
    if (this.#context.has(slot, layout.FLAG_GOODBYE))
      return this.#handleLate(slot, at, end, source);
    for (;;) {
      const answer = kernel.ingest(slot, at, end);
      at = kernel.ingestStoppedAt() >>> 0;
      if (this.#context.get(slot, layout.CONNECTION_ACKS) !== 0) kernel.wantSend(slot);
      if (answer === layout.INGEST_DONE) return this.#leave(slot, at, end, source);
      if (answer === layout.INGEST_FULL) {
        this.#hold(slot, this.#context.u32(at + STREAM_BYTE_OFFSET));
        this.#leave(slot, at, end, source);
        return false;
      }
      const frameBytes = kernel.ingestStoppedBytes();
      if (this.#isGoodbyeTooSoon(slot, at, answer)) {
        this.#leave(slot, at, end, source);
        return false;
      }
      if (answer === layout.INGEST_CONTROL) this.#requests.handle(slot, at);
      else this.#fault(slot, at, frameBytes);
      if (shared.fd(slot) < 0 || shared.generation(slot) !== generation) return false;
      at += frameBytes;
      kernel.frameHandled(slot);
      this.#holdByOutput(slot);
      if (this.#context.flags(slot) & layout.FLAG_CLOSING) {
        this.#release(slot, source);
        return false;
      }
      if (this.#context.flags(slot) & FLAGS_HELD) {
        this.#leave(slot, at, end, source);
        return false;
      }
    }
  }

  /** GOODBYE waits for the ACKs before it: those of thousands of streams do not fit the output at once. */
  #isGoodbyeTooSoon(slot: number, at: number, answer: number): boolean {
    const context = this.#context;
    if (answer !== layout.INGEST_CONTROL) return false;
    if (context.bytes[at + TYPE_BYTE_OFFSET] !== TYPE_GOODBYE) return false;
    context.kernel.writeAcks(slot);
    this.#holdByOutput(slot);
    if (context.has(slot, layout.FLAG_HELD_BY_OUTPUT)) context.kernel.wantSend(slot);
    return context.has(slot, layout.FLAG_HELD_BY_OUTPUT);
  }

  /** A frame that is refused by its form: a fatal one ends the connection. */
  #fault(slot: number, at: number, frameBytes: number): void {
    const context = this.#context;
    const code = context.kernel.ingestStoppedCode();
    context.raise(slot, layout.FLAG_STARTED);
    // Only a header whose check held may be quoted.
    const isVerified = frameBytes > 0;
    const sequence = isVerified ? context.u64(at + SEQUENCE_BYTE_OFFSET) : 0n;
    const stream = isVerified ? context.u32(at + STREAM_BYTE_OFFSET) : 0;
    this.#lifecycle.error(slot, code, stream, sequence, faultText(code));
    if (!isFatal(code) && frameBytes === 0) this.#lifecycle.closeNow(slot);
  }

  /** A peer that asks and does not read is not heard until it reads. */
  #holdByOutput(slot: number): void {
    const context = this.#context;
    if (context.get(slot, layout.CONNECTION_OUT_BLOCKS) >= layout.OUT_BLOCKS_HELD) {
      context.raise(slot, layout.FLAG_HELD_BY_OUTPUT);
    }
  }

  /** After our GOODBYE: whatever needs an answer is too late, and says so once all is delivered. */
  #handleLate(slot: number, at: number, end: number, source: Source): boolean {
    const context = this.#context;
    const { kernel, bytes, shared } = context;
    const generation = shared.generation(slot);
    while (!context.has(slot, layout.FLAG_LATE)) {
      const whole = kernel.checkOf(slot, at, end - at);
      if (whole === 0) return this.#leave(slot, at, end, source);
      const type = bytes[at + TYPE_BYTE_OFFSET];
      if (whole < 0 && whole !== -CODE_PAYLOAD_CORRUPT) {
        this.#release(slot, source);
        this.#lifecycle.error(slot, -whole, 0, 0n, faultText(-whole));
        return false;
      }
      if (whole < 0) {
        // It needs an answer as any other, and is as late.
        context.raise(slot, layout.FLAG_LATE);
        this.#lateSequence(slot, at);
      } else if (type === TYPE_CREDIT || type === TYPE_UNSUBSCRIBE) {
        this.#requests.handle(slot, at);
        if (shared.fd(slot) < 0 || shared.generation(slot) !== generation) return false;
      } else if (!(type === TYPE_PING || type === TYPE_PONG || type === TYPE_ACK)) {
        context.raise(slot, layout.FLAG_LATE);
        if (type !== TYPE_GOODBYE) this.#lateSequence(slot, at);
      }
      at += whole;
    }
    this.#release(slot, source);
    return true;
  }

  #lateSequence(slot: number, at: number): void {
    this.#late.set(slot, {
      stream: this.#context.u32(at + STREAM_BYTE_OFFSET),
      sequence: this.#context.u64(at + SEQUENCE_BYTE_OFFSET),
    });
  }

  readonly #late = new Map<number, { stream: number; sequence: bigint }>();

  /** The end of a connection that was said GOODBYE and has all that it can get. */
  finishLate(slot: number): void {
    const late = this.#late.get(slot);
    if (late) {
      const text = 'the broker is shutting down: this and what came after it was not taken';
      this.#lifecycle.error(slot, CODE_SHUTTING_DOWN, late.stream, late.sequence, text);
    } else {
      this.#lifecycle.beginClosing(slot);
    }
  }

  // ---- Input that is not handled yet ----

  /** Keeps the bytes from `at` to `end` for later. True: none are left, or part of a frame. */
  #leave(slot: number, at: number, end: number, source: Source): boolean {
    const context = this.#context;
    const left = end - at;
    if (source === IN_KERNEL) {
      this.#consumed = at - this.#blockAt;
      return true;
    }
    if (left === 0) {
      this.#release(slot, source);
      return true;
    }
    if (this.#stash(slot, at, left, source)) return true;
    const block = source === IN_BLOCK ? this.#block : source;
    context.set(slot, layout.CONNECTION_INPUT, at);
    context.set(slot, layout.CONNECTION_INPUT_BYTES, left);
    context.set(slot, layout.CONNECTION_INPUT_POOL, layout.POOL_RECEIVE_BLOCKS);
    context.set(slot, layout.CONNECTION_INPUT_ROW, block);
    if (source === IN_BLOCK) this.#takeBlock();
    return true;
  }

  /** All of it is handled, or will never be: a parked block goes back. */
  #release(slot: number, source: Source): void {
    if (source <= 0) {
      this.#consumed = this.#blockBytes;
      return;
    }
    // The connection's end has given it back already, if there was one.
    if (this.#context.get(slot, layout.CONNECTION_INPUT) !== 0) this.dropInput(slot);
  }

  /** Copies to a stash; false: it does not fit one, or there is none. */
  #stash(slot: number, at: number, bytes: number, source: Source): boolean {
    const context = this.#context;
    const { kernel } = context;
    if (bytes > layout.LARGE_STASH_BYTES) return false;
    let pool =
      bytes <= layout.SMALL_STASH_BYTES ? layout.POOL_SMALL_STASHES : layout.POOL_LARGE_STASHES;
    let row = kernel.takeRow(pool);
    if (row === 0 && pool === layout.POOL_SMALL_STASHES) {
      pool = layout.POOL_LARGE_STASHES;
      row = kernel.takeRow(pool);
    }
    if (row === 0) {
      // Only a connection that completes a stashed frame while all stashes are taken can come here with
      // no block to spare either.
      if (source === IN_BLOCK && kernel.freeRows(layout.POOL_RECEIVE_BLOCKS) === 0) {
        this.#lifecycle.error(slot, CODE_INTERNAL, 0, 0n, 'no memory is left to receive into');
        return true;
      }
      return false;
    }
    const stashAt = kernel.rowAt(pool, row) >>> 0;
    kernel.copyBytes(stashAt, at, bytes);
    this.#release(slot, source);
    context.set(slot, layout.CONNECTION_INPUT, stashAt);
    context.set(slot, layout.CONNECTION_INPUT_BYTES, bytes);
    context.set(slot, layout.CONNECTION_INPUT_POOL, pool);
    context.set(slot, layout.CONNECTION_INPUT_ROW, row);
    return true;
  }

  /** Brings a stash back to the front of the block; answers its bytes. */
  #loadStash(slot: number): number {
    const context = this.#context;
    const stashAt = context.get(slot, layout.CONNECTION_INPUT);
    if (stashAt === 0) return 0;
    const bytes = context.get(slot, layout.CONNECTION_INPUT_BYTES);
    context.kernel.copyBytes(this.#blockAt, stashAt, bytes);
    this.dropInput(slot);
    return bytes;
  }

  #takeBlock(): void {
    const { kernel } = this.#context;
    this.#block = kernel.takeRow(layout.POOL_RECEIVE_BLOCKS);
    if (this.#block === 0) throw new Error('a shard has no receive block left');
    this.#blockAt = kernel.rowAt(layout.POOL_RECEIVE_BLOCKS, this.#block) >>> 0;
  }

  dropInput(slot: number): void {
    const context = this.#context;
    if (context.get(slot, layout.CONNECTION_INPUT) === 0) return;
    context.kernel.giveRow(
      context.get(slot, layout.CONNECTION_INPUT_POOL),
      context.get(slot, layout.CONNECTION_INPUT_ROW),
    );
    context.set(slot, layout.CONNECTION_INPUT, 0);
    context.set(slot, layout.CONNECTION_INPUT_BYTES, 0);
  }

  // ---- Connections that are held ----

  #hold(slot: number, stream: number): void {
    const context = this.#context;
    context.raise(slot, layout.FLAG_HELD_BY_LOG);
    context.set(slot, layout.CONNECTION_HELD_STREAM, stream);
    let slots = this.#heldByStream.get(stream);
    if (!slots) {
      slots = new Set();
      this.#heldByStream.set(stream, slots);
      context.kernel.setStreamFlag(stream, 1);
    }
    slots.add(slot);
  }

  get heldStreams(): Iterable<number> {
    return this.#heldByStream.keys();
  }

  /** There may be room in the stream's log: whoever waits for it tries again, in the order in which they came. */
  retry(stream: number, ready: (slot: number) => void): void {
    const slots = this.#heldByStream.get(stream);
    if (!slots) return;
    this.#heldByStream.delete(stream);
    this.#context.kernel.setStreamFlag(stream, 0);
    let isFull = false;
    for (const slot of slots) {
      if (isFull) {
        this.#hold(slot, stream);
        continue;
      }
      this.#context.lower(slot, layout.FLAG_HELD_BY_LOG);
      if (this.resume(slot)) ready(slot);
      isFull = this.#heldByStream.has(stream);
    }
  }

  /** No longer held: handles what was left over. True: the connection may be received from. */
  resume(slot: number): boolean {
    const context = this.#context;
    if (context.flags(slot) & (FLAGS_HELD | layout.FLAG_CLOSING)) return false;
    context.set(slot, layout.CONNECTION_HEARD, context.tick);
    const at = context.get(slot, layout.CONNECTION_INPUT);
    if (at === 0) return true;
    const bytes = context.get(slot, layout.CONNECTION_INPUT_BYTES);
    if (context.get(slot, layout.CONNECTION_INPUT_POOL) === layout.POOL_RECEIVE_BLOCKS) {
      return this.#handle(slot, at, at + bytes, context.get(slot, layout.CONNECTION_INPUT_ROW));
    }
    const loaded = this.#loadStash(slot);
    return this.#handle(slot, this.#blockAt, this.#blockAt + loaded, IN_BLOCK);
  }

  /** The connection ends: what it had waiting is dropped. */
  forget(slot: number): void {
    const context = this.#context;
    this.dropInput(slot);
    this.#late.delete(slot);
    if (!context.has(slot, layout.FLAG_HELD_BY_LOG)) return;
    const stream = context.get(slot, layout.CONNECTION_HELD_STREAM);
    const slots = this.#heldByStream.get(stream);
    slots?.delete(slot);
    if (slots?.size === 0) {
      this.#heldByStream.delete(stream);
      context.kernel.setStreamFlag(stream, 0);
    }
  }
}
