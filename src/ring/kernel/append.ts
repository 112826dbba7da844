// Appending a run of frames to a stream's log, from any thread, without a lock:
// claim (one compare-and-swap of the tail) → copy → finish the headers in place → commit (one record).
//
// Invariant: frames of a log are dense: each byte and each sequence below the tail belongs to exactly one
// record, which is written once, by the thread that claimed it or by recovery after that thread's death.
import {
  FRAME_HEADER_BYTES,
  HEADER_CHECK_BYTE_OFFSET,
  MAGIC,
  PAYLOAD_CHECK_BYTE_OFFSET,
  PAYLOAD_LENGTH_BYTE_OFFSET,
  PROTOCOL_VERSION,
  SEQUENCE_BYTE_OFFSET,
  STREAM_BYTE_OFFSET,
  TIMESTAMP_BYTE_OFFSET,
} from '../../frame/layout';
import { TYPE_DATA } from '../../frame/codes';
import { clearPadding, frameBytes } from '../../frame/kernel/frame';
import { headerCheckOf, xxh64 } from '../../frame/kernel/xxh64';
import {
  POOL_WAITERS_BYTE_OFFSET,
  RECORD_BYTES,
  SEGMENT_BASE_SEQUENCE,
  SEGMENT_BYTES_PER_RECORD,
  SEGMENT_CAPACITY_BEFORE,
  SEGMENT_FIRST_TIMESTAMP,
  SEGMENT_ORDINAL,
  SEGMENT_PREVIOUS,
  SEGMENT_PREVIOUS_FRAMES,
  SEGMENT_PREVIOUS_OFFSET,
  SEGMENT_PREVIOUS_RECORD,
  SEGMENT_STREAM,
  STATE_CHAIN,
  STREAM_LIMIT_BYTES,
  STREAM_SUBSCRIBERS,
  STREAM_TAIL,
  STREAM_WAITERS,
} from '../layout';
import {
  baseSequence,
  capacityBefore,
  classBytes,
  CLASS_LARGE,
  CLASS_MEDIUM,
  CLASS_SMALL,
  myBit,
  ordinal,
  recordAt,
  segmentAt,
  segmentCapacity,
  segmentRow,
  stateAt,
  streamRow,
  workOn,
} from './memory';
import { POOL_NEWS, tellEverybody, tellMask } from './news';
import { freeSegment, pin, takeSegment, unpinTail, wakeBehindTail } from './pool';
import { isOverLimit, reclaim, reclaimPool } from './reclaim';
import {
  makeRecord,
  makeSeal,
  makeTail,
  RECORD_DATA,
  tailFrames,
  tailOffset,
  tailRecord,
  tailSegment,
} from './words';
import { chaos } from './chaos';

const ROTATE_AGAIN: i32 = 0;
const ROTATE_FULL: i32 = -1;
const ROTATE_DONE: i32 = 1;

/** The first eight bytes of every DATA frame that leaves the broker: flags and code are 0. */
const DATA_START: u64 = <u64>MAGIC | ((<u64>PROTOCOL_VERSION) << 16) | ((<u64>TYPE_DATA) << 24);

let fitFrames: u32 = 0;
let fitBytes: u32 = 0;
let fresh: u32 = 0;
let takenBytes: u32 = 0;
let takenLastSequence: u64 = 0;
let rotations: u32 = 0;
let lostSwaps: u32 = 0;
let fullCount: u32 = 0;

/** Bytes of the frames that the last append took. */
export function appendedBytes(): u32 {
  return takenBytes;
}

/** The stream's sequence of the last frame that the last append took. */
// @ts-ignore: decorator
@inline export function appendedLastSequence(): u64 {
  return takenLastSequence;
}

export function rotationCount(): u32 {
  return rotations;
}

export function lostSwapCount(): u32 {
  return lostSwaps;
}

export function fullLogCount(): u32 {
  return fullCount;
}

/** As many whole frames of the run as fit into `room` bytes. */
function fit(source: usize, frames: u32, bytes: u32, room: i32): void {
  if (<i32>bytes <= room) {
    fitFrames = frames;
    fitBytes = bytes;
    return;
  }
  let count: u32 = 0;
  let used: i32 = 0;
  while (count < frames) {
    const next = <i32>frameBytes(source + used);
    if (used + next > room) break;
    used += next;
    count++;
  }
  fitFrames = count;
  fitBytes = <u32>used;
}

/** Frames that came under tags have no payload checks; in a log every frame has one. */
function writePayloadChecks(at: usize, frames: u32): void {
  for (let i: u32 = 0; i < frames; i++) {
    const payloadBytes = load<u32>(at, PAYLOAD_LENGTH_BYTE_OFFSET);
    store<u32>(at, <u32>xxh64(at + FRAME_HEADER_BYTES, payloadBytes), PAYLOAD_CHECK_BYTE_OFFSET);
    at += (FRAME_HEADER_BYTES + payloadBytes + 7) & ~7;
  }
}

/** Copies whole frames, so a multiple of 8 bytes. At these lengths faster than `memory.copy`, which calls out of the kernel. */
// @ts-ignore: decorator
@inline function copyFrames(at: usize, source: usize, bytes: u32): void {
  for (const end = source + (bytes & ~63); source < end; ) {
    v128.store(at, v128.load(source));
    v128.store(at, v128.load(source, 16), 16);
    v128.store(at, v128.load(source, 32), 32);
    v128.store(at, v128.load(source, 48), 48);
    source += 64;
    at += 64;
  }
  for (let rest = bytes & 63; rest; rest -= 8) {
    store<u64>(at, load<u64>(source));
    source += 8;
    at += 8;
  }
}

/** Copies what was claimed, finishes the headers in place, and commits it by writing its record. */
// @ts-ignore: decorator
@inline function commit(segment: u32, record: u32, offset: u32, frame: u32, source: usize, frames: u32, bytes: u32, timestamp: u64, isKeyed: bool): void {
  let at = segmentAt(segment) + offset;
  copyFrames(at, source, bytes);
  if (isKeyed) writePayloadChecks(at, frames);
  let sequence = baseSequence(segment) + frame;
  for (let i: u32 = 0; i < frames; i++) {
    store<u64>(at, DATA_START);
    store<u64>(at, sequence, SEQUENCE_BYTE_OFFSET);
    store<u64>(at, timestamp, TIMESTAMP_BYTE_OFFSET);
    const streamAndLength = load<u64>(at, STREAM_BYTE_OFFSET);
    const payloadBytes = <u32>(streamAndLength >> 32);
    clearPadding(at, payloadBytes);
    const check = headerCheckOf(
      DATA_START,
      streamAndLength,
      sequence,
      timestamp,
      load<u32>(at, PAYLOAD_CHECK_BYTE_OFFSET),
    );
    store<u32>(at, check, HEADER_CHECK_BYTE_OFFSET);
    sequence++;
    at += (FRAME_HEADER_BYTES + payloadBytes + 7) & ~7;
    chaos(2000);
  }
  takenLastSequence = sequence - 1;
  // Publishes the bytes above; pairs with the load of the record in `peek`.
  atomic.store<u64>(
    recordAt(segment, record),
    makeRecord(RECORD_DATA, offset, offset + bytes, frame, frame + frames),
  );
}

/** Small, then medium, then large ones as a stream grows; never more than a quarter of its limit, if the frame fits that. */
function nextClass(stream: u32, nextOrdinal: u32, firstFrameBytes: u32): u32 {
  const limit = load<u32>(streamRow(stream), STREAM_LIMIT_BYTES);
  let sizeClass = nextOrdinal == 0 ? CLASS_SMALL : nextOrdinal == 1 ? CLASS_MEDIUM : CLASS_LARGE;
  while (sizeClass > CLASS_SMALL && classBytes(sizeClass) > limit >> 2) sizeClass--;
  while (sizeClass < CLASS_LARGE && classBytes(sizeClass) < firstFrameBytes + 2 * RECORD_BYTES) sizeClass++;
  return sizeClass;
}

/** A segment for what comes after `tail`, or 0 when the log is full or the pool empty; `blockedByPool` says which. */
function obtainSegment(stream: u32, tail: u32, firstFrameBytes: u32): u32 {
  const sizeClass = nextClass(stream, ordinal(tail) + 1, firstFrameBytes);
  const wantedBytes = classBytes(sizeClass);
  blockedByPool = false;
  if (isOverLimit(stream, tail, wantedBytes)) {
    reclaim(stream, wantedBytes, false);
    if (isOverLimit(stream, tail, wantedBytes)) return 0;
  }
  const bytesMin = firstFrameBytes + 2 * RECORD_BYTES;
  for (let i = 0; i < 16; i++) {
    const segment = takeSegment(sizeClass, bytesMin);
    if (segment) return segment;
    if (!reclaimPool()) break;
  }
  blockedByPool = true;
  return 0;
}

let blockedByPool: bool = false;

/** The log is full: this thread will be told when there is room, and the readers that somebody waits. */
function awaitRoom(stream: u32): void {
  const row = streamRow(stream);
  const before = atomic.or<u64>(row, myBit, STREAM_WAITERS);
  if (blockedByPool) {
    const poolBefore = atomic.or<u64>(POOL_WAITERS_BYTE_OFFSET, myBit);
    if (!(poolBefore & myBit)) tellEverybody(POOL_NEWS);
  } else if (!(before & myBit)) {
    tellMask(atomic.load<u64>(row, STREAM_SUBSCRIBERS), stream, false);
  }
}

/** Seals the tail and goes on in a fresh segment, whose first record this run has then claimed (`fresh`, `fitFrames`, `fitBytes`). */
function rotate(stream: u32, tail: u64, source: usize, frames: u32, bytes: u32, timestamp: u64): i32 {
  const row = streamRow(stream);
  const old = tailSegment(tail);
  chaos(8);
  pin(old);
  // The pin came too late if the tail has moved on: the segment may be another one's by now.
  if (atomic.load<u64>(row, STREAM_TAIL) != tail) {
    unpinTail(old);
    return ROTATE_AGAIN;
  }
  let segment: u32 = 0;
  for (let attempt = 0; ; attempt++) {
    segment = obtainSegment(stream, old, frameBytes(source));
    if (segment) break;
    if (atomic.load<u64>(row, STREAM_TAIL) != tail) {
      unpinTail(old);
      return ROTATE_AGAIN;
    }
    if (attempt == 1) {
      unpinTail(old);
      fullCount++;
      return ROTATE_FULL;
    }
    chaos(5);
    // First the bit, then one more try: who makes room after that try sees the bit.
    awaitRoom(stream);
    chaos(20);
  }
  const fields = segmentRow(segment);
  store<u64>(fields, baseSequence(old) + tailFrames(tail), SEGMENT_BASE_SEQUENCE);
  store<u64>(fields, capacityBefore(old) + segmentCapacity(old), SEGMENT_CAPACITY_BEFORE);
  store<u32>(fields, ordinal(old) + 1, SEGMENT_ORDINAL);
  atomic.store<u32>(fields, stream, SEGMENT_STREAM);
  store<u32>(fields, old, SEGMENT_PREVIOUS);
  store<u32>(fields, tailRecord(tail), SEGMENT_PREVIOUS_RECORD);
  store<u32>(fields, tailOffset(tail), SEGMENT_PREVIOUS_OFFSET);
  store<u32>(fields, tailFrames(tail), SEGMENT_PREVIOUS_FRAMES);
  store<u64>(fields, timestamp, SEGMENT_FIRST_TIMESTAMP);
  fit(source, frames, bytes, <i32>(segmentCapacity(segment) - 2 * RECORD_BYTES));
  chaos(30);
  // One swap seals the old segment, publishes the new one, and claims this run in it.
  if (atomic.cmpxchg<u64>(row, tail, makeTail(segment, 1, fitBytes, fitFrames), STREAM_TAIL) != tail) {
    lostSwaps++;
    freeSegment(segment);
    unpinTail(old);
    return ROTATE_AGAIN;
  }
  chaos(20);
  atomic.store<u32>(stateAt(segment), STATE_CHAIN | stream);
  chaos(20);
  atomic.store<u64>(recordAt(old, tailRecord(tail)), makeSeal(segment));
  chaos(20);
  unpinTail(old);
  rotations++;
  fresh = segment;
  return ROTATE_DONE;
}

/**
 * Appends a run: `frames` whole, checked DATA frames of `bytes` bytes, one behind another at `source`.
 * Answers how many were taken, from the front; fewer than `frames` = the log is full, and this thread
 * is told by news of the stream (or of the pool) when to try again.
 */
export function append(stream: u32, source: usize, frames: u32, bytes: u32, timestamp: u64): u32 {
  return appendRun(stream, source, frames, bytes, timestamp, false);
}

/** The same; `isKeyed`: the frames were verified by their tags, and get their payload checks here. */
export function appendRun(
  stream: u32,
  source: usize,
  frames: u32,
  bytes: u32,
  timestamp: u64,
  isKeyed: bool,
): u32 {
  const row = streamRow(stream);
  workOn(stream);
  let done: u32 = 0;
  takenBytes = 0;
  while (frames) {
    const tail = atomic.load<u64>(row, STREAM_TAIL);
    const segment = tailSegment(tail);
    const record = tailRecord(tail);
    const offset = tailOffset(tail);
    const capacity = segmentCapacity(segment);
    // Always room for one more record behind this one: the SEAL.
    const room =
      record + 2 <= capacity / SEGMENT_BYTES_PER_RECORD
        ? <i32>(capacity - offset) - <i32>((record + 2) * RECORD_BYTES)
        : 0;
    fit(source, frames, bytes, room);
    let into = segment;
    if (fitFrames) {
      const next = makeTail(segment, record + 1, offset + fitBytes, tailFrames(tail) + fitFrames);
      if (atomic.cmpxchg<u64>(row, tail, next, STREAM_TAIL) != tail) {
        lostSwaps++;
        continue;
      }
      chaos(200);
      commit(segment, record, offset, tailFrames(tail), source, fitFrames, fitBytes, timestamp, isKeyed);
    } else {
      const rotated = rotate(stream, tail, source, frames, bytes, timestamp);
      if (rotated == ROTATE_AGAIN) continue;
      if (rotated == ROTATE_FULL) break;
      into = fresh;
      commit(into, 0, 0, 0, source, fitFrames, fitBytes, timestamp, isKeyed);
    }
    chaos(200);
    // A commit that comes late may be the last thing that kept a sealed segment from being taken back.
    wakeBehindTail(stream, into);
    source += fitBytes;
    bytes -= fitBytes;
    frames -= fitFrames;
    done += fitFrames;
    takenBytes += fitBytes;
    tellMask(atomic.load<u64>(row, STREAM_SUBSCRIBERS), stream, false);
  }
  return done;
}
