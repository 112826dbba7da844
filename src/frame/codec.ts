/**
 * The codec of one connection's end, sans-IO: bytes in, frames out, and the other way round. Frames are
 * checked and made where they lie in the kernel's memory; nothing is copied or allocated per frame.
 */
import type { FrameKernel, FrameKey } from './frame-kernel.js';
import type { TypeMask } from './names.js';
import {
  CODE_BYTE_OFFSET,
  FLAGS_BYTE_OFFSET,
  FRAME_BYTES_MAX,
  FRAME_HEADER_BYTES,
  PAYLOAD_BYTES_MAX,
  PAYLOAD_LENGTH_BYTE_OFFSET,
  SEQUENCE_BYTE_OFFSET,
  STREAM_BYTE_OFFSET,
  TIMESTAMP_BYTE_OFFSET,
  TYPE_BYTE_OFFSET,
} from './layout.js';

/** Frames that one call of the kernel judges at most. */
const SCAN_FRAMES_MAX = 2048;
const SCAN_TABLE_BYTES = SCAN_FRAMES_MAX * 4;
const SCAN_DAMAGED = 1;

/** Up to this many bytes a loop is cheaper than the view that `set` needs. */
const COPY_BY_LOOP_BYTES = 24;

const WORD = 2 ** 32;
const U32_MASK = 0xffff_ffffn;
const EMPTY = new Uint8Array(0);

/** The bytes that a frame with this payload takes on the wire. */
export function frameBytes(payloadBytes: number): number {
  return (FRAME_HEADER_BYTES + payloadBytes + 7) & ~7;
}

/** The fields of a frame to be sent; what is left out is 0 or empty. */
export interface FrameFields {
  type: number;
  flags?: number;
  code?: number;
  stream?: number;
  sequence?: bigint;
  timestamp?: bigint;
  /** At most PAYLOAD_BYTES_MAX bytes. */
  payload?: Uint8Array;
}

/** Frames one after another in one area of the kernel's memory, ready to be sent by one write. */
export class FrameEncoder {
  readonly capacityBytes: number;
  readonly #kernel: FrameKernel;
  readonly #key: FrameKey | undefined;
  readonly #start: number;
  #end: number;

  static areaBytes(capacityBytes: number): number {
    return capacityBytes;
  }

  /**
   * @param capacityBytes a multiple of 8, at least FRAME_BYTES_MAX, so that every frame fits an empty one
   * @param key while it is set, frames are keyed; encoders of one direction share it, and are sent in the order in which they were filled
   */
  constructor(kernel: FrameKernel, capacityBytes: number, key?: FrameKey) {
    if (capacityBytes < FRAME_BYTES_MAX) throw new RangeError('an encoder holds any one frame');
    this.#kernel = kernel;
    this.#key = key;
    this.capacityBytes = capacityBytes;
    this.#start = kernel.reserve(capacityBytes);
    this.#end = this.#start;
  }

  /** The bytes of the frames that it holds. */
  get usedBytes(): number {
    return this.#end - this.#start;
  }

  /** Whether a frame with a payload of `payloadBytes` still fits. */
  fits(payloadBytes: number): boolean {
    return this.usedBytes + frameBytes(payloadBytes) <= this.capacityBytes;
  }

  /** Appends a frame of any type; false: it does not fit now. Throws RangeError above PAYLOAD_BYTES_MAX. */
  put(frame: FrameFields): boolean {
    const payload = frame.payload ?? EMPTY;
    if (payload.length > PAYLOAD_BYTES_MAX) throw new RangeError('the payload fits no frame');
    if (!this.fits(payload.length)) return false;
    this.#kernel.bytes.set(payload, this.#end + FRAME_HEADER_BYTES);
    const sequence = frame.sequence ?? 0n;
    const timestamp = frame.timestamp ?? 0n;
    this.#end += this.#encode(
      frame.type,
      frame.flags ?? 0,
      frame.code ?? 0,
      frame.stream ?? 0,
      payload.length,
      Number(sequence & U32_MASK),
      Number(sequence >> 32n),
      Number(timestamp & U32_MASK),
      Number(timestamp >> 32n),
    );
    return true;
  }

  /**
   * Appends a frame with the bytes `start` … `end` of `source` as its payload: the path without an
   * object per frame. `sequence` is a safe integer; the timestamp is 0. False: it does not fit now.
   */
  putBytes(
    type: number,
    flags: number,
    stream: number,
    sequence: number,
    source: Uint8Array,
    start: number,
    end: number,
  ): boolean {
    const payloadBytes = end - start;
    if (!this.fits(payloadBytes)) return false;
    const memory = this.#kernel.bytes;
    const at = this.#end + FRAME_HEADER_BYTES;
    if (payloadBytes <= COPY_BY_LOOP_BYTES) {
      for (let i = 0; i < payloadBytes; i++) memory[at + i] = source[start + i]!;
    } else if (payloadBytes === source.length) {
      memory.set(source, at);
    } else {
      memory.set(source.subarray(start, end), at);
    }
    this.#finish(type, flags, stream, sequence, payloadBytes);
    return true;
  }

  /** As `putBytes`, with a text of `payloadBytes` bytes (`Buffer.byteLength(text)`) as its payload. */
  putText(
    type: number,
    flags: number,
    stream: number,
    sequence: number,
    text: string,
    payloadBytes: number,
  ): boolean {
    if (!this.fits(payloadBytes)) return false;
    this.#kernel.bytes.write(text, this.#end + FRAME_HEADER_BYTES, payloadBytes, 'utf8');
    this.#finish(type, flags, stream, sequence, payloadBytes);
    return true;
  }

  #finish(
    type: number,
    flags: number,
    stream: number,
    sequence: number,
    payloadBytes: number,
  ): void {
    const low = sequence >>> 0;
    const high = (sequence - low) / WORD;
    this.#end += this.#encode(type, flags, 0, stream, payloadBytes, low, high, 0, 0);
  }

  #encode(
    type: number,
    flags: number,
    code: number,
    stream: number,
    payloadBytes: number,
    sequenceLow: number,
    sequenceHigh: number,
    timestampLow: number,
    timestampHigh: number,
  ): number {
    const key = this.#key;
    const { call } = this.#kernel;
    if (key?.isSet === true) {
      return call.encodeKeyed(
        this.#end,
        type,
        flags,
        code,
        stream,
        payloadBytes,
        sequenceLow,
        sequenceHigh,
        timestampLow,
        timestampHigh,
        key.byteOffset,
      );
    }
    return call.encode(
      this.#end,
      type,
      flags,
      code,
      stream,
      payloadBytes,
      sequenceLow,
      sequenceHigh,
      timestampLow,
      timestampHigh,
    );
  }

  /** The encoded bytes where they lie: valid until `clear`. */
  view(): Buffer {
    return this.#kernel.bytes.subarray(this.#start, this.#end);
  }

  /** Forgets all frames. Only once nobody reads `view()` any more. */
  clear(): void {
    this.#end = this.#start;
  }
}

/**
 * Frames out of bytes that come in any pieces. Bytes are received into `space()` and told by
 * `received()`; then `next()` moves from frame to frame, and the fields are those of the frame it
 * stands on. A partial frame stays. The first fatal fault ends it for good: `fault` is its code.
 */
export class FrameDecoder {
  /** The protocol's code of the fatal fault that ended this decoder, or 0. */
  fault = 0;
  /**
   * Frames are judged one by one, as they are asked for, and not many at a time: while the next one may
   * decide how those behind it are to be judged.
   */
  oneByOne = false;
  readonly #key: FrameKey | undefined;
  readonly #kernel: FrameKernel;
  readonly #types: TypeMask;
  readonly #tableInt32Index: number;
  readonly #start: number;
  readonly #limit: number;
  /** First byte that no scan has judged yet. */
  #head: number;
  /** End of what was received. */
  #tail: number;
  #tableFrames = 0;
  #tableNext = 0;
  #at = 0;
  #damaged = false;

  static areaBytes(capacityBytes: number): number {
    return SCAN_TABLE_BYTES + capacityBytes;
  }

  /**
   * @param capacityBytes a multiple of 8, at least twice FRAME_BYTES_MAX: a partial frame, and room behind it
   * @param key while it is set, frames must be keyed; set it only where `oneByOne` holds
   */
  constructor(kernel: FrameKernel, types: TypeMask, capacityBytes: number, key?: FrameKey) {
    if (capacityBytes < 2 * FRAME_BYTES_MAX) throw new RangeError('a decoder holds two frames');
    this.#kernel = kernel;
    this.#key = key;
    this.#types = types;
    this.#tableInt32Index = kernel.reserve(SCAN_TABLE_BYTES) >>> 2;
    this.#start = kernel.reserve(capacityBytes);
    this.#limit = this.#start + capacityBytes;
    this.#head = this.#start;
    this.#tail = this.#start;
  }

  /**
   * Where the next bytes go: never empty. Only after `next()` answered false, as a partial frame may be
   * moved to the front.
   */
  space(): Buffer {
    const partialBytes = this.#tail - this.#head;
    if (partialBytes === 0) {
      this.#head = this.#start;
      this.#tail = this.#start;
    } else if (this.#limit - this.#tail < FRAME_BYTES_MAX) {
      this.#kernel.bytes.copyWithin(this.#start, this.#head, this.#tail);
      this.#head = this.#start;
      this.#tail = this.#start + partialBytes;
    }
    return this.#kernel.bytes.subarray(this.#tail, this.#limit);
  }

  /** `byteCount` bytes were written to the front of `space()`. */
  received(byteCount: number): void {
    this.#tail += byteCount;
  }

  /** Copies as much of `bytes` as there is room for, and answers how much that was: never 0 but for nothing. */
  push(bytes: Uint8Array): number {
    const space = this.space();
    const taken = Math.min(space.length, bytes.length);
    space.set(taken === bytes.length ? bytes : bytes.subarray(0, taken));
    this.received(taken);
    return taken;
  }

  /** Forgets everything received: for a new connection on the same memory. */
  reset(): void {
    this.#head = this.#start;
    this.#tail = this.#start;
    this.#tableFrames = 0;
    this.#tableNext = 0;
    this.fault = 0;
  }

  /** Moves to the next whole frame. False: more bytes are needed, or `fault` is set. */
  next(): boolean {
    if (this.#tableNext === this.#tableFrames && !this.#scan()) return false;
    const entry = this.#kernel.u32[this.#tableInt32Index + this.#tableNext++]!;
    this.#damaged = (entry & SCAN_DAMAGED) !== 0;
    this.#at = this.#damaged ? entry - SCAN_DAMAGED : entry;
    return true;
  }

  #scan(): boolean {
    const bytes = this.#tail - this.#head;
    if (bytes === 0 || this.fault !== 0) return false;
    const { call } = this.#kernel;
    const [low, high] = this.#types;
    const table = this.#tableInt32Index << 2;
    const framesMax = this.oneByOne ? 1 : SCAN_FRAMES_MAX;
    const key = this.#key;
    this.#tableFrames =
      key?.isSet === true
        ? call.scanKeyed(this.#head, bytes, table, framesMax, low, high, key.byteOffset)
        : call.scan(this.#head, bytes, table, framesMax, low, high);
    this.#tableNext = 0;
    if (this.#tableFrames > 0) {
      this.#head += call.scanBytes();
      return true;
    }
    this.fault = -call.scanStopped();
    return false;
  }

  get type(): number {
    return this.#kernel.bytes[this.#at + TYPE_BYTE_OFFSET]!;
  }

  get flags(): number {
    return this.#kernel.u16[(this.#at + FLAGS_BYTE_OFFSET) >>> 1]!;
  }

  get code(): number {
    return this.#kernel.u16[(this.#at + CODE_BYTE_OFFSET) >>> 1]!;
  }

  get stream(): number {
    return this.#kernel.u32[(this.#at + STREAM_BYTE_OFFSET) >>> 2]!;
  }

  get sequence(): bigint {
    return this.#kernel.u64[(this.#at + SEQUENCE_BYTE_OFFSET) >>> 3]!;
  }

  /** The sequence without a BigInt; exact up to 2^53. */
  get sequenceNumber(): number {
    const word = (this.#at + SEQUENCE_BYTE_OFFSET) >>> 2;
    return this.#kernel.u32[word]! + this.#kernel.u32[word + 1]! * WORD;
  }

  get timestamp(): bigint {
    return this.#kernel.u64[(this.#at + TIMESTAMP_BYTE_OFFSET) >>> 3]!;
  }

  get payloadBytes(): number {
    return this.#kernel.u32[(this.#at + PAYLOAD_LENGTH_BYTE_OFFSET) >>> 2]!;
  }

  /** The payload does not fit its check (PAYLOAD_CORRUPT): drop this frame, nothing else. */
  get damaged(): boolean {
    return this.#damaged;
  }

  /** The payload where it lies: valid until the next `space()`. */
  get payload(): Buffer {
    const at = this.#at + FRAME_HEADER_BYTES;
    return this.#kernel.bytes.subarray(at, at + this.payloadBytes);
  }

  /** Copies the payload into `target` at `at`, without a view of it where it is short. */
  copyPayload(target: Uint8Array, at: number): void {
    const { bytes } = this.#kernel;
    const start = this.#at + FRAME_HEADER_BYTES;
    const count = this.payloadBytes;
    if (count > COPY_BY_LOOP_BYTES) target.set(bytes.subarray(start, start + count), at);
    else for (let i = 0; i < count; i++) target[at + i] = bytes[start + i]!;
  }

  /** A u64 at the front of the payload (ACK, GAP), or undefined where the payload has not 8 bytes. */
  payloadU64(): bigint | undefined {
    if (this.payloadBytes !== 8) return undefined;
    return this.#kernel.u64[(this.#at + FRAME_HEADER_BYTES) >>> 3]!;
  }
}
