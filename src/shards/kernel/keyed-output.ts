// What a keyed connection is sent: the spans that were gathered for it, with a header of its own in front of every
// payload. A small frame is copied beside its header, so that a run of them is one span: a list of many short
// ones would cost the kernel more than the copy does. A large payload is sent from where it lies in the log.
import { frameBytes } from '../../frame/kernel/frame';
import { tagOf } from '../../frame/kernel/siphash';
import { writeTags } from '../../frame/kernel/siphash-lanes';
import { FLAG_KEYED, FRAME_HEADER_BYTES, KEY_COUNTER, TAG_BYTE_OFFSET } from '../../frame/layout';
import {
  AREA_KEYED_SCRATCH,
  AREA_KEYED_SPANS,
  AREA_SPAN_REFS,
  AREA_SPANS,
  KEYED_COPY_BYTES_MAX,
  KEYED_SEND_BYTES_MAX,
  KEYS_OUT,
} from '../layout';
import { area } from './rows';

let spanCount: u32 = 0;
let spanTotal: u32 = 0;
/** Where the last span ends, if it lies in the scratch; what is written there next belongs to it. */
let scratchAt: usize = 0;
let isOpen: bool = false;

/** Bytes of the spans that `keySpans` has listed. */
export function keyedBytes(): u32 {
  return spanTotal;
}

function addSpan(at: usize, bytes: u32): void {
  const entry = area + AREA_KEYED_SPANS + (<usize>spanCount << 3);
  store<u32>(entry, <u32>at);
  store<u32>(entry, bytes, 4);
  spanCount++;
  spanTotal += bytes;
  isOpen = false;
}

/** The next `bytes` of the scratch, which are sent behind what was listed before. */
// @ts-ignore: decorator
@inline function takeScratch(bytes: u32): usize {
  const at = scratchAt;
  scratchAt += bytes;
  if (isOpen) {
    const entry = area + AREA_KEYED_SPANS + (<usize>(spanCount - 1) << 3);
    store<u32>(entry, load<u32>(entry, 4) + bytes, 4);
    spanTotal += bytes;
  } else {
    addSpan(at, bytes);
    isOpen = true;
  }
  return at;
}

/** The header of a frame in the log as it is sent, but for its tag. */
// @ts-ignore: decorator
@inline function copyHeader(header: usize, frame: usize): void {
  store<u64>(header, load<u64>(frame) | ((<u64>FLAG_KEYED) << 32));
  store<u64>(header, load<u64>(frame, 8), 8);
  store<u64>(header, load<u64>(frame, 16), 16);
  store<u64>(header, load<u64>(frame, 24), 24);
}

/** Writes at `header` the one that the frame in the log is sent with. */
export function keyHeader(key: usize, header: usize, frame: usize, counter: u64): void {
  copyHeader(header, frame);
  store<u64>(header, tagOf(key, counter, header, frame + FRAME_HEADER_BYTES), TAG_BYTE_OFFSET);
}

let payloadAt: usize = 0;

/** Lists the frame, without its tag; answers where its header is, and `payloadAt` where its payload. */
// @ts-ignore: decorator
@inline function addFrame(frame: usize, bytes: u32): usize {
  const isCopied = bytes <= <u32>KEYED_COPY_BYTES_MAX;
  const header = takeScratch(isCopied ? bytes : FRAME_HEADER_BYTES);
  copyHeader(header, frame);
  if (isCopied) {
    for (let offset: usize = FRAME_HEADER_BYTES; offset < bytes; offset += 8) {
      store<u64>(header + offset, load<u64>(frame + offset));
    }
    payloadAt = header + FRAME_HEADER_BYTES;
  } else {
    payloadAt = frame + FRAME_HEADER_BYTES;
    addSpan(payloadAt, bytes - FRAME_HEADER_BYTES);
  }
  return header;
}

// Frames that are listed and not tagged yet, at most two.
let waiting: u32 = 0;
let header0: usize = 0;
let header1: usize = 0;
let payload0: usize = 0;
let payload1: usize = 0;

/**
 * Lists in AREA_KEYED_SPANS what is to be sent of the `gathered` spans in AREA_SPANS, under the row of keys at `keys`.
 * Answers how many these are, and `keyedBytes` how much: one frame, or up to KEYED_SEND_BYTES_MAX, and what is behind that is
 * left out. The counter is not moved on here, because not all of it may leave.
 */
export function keySpans(keys: usize, gathered: u32): u32 {
  const key = keys + KEYS_OUT;
  let counter = load<u64>(key, KEY_COUNTER);
  spanCount = 0;
  spanTotal = 0;
  isOpen = false;
  waiting = 0;
  scratchAt = area + AREA_KEYED_SCRATCH;
  for (let i: u32 = 0; i < gathered; i++) {
    const entry = area + AREA_SPANS + (<usize>i << 3);
    let frame = <usize>load<u32>(entry);
    const end = frame + load<u32>(entry, 4);
    if (load<i32>(area + AREA_SPAN_REFS + (<usize>i << 2)) < 0) {
      addSpan(frame, <u32>(end - frame));
      continue;
    }
    while (frame < end) {
      const bytes = frameBytes(frame);
      if (spanTotal && spanTotal + bytes > <u32>KEYED_SEND_BYTES_MAX) {
        tagWaiting(key, counter);
        return spanCount;
      }
      const header = addFrame(frame, bytes);
      frame += bytes;
      if (waiting == 2) {
        writeTags(key, counter, header0, header1, header, payload0, payload1, payloadAt);
        counter += 3;
        waiting = 0;
      } else if (waiting == 1) {
        header1 = header;
        payload1 = payloadAt;
        waiting = 2;
      } else {
        header0 = header;
        payload0 = payloadAt;
        waiting = 1;
      }
    }
  }
  tagWaiting(key, counter);
  return spanCount;
}

function tagWaiting(key: usize, counter: u64): void {
  if (waiting > 0) store<u64>(header0, tagOf(key, counter, header0, payload0), TAG_BYTE_OFFSET);
  if (waiting > 1) store<u64>(header1, tagOf(key, counter + 1, header1, payload1), TAG_BYTE_OFFSET);
}
