// Segments: the pool is their state words, so that allocation is one compare-and-swap and a death leaks
// nothing; and pins, which keep a segment from being reclaimed while a thread reads in it.
//
// Invariant: a segment is FREE, or belongs to exactly one thread or stream; the directory zone of a free
// segment is all zeros.
import {
  POOL_HINTS_BYTE_OFFSET,
  POOL_WAITERS_BYTE_OFFSET,
  SEGMENT_IDLE,
  SEGMENT_PINS,
  STATE_FREE,
  SEGMENT_STREAM,
  STATE_OWNED,
  STREAM_TAIL,
  STREAM_WAITERS,
} from '../layout';
import {
  classBytes,
  classCount,
  classFirst,
  classOf,
  CLASS_LARGE,
  CLASS_SMALL,
  me,
  myBit,
  myNode,
  nodeCount,
  pinCountAt,
  segmentAt,
  segmentCapacity,
  segmentCount,
  segmentRow,
  stateAt,
  streamRow,
} from './memory';
import { POOL_NEWS, tellMask } from './news';
import { tailSegment } from './words';
import { chaos } from './chaos';

// The words that say where to look first, a u32 for each node and class: the lowest segment that may be
// free. Taking the lowest keeps the memory in use together and warm; a wrong word costs a longer search.
const HINT_NODES_MAX: u32 = 8;

// @ts-ignore: decorator
@inline function hintAt(node: u32, sizeClass: u32): usize {
  const row = node < HINT_NODES_MAX ? node : HINT_NODES_MAX - 1;
  return POOL_HINTS_BYTE_OFFSET + (<usize>(row * 3 + sizeClass) << 2);
}

/** The node whose part of the class a segment belongs to, by its place within the class. */
// @ts-ignore: decorator
@inline function nodeOfPlace(place: u32, count: u32): u32 {
  const perNode = count / nodeCount;
  const node = perNode ? place / perNode : 0;
  return node < nodeCount ? node : nodeCount - 1;
}

/** A free segment of this class, now OWNED by this thread, or 0. This thread's node comes first. */
function takeOfClass(sizeClass: u32): u32 {
  const count = classCount(sizeClass);
  if (count == 0) return 0;
  const first = classFirst(sizeClass);
  const hint = hintAt(myNode, sizeClass);
  const from = (count / nodeCount) * myNode;
  let at = atomic.load<u32>(hint);
  if (at < from || at >= count) at = from;
  for (let i: u32 = 0; i < count; i++) {
    const segment = first + at;
    if (
      atomic.load<u32>(stateAt(segment)) == STATE_FREE &&
      atomic.cmpxchg<u32>(stateAt(segment), STATE_FREE, STATE_OWNED | me) == STATE_FREE
    ) {
      atomic.store<u32>(hint, at + 1);
      atomic.store<u32>(segmentRow(segment), 1, SEGMENT_IDLE);
      return segment;
    }
    if (++at == count) at = 0;
  }
  return 0;
}

/** A segment of the wanted class, else of a larger one, else of any that has `bytesMin` bytes; or 0. */
export function takeSegment(wanted: u32, bytesMin: u32): u32 {
  for (let c = <i32>wanted; c <= <i32>CLASS_LARGE; c++) {
    const segment = takeOfClass(c);
    if (segment) return segment;
  }
  for (let c = <i32>wanted - 1; c >= <i32>CLASS_SMALL && classBytes(c) >= bytesMin; c--) {
    const segment = takeOfClass(c);
    if (segment) return segment;
  }
  return 0;
}

export function freeSegment(segment: u32): void {
  atomic.store<u32>(stateAt(segment), STATE_FREE);
  const sizeClass = classOf(segment);
  const place = segment - classFirst(sizeClass);
  const hint = hintAt(nodeOfPlace(place, classCount(sizeClass)), sizeClass);
  if (place < atomic.load<u32>(hint)) atomic.store<u32>(hint, place);
  chaos(100);
  // This thread too: a segment that was freed is progress.
  wakePoolWaiters(true);
}

/**
 * Control's look at the pool, from segment `from` on: claims the next one that was in use and has been found
 * free by `looksMin` looks since, so that its pages can be given back before `freeSegment`. 0 = no more.
 */
export function claimIdle(from: u32, looksMin: u32): u32 {
  for (let segment = from; segment <= segmentCount; segment++) {
    const row = segmentRow(segment);
    const looks = atomic.load<u32>(row, SEGMENT_IDLE);
    if (looks == 0 || atomic.load<u32>(stateAt(segment)) != STATE_FREE) continue;
    if (looks <= looksMin) {
      atomic.store<u32>(row, looks + 1, SEGMENT_IDLE);
      continue;
    }
    if (atomic.cmpxchg<u32>(stateAt(segment), STATE_FREE, STATE_OWNED | me) != STATE_FREE) continue;
    atomic.store<u32>(row, 0, SEGMENT_IDLE);
    return segment;
  }
  return 0;
}

/**
 * Zeros the whole zone where a directory may lie, not only the records used: a later life with a longer
 * directory would otherwise read old payload as records.
 */
export function clearDirectory(segment: u32): void {
  const zone = segmentCapacity(segment) >> 3;
  memory.fill(segmentAt(segment) + segmentCapacity(segment) - zone, 0, zone);
}

export function freeCount(): u32 {
  let count: u32 = 0;
  for (let segment: u32 = 1; segment <= segmentCount; segment++) {
    if (atomic.load<u32>(stateAt(segment)) == STATE_FREE) count++;
  }
  return count;
}

/** Counts privately; only the step 0 → 1 is told to others. Pairs with the looks at the pins in reclaim. */
export function pin(segment: u32): void {
  const countAt = pinCountAt(me, segment);
  const count = load<u16>(countAt);
  store<u16>(countAt, count + 1);
  if (count == 0) atomic.or<u64>(segmentRow(segment), myBit, SEGMENT_PINS);
}

/** True on the step 1 → 0: the caller then looks at who waits. */
function releasePin(segment: u32): bool {
  const countAt = pinCountAt(me, segment);
  const count = load<u16>(countAt) - 1;
  store<u16>(countAt, count);
  if (count != 0) return false;
  atomic.and<u64>(segmentRow(segment), ~myBit, SEGMENT_PINS);
  chaos(300);
  return true;
}

/**
 * A rotation's unpin. It held nobody up while the segment was the tail: two rotations that find their log
 * full would else wake each other for ever. It wakes all but itself, for its own progress never depends on
 * its own pin of the tail.
 */
export function unpinTail(segment: u32): void {
  if (releasePin(segment)) {
    const stream = atomic.load<u32>(segmentRow(segment), SEGMENT_STREAM);
    wakeBehindTail(stream, segment);
  }
}

/** A cursor's unpin: publishers on this very thread may wait for it too. */
export function unpinCursor(segment: u32): void {
  if (releasePin(segment)) {
    // Not the cursor's stream: a pin that came too late held up whoever has the segment now.
    wakeWaiters(atomic.load<u32>(segmentRow(segment), SEGMENT_STREAM), true);
    wakePoolWaiters(true);
  }
}

/** Something that kept `segment` from being taken back is over: wakes all but this thread, if it is not the tail. */
export function wakeBehindTail(stream: u32, segment: u32): void {
  const row = streamRow(stream);
  if ((atomic.load<u64>(row, STREAM_WAITERS) | atomic.load<u64>(POOL_WAITERS_BYTE_OFFSET)) == 0) return;
  if (tailSegment(atomic.load<u64>(row, STREAM_TAIL)) == segment) return;
  wakeWaiters(stream, false);
  wakePoolWaiters(false);
}

export function wakeWaiters(stream: u32, selfToo: bool): void {
  const row = streamRow(stream);
  const mask = atomic.load<u64>(row, STREAM_WAITERS) & (selfToo ? ~(<u64>0) : ~myBit);
  if (mask) {
    atomic.and<u64>(row, ~mask, STREAM_WAITERS);
    chaos(100);
    tellMask(mask, stream, false);
  }
}

export function wakePoolWaiters(selfToo: bool): void {
  const mask = atomic.load<u64>(POOL_WAITERS_BYTE_OFFSET) & (selfToo ? ~(<u64>0) : ~myBit);
  if (mask) {
    atomic.and<u64>(POOL_WAITERS_BYTE_OFFSET, ~mask);
    chaos(100);
    tellMask(mask, POOL_NEWS, false);
  }
}
