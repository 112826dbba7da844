// Taking the oldest segments of a log back into the pool.
//
// Invariant: a log's head moves only under its lock, and never past a segment that is pinned, not yet
// sealed, or has a record that is claimed but not written.
import {
  LOCK_CONTENDED,
  SEGMENT_BYTES_PER_RECORD,
  SEGMENT_FIRST_TIMESTAMP,
  SEGMENT_PINS,
  STATE_CHAIN,
  STATE_RETIRING,
  STREAM_COUNT_BYTE_OFFSET,
  STREAM_HEAD,
  STREAM_LIMIT_BYTES,
  STREAM_LOCK,
  STREAM_TAIL,
} from '../layout';
import { capacityBefore, me, recordAt, segmentCapacity, segmentRow, stateAt, streamRow, workedOn, workOn } from './memory';
import { clearDirectory, freeSegment, wakePoolWaiters, wakeWaiters } from './pool';
import { recordKind, RECORD_SEAL, sealNext, tailSegment } from './words';
import { chaos } from './chaos';

let reclaimed: u32 = 0;
let flaps: u32 = 0;

/** Segments that this thread took back, for the tests and for metrics. */
export function reclaimedCount(): u32 {
  return reclaimed;
}

/** How often a segment was pinned between the two looks. */
export function flapCount(): u32 {
  return flaps;
}

/** The segment behind this one, once it is sealed and every record of it is written; else 0. */
export function sealedNext(segment: u32): u32 {
  const records = segmentCapacity(segment) / SEGMENT_BYTES_PER_RECORD;
  for (let i: u32 = 0; i < records; i++) {
    const record = atomic.load<u64>(recordAt(segment, i));
    if (record == 0) return 0;
    if (recordKind(record) == RECORD_SEAL) return sealNext(record);
  }
  return 0;
}

/** Whether one more segment of `wantedBytes` behind `tail` would take the log over its limit. */
export function isOverLimit(stream: u32, tail: u32, wantedBytes: u32): bool {
  const row = streamRow(stream);
  while (true) {
    const head = atomic.load<u32>(row, STREAM_HEAD);
    if (head == tail) return false;
    chaos(100);
    const held = capacityBefore(tail) + segmentCapacity(tail) - capacityBefore(head);
    // The head may have become another log's tail meanwhile, and its row speak of that.
    if (atomic.load<u32>(row, STREAM_HEAD) != head) continue;
    return held + wantedBytes > <u64>load<u32>(row, STREAM_LIMIT_BYTES);
  }
}

/** Under the lock: takes segments back until `wantedBytes` more fit the limit; with `force` one, whatever the limit. */
function reclaimLocked(stream: u32, wantedBytes: u32, force: bool): u32 {
  const row = streamRow(stream);
  let freed: u32 = 0;
  while (true) {
    const head = atomic.load<u32>(row, STREAM_HEAD);
    const tail = tailSegment(atomic.load<u64>(row, STREAM_TAIL));
    if (head == tail) break;
    if (!force && !isOverLimit(stream, tail, wantedBytes)) break;
    if (atomic.load<u64>(segmentRow(head), SEGMENT_PINS)) break;
    const next = sealedNext(head);
    if (!next) break;
    atomic.store<u32>(stateAt(head), STATE_RETIRING | me);
    chaos(50);
    atomic.store<u32>(row, next, STREAM_HEAD);
    chaos(50);
    // Pairs with `pinHead`: it pins, then looks at the head. One of the two sees the other.
    if (atomic.load<u64>(segmentRow(head), SEGMENT_PINS)) {
      flaps++;
      atomic.store<u32>(row, head, STREAM_HEAD);
      atomic.store<u32>(stateAt(head), STATE_CHAIN | stream);
      break;
    }
    clearDirectory(head);
    chaos(50);
    freeSegment(head);
    freed++;
    reclaimed++;
    if (force) break;
  }
  return freed;
}

/** Takes the lock, or leaves word on it that somebody came in vain. */
function lock(row: usize): bool {
  while (true) {
    const held = atomic.cmpxchg<u32>(row, 0, me + 1, STREAM_LOCK);
    if (held == 0) return true;
    if (held & LOCK_CONTENDED) return false;
    if (atomic.cmpxchg<u32>(row, held, held | LOCK_CONTENDED, STREAM_LOCK) == held) return false;
  }
}

/** Who found the lock taken may wait by now for what this thread did not want to take back. */
function unlock(stream: u32): void {
  if (atomic.xchg<u32>(streamRow(stream), 0, STREAM_LOCK) & LOCK_CONTENDED) {
    chaos(30);
    wakeWaiters(stream, false);
    wakePoolWaiters(false);
  }
}

/** Takes back what may go. Leaves at once when another thread is at it. Answers the segments freed. */
export function reclaim(stream: u32, wantedBytes: u32, force: bool): u32 {
  if (!lock(streamRow(stream))) return 0;
  chaos(30);
  const freed = reclaimLocked(stream, wantedBytes, force);
  unlock(stream);
  return freed;
}

/** At most so many segments are taken back by one look at all the streams. */
const POOL_BATCH: u32 = 8;

/** A stream whose oldest segment cannot be taken back at the moment is passed over, so many times at most. */
const POOL_ATTEMPTS_MAX: u32 = 8;

let oldest: u32 = 0;
let oldestTime: u64 = 0;
let secondTime: u64 = 0;

/**
 * The pool is empty: takes back the oldest segment behind every live cursor, whichever stream it is of,
 * and on from there while that stream's are the oldest. Where that one is being written to or taken back by
 * another thread, the next oldest is tried. Answers the segments freed.
 */
export function reclaimPool(): u32 {
  oldest = 0;
  oldestTime = 0;
  for (let attempt: u32 = 0; attempt < POOL_ATTEMPTS_MAX && findOldestBehind(oldestTime, oldest); attempt++) {
    const freed = reclaimOldest(oldest, secondTime);
    if (freed) return freed;
  }
  return 0;
}

/** The stream with the oldest segment that nobody pins, in the order of (time, stream), behind the given one. */
function findOldestBehind(time: u64, stream: u32): bool {
  const count = atomic.load<u32>(STREAM_COUNT_BYTE_OFFSET);
  oldest = 0;
  oldestTime = u64.MAX_VALUE;
  secondTime = u64.MAX_VALUE;
  for (let other: u32 = 1; other <= count; other++) {
    const row = streamRow(other);
    const head = atomic.load<u32>(row, STREAM_HEAD);
    if (head == tailSegment(atomic.load<u64>(row, STREAM_TAIL))) continue;
    if (atomic.load<u64>(segmentRow(head), SEGMENT_PINS)) continue;
    const first = load<u64>(segmentRow(head), SEGMENT_FIRST_TIMESTAMP);
    if (first < time || (first == time && other <= stream)) continue;
    if (first < oldestTime) {
      secondTime = oldestTime;
      oldestTime = first;
      oldest = other;
    } else if (first < secondTime) {
      secondTime = first;
    }
  }
  return oldest != 0;
}

function reclaimOldest(stream: u32, until: u64): u32 {
  const before = workedOn();
  // This thread has no claim anywhere while it rotates, so what a death would leave is in this stream only.
  workOn(stream);
  chaos(20);
  let freed: u32 = 0;
  while (freed < POOL_BATCH) {
    if (!reclaim(stream, 0, true)) break;
    freed++;
    const head = atomic.load<u32>(streamRow(stream), STREAM_HEAD);
    if (load<u64>(segmentRow(head), SEGMENT_FIRST_TIMESTAMP) > until) break;
  }
  workOn(before);
  return freed;
}
