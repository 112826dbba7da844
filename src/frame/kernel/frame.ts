// One frame in linear memory: what a receiver checks, in the protocol's order, and what a sender writes.
import {
  FLAGS_BYTE_OFFSET,
  FLAG_KEYED,
  FRAME_HEADER_BYTES,
  HEADER_CHECK_BYTE_OFFSET,
  KEY_COUNTER,
  MAGIC,
  PAYLOAD_BYTES_MAX,
  PAYLOAD_CHECK_BYTE_OFFSET,
  PAYLOAD_LENGTH_BYTE_OFFSET,
  PROTOCOL_VERSION,
  SEQUENCE_BYTE_OFFSET,
  STREAM_BYTE_OFFSET,
  TAG_BYTE_OFFSET,
  TIMESTAMP_BYTE_OFFSET,
  TYPE_BYTE_OFFSET,
  VERSION_BYTE_OFFSET,
} from '../layout';
import {
  CODE_BAD_MAGIC,
  CODE_BAD_TAG,
  CODE_FRAME_TOO_LARGE,
  CODE_HEADER_CORRUPT,
  CODE_PAYLOAD_CORRUPT,
  CODE_UNSUPPORTED_VERSION,
} from '../codes';
import { tagOf } from './siphash';
import { headerCheck, xxh64 } from './xxh64';

/** More bytes are needed before this frame can be judged. */
export const NEED_MORE_BYTES: i32 = 0;

// @ts-ignore: decorator
@inline export function frameBytes(frame: usize): u32 {
  return (FRAME_HEADER_BYTES + load<u32>(frame, PAYLOAD_LENGTH_BYTE_OFFSET) + 7) & ~7;
}

/**
 * Judges the frame at `frame`, of which `byteCount` bytes are there. Answers the bytes that the whole
 * frame takes (a positive number), NEED_MORE_BYTES, or the negated error code. The type is not judged:
 * which types may come is the receiver's to say, between the header's checks and the payload's, so
 * that an unknown type is noticed before its payload arrives (`checkHeader`, then `checkPayload`).
 */
// @ts-ignore: decorator
@inline export function checkHeader(
  frame: usize,
  byteCount: u32,
  payloadBytesMax: u32 = PAYLOAD_BYTES_MAX,
  version: u32 = PROTOCOL_VERSION,
): i32 {
  if (byteCount < <u32>FRAME_HEADER_BYTES) return checkStart(frame, byteCount, version);
  if (load<u16>(frame) != MAGIC) return -CODE_BAD_MAGIC;
  if (load<u8>(frame, VERSION_BYTE_OFFSET) != version) return -CODE_UNSUPPORTED_VERSION;
  const payloadBytes = load<u32>(frame, PAYLOAD_LENGTH_BYTE_OFFSET);
  if (payloadBytes > payloadBytesMax) return -CODE_FRAME_TOO_LARGE;
  if (load<u16>(frame, FLAGS_BYTE_OFFSET) & FLAG_KEYED) return -CODE_BAD_TAG;
  if (load<u32>(frame, HEADER_CHECK_BYTE_OFFSET) != headerCheck(frame)) return -CODE_HEADER_CORRUPT;
  return <i32>((FRAME_HEADER_BYTES + payloadBytes + 7) & ~7);
}

/**
 * The same where the direction is keyed: nothing of the header is verified before the whole frame is there
 * (`tagFits`), so only what the framing needs is judged here.
 */
// @ts-ignore: decorator
@inline export function checkKeyedHeader(frame: usize, byteCount: u32, version: u32 = PROTOCOL_VERSION): i32 {
  if (byteCount < <u32>FRAME_HEADER_BYTES) return checkStart(frame, byteCount, version);
  if (load<u16>(frame) != MAGIC) return -CODE_BAD_MAGIC;
  if (load<u8>(frame, VERSION_BYTE_OFFSET) != version) return -CODE_UNSUPPORTED_VERSION;
  const payloadBytes = load<u32>(frame, PAYLOAD_LENGTH_BYTE_OFFSET);
  if (payloadBytes > <u32>PAYLOAD_BYTES_MAX) return -CODE_FRAME_TOO_LARGE;
  if (!(load<u16>(frame, FLAGS_BYTE_OFFSET) & FLAG_KEYED)) return -CODE_BAD_TAG;
  return <i32>((FRAME_HEADER_BYTES + payloadBytes + 7) & ~7);
}

/** A wrong magic or version is refused as soon as it is seen, so that a stranger is not left waiting. */
function checkStart(frame: usize, byteCount: u32, version: u32): i32 {
  if (byteCount >= 1 && load<u8>(frame) != (MAGIC & 0xff)) return -CODE_BAD_MAGIC;
  if (byteCount >= 2 && load<u16>(frame) != MAGIC) return -CODE_BAD_MAGIC;
  if (byteCount > <u32>VERSION_BYTE_OFFSET && load<u8>(frame, VERSION_BYTE_OFFSET) != version) {
    return -CODE_UNSUPPORTED_VERSION;
  }
  return NEED_MORE_BYTES;
}

// @ts-ignore: decorator
@inline export function payloadIsWhole(frame: usize): bool {
  return (
    load<u32>(frame, PAYLOAD_CHECK_BYTE_OFFSET) ==
    <u32>xxh64(frame + FRAME_HEADER_BYTES, load<u32>(frame, PAYLOAD_LENGTH_BYTE_OFFSET))
  );
}

/**
 * Judges the header and, when all of it is there, the payload: see `checkHeader` for the answers.
 * A frame whose payload is damaged answers -CODE_PAYLOAD_CORRUPT; its header can be trusted.
 */
export function checkFrame(frame: usize, byteCount: u32, version: u32 = PROTOCOL_VERSION): i32 {
  const whole = checkHeader(frame, byteCount, PAYLOAD_BYTES_MAX, version);
  if (whole <= 0) return whole;
  if (<u32>whole > byteCount) return NEED_MORE_BYTES;
  return payloadIsWhole(frame) ? whole : -CODE_PAYLOAD_CORRUPT;
}

/** Sets the padding to zero: the publisher's is not part of any check, and must not be passed on. */
// @ts-ignore: decorator
@inline export function clearPadding(frame: usize, payloadBytes: u32): void {
  const used = payloadBytes & 7;
  if (used) {
    const last = frame + FRAME_HEADER_BYTES + (payloadBytes - used);
    store<u64>(last, load<u64>(last) & ((<u64>1 << <u64>(used * 8)) - 1));
  }
}

/** Writes a header without its checks in front of a payload that lies at `frame + 40` already, and the padding. */
// @ts-ignore: decorator
@inline function writeHeader(
  frame: usize,
  type: u32,
  flags: u32,
  code: u32,
  stream: u32,
  payloadBytes: u32,
  sequence: u64,
  timestamp: u64,
  version: u32,
): void {
  store<u64>(
    frame,
    <u64>MAGIC |
      ((<u64>version) << 16) |
      ((<u64>type) << 24) |
      ((<u64>flags) << 32) |
      ((<u64>code) << 48),
  );
  store<u32>(frame, stream, STREAM_BYTE_OFFSET);
  store<u32>(frame, payloadBytes, PAYLOAD_LENGTH_BYTE_OFFSET);
  store<u64>(frame, sequence, SEQUENCE_BYTE_OFFSET);
  store<u64>(frame, timestamp, TIMESTAMP_BYTE_OFFSET);
  clearPadding(frame, payloadBytes);
}

/**
 * Writes a whole header in front of a payload that lies at `frame + 40` already, the padding and both
 * checks. Answers the bytes that the frame takes.
 */
export function encodeFrame(
  frame: usize,
  type: u32,
  flags: u32,
  code: u32,
  stream: u32,
  payloadBytes: u32,
  sequence: u64,
  timestamp: u64,
  version: u32 = PROTOCOL_VERSION,
): u32 {
  writeHeader(frame, type, flags, code, stream, payloadBytes, sequence, timestamp, version);
  store<u32>(frame, <u32>xxh64(frame + FRAME_HEADER_BYTES, payloadBytes), PAYLOAD_CHECK_BYTE_OFFSET);
  store<u32>(frame, headerCheck(frame), HEADER_CHECK_BYTE_OFFSET);
  return (FRAME_HEADER_BYTES + payloadBytes + 7) & ~7;
}

/** The same, with the tag of the key at `key` in place of the checks; counts the frame. */
export function encodeKeyedFrame(
  frame: usize,
  type: u32,
  flags: u32,
  code: u32,
  stream: u32,
  payloadBytes: u32,
  sequence: u64,
  timestamp: u64,
  key: usize,
  version: u32 = PROTOCOL_VERSION,
): u32 {
  writeHeader(frame, type, flags | FLAG_KEYED, code, stream, payloadBytes, sequence, timestamp, version);
  const counter = load<u64>(key, KEY_COUNTER);
  store<u64>(frame, tagOf(key, counter, frame, frame + FRAME_HEADER_BYTES), TAG_BYTE_OFFSET);
  store<u64>(key, counter + 1, KEY_COUNTER);
  return (FRAME_HEADER_BYTES + payloadBytes + 7) & ~7;
}
