// From logs to sockets: which connection has something to send, what it is, where it lies, and what
// the kernel took of it.
//
// A connection's bytes leave in this order: the rest of a half-sent frame; control frames and ACKs;
// then its cursors' spans, in turn.
import { TYPE_GAP } from '../../frame/codes';
import { frameBytes } from '../../frame/kernel/frame';
import { FRAME_HEADER_BYTES, KEY_COUNTER, TIMESTAMP_BYTE_OFFSET } from '../../frame/layout';
import {
  advance,
  closeCursor,
  cursorSequence,
  detach,
  peek,
  spanFrames,
  subscribeThread,
  takeGap,
  unsubscribeThread,
} from '../../ring/kernel/cursor';
import { nextNews } from '../../ring/kernel/news';
import { streamRow } from '../../ring/kernel/memory';
import { tailSegment } from '../../ring/kernel/words';
import {
  CURSOR_GAP_FIRST,
  CURSOR_SEGMENT,
  CURSOR_SPAN_ADDRESS,
  CURSOR_SPAN_BYTES,
  CURSOR_STREAM,
  POOL_WAITERS_BYTE_OFFSET,
  SPAN_DATA,
  SPAN_GAP,
  STREAM_HEAD,
  STREAM_TAIL,
  STREAM_WAITERS,
} from '../../ring/layout';
import {
  AREA_NEWS,
  AREA_NEWS_MAX,
  AREA_SPAN_REFS,
  AREA_SPANS,
  CONNECTION_ACKS,
  CONNECTION_CURSORS,
  CONNECTION_CURSOR_TURN,
  CONNECTION_FLAGS,
  CONNECTION_OUT_HEAD,
  CONNECTION_OUT_TAIL,
  CONNECTION_READY_CURSORS,
  CONNECTION_REST,
  CONNECTION_REST_BYTES,
  CONNECTION_REST_CURSOR,
  CONNECTION_REST_STASH,
  CONNECTION_SEND_NEXT,
  CURSOR_AGED_SEGMENT,
  CURSOR_AGED_SINCE,
  CURSOR_CONNECTION,
  CURSOR_CONNECTION_NEXT,
  CURSOR_FLAGS,
  CURSOR_FLAG_ANNOUNCE,
  CURSOR_FLAG_READY,
  CURSOR_LIVE_FROM,
  CURSOR_STREAM_NEXT,
  CURSOR_STREAM_PREVIOUS,
  CURSOR_SUBSCRIPTION,
  FLAG_IN_SEND_QUEUE,
  FLAG_SEND_BLOCKED,
  KEYED_SEND_BYTES_MAX,
  KEYS_OUT,
  KEYS_REST_BYTES,
  KEYS_REST_HEADER,
  METER_SENT,
  OUT_NEXT,
  OUT_READ,
  OUT_WRITE,
  POOL_CURSORS,
  POOL_LARGE_STASHES,
  POOL_OUT_BLOCKS,
  POOL_SUBSCRIPTIONS,
  SPANS_MAX,
  SPAN_REF_OUT,
  SPAN_REF_REST,
  SPAN_REF_REST_HEADER,
  SUBSCRIPTION_CREDIT,
} from '../layout';
import { keyedBytes, keySpans, remakeHeader } from './keyed-output';
import { makingOf } from './keys';
import { meter, meterSend } from './meters';
import { outNumber, outSent, writeAcks } from './output';
import { area, connectionAt, giveRow, rowAt, streamFlagAt, streamListAt, takeRow, touchedRows } from './rows';

/** Bytes that one send may carry, about: enough to make the call cheap, few enough to be fair. */
const SEND_BYTES_MAX: u32 = 524288;
export const NO_LIMIT: u64 = u64.MAX_VALUE;

let framesOut: u64 = 0;
let bytesOut: u64 = 0;

/** DATA frames and bytes of DATA given to the kernel since this instance began. */
export function deliveredFrames(): f64 {
  return <f64>framesOut;
}
export function deliveredBytes(): f64 {
  return <f64>bytesOut;
}

// ---- The queue of connections with something to send ----

let queueFirst: u32 = 0;
let queueLast: u32 = 0;

/** Forgets the queue: a new life begins. */
export function openQueue(): void {
  queueFirst = 0;
  queueLast = 0;
}

/** Puts a connection at the end of the queue, unless it is in it, or its socket takes nothing now. */
export function wantSend(slot: u32): void {
  const connection = connectionAt(slot);
  const flags = load<u32>(connection, CONNECTION_FLAGS);
  if (flags & (FLAG_IN_SEND_QUEUE | FLAG_SEND_BLOCKED)) return;
  store<u32>(connection, flags | FLAG_IN_SEND_QUEUE, CONNECTION_FLAGS);
  store<u32>(connection, 0, CONNECTION_SEND_NEXT);
  if (queueLast) store<u32>(connectionAt(queueLast), slot, CONNECTION_SEND_NEXT);
  else queueFirst = slot;
  queueLast = slot;
}

/** Takes the next connection out of the queue; 0 = it is empty. */
export function nextToSend(): u32 {
  const slot = queueFirst;
  if (!slot) return 0;
  const connection = connectionAt(slot);
  queueFirst = load<u32>(connection, CONNECTION_SEND_NEXT);
  if (!queueFirst) queueLast = 0;
  store<u32>(connection, load<u32>(connection, CONNECTION_FLAGS) & ~FLAG_IN_SEND_QUEUE, CONNECTION_FLAGS);
  return slot;
}

export function queueIsEmpty(): bool {
  return queueFirst == 0;
}

/** Takes a connection that is about to end out of the queue, wherever it stands. */
export function dropFromQueue(slot: u32): void {
  const connection = connectionAt(slot);
  if (!(load<u32>(connection, CONNECTION_FLAGS) & FLAG_IN_SEND_QUEUE)) return;
  let before: u32 = 0;
  let at = queueFirst;
  while (at && at != slot) {
    before = at;
    at = load<u32>(connectionAt(at), CONNECTION_SEND_NEXT);
  }
  const next = load<u32>(connection, CONNECTION_SEND_NEXT);
  if (before) store<u32>(connectionAt(before), next, CONNECTION_SEND_NEXT);
  else queueFirst = next;
  if (queueLast == slot) queueLast = before;
  store<u32>(connection, load<u32>(connection, CONNECTION_FLAGS) & ~FLAG_IN_SEND_QUEUE, CONNECTION_FLAGS);
}

// ---- Cursors of this shard ----

/** A cursor of this connection on `stream`, not placed yet; 0 = the shard has no row left. */
export function openCursor(slot: u32, stream: u32, subscription: u32, flags: u32): u32 {
  const row = takeRow(POOL_CURSORS);
  if (!row) return 0;
  const at = rowAt(POOL_CURSORS, row);
  memory.fill(at, 0, 128);
  const connection = connectionAt(slot);
  store<u32>(at, stream, CURSOR_STREAM);
  store<u32>(at, slot, CURSOR_CONNECTION);
  store<u32>(at, subscription, CURSOR_SUBSCRIPTION);
  store<u32>(at, flags, CURSOR_FLAGS);
  const first = load<u32>(streamListAt(stream));
  store<u32>(at, first, CURSOR_STREAM_NEXT);
  if (first) store<u32>(rowAt(POOL_CURSORS, first), row, CURSOR_STREAM_PREVIOUS);
  else subscribeThread(stream);
  store<u32>(streamListAt(stream), row);
  store<u32>(at, load<u32>(connection, CONNECTION_CURSORS), CURSOR_CONNECTION_NEXT);
  store<u32>(connection, row, CONNECTION_CURSORS);
  return row;
}

export function cursorAt(row: u32): usize {
  return rowAt(POOL_CURSORS, row);
}

/** Ends a cursor. What is left of a half-sent frame of it goes to a stash; false: there is none, end the connection. */
export function endCursor(row: u32): bool {
  const at = rowAt(POOL_CURSORS, row);
  const slot = load<u32>(at, CURSOR_CONNECTION);
  const saved = saveRest(slot, row);
  setReady(at, connectionAt(slot), false);
  closeCursorRow(row, at);
  unlinkFromConnection(slot, row);
  giveRow(POOL_CURSORS, row);
  return saved;
}

function closeCursorRow(row: u32, at: usize): void {
  const stream = load<u32>(at, CURSOR_STREAM);
  const next = load<u32>(at, CURSOR_STREAM_NEXT);
  const previous = load<u32>(at, CURSOR_STREAM_PREVIOUS);
  if (previous) store<u32>(rowAt(POOL_CURSORS, previous), next, CURSOR_STREAM_NEXT);
  else store<u32>(streamListAt(stream), next);
  if (next) store<u32>(rowAt(POOL_CURSORS, next), previous, CURSOR_STREAM_PREVIOUS);
  closeCursor(at);
  if (!load<u32>(streamListAt(stream))) unsubscribeThread(stream);
}

function unlinkFromConnection(slot: u32, row: u32): void {
  let link = connectionAt(slot) + CONNECTION_CURSORS;
  while (load<u32>(link) != row) link = rowAt(POOL_CURSORS, load<u32>(link)) + CURSOR_CONNECTION_NEXT;
  const next = load<u32>(rowAt(POOL_CURSORS, row), CURSOR_CONNECTION_NEXT);
  store<u32>(link, next);
  const connection = connectionAt(slot);
  if (load<u32>(connection, CONNECTION_CURSOR_TURN) == row) store<u32>(connection, next, CONNECTION_CURSOR_TURN);
}

/** Ends all cursors of a connection that sends nothing any more. */
export function dropCursors(slot: u32): void {
  const connection = connectionAt(slot);
  let row = load<u32>(connection, CONNECTION_CURSORS);
  while (row) {
    const at = rowAt(POOL_CURSORS, row);
    const next = load<u32>(at, CURSOR_CONNECTION_NEXT);
    closeCursorRow(row, at);
    giveRow(POOL_CURSORS, row);
    row = next;
  }
  store<u32>(connection, 0, CONNECTION_CURSORS);
  store<u32>(connection, 0, CONNECTION_CURSOR_TURN);
  store<u32>(connection, 0, CONNECTION_READY_CURSORS);
}

// @ts-ignore: decorator
@inline function setReady(at: usize, connection: usize, ready: bool): void {
  const flags = load<u32>(at, CURSOR_FLAGS);
  if (((flags & CURSOR_FLAG_READY) != 0) == ready) return;
  store<u32>(at, ready ? flags | CURSOR_FLAG_READY : flags & ~CURSOR_FLAG_READY, CURSOR_FLAGS);
  const count = load<u32>(connection, CONNECTION_READY_CURSORS);
  store<u32>(connection, ready ? count + 1 : count - 1, CONNECTION_READY_CURSORS);
}

/** This cursor may have something to show. */
export function wakeCursor(row: u32): void {
  const at = rowAt(POOL_CURSORS, row);
  const slot = load<u32>(at, CURSOR_CONNECTION);
  setReady(at, connectionAt(slot), true);
  wantSend(slot);
}

// ---- News ----

/**
 * Takes this thread's news: wakes every cursor concerned, and lists in AREA_NEWS the streams that JavaScript
 * has to look at (connections wait for their log, or publishers wait for our cursors; 0 = the pool).
 * Answers how many are listed; call again while that is AREA_NEWS_MAX.
 */
export function collectNews(): u32 {
  let listed: u32 = 0;
  while (listed < <u32>AREA_NEWS_MAX) {
    const stream = nextNews();
    if (stream < 0) break;
    let tellJavaScript = stream == 0 || load<u8>(streamFlagAt(stream)) != 0;
    if (stream) {
      let row = load<u32>(streamListAt(stream));
      if (row && atomic.load<u64>(streamRow(stream), STREAM_WAITERS)) tellJavaScript = true;
      while (row) {
        wakeCursor(row);
        row = load<u32>(rowAt(POOL_CURSORS, row), CURSOR_STREAM_NEXT);
      }
    }
    if (tellJavaScript) {
      store<u32>(area + AREA_NEWS + (<usize>listed << 2), stream);
      listed++;
    }
  }
  return listed;
}

// ---- One send ----

let spanCount: u32 = 0;
let spanTotal: u32 = 0;
let announced: u32 = 0;
/** The keys of the connection that is gathered for, or 0, and how much it is sent at once. */
let keys: usize = 0;
let bytesMax: u32 = 0;
/** Whether DATA is in the table. */
let hasData: bool = false;
const FRAMES_MAX: u32 = 0x7fffffff;

function addSpan(at: usize, bytes: u32, ref: i32): void {
  const entry = area + AREA_SPANS + (<usize>spanCount << 3);
  store<u32>(entry, at);
  store<u32>(entry, bytes, 4);
  store<i32>(area + AREA_SPAN_REFS + (<usize>spanCount << 2), ref);
  spanCount++;
  spanTotal += bytes;
}

/** Spans of the control frames that are not in the table yet. */
function addOutput(connection: usize): void {
  let block = load<u32>(connection, CONNECTION_OUT_HEAD);
  while (block && spanCount < <u32>SPANS_MAX) {
    const at = rowAt(POOL_OUT_BLOCKS, block);
    const read = load<u32>(at, OUT_READ);
    const bytes = load<u32>(at, OUT_WRITE) - read;
    if (bytes) addSpan(at + read, bytes, SPAN_REF_OUT);
    block = load<u32>(at, OUT_NEXT);
  }
}

/**
 * Gathers what this connection sends next into AREA_SPANS. Answers the number of spans; 0 = nothing now.
 * `announceNeeded()` names a cursor whose stream the client must be told of first.
 */
export function gather(slot: u32): u32 {
  const connection = connectionAt(slot);
  spanCount = 0;
  spanTotal = 0;
  announced = 0;
  keys = makingOf(connection);
  bytesMax = keys ? KEYED_SEND_BYTES_MAX : SEND_BYTES_MAX;
  hasData = false;
  if (keys) addRestHeader();
  const restBytes = load<u32>(connection, CONNECTION_REST_BYTES);
  if (restBytes) addSpan(load<u32>(connection, CONNECTION_REST), restBytes, SPAN_REF_REST);
  if (load<u32>(connection, CONNECTION_ACKS)) writeAcks(slot);
  if (load<u32>(connection, CONNECTION_OUT_HEAD)) addOutput(connection);
  if (load<u32>(connection, CONNECTION_READY_CURSORS)) gatherCursors(slot, connection);
  if (!keys) return spanCount;
  const listed = keySpans(connection, keys, spanCount);
  spanTotal = keyedBytes();
  return listed;
}

/** The rest of a half-sent header of a keyed connection: it was made for this connection, and is kept in its row. */
function addRestHeader(): void {
  const bytes = load<u32>(keys, KEYS_REST_BYTES);
  if (bytes) addSpan(keys + KEYS_REST_HEADER + FRAME_HEADER_BYTES - bytes, bytes, SPAN_REF_REST_HEADER);
}

function gatherCursors(slot: u32, connection: usize): void {
  const restCursor = load<u32>(connection, CONNECTION_REST_CURSOR);
  let row = load<u32>(connection, CONNECTION_CURSOR_TURN);
  if (!row) row = load<u32>(connection, CONNECTION_CURSORS);
  const first = row;
  while (row && spanCount < <u32>SPANS_MAX && spanTotal < bytesMax) {
    const at = rowAt(POOL_CURSORS, row);
    if (load<u32>(at, CURSOR_FLAGS) & CURSOR_FLAG_READY) {
      if (!gatherCursor(slot, connection, row, at, row != restCursor)) break;
    }
    row = load<u32>(at, CURSOR_CONNECTION_NEXT);
    if (!row) row = load<u32>(connection, CONNECTION_CURSORS);
    if (row == first) break;
  }
  store<u32>(connection, row, CONNECTION_CURSOR_TURN);
}

/** Adds what one cursor shows. False: the table ends here. */
function gatherCursor(slot: u32, connection: usize, row: u32, at: usize, mayCross: bool): bool {
  const credit = rowAt(POOL_SUBSCRIPTIONS, load<u32>(at, CURSOR_SUBSCRIPTION));
  const left = load<u64>(credit, SUBSCRIPTION_CREDIT);
  if (left == 0) {
    setReady(at, connection, false);
    return true;
  }
  const framesMax = left > FRAMES_MAX ? FRAMES_MAX : <u32>left;
  const kind = peek(at, bytesMax - spanTotal, mayCross, framesMax);
  if (kind == SPAN_DATA || kind == SPAN_GAP) {
    if (load<u32>(at, CURSOR_FLAGS) & CURSOR_FLAG_ANNOUNCE) {
      announced = row;
      return false;
    }
    if (kind == SPAN_GAP) return gatherGap(slot, connection, at);
    addSpan(load<u32>(at, CURSOR_SPAN_ADDRESS), load<u32>(at, CURSOR_SPAN_BYTES), row);
    hasData = true;
    // Credit is taken when a span is shown, so that two cursors of one subscription don't spend it twice.
    if (left != NO_LIMIT) store<u64>(credit, left - spanFrames(at), SUBSCRIPTION_CREDIT);
  } else if (mayCross) {
    setReady(at, connection, false);
  }
  return true;
}

/** Writes the GAP and ends the table: the frame goes out with the next send, in its place before the cursor's data. */
function gatherGap(slot: u32, connection: usize, at: usize): bool {
  // DATA that is gathered already leaves first, and is counted first.
  if (keys && hasData) return false;
  if (outNumber(slot, TYPE_GAP, load<u32>(at, CURSOR_STREAM), load<u64>(at, CURSOR_GAP_FIRST), cursorSequence(at))) {
    takeGap(at);
    gapsTold++;
    if (spanCount == 0) addOutput(connection);
  }
  return false;
}

let gapsTold: u32 = 0;

export function toldGaps(): u32 {
  return gapsTold;
}

/** The cursor at which the last gather stopped, because its stream must be announced first; 0 = none. */
export function announceNeeded(): u32 {
  return announced;
}

export function clearAnnounce(row: u32): void {
  const at = rowAt(POOL_CURSORS, row);
  store<u32>(at, load<u32>(at, CURSOR_FLAGS) & ~CURSOR_FLAG_ANNOUNCE, CURSOR_FLAGS);
}

/** Bytes of the spans that the last gather made. */
export function gatheredBytes(): u32 {
  return spanTotal;
}

/** The kernel has taken `bytes` (0 or more) of the spans last gathered for this connection. */
export function sent(slot: u32, bytes: u32): void {
  const connection = connectionAt(slot);
  keys = makingOf(connection);
  const framesBefore = framesOut;
  for (let i: u32 = 0; i < spanCount; i++) {
    const entry = area + AREA_SPANS + (<usize>i << 3);
    const spanBytes = load<u32>(entry, 4);
    const taken = bytes < spanBytes ? bytes : spanBytes;
    bytes -= taken;
    const ref = load<i32>(area + AREA_SPAN_REFS + (<usize>i << 2));
    if (ref == SPAN_REF_REST) restSent(connection, taken);
    else if (ref == SPAN_REF_OUT) outSent(slot, taken);
    else if (ref == SPAN_REF_REST_HEADER) {
      store<u32>(keys, load<u32>(keys, KEYS_REST_BYTES) - taken, KEYS_REST_BYTES);
    }
    else cursorSent(connection, <u32>ref, load<u32>(entry), taken);
  }
  if (framesOut != framesBefore) meter(METER_SENT, framesOut - framesBefore);
  spanCount = 0;
}

function restSent(connection: usize, bytes: u32): void {
  const left = load<u32>(connection, CONNECTION_REST_BYTES) - bytes;
  store<u32>(connection, left, CONNECTION_REST_BYTES);
  store<u32>(connection, load<u32>(connection, CONNECTION_REST) + bytes, CONNECTION_REST);
  if (left == 0) {
    store<u32>(connection, 0, CONNECTION_REST_CURSOR);
    freeRestStash(connection);
  }
}

function freeRestStash(connection: usize): void {
  const stash = load<u32>(connection, CONNECTION_REST_STASH);
  if (stash) {
    giveRow(POOL_LARGE_STASHES, stash);
    store<u32>(connection, 0, CONNECTION_REST_STASH);
  }
}

function cursorSent(connection: usize, row: u32, spanAt: u32, bytes: u32): void {
  const at = rowAt(POOL_CURSORS, row);
  const shown = spanFrames(at);
  const before = cursorSequence(at);
  const credit = rowAt(POOL_SUBSCRIPTIONS, load<u32>(at, CURSOR_SUBSCRIPTION));
  let rest = advance(at, bytes);
  const frames = <u32>(cursorSequence(at) - before);
  if (keys) {
    cursorSentKeyed(connection, row, spanAt, bytes, frames, rest);
    rest = 0;
  }
  framesOut += frames;
  bytesOut += bytes;
  if (frames && before >= load<u64>(at, CURSOR_LIVE_FROM)) {
    meterSend(load<u64>(spanAt, TIMESTAMP_BYTE_OFFSET));
  }
  // What was shown and not sent has its credit back.
  const left = load<u64>(credit, SUBSCRIPTION_CREDIT);
  if (left != NO_LIMIT) store<u64>(credit, left + (shown - frames), SUBSCRIPTION_CREDIT);
  if (rest) {
    store<u32>(connection, spanAt + bytes, CONNECTION_REST);
    store<u32>(connection, rest, CONNECTION_REST_BYTES);
    store<u32>(connection, row, CONNECTION_REST_CURSOR);
  }
}

/**
 * Counts the frames of the span that have left, or begun to; of the last one `rest` bytes are left. Its header was made for this
 * connection, so that what is left of it is made once more and kept; the payload's rest is the log's.
 */
function cursorSentKeyed(connection: usize, row: u32, spanAt: usize, bytes: u32, frames: u32, rest: u32): void {
  const key = keys + KEYS_OUT;
  const counter = load<u64>(key, KEY_COUNTER) + frames;
  store<u64>(key, counter, KEY_COUNTER);
  if (!rest) return;
  const end = spanAt + bytes + rest;
  let frame = spanAt;
  while (frame + frameBytes(frame) < end) frame += frameBytes(frame);
  const behindHeader = frameBytes(frame) - FRAME_HEADER_BYTES;
  if (rest > behindHeader) {
    remakeHeader(connection, keys, keys + KEYS_REST_HEADER, frame, counter - 1);
    store<u32>(keys, rest - behindHeader, KEYS_REST_BYTES);
    rest = behindHeader;
    if (!rest) return;
  }
  store<u32>(connection, <u32>end - rest, CONNECTION_REST);
  store<u32>(connection, rest, CONNECTION_REST_BYTES);
  store<u32>(connection, row, CONNECTION_REST_CURSOR);
}

/** Copies the rest of a half-sent frame out of the segment of `row`, if it lies there. False: no stash is free. */
function saveRest(slot: u32, row: u32): bool {
  const connection = connectionAt(slot);
  if (load<u32>(connection, CONNECTION_REST_CURSOR) != row) return true;
  const bytes = load<u32>(connection, CONNECTION_REST_BYTES);
  const stash = takeRow(POOL_LARGE_STASHES);
  store<u32>(connection, 0, CONNECTION_REST_CURSOR);
  if (!stash) {
    store<u32>(connection, 0, CONNECTION_REST_BYTES);
    return false;
  }
  const at = rowAt(POOL_LARGE_STASHES, stash);
  memory.copy(at, load<u32>(connection, CONNECTION_REST), bytes);
  store<u32>(connection, at, CONNECTION_REST);
  store<u32>(connection, stash, CONNECTION_REST_STASH);
  return true;
}

/** Before a connection sends nothing but its last words: the rest of a half-sent frame is kept, its cursors end. */
export function endCursors(slot: u32): bool {
  const cursor = load<u32>(connectionAt(slot), CONNECTION_REST_CURSOR);
  const saved = cursor ? saveRest(slot, cursor) : true;
  dropCursors(slot);
  return saved;
}

/** Lets go of a rest that will not be sent any more. */
export function dropRest(slot: u32): void {
  const connection = connectionAt(slot);
  store<u32>(connection, 0, CONNECTION_REST_BYTES);
  store<u32>(connection, 0, CONNECTION_REST_CURSOR);
  freeRestStash(connection);
}

/** A connection that has nothing more to send, as far as this thread knows. */
export function isDrained(slot: u32): bool {
  const connection = connectionAt(slot);
  const keysAt = makingOf(connection);
  return (
    !(keysAt && load<u32>(keysAt, KEYS_REST_BYTES)) &&
    !load<u32>(connection, CONNECTION_REST_BYTES) &&
    !load<u32>(connection, CONNECTION_OUT_HEAD) &&
    !load<u32>(connection, CONNECTION_ACKS) &&
    !load<u32>(connection, CONNECTION_READY_CURSORS)
  );
}

// ---- Slow subscribers ----

/** Who waits for the log that `stream` is, or, with `stream` 0, for the pool. */
export function somebodyWaits(stream: u32): bool {
  return stream
    ? atomic.load<u64>(streamRow(stream), STREAM_WAITERS) != 0
    : atomic.load<u64>(POOL_WAITERS_BYTE_OFFSET) != 0;
}

let hopeless: u32 = 0;

/**
 * Publishers wait: moves on every cursor of this shard that has held `stream`'s oldest segment (with
 * `stream` 0, any segment but a tail) for `ticksMax` ticks or more since it was first seen doing so.
 * Answers how many hold something still. `hopelessConnection()` names one that must end, because the rest
 * of its half-sent frame found no place.
 */
export function moveOn(stream: u32, tick: u32, ticksMax: u32): u32 {
  hopeless = 0;
  let holding: u32 = 0;
  if (stream) {
    const head = atomic.load<u32>(streamRow(stream), STREAM_HEAD);
    let row = load<u32>(streamListAt(stream));
    while (row) {
      const at = rowAt(POOL_CURSORS, row);
      if (load<u32>(at, CURSOR_SEGMENT) == head) holding += age(row, at, head, tick, ticksMax);
      row = load<u32>(at, CURSOR_STREAM_NEXT);
    }
    return holding;
  }
  const rows = touchedRows(POOL_CURSORS);
  for (let row: u32 = 1; row <= rows; row++) {
    const at = rowAt(POOL_CURSORS, row);
    // A free row has no stream (`closeCursor`); the first word is the free list's.
    const segment = load<u32>(at, CURSOR_SEGMENT);
    if (!segment || !load<u32>(at, CURSOR_CONNECTION)) continue;
    const tail = tailSegment(atomic.load<u64>(streamRow(load<u32>(at, CURSOR_STREAM)), STREAM_TAIL));
    if (segment != tail) holding += age(row, at, segment, tick, ticksMax);
  }
  return holding;
}

function age(row: u32, at: usize, segment: u32, tick: u32, ticksMax: u32): u32 {
  if (load<u32>(at, CURSOR_AGED_SEGMENT) != segment) {
    store<u32>(at, segment, CURSOR_AGED_SEGMENT);
    store<u32>(at, tick, CURSOR_AGED_SINCE);
  }
  if (tick - load<u32>(at, CURSOR_AGED_SINCE) < ticksMax) return 1;
  const slot = load<u32>(at, CURSOR_CONNECTION);
  // Only one can be named at a time: another that might have to end, too, waits for the next look.
  if (hopeless && load<u32>(connectionAt(slot), CONNECTION_REST_CURSOR) == row) return 1;
  store<u32>(at, 0, CURSOR_AGED_SEGMENT);
  if (!saveRest(slot, row)) hopeless = slot;
  detach(at);
  movedOn++;
  return 0;
}

let movedOn: u32 = 0;

/** How often a slow subscriber was moved on. */
export function movedOnCount(): u32 {
  return movedOn;
}

export function hopelessConnection(): u32 {
  return hopeless;
}

