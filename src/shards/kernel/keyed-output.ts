// What a keyed connection is sent: the spans that were gathered for it, with a header of its own in front of every
// payload (so is one whose version is not that of the logs). A small frame is copied beside its header, so that a run of them is one span: a list of many short
// ones would cost the kernel more than the copy does. A large payload is sent from where it lies in the log.
import { frameBytes } from '../../frame/kernel/frame';
import { tagOf } from '../../frame/kernel/siphash';
import { writeTags } from '../../frame/kernel/siphash-lanes';
import {
  FLAG_KEYED,
  FRAME_HEADER_BYTES,
  HEADER_CHECK_BYTE_OFFSET,
  KEY_COUNTER,
  PAYLOAD_CHECK_BYTE_OFFSET,
  PROTOCOL_VERSION,
  TAG_BYTE_OFFSET,
} from '../../frame/layout';
import {
  AREA_KEYED_SCRATCH,
  AREA_KEYED_SPANS,
  AREA_SPAN_REFS,
  AREA_SPANS,
  KEYED_COPY_BYTES_MAX,
  KEYED_SEND_BYTES_MAX,
  KEYS_OUT,
} from '../layout';
import { headerCheck } from '../../frame/kernel/xxh64';
import { isKeyed } from './keys';
import { area } from './rows';
import { IS_MIXED, versionOf } from './versions';

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

/** What the headers of this connection have that those in logs have not: the flag, and another version. */
// @ts-ignore: decorator
@inline function differenceOf(connection: usize, making: usize): u64 {
  const flag = isKeyed(making) ? (<u64>FLAG_KEYED) << 32 : 0;
  if (!IS_MIXED) return flag;
  return flag | ((<u64>(versionOf(connection) ^ PROTOCOL_VERSION)) << 16);
}

/** The header of a frame in the log as it is sent, but for its tag or check. */
// @ts-ignore: decorator
@inline function copyHeader(header: usize, frame: usize, difference: u64): void {
  store<u64>(header, load<u64>(frame) ^ difference);
  store<u64>(header, load<u64>(frame, 8), 8);
  store<u64>(header, load<u64>(frame, 16), 16);
  store<u64>(header, load<u64>(frame, 24), 24);
  if (IS_MIXED) store<u32>(header, load<u32>(frame, PAYLOAD_CHECK_BYTE_OFFSET), PAYLOAD_CHECK_BYTE_OFFSET);
}

/** Writes at `header` once more the one that the frame in the log was sent with. */
export function remakeHeader(connection: usize, making: usize, header: usize, frame: usize, counter: u64): void {
  copyHeader(header, frame, differenceOf(connection, making));
  if (isKeyed(making)) {
    const tag = tagOf(making + KEYS_OUT, counter, header, frame + FRAME_HEADER_BYTES);
    store<u64>(header, tag, TAG_BYTE_OFFSET);
  } else {
    store<u32>(header, headerCheck(header), HEADER_CHECK_BYTE_OFFSET);
  }
}

let payloadAt: usize = 0;

/** Lists the frame, without its tag; answers where its header is, and `payloadAt` where its payload. */
// @ts-ignore: decorator
@inline function addFrame(frame: usize, bytes: u32, difference: u64): usize {
  const isCopied = bytes <= <u32>KEYED_COPY_BYTES_MAX;
  const header = takeScratch(isCopied ? bytes : FRAME_HEADER_BYTES);
  copyHeader(header, frame, difference);
  if (isCopied) {
    // The last step may take eight bytes more than there are, which the next frame is written over.
    for (let offset: usize = FRAME_HEADER_BYTES; offset < bytes; offset += 16) {
      v128.store(header + offset, v128.load(frame + offset));
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
 * Lists in AREA_KEYED_SPANS what is to be sent of the `gathered` spans in AREA_SPANS, made by the row of keys at `keys`.
 * Answers how many these are, and `keyedBytes` how much: one frame, or up to KEYED_SEND_BYTES_MAX, and what is behind that is
 * left out. The counter is not moved on here, because not all of it may leave.
 */
export function keySpans(connection: usize, keys: usize, gathered: u32): u32 {
  const key = keys + KEYS_OUT;
  const difference = differenceOf(connection, keys);
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
      const header = addFrame(frame, bytes, difference);
      frame += bytes;
      if (IS_MIXED && !isKeyed(keys)) {
        store<u32>(header, headerCheck(header), HEADER_CHECK_BYTE_OFFSET);
        continue;
      }
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
