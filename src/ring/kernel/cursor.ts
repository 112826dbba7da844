// Reading a log: a cursor stands between two frames of a segment that it pins, and shows what is
// committed from there as one span of bytes, to be sent from where it lies.
//
// Invariant: a cursor that is attached pins exactly the segment it stands in; it moves to the next one
// by pinning that first. A cursor that is detached pins nothing and knows only its next sequence.
import { frameBytes } from '../../frame/kernel/frame';
import { TIMESTAMP_BYTE_OFFSET } from '../../frame/layout';
import {
  CURSOR_FRAME,
  CURSOR_GAP_FIRST,
  CURSOR_NEXT_SEQUENCE,
  CURSOR_OFFSET,
  CURSOR_RECORD,
  CURSOR_SEGMENT,
  CURSOR_SPAN_ADDRESS,
  CURSOR_SPAN_BYTES,
  CURSOR_SPAN_END_FRAME,
  CURSOR_SPAN_RECORD,
  CURSOR_STREAM,
  FROM_FIRST,
  FROM_LAST,
  FROM_NEW,
  FROM_TIME,
  SEEK_OK,
  SEEK_RESET,
  SEGMENT_BYTES_PER_RECORD,
  SEGMENT_FIRST_TIMESTAMP,
  SEGMENT_PREVIOUS,
  SPAN_DATA,
  SPAN_GAP,
  SPAN_NONE,
  STREAM_HEAD,
  STREAM_SUBSCRIBERS,
  STREAM_TAIL,
} from '../layout';
import { baseSequence, myBit, recordAt, segmentAt, segmentCapacity, segmentRow, streamRow } from './memory';
import { pin, unpinCursor } from './pool';
import {
  recordEnd,
  recordEndFrame,
  recordFirstFrame,
  recordKind,
  recordStart,
  RECORD_DATA,
  RECORD_GAP,
  RECORD_SEAL,
  sealNext,
  tailFrames,
  tailOffset,
  tailRecord,
  tailSegment,
} from './words';
import { chaos } from './chaos';

/** The wanted place is claimed by a thread that has not committed yet: seek again in a later turn. */
export const SEEK_BUSY: u32 = 2;

function stand(cursor: usize, segment: u32, record: u32, offset: u32, frame: u32): void {
  store<u32>(cursor, segment, CURSOR_SEGMENT);
  store<u32>(cursor, record, CURSOR_RECORD);
  store<u32>(cursor, offset, CURSOR_OFFSET);
  store<u32>(cursor, frame, CURSOR_FRAME);
}

/** The oldest segment, pinned. */
function pinHead(stream: u32): u32 {
  const row = streamRow(stream);
  while (true) {
    const head = atomic.load<u32>(row, STREAM_HEAD);
    chaos(3);
    pin(head);
    chaos(10);
    // Pairs with the second look at the pins in `reclaimLocked`.
    if (atomic.load<u32>(row, STREAM_HEAD) == head) return head;
    unpinCursor(head);
  }
}

/** Timestamps of one log are in order but for this: the threads read the same clock, each a little before its claim. */
const CLOCKS_DIFFER_NS: u64 = 1_000_000_000;

let seenTail: u64 = 0;

/** The newest segment, pinned; `seenTail` is the tail's word as it was then. */
function pinTail(stream: u32): u32 {
  const row = streamRow(stream);
  while (true) {
    const segment = tailSegment(atomic.load<u64>(row, STREAM_TAIL));
    chaos(3);
    pin(segment);
    chaos(10);
    seenTail = atomic.load<u64>(row, STREAM_TAIL);
    if (tailSegment(seenTail) == segment) return segment;
    unpinCursor(segment);
  }
}

/** The sequence that the next frame of this stream will get. */
export function nextSequenceOf(stream: u32): u64 {
  const segment = pinTail(stream);
  const next = baseSequence(segment) + tailFrames(seenTail);
  unpinCursor(segment);
  return next;
}

/** The sequence of the oldest frame that is retained (the next one's, when nothing is). */
export function firstSequenceOf(stream: u32): u64 {
  const segment = pinHead(stream);
  const first = baseSequence(segment);
  unpinCursor(segment);
  return first;
}

/** Tells appenders that this thread reads the stream. Before the first `seek`. */
export function subscribeThread(stream: u32): void {
  atomic.or<u64>(streamRow(stream), myBit, STREAM_SUBSCRIBERS);
}

export function unsubscribeThread(stream: u32): void {
  atomic.and<u64>(streamRow(stream), ~myBit, STREAM_SUBSCRIBERS);
}

/** Places a cursor. Answers SEEK_OK, SEEK_RESET (beyond the end: it starts at the oldest) or SEEK_BUSY (not placed). */
export function seek(cursor: usize, stream: u32, from: u32, argument: u64): u32 {
  store<u32>(cursor, stream, CURSOR_STREAM);
  store<u64>(cursor, 0, CURSOR_GAP_FIRST);
  store<u64>(cursor, 0, CURSOR_NEXT_SEQUENCE);
  store<u32>(cursor, 0, CURSOR_SPAN_BYTES);
  store<u32>(cursor, 0, CURSOR_SEGMENT);
  if (from == FROM_NEW) {
    const segment = pinTail(stream);
    stand(cursor, segment, tailRecord(seenTail), tailOffset(seenTail), tailFrames(seenTail));
    return SEEK_OK;
  }
  if (from == FROM_TIME) return seekTime(cursor, stream, argument);
  if (from == FROM_FIRST) {
    stand(cursor, pinHead(stream), 0, 0, 0);
    return SEEK_OK;
  }
  const next = nextSequenceOf(stream);
  if (from == FROM_LAST) {
    return seekSequence(cursor, stream, argument >= next ? 1 : next - argument, false);
  }
  if (argument > next) {
    stand(cursor, pinHead(stream), 0, 0, 0);
    return SEEK_RESET;
  }
  return seekSequence(cursor, stream, argument ? argument : 1, true);
}

function seekSequence(cursor: usize, stream: u32, sequence: u64, tellGap: bool): u32 {
  const head = pinHead(stream);
  const base = baseSequence(head);
  stand(cursor, head, 0, 0, 0);
  if (base >= sequence) {
    if (tellGap && base > sequence) store<u64>(cursor, sequence, CURSOR_GAP_FIRST);
    return SEEK_OK;
  }
  return walkTo(cursor, sequence);
}

/** The segment before this one; some cursor of this thread pins an older one of the chain. */
// @ts-ignore: decorator
@inline function previousOf(segment: u32): u32 {
  return load<u32>(segmentRow(segment), SEGMENT_PREVIOUS);
}

/** Moves the cursor from the segment that it pins to a newer one of the chain. */
function moveTo(cursor: usize, segment: u32): void {
  const old = load<u32>(cursor, CURSOR_SEGMENT);
  if (segment == old) return;
  pin(segment);
  chaos(20);
  stand(cursor, segment, 0, 0, 0);
  unpinCursor(old);
}

/** Moves an attached cursor forward to a sequence that exists or is the next one. SEEK_BUSY detaches it. */
function walkTo(cursor: usize, sequence: u64): u32 {
  const oldest = load<u32>(cursor, CURSOR_SEGMENT);
  // Back from the tail: nothing between it and a segment that is pinned can be taken away meanwhile.
  let segment = tailSegment(atomic.load<u64>(streamRow(load<u32>(cursor, CURSOR_STREAM)), STREAM_TAIL));
  while (segment != oldest && baseSequence(segment) > sequence) segment = previousOf(segment);
  moveTo(cursor, segment);
  if (walkWithin(cursor, segment, <u32>(sequence - baseSequence(segment)))) return SEEK_OK;
  store<u64>(cursor, sequence, CURSOR_NEXT_SEQUENCE);
  store<u32>(cursor, 0, CURSOR_SEGMENT);
  unpinCursor(segment);
  return SEEK_BUSY;
}

/** Stands the cursor on frame `frame` of its segment; false when that place is claimed and not written. */
function walkWithin(cursor: usize, segment: u32, frame: u32): bool {
  let record: u32 = 0;
  let offset: u32 = 0;
  let reached: u32 = 0;
  const records = segmentCapacity(segment) / SEGMENT_BYTES_PER_RECORD;
  while (reached < frame || (reached == frame && record < records)) {
    if (reached == frame) break;
    if (record >= records) return false;
    const word = atomic.load<u64>(recordAt(segment, record));
    if (word == 0 || recordKind(word) == RECORD_SEAL) return false;
    if (recordEndFrame(word) > frame) {
      offset = recordStart(word);
      reached = recordFirstFrame(word);
      if (recordKind(word) == RECORD_GAP) {
        reached = frame;
        break;
      }
      const base = segmentAt(segment);
      while (reached < frame) {
        offset += frameBytes(base + offset);
        reached++;
      }
      break;
    }
    offset = recordEnd(word);
    reached = recordEndFrame(word);
    record++;
  }
  stand(cursor, segment, record, offset, frame);
  return true;
}

/** The first frame that arrived at `time` (ns) or later, in the log's order. */
function seekTime(cursor: usize, stream: u32, time: u64): u32 {
  const head = pinHead(stream);
  stand(cursor, head, 0, 0, 0);
  // A segment begins with the first frame that was claimed in it, and threads' clocks differ by less.
  let segment = tailSegment(atomic.load<u64>(streamRow(stream), STREAM_TAIL));
  while (segment != head && load<u64>(segmentRow(segment), SEGMENT_FIRST_TIMESTAMP) + CLOCKS_DIFFER_NS > time) {
    segment = previousOf(segment);
  }
  moveTo(cursor, segment);
  while (true) {
    const kind = peek(cursor, 0x7fffffff, true, 0x7fffffff);
    if (kind == SPAN_NONE) {
      store<u64>(cursor, 0, CURSOR_GAP_FIRST);
      return SEEK_OK;
    }
    if (kind == SPAN_GAP) {
      takeGap(cursor);
      continue;
    }
    const at = <usize>load<u32>(cursor, CURSOR_SPAN_ADDRESS);
    const bytes = load<u32>(cursor, CURSOR_SPAN_BYTES);
    let offset: u32 = 0;
    let frames: u32 = 0;
    while (offset < bytes && load<u64>(at + offset, TIMESTAMP_BYTE_OFFSET) < time) {
      offset += frameBytes(at + offset);
      frames++;
    }
    settle(cursor, load<u32>(cursor, CURSOR_OFFSET) + offset, load<u32>(cursor, CURSOR_FRAME) + frames);
    if (offset < bytes) {
      store<u64>(cursor, 0, CURSOR_GAP_FIRST);
      return SEEK_OK;
    }
  }
}

/** The sequence at which a cursor stands: the first that it has still to show (a gap told before it apart). */
export function cursorSequence(cursor: usize): u64 {
  const segment = load<u32>(cursor, CURSOR_SEGMENT);
  if (!segment) return load<u64>(cursor, CURSOR_NEXT_SEQUENCE);
  return baseSequence(segment) + load<u32>(cursor, CURSOR_FRAME);
}

/** Lets go of the segment: the cursor holds nobody back, and goes on (after a gap, if need be) at the next `peek`. */
export function detach(cursor: usize): void {
  const segment = load<u32>(cursor, CURSOR_SEGMENT);
  if (!segment) return;
  store<u64>(cursor, cursorSequence(cursor), CURSOR_NEXT_SEQUENCE);
  store<u32>(cursor, 0, CURSOR_SEGMENT);
  store<u32>(cursor, 0, CURSOR_SPAN_BYTES);
  unpinCursor(segment);
}

function reattach(cursor: usize): bool {
  const stream = load<u32>(cursor, CURSOR_STREAM);
  const wanted = load<u64>(cursor, CURSOR_NEXT_SEQUENCE);
  const head = pinHead(stream);
  const base = baseSequence(head);
  stand(cursor, head, 0, 0, 0);
  if (base > wanted) {
    if (!load<u64>(cursor, CURSOR_GAP_FIRST)) store<u64>(cursor, wanted, CURSOR_GAP_FIRST);
    return true;
  }
  return base == wanted || walkTo(cursor, wanted) == SEEK_OK;
}

/** Sets offset and frame, and finds the record that holds them, from the cursor's record on. */
function settle(cursor: usize, offset: u32, frame: u32): void {
  const segment = load<u32>(cursor, CURSOR_SEGMENT);
  let record = load<u32>(cursor, CURSOR_RECORD);
  while (true) {
    const word = atomic.load<u64>(recordAt(segment, record));
    const kind = recordKind(word);
    if (word == 0 || kind == RECORD_SEAL || recordEnd(word) > offset) break;
    if (kind == RECORD_GAP && recordEndFrame(word) > frame) break;
    record++;
  }
  stand(cursor, segment, record, offset, frame);
}

/**
 * Shows what comes next: SPAN_DATA (`CURSOR_SPAN_ADDRESS`, `CURSOR_SPAN_BYTES`: whole committed frames, at most
 * `framesMax`, and about `bytesMax` bytes), SPAN_GAP (`CURSOR_GAP_FIRST`, then what is to be told by
 * `takeGap`), or SPAN_NONE. The cursor itself moves over seals and gaps only. With `mayCross` false it stays
 * in its segment: something in there is still to be sent.
 */
export function peek(cursor: usize, bytesMax: u32, mayCross: bool, framesMax: u32): i32 {
  if (!load<u32>(cursor, CURSOR_SEGMENT) && !reattach(cursor)) return SPAN_NONE;
  let segment = load<u32>(cursor, CURSOR_SEGMENT);
  let record = load<u32>(cursor, CURSOR_RECORD);
  let offset = load<u32>(cursor, CURSOR_OFFSET);
  let frame = load<u32>(cursor, CURSOR_FRAME);
  let end = offset;
  let endFrame = frame;
  while (true) {
    const word = atomic.load<u64>(recordAt(segment, record));
    const kind = recordKind(word);
    if (kind == RECORD_DATA) {
      if (load<u64>(cursor, CURSOR_GAP_FIRST)) return SPAN_GAP;
      if (end > offset && recordEnd(word) - offset > bytesMax) break;
      end = recordEnd(word);
      endFrame = recordEndFrame(word);
      record++;
      continue;
    }
    if (end > offset) break;
    if (kind == RECORD_GAP) {
      if (recordEndFrame(word) > frame && !load<u64>(cursor, CURSOR_GAP_FIRST)) {
        store<u64>(cursor, baseSequence(segment) + frame, CURSOR_GAP_FIRST);
      }
      record++;
      offset = end = recordEnd(word);
      frame = endFrame = recordEndFrame(word);
      stand(cursor, segment, record, offset, frame);
      continue;
    }
    if (word == 0 || !mayCross) return load<u64>(cursor, CURSOR_GAP_FIRST) ? SPAN_GAP : SPAN_NONE;
    segment = sealNext(word);
    moveTo(cursor, segment);
    record = offset = frame = end = endFrame = 0;
  }
  store<u32>(cursor, <u32>segmentAt(segment) + offset, CURSOR_SPAN_ADDRESS);
  if (endFrame - frame > framesMax) return cutSpan(cursor, segment, offset, frame, framesMax);
  store<u32>(cursor, end - offset, CURSOR_SPAN_BYTES);
  store<u32>(cursor, record, CURSOR_SPAN_RECORD);
  store<u32>(cursor, endFrame, CURSOR_SPAN_END_FRAME);
  return SPAN_DATA;
}

/** Shortens the span that `peek` found to `frames` frames. */
function cutSpan(cursor: usize, segment: u32, offset: u32, frame: u32, frames: u32): i32 {
  if (frames == 0) return SPAN_NONE;
  const base = segmentAt(segment);
  let end = offset;
  for (let i: u32 = 0; i < frames; i++) end += frameBytes(base + end);
  let record = load<u32>(cursor, CURSOR_RECORD);
  while (recordEnd(atomic.load<u64>(recordAt(segment, record))) <= end) record++;
  store<u32>(cursor, end - offset, CURSOR_SPAN_BYTES);
  store<u32>(cursor, record, CURSOR_SPAN_RECORD);
  store<u32>(cursor, frame + frames, CURSOR_SPAN_END_FRAME);
  return SPAN_DATA;
}

/** The gap is told: from now on it is behind the cursor. Answers the first sequence that was missing. */
export function takeGap(cursor: usize): u64 {
  const first = load<u64>(cursor, CURSOR_GAP_FIRST);
  store<u64>(cursor, 0, CURSOR_GAP_FIRST);
  return first;
}

/** Frames that the last span shown holds. */
// @ts-ignore: decorator
@inline export function spanFrames(cursor: usize): u32 {
  return load<u32>(cursor, CURSOR_SPAN_END_FRAME) - load<u32>(cursor, CURSOR_FRAME);
}

/**
 * The kernel has taken `sentBytes` of the span last shown. The cursor moves behind every frame of which a
 * part is sent; answers how many bytes of the last one are still to be sent (they lie at the span's
 * address + `sentBytes`), 0 when it ended between two frames.
 */
export function advance(cursor: usize, sentBytes: u32): u32 {
  if (sentBytes == 0) return 0;
  const spanBytes = load<u32>(cursor, CURSOR_SPAN_BYTES);
  const offset = load<u32>(cursor, CURSOR_OFFSET);
  if (sentBytes == spanBytes) {
    store<u32>(cursor, load<u32>(cursor, CURSOR_SPAN_RECORD), CURSOR_RECORD);
    store<u32>(cursor, offset + spanBytes, CURSOR_OFFSET);
    store<u32>(cursor, load<u32>(cursor, CURSOR_SPAN_END_FRAME), CURSOR_FRAME);
    store<u32>(cursor, 0, CURSOR_SPAN_BYTES);
    return 0;
  }
  const at = <usize>load<u32>(cursor, CURSOR_SPAN_ADDRESS);
  let reached: u32 = 0;
  let frames: u32 = 0;
  while (reached < sentBytes) {
    reached += frameBytes(at + reached);
    frames++;
  }
  settle(cursor, offset + reached, load<u32>(cursor, CURSOR_FRAME) + frames);
  store<u32>(cursor, 0, CURSOR_SPAN_BYTES);
  return reached - sentBytes;
}

/** The end of a cursor: unpins. */
export function closeCursor(cursor: usize): void {
  detach(cursor);
  store<u32>(cursor, 0, CURSOR_STREAM);
}
