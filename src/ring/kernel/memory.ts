// Where everything lies in the arena. Each thread's instance reads the geometry once, in `attach`.
import {
  GEOMETRY_DATA_BYTE_OFFSET,
  GEOMETRY_LARGE_BYTES,
  GEOMETRY_LARGE_COUNT,
  GEOMETRY_MEDIUM_BYTES,
  GEOMETRY_MEDIUM_COUNT,
  GEOMETRY_NODE_COUNT,
  GEOMETRY_PIN_COUNTS_BYTE_OFFSET,
  GEOMETRY_SEGMENTS_BYTE_OFFSET,
  GEOMETRY_SMALL_BYTES,
  GEOMETRY_SMALL_COUNT,
  GEOMETRY_STATES_BYTE_OFFSET,
  GEOMETRY_STREAMS_BYTE_OFFSET,
  GEOMETRY_THREADS_BYTE_OFFSET,
  GEOMETRY_THREAD_COUNT,
  RECORD_BYTES,
  SEGMENT_BASE_SEQUENCE,
  SEGMENT_BYTES,
  SEGMENT_CAPACITY_BEFORE,
  SEGMENT_ORDINAL,
  STREAM_BYTES,
  THREAD_BYTES,
  THREAD_CURRENT_STREAM,
  THREAD_NODE,
} from '../layout';

/** This thread's number: 0 is control, shards count from 1. */
export let me: u32 = 0;
/** This thread's bit in every mask. */
export let myBit: u64 = 1;
export let myNode: u32 = 0;

export let segmentCount: u32 = 0;
export let nodeCount: u32 = 1;
export let smallCount: u32 = 0;
export let mediumCount: u32 = 0;
export let largeCount: u32 = 0;
let smallBytes: u32 = 0;
let mediumBytes: u32 = 0;
export let largeBytes: u32 = 0;
let threadsAt: usize = 0;
let streamsAt: usize = 0;
let statesAt: usize = 0;
let segmentsAt: usize = 0;
let pinCountsAt: usize = 0;
let smallAt: usize = 0;
let mediumAt: usize = 0;
let largeAt: usize = 0;
let mediumFirst: u32 = 0;
let largeFirst: u32 = 0;

/** This thread's own copy of what its row says, so that the row is written only when it changes. */
let currentStream: u32 = 0;

/** Says on which stream this thread is at work, before it claims, locks or takes anything for it. */
// @ts-ignore: decorator
@inline export function workOn(stream: u32): void {
  if (stream != currentStream) {
    currentStream = stream;
    atomic.store<u32>(threadRow(me), stream, THREAD_CURRENT_STREAM);
  }
}

// @ts-ignore: decorator
@inline export function workedOn(): u32 {
  return currentStream;
}

export function attach(thread: u32): void {
  me = thread;
  myBit = <u64>1 << <u64>thread;
  nodeCount = load<u32>(GEOMETRY_NODE_COUNT);
  smallCount = load<u32>(GEOMETRY_SMALL_COUNT);
  mediumCount = load<u32>(GEOMETRY_MEDIUM_COUNT);
  largeCount = load<u32>(GEOMETRY_LARGE_COUNT);
  smallBytes = load<u32>(GEOMETRY_SMALL_BYTES);
  mediumBytes = load<u32>(GEOMETRY_MEDIUM_BYTES);
  largeBytes = load<u32>(GEOMETRY_LARGE_BYTES);
  segmentCount = smallCount + mediumCount + largeCount;
  mediumFirst = smallCount + 1;
  largeFirst = mediumFirst + mediumCount;
  threadsAt = load<u32>(GEOMETRY_THREADS_BYTE_OFFSET);
  streamsAt = load<u32>(GEOMETRY_STREAMS_BYTE_OFFSET);
  statesAt = load<u32>(GEOMETRY_STATES_BYTE_OFFSET);
  segmentsAt = load<u32>(GEOMETRY_SEGMENTS_BYTE_OFFSET);
  pinCountsAt = load<u32>(GEOMETRY_PIN_COUNTS_BYTE_OFFSET);
  smallAt = load<u32>(GEOMETRY_DATA_BYTE_OFFSET);
  mediumAt = smallAt + <usize>smallCount * smallBytes;
  largeAt = mediumAt + <usize>mediumCount * mediumBytes;
  myNode = load<u32>(threadRow(thread), THREAD_NODE);
  currentStream = atomic.load<u32>(threadRow(thread), THREAD_CURRENT_STREAM);
}

// @ts-ignore: decorator
@inline export function threadRow(thread: u32): usize {
  return threadsAt + <usize>thread * THREAD_BYTES;
}

// @ts-ignore: decorator
@inline export function streamRow(stream: u32): usize {
  return streamsAt + <usize>stream * STREAM_BYTES;
}

// @ts-ignore: decorator
@inline export function segmentRow(segment: u32): usize {
  return segmentsAt + <usize>segment * SEGMENT_BYTES;
}

// @ts-ignore: decorator
@inline export function stateAt(segment: u32): usize {
  return statesAt + (<usize>segment << 2);
}

/** u16, private to its thread: how many cursors and rotations of `thread` stand in `segment`. */
// @ts-ignore: decorator
@inline export function pinCountAt(thread: u32, segment: u32): usize {
  return pinCountsAt + (<usize>thread * (segmentCount + 1) + segment) * 2;
}

// @ts-ignore: decorator
@inline export function segmentCapacity(segment: u32): u32 {
  return segment >= largeFirst ? largeBytes : segment >= mediumFirst ? mediumBytes : smallBytes;
}

// @ts-ignore: decorator
@inline export function segmentAt(segment: u32): usize {
  return segment >= largeFirst
    ? largeAt + <usize>(segment - largeFirst) * largeBytes
    : segment >= mediumFirst
      ? mediumAt + <usize>(segment - mediumFirst) * mediumBytes
      : smallAt + <usize>(segment - 1) * smallBytes;
}

/** Records grow from the back of the segment. */
// @ts-ignore: decorator
@inline export function recordAt(segment: u32, record: u32): usize {
  return segmentAt(segment) + segmentCapacity(segment) - <usize>RECORD_BYTES * (<usize>record + 1);
}

// @ts-ignore: decorator
@inline export function baseSequence(segment: u32): u64 {
  return load<u64>(segmentRow(segment), SEGMENT_BASE_SEQUENCE);
}

// @ts-ignore: decorator
@inline export function ordinal(segment: u32): u32 {
  return load<u32>(segmentRow(segment), SEGMENT_ORDINAL);
}

// @ts-ignore: decorator
@inline export function capacityBefore(segment: u32): u64 {
  return load<u64>(segmentRow(segment), SEGMENT_CAPACITY_BEFORE);
}

export const CLASS_SMALL: u32 = 0;
export const CLASS_MEDIUM: u32 = 1;
export const CLASS_LARGE: u32 = 2;

// @ts-ignore: decorator
@inline export function classOf(segment: u32): u32 {
  return segment >= largeFirst ? CLASS_LARGE : segment >= mediumFirst ? CLASS_MEDIUM : CLASS_SMALL;
}

// @ts-ignore: decorator
@inline export function classBytes(sizeClass: u32): u32 {
  return sizeClass == CLASS_LARGE ? largeBytes : sizeClass == CLASS_MEDIUM ? mediumBytes : smallBytes;
}

// @ts-ignore: decorator
@inline export function classFirst(sizeClass: u32): u32 {
  return sizeClass == CLASS_LARGE ? largeFirst : sizeClass == CLASS_MEDIUM ? mediumFirst : 1;
}

// @ts-ignore: decorator
@inline export function classCount(sizeClass: u32): u32 {
  return sizeClass == CLASS_LARGE ? largeCount : sizeClass == CLASS_MEDIUM ? mediumCount : smallCount;
}
