// The frame kernel by itself: what the client library needs, on a private memory.
import { PAYLOAD_LENGTH_BYTE_OFFSET } from '../layout';
import { checkFrame, encodeFrame } from './frame';
import { xxh64 } from './xxh64';

/** XXH64 of `byteCount` bytes at `at` (a BigInt in JavaScript). */
export function xxh64Of(at: usize, byteCount: u32): u64 {
  return xxh64(at, byteCount);
}

/** See `checkFrame`: bytes of the whole frame, 0 for "more bytes needed", or a negated error code. */
export function check(frame: usize, byteCount: u32): i32 {
  return checkFrame(frame, byteCount);
}

/** Sequence and timestamp come as two words each, so that no BigInt is made per frame. */
export function encode(
  frame: usize,
  typeFlagsCode: u64,
  stream: u32,
  payloadBytes: u32,
  sequence: u64,
  timestamp: u64,
): u32 {
  return encodeFrame(
    frame,
    <u32>(typeFlagsCode & 0xff),
    <u32>((typeFlagsCode >> 8) & 0xffff),
    <u32>((typeFlagsCode >> 24) & 0xffff),
    stream,
    payloadBytes,
    sequence,
    timestamp,
  );
}

/**
 * Checks whole frames one after another from `at`, at most `framesMax`, and writes one u32 for each
 * into `table`: its byte offset. Answers how many were good; \`scanStopped()\` says why it ended and
 * \`scanBytes()\` how many bytes they take.
 */
export function scan(at: usize, byteCount: u32, table: usize, framesMax: u32): u32 {
  let used: u32 = 0;
  let frames: u32 = 0;
  stopped = 0;
  while (frames < framesMax) {
    const bytes = checkFrame(at + used, byteCount - used);
    if (bytes <= 0) {
      stopped = bytes;
      break;
    }
    store<u32>(table + ((<usize>frames) << 2), at + used);
    used += <u32>bytes;
    frames++;
  }
  scanned = used;
  return frames;
}

let stopped: i32 = 0;
let scanned: u32 = 0;

/** Why the last scan ended: 0 = no more whole frames (or `framesMax`), else a negated error code. */
export function scanStopped(): i32 {
  return stopped;
}

/** The bytes of the frames that the last scan found good. */
export function scanBytes(): u32 {
  return scanned;
}

/** The payload length field of the frame at `frame`. */
export function payloadBytesOf(frame: usize): u32 {
  return load<u32>(frame, PAYLOAD_LENGTH_BYTE_OFFSET);
}
