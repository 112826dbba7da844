// The frame kernel by itself: what the client library needs, on a private memory. Offsets are byte
// offsets into that memory, 8-aligned where a frame begins; u64 values come as two u32 words (low,
// high), because an i64 parameter is a BigInt in JavaScript and is made anew for each call.
import { KEY_COUNTER, KEY_FIRST, KEY_SECOND, TYPE_BYTE_OFFSET } from '../layout';
import { CODE_BAD_TAG, CODE_UNKNOWN_TYPE } from '../codes';
import {
  NEED_MORE_BYTES,
  checkFrame,
  checkHeader,
  checkKeyedHeader,
  encodeFrame,
  encodeKeyedFrame,
  payloadIsWhole,
} from './frame';
import { siphash } from './siphash';
import { beginVerifying, nextTagFits } from './verify';
import { xxh64 } from './xxh64';

/** Types from this on are unknown to this version; those below have a bit in the masks of `scan`. */
const TYPES_MAX: u32 = 64;

/** In the table of `scan`: the payload of this frame does not fit its check. Offsets are 8-aligned. */
const DAMAGED: u32 = 1;

let stopped: i32 = 0;
let scanned: u32 = 0;
let hashHigh: u32 = 0;

// @ts-ignore: decorator
@inline function joined(low: u32, high: u32): u64 {
  return ((<u64>high) << 32) | (<u64>low);
}

/** XXH64 of `byteCount` bytes at `at`: answers the low word; `xxh64High()` has the other one. */
export function xxh64Low(at: usize, byteCount: u32): u32 {
  const hash = xxh64(at, byteCount);
  hashHigh = <u32>(hash >> 32);
  return <u32>hash;
}

/** The high word of the hash computed last. */
export function xxh64High(): u32 {
  return hashHigh;
}

/** SipHash-2-4 of `byteCount` bytes at `at`, under the key at `key`: answers the low word; `xxh64High()` has the other one. */
export function siphashLow(key: usize, at: usize, byteCount: u32): u32 {
  const hash = siphash(load<u64>(key, KEY_FIRST), load<u64>(key, KEY_SECOND), at, byteCount);
  hashHigh = <u32>(hash >> 32);
  return <u32>hash;
}

/** See `checkFrame`: bytes of the whole frame, 0 for "more bytes needed", or a negated error code. */
export function check(frame: usize, byteCount: u32): i32 {
  return checkFrame(frame, byteCount);
}

/** Makes a frame of the payload at `frame + 40`; answers the bytes that it takes. */
export function encode(
  frame: usize,
  type: u32,
  flags: u32,
  code: u32,
  stream: u32,
  payloadBytes: u32,
  sequenceLow: u32,
  sequenceHigh: u32,
  timestampLow: u32,
  timestampHigh: u32,
): u32 {
  return encodeFrame(
    frame,
    type,
    flags,
    code,
    stream,
    payloadBytes,
    joined(sequenceLow, sequenceHigh),
    joined(timestampLow, timestampHigh),
  );
}

/** As `encode`, keyed by the key at `key`, whose counter moves on. */
export function encodeKeyed(
  frame: usize,
  type: u32,
  flags: u32,
  code: u32,
  stream: u32,
  payloadBytes: u32,
  sequenceLow: u32,
  sequenceHigh: u32,
  timestampLow: u32,
  timestampHigh: u32,
  key: usize,
): u32 {
  return encodeKeyedFrame(
    frame,
    type,
    flags,
    code,
    stream,
    payloadBytes,
    joined(sequenceLow, sequenceHigh),
    joined(timestampLow, timestampHigh),
    key,
  );
}

/**
 * Judges whole frames one after another from `at`, at most `framesMax`, and writes one u32 for each
 * into `table`: its byte offset, with bit 0 set where the payload is damaged (not fatal). Bit t of the
 * two masks says that type t may come. Answers how many frames the table holds; `scanStopped()` says
 * why it ended and `scanBytes()` how many bytes those frames take.
 */
export function scan(
  at: usize,
  byteCount: u32,
  table: usize,
  framesMax: u32,
  typesLow: u32,
  typesHigh: u32,
): u32 {
  return scanRun(at, byteCount, table, framesMax, joined(typesLow, typesHigh), 0, false);
}

/**
 * The same where the direction is keyed by the key at `key`: a frame whose tag does not fit ends it with
 * BAD_TAG, and the key's counter moves on by the frames in the table.
 */
export function scanKeyed(
  at: usize,
  byteCount: u32,
  table: usize,
  framesMax: u32,
  typesLow: u32,
  typesHigh: u32,
  key: usize,
): u32 {
  return scanRun(at, byteCount, table, framesMax, joined(typesLow, typesHigh), key, true);
}

/** `keyed` is known where this is inlined, so that neither loop asks it for each frame. */
// @ts-ignore: decorator
@inline function scanRun(
  at: usize,
  byteCount: u32,
  table: usize,
  framesMax: u32,
  types: u64,
  key: usize,
  keyed: bool,
): u32 {
  const counter: u64 = keyed ? load<u64>(key, KEY_COUNTER) : 0;
  let used: u32 = 0;
  let frames: u32 = 0;
  let why: i32 = NEED_MORE_BYTES;
  if (keyed) beginVerifying();
  while (frames < framesMax) {
    const frame = at + used;
    const left = byteCount - used;
    const whole = keyed ? checkKeyedHeader(frame, left) : checkHeader(frame, left);
    if (whole <= 0) {
      why = whole;
      break;
    }
    const type = <u32>load<u8>(frame, TYPE_BYTE_OFFSET);
    if (type >= TYPES_MAX || ((types >> (<u64>type)) & 1) == 0) {
      why = -CODE_UNKNOWN_TYPE;
      break;
    }
    if (<u32>whole > left) break;
    if (keyed && !nextTagFits(key, counter + frames, frame, at + byteCount)) {
      why = -CODE_BAD_TAG;
      break;
    }
    const damaged: u32 = keyed || payloadIsWhole(frame) ? 0 : DAMAGED;
    store<u32>(table + ((<usize>frames) << 2), (<u32>frame) | damaged);
    used += <u32>whole;
    frames++;
  }
  if (keyed) store<u64>(key, counter + frames, KEY_COUNTER);
  stopped = why;
  scanned = used;
  return frames;
}

/** Why the last scan ended: 0 = no more whole frames (or `framesMax`), else a negated error code. */
export function scanStopped(): i32 {
  return stopped;
}

/** The bytes of the frames that the last scan put in the table. */
export function scanBytes(): u32 {
  return scanned;
}
