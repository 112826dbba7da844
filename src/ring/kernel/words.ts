// The two packed words of a log, and what a record can be.
//
//   tail    segment:20 | record:13 | byte offset:18 | frames:13
//   record  kind:2 | start:18 | end:18 | first frame:13 | end frame:13      0 = claimed or free, not yet written
//   SEAL    kind:2 | … | next segment:20

export const RECORD_DATA: u64 = 1;
export const RECORD_GAP: u64 = 2;
export const RECORD_SEAL: u64 = 3;

const FRAMES_MASK: u64 = 0x1fff;
const OFFSET_MASK: u64 = 0x3ffff;
const SEGMENT_MASK: u64 = 0xfffff;

// @ts-ignore: decorator
@inline export function tailSegment(tail: u64): u32 { return <u32>(tail >> 44); }
// @ts-ignore: decorator
@inline export function tailRecord(tail: u64): u32 { return <u32>((tail >> 31) & FRAMES_MASK); }
// @ts-ignore: decorator
@inline export function tailOffset(tail: u64): u32 { return <u32>((tail >> 13) & OFFSET_MASK); }
// @ts-ignore: decorator
@inline export function tailFrames(tail: u64): u32 { return <u32>(tail & FRAMES_MASK); }
// @ts-ignore: decorator
@inline export function makeTail(segment: u32, record: u32, offset: u32, frames: u32): u64 {
  return ((<u64>segment) << 44) | ((<u64>record) << 31) | ((<u64>offset) << 13) | <u64>frames;
}

// @ts-ignore: decorator
@inline export function recordKind(record: u64): u64 { return record >> 62; }
// @ts-ignore: decorator
@inline export function recordStart(record: u64): u32 { return <u32>((record >> 44) & OFFSET_MASK); }
// @ts-ignore: decorator
@inline export function recordEnd(record: u64): u32 { return <u32>((record >> 26) & OFFSET_MASK); }
// @ts-ignore: decorator
@inline export function recordFirstFrame(record: u64): u32 { return <u32>((record >> 13) & FRAMES_MASK); }
// @ts-ignore: decorator
@inline export function recordEndFrame(record: u64): u32 { return <u32>(record & FRAMES_MASK); }
// @ts-ignore: decorator
@inline export function makeRecord(kind: u64, start: u32, end: u32, firstFrame: u32, endFrame: u32): u64 {
  return (kind << 62) | ((<u64>start) << 44) | ((<u64>end) << 26) | ((<u64>firstFrame) << 13) | <u64>endFrame;
}

// @ts-ignore: decorator
@inline export function makeSeal(next: u32): u64 { return (RECORD_SEAL << 62) | <u64>next; }
// @ts-ignore: decorator
@inline export function sealNext(record: u64): u32 { return <u32>(record & SEGMENT_MASK); }
