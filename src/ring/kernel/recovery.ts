// What control does after a thread has ended without warning. In this order (src/ring/recovery.ts):
//   1. recoverThread    what it was told, and the stream on which it was at work
//   2. recoverLock      that stream's lock, from any dead owner
//   3. recoverSnapshot  the tail; and then, in JavaScript, every live thread is waited for until it has
//                       begun a new turn, sleeps or is dead: whatever is then a zero record below the
//                       snapshot can only be the dead one's
//   4. recoverStream    missing seals, holes into gaps, segments, pins; unlocks and tells everybody
import {
  ALIVE_MASK_BYTE_OFFSET,
  LOCK_CONTENDED,
  POOL_WAITERS_BYTE_OFFSET,
  SEGMENT_PINS,
  SEGMENT_PREVIOUS,
  SEGMENT_PREVIOUS_FRAMES,
  SEGMENT_PREVIOUS_OFFSET,
  SEGMENT_PREVIOUS_RECORD,
  STATE_CHAIN,
  STATE_OWNED,
  STATE_RETIRING,
  STREAM_COUNT_BYTE_OFFSET,
  STREAM_HEAD,
  STREAM_LOCK,
  STREAM_SUBSCRIBERS,
  STREAM_TAIL,
  STREAM_WAITERS,
  THREAD_ALIVE,
  THREAD_CURRENT_STREAM,
  THREAD_SLEEPING,
  THREAD_TURN,
} from '../layout';
import { me, ordinal, pinCountAt, recordAt, segmentCount, segmentRow, stateAt, streamRow, threadRow } from './memory';
import { forgetNews, POOL_NEWS, tellMask } from './news';
import { clearDirectory, freeSegment } from './pool';
import { sealedNext } from './reclaim';
import {
  makeRecord,
  makeSeal,
  recordEnd,
  recordEndFrame,
  recordFirstFrame,
  recordStart,
  RECORD_GAP,
  tailFrames,
  tailOffset,
  tailRecord,
  tailSegment,
} from './words';

let holes: u32 = 0;
let lostSequences: u32 = 0;
let seals: u32 = 0;
let snapshot: u64 = 0;
let snapshotOrdinal: u32 = 0;

/** Holes turned into gaps since this instance began. */
export function recoveredHoles(): u32 {
  return holes;
}

export function recoveredLostSequences(): u32 {
  return lostSequences;
}

export function recoveredSeals(): u32 {
  return seals;
}

/** Marks a thread as living, before it starts, or as dead, after it has ended. */
export function setAlive(thread: u32, alive: bool): void {
  const bit: u64 = <u64>1 << <u64>thread;
  if (alive) {
    forgetNews(thread);
    atomic.or<u64>(ALIVE_MASK_BYTE_OFFSET, bit);
  } else {
    atomic.and<u64>(ALIVE_MASK_BYTE_OFFSET, ~bit);
  }
  atomic.store<u32>(threadRow(thread), alive ? 1 : 0, THREAD_ALIVE);
}

export function isAlive(thread: u32): bool {
  return atomic.load<u32>(threadRow(thread), THREAD_ALIVE) != 0;
}

export function turnOf(thread: u32): u32 {
  return atomic.load<u32>(threadRow(thread), THREAD_TURN);
}

export function isSleeping(thread: u32): bool {
  return atomic.load<u32>(threadRow(thread), THREAD_SLEEPING) != 0;
}

/** Clears what the dead thread was told. Answers the stream on which it may have been at work, or 0. */
export function recoverThread(dead: u32): u32 {
  forgetNews(dead);
  const row = threadRow(dead);
  const stream = atomic.load<u32>(row, THREAD_CURRENT_STREAM);
  atomic.store<u32>(row, 0, THREAD_CURRENT_STREAM);
  return stream;
}

/** Takes the stream's lock if it is free or a dead thread's (then mends that one's segment at once). */
export function recoverLock(stream: u32): bool {
  const row = streamRow(stream);
  const held = atomic.load<u32>(row, STREAM_LOCK);
  if (held == 0) return atomic.cmpxchg<u32>(row, 0, me + 1, STREAM_LOCK) == 0;
  const owner = (held & ~LOCK_CONTENDED) - 1;
  if (owner == me || isAlive(owner)) return false;
  if (atomic.cmpxchg<u32>(row, held, me + 1, STREAM_LOCK) != held) return false;
  mendRetiring(stream, owner);
  return true;
}

/** The head must not move before this is done, or a retiring segment could not be placed any more. */
function mendRetiring(stream: u32, dead: u32): void {
  const row = streamRow(stream);
  for (let segment: u32 = 1; segment <= segmentCount; segment++) {
    if (atomic.load<u32>(stateAt(segment)) != (STATE_RETIRING | dead)) continue;
    if (atomic.load<u32>(row, STREAM_HEAD) == segment) {
      atomic.store<u32>(stateAt(segment), STATE_CHAIN | stream);
    } else if (sealedNext(segment)) {
      atomic.store<u32>(row, segment, STREAM_HEAD);
      atomic.store<u32>(stateAt(segment), STATE_CHAIN | stream);
    } else {
      // Its directory is partly zeroed already: it can only go on being freed.
      clearDirectory(segment);
      freeSegment(segment);
    }
  }
}

export function recoverSnapshot(stream: u32): void {
  snapshot = atomic.load<u64>(streamRow(stream), STREAM_TAIL);
  snapshotOrdinal = ordinal(tailSegment(snapshot));
}

/** Turns the zero records of a segment below `records` into gaps, from the back. */
function fillHoles(segment: u32, records: u32, endOffset: u32, endFrame: u32): void {
  let i = records;
  while (i > 0) {
    i--;
    const record = atomic.load<u64>(recordAt(segment, i));
    if (record) {
      endOffset = recordStart(record);
      endFrame = recordFirstFrame(record);
      continue;
    }
    let startOffset: u32 = 0;
    let startFrame: u32 = 0;
    if (i > 0) {
      const before = atomic.load<u64>(recordAt(segment, i - 1));
      startOffset = before ? recordEnd(before) : endOffset;
      startFrame = before ? recordEndFrame(before) : endFrame;
    }
    holes++;
    lostSequences += endFrame - startFrame;
    atomic.store<u64>(recordAt(segment, i), makeRecord(RECORD_GAP, startOffset, endOffset, startFrame, endFrame));
    endOffset = startOffset;
    endFrame = startFrame;
  }
}

/** Walks the chain back from its tail and mends it; then `recoverPins`. The lock is held, and given back. */
export function recoverStream(stream: u32): void {
  const row = streamRow(stream);
  const head = atomic.load<u32>(row, STREAM_HEAD);
  let segment = tailSegment(atomic.load<u64>(row, STREAM_TAIL));
  if (segment == tailSegment(snapshot) && ordinal(segment) == snapshotOrdinal) {
    fillHoles(segment, tailRecord(snapshot), tailOffset(snapshot), tailFrames(snapshot));
  }
  while (segment != head) {
    atomic.store<u32>(stateAt(segment), STATE_CHAIN | stream);
    const fields = segmentRow(segment);
    const previous = load<u32>(fields, SEGMENT_PREVIOUS);
    const record = load<u32>(fields, SEGMENT_PREVIOUS_RECORD);
    if (ordinal(previous) < snapshotOrdinal) {
      if (!atomic.load<u64>(recordAt(previous, record))) {
        seals++;
        atomic.store<u64>(recordAt(previous, record), makeSeal(segment));
      }
      fillHoles(
        previous,
        record,
        load<u32>(fields, SEGMENT_PREVIOUS_OFFSET),
        load<u32>(fields, SEGMENT_PREVIOUS_FRAMES),
      );
    } else if (ordinal(previous) == snapshotOrdinal) {
      fillHoles(previous, tailRecord(snapshot), tailOffset(snapshot), tailFrames(snapshot));
    }
    segment = previous;
  }
  atomic.store<u32>(stateAt(head), STATE_CHAIN | stream);
}

/** Frees what the dead thread owned, clears its pins, its waits and its subscriptions. Always, last but one. */
export function recoverPins(dead: u32): void {
  const bit: u64 = <u64>1 << <u64>dead;
  for (let segment: u32 = 1; segment <= segmentCount; segment++) {
    if (atomic.load<u32>(stateAt(segment)) == (STATE_OWNED | dead)) freeSegment(segment);
    atomic.and<u64>(segmentRow(segment), ~bit, SEGMENT_PINS);
    store<u16>(pinCountAt(dead, segment), 0);
  }
  const count = atomic.load<u32>(STREAM_COUNT_BYTE_OFFSET);
  for (let stream: u32 = 1; stream <= count; stream++) {
    atomic.and<u64>(streamRow(stream), ~bit, STREAM_WAITERS);
    atomic.and<u64>(streamRow(stream), ~bit, STREAM_SUBSCRIBERS);
  }
  atomic.and<u64>(POOL_WAITERS_BYTE_OFFSET, ~bit);
}

export function recoverUnlock(stream: u32): void {
  atomic.store<u32>(streamRow(stream), 0, STREAM_LOCK);
}

/** The dead one may have taken a flag or a bit and not told: every live thread is told everything. */
export function tellAll(): void {
  const alive = atomic.load<u64>(ALIVE_MASK_BYTE_OFFSET);
  const count = atomic.load<u32>(STREAM_COUNT_BYTE_OFFSET);
  tellMask(alive, POOL_NEWS, true);
  for (let stream: u32 = 1; stream <= count; stream++) tellMask(alive, stream, true);
}

/** Segments of a log, along its chain. For tests and metrics; call while nothing moves. */
export function chainLength(stream: u32): u32 {
  const row = streamRow(stream);
  const tail = tailSegment(atomic.load<u64>(row, STREAM_TAIL));
  return ordinal(tail) - ordinal(atomic.load<u32>(row, STREAM_HEAD)) + 1;
}
