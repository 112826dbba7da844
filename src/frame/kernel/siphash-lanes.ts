// SipHash-2-4 of three frames at once, by the same steps as `siphash.ts`. One alone waits for each of its rounds; three
// that have nothing to do with one another do not: one goes through plain words, two beside it through
// vectors of two words, which other units of the machine compute.
import {
  FRAME_HEADER_BYTES,
  HEADER_TAGGED_BYTES,
  KEY_FIRST,
  KEY_SECOND,
  PAYLOAD_LENGTH_BYTE_OFFSET,
  TAG_BYTE_OFFSET,
} from '../layout';
import { BEFORE_PAYLOAD, START_0, START_1, START_2, START_3, lastWord, siphashRest } from './siphash';

// What was absorbed last.
const HEADER: i32 = 0;
const PAYLOAD: i32 = 1;
const LAST_WORD: i32 = 2;
const FIRST_EMPTY: i32 = 3;
const SECOND_EMPTY: i32 = 4;

let tag0: u64 = 0;
let tag1: u64 = 0;
let tag2: u64 = 0;
// The states of three frames whose lengths differ, after what all of them have.
let leftA: u64 = 0;
let leftB: u64 = 0;
let leftC: u64 = 0;
let leftD: u64 = 0;
let leftAA: v128 = i64x2.splat(0);
let leftBB: v128 = i64x2.splat(0);
let leftCC: v128 = i64x2.splat(0);
let leftDD: v128 = i64x2.splat(0);

// @ts-ignore: decorator
@inline function rotated(words: v128, left: i32): v128 {
  return v128.or(i64x2.shl(words, left), i64x2.shr_u(words, 64 - left));
}

// @ts-ignore: decorator
@inline function rotated16(words: v128): v128 {
  return v128.shuffle<u16>(words, words, 3, 0, 1, 2, 7, 4, 5, 6);
}

// @ts-ignore: decorator
@inline function rotated32(words: v128): v128 {
  return v128.shuffle<u32>(words, words, 1, 0, 3, 2);
}

// @ts-ignore: decorator
@inline function pair(first: u64, second: u64): v128 {
  return i64x2.replace_lane(i64x2.splat(first), 1, second);
}

/**
 * Absorbs what three frames have, whose counters are `counter`, `counter` + 1 and `counter` + 2: header and `byteCount` bytes of
 * each payload. Where the lengths differ that is a multiple of 8, and the states are left; else the tags.
 */
function absorbThree(
  key: usize,
  counter: u64,
  header0: usize,
  header1: usize,
  header2: usize,
  payload0: usize,
  payload1: usize,
  payload2: usize,
  byteCount: u32,
  differ: bool,
): void {
  let a = load<u64>(key, KEY_FIRST) ^ START_0;
  let b = load<u64>(key, KEY_SECOND) ^ START_1;
  let c = load<u64>(key, KEY_FIRST) ^ START_2;
  let d = load<u64>(key, KEY_SECOND) ^ START_3;
  let aa = i64x2.splat(a);
  let bb = i64x2.splat(b);
  let cc = i64x2.splat(c);
  let dd = i64x2.splat(d);
  let word = counter;
  let words = pair(counter + 1, counter + 2);
  let at0 = header0;
  let at1 = header1;
  let at2 = header2;
  let end = at0 + HEADER_TAGGED_BYTES;
  let absorbed = HEADER;
  while (true) {
    // Two words a turn: what a loop costs besides falls on half as many.
    while (true) {
      dd = v128.xor(dd, words);
      d ^= word;
      aa = i64x2.add(aa, bb); cc = i64x2.add(cc, dd);
      bb = v128.xor(rotated(bb, 13), aa); dd = v128.xor(rotated16(dd), cc); aa = rotated32(aa);
      a += b; b = rotl<u64>(b, 13) ^ a; a = rotl<u64>(a, 32);
      c += d; d = rotl<u64>(d, 16) ^ c;
      aa = i64x2.add(aa, dd); cc = i64x2.add(cc, bb);
      dd = v128.xor(rotated(dd, 21), aa); bb = v128.xor(rotated(bb, 17), cc); cc = rotated32(cc);
      a += d; d = rotl<u64>(d, 21) ^ a;
      c += b; b = rotl<u64>(b, 17) ^ c; c = rotl<u64>(c, 32);
      aa = i64x2.add(aa, bb); cc = i64x2.add(cc, dd);
      bb = v128.xor(rotated(bb, 13), aa); dd = v128.xor(rotated16(dd), cc); aa = rotated32(aa);
      a += b; b = rotl<u64>(b, 13) ^ a; a = rotl<u64>(a, 32);
      c += d; d = rotl<u64>(d, 16) ^ c;
      aa = i64x2.add(aa, dd); cc = i64x2.add(cc, bb);
      dd = v128.xor(rotated(dd, 21), aa); bb = v128.xor(rotated(bb, 17), cc); cc = rotated32(cc);
      a += d; d = rotl<u64>(d, 21) ^ a;
      c += b; b = rotl<u64>(b, 17) ^ c; c = rotl<u64>(c, 32);
      aa = v128.xor(aa, words);
      a ^= word;
      if (at0 == end) break;
      word = load<u64>(at0);
      words = v128.load64_lane(at2, v128.load64_zero(at1), 1);
      at0 += 8;
      at1 += 8;
      at2 += 8;

      dd = v128.xor(dd, words);
      d ^= word;
      aa = i64x2.add(aa, bb); cc = i64x2.add(cc, dd);
      bb = v128.xor(rotated(bb, 13), aa); dd = v128.xor(rotated16(dd), cc); aa = rotated32(aa);
      a += b; b = rotl<u64>(b, 13) ^ a; a = rotl<u64>(a, 32);
      c += d; d = rotl<u64>(d, 16) ^ c;
      aa = i64x2.add(aa, dd); cc = i64x2.add(cc, bb);
      dd = v128.xor(rotated(dd, 21), aa); bb = v128.xor(rotated(bb, 17), cc); cc = rotated32(cc);
      a += d; d = rotl<u64>(d, 21) ^ a;
      c += b; b = rotl<u64>(b, 17) ^ c; c = rotl<u64>(c, 32);
      aa = i64x2.add(aa, bb); cc = i64x2.add(cc, dd);
      bb = v128.xor(rotated(bb, 13), aa); dd = v128.xor(rotated16(dd), cc); aa = rotated32(aa);
      a += b; b = rotl<u64>(b, 13) ^ a; a = rotl<u64>(a, 32);
      c += d; d = rotl<u64>(d, 16) ^ c;
      aa = i64x2.add(aa, dd); cc = i64x2.add(cc, bb);
      dd = v128.xor(rotated(dd, 21), aa); bb = v128.xor(rotated(bb, 17), cc); cc = rotated32(cc);
      a += d; d = rotl<u64>(d, 21) ^ a;
      c += b; b = rotl<u64>(b, 17) ^ c; c = rotl<u64>(c, 32);
      aa = v128.xor(aa, words);
      a ^= word;
      if (at0 == end) break;
      word = load<u64>(at0);
      words = v128.load64_lane(at2, v128.load64_zero(at1), 1);
      at0 += 8;
      at1 += 8;
      at2 += 8;
    }
    if (absorbed == HEADER) {
      absorbed = PAYLOAD;
      if (byteCount >= 8) {
        word = load<u64>(payload0);
        words = v128.load64_lane(payload2, v128.load64_zero(payload1), 1);
        at0 = payload0 + 8;
        at1 = payload1 + 8;
        at2 = payload2 + 8;
        end = payload0 + (byteCount & ~7);
        continue;
      }
    }
    if (absorbed == PAYLOAD) {
      if (differ) break;
      absorbed = LAST_WORD;
      const done = byteCount & ~7;
      word = lastWord(payload0 + done, byteCount, BEFORE_PAYLOAD);
      words = pair(
        lastWord(payload1 + done, byteCount, BEFORE_PAYLOAD),
        lastWord(payload2 + done, byteCount, BEFORE_PAYLOAD),
      );
    } else if (absorbed == LAST_WORD) {
      // The four rounds at the end are those of two words of nothing.
      absorbed = FIRST_EMPTY;
      c ^= 0xff;
      cc = v128.xor(cc, i64x2.splat(0xff));
      word = 0;
      words = i64x2.splat(0);
    } else if (absorbed == FIRST_EMPTY) {
      absorbed = SECOND_EMPTY;
    } else {
      break;
    }
  }
  if (differ) {
    leftA = a; leftB = b; leftC = c; leftD = d;
    leftAA = aa; leftBB = bb; leftCC = cc; leftDD = dd;
    return;
  }
  aa = v128.xor(v128.xor(aa, bb), v128.xor(cc, dd));
  tag0 = a ^ b ^ c ^ d;
  tag1 = i64x2.extract_lane(aa, 0);
  tag2 = i64x2.extract_lane(aa, 1);
}

/** Each one's rest. Not in `absorbThree`, whose words would not all stay in registers for the calls. */
function finishThree(shared: u32, bytes0: u32, bytes1: u32, bytes2: u32, payload0: usize, payload1: usize, payload2: usize): void {
  const before = BEFORE_PAYLOAD + shared;
  tag0 = siphashRest(leftA, leftB, leftC, leftD, payload0 + shared, bytes0 - shared, before);
  tag1 = siphashRest(
    i64x2.extract_lane(leftAA, 0),
    i64x2.extract_lane(leftBB, 0),
    i64x2.extract_lane(leftCC, 0),
    i64x2.extract_lane(leftDD, 0),
    payload1 + shared,
    bytes1 - shared,
    before,
  );
  tag2 = siphashRest(
    i64x2.extract_lane(leftAA, 1),
    i64x2.extract_lane(leftBB, 1),
    i64x2.extract_lane(leftCC, 1),
    i64x2.extract_lane(leftDD, 1),
    payload2 + shared,
    bytes2 - shared,
    before,
  );
}

function tagThree(
  key: usize,
  counter: u64,
  header0: usize,
  header1: usize,
  header2: usize,
  payload0: usize,
  payload1: usize,
  payload2: usize,
): void {
  const bytes0 = load<u32>(header0, PAYLOAD_LENGTH_BYTE_OFFSET);
  const bytes1 = load<u32>(header1, PAYLOAD_LENGTH_BYTE_OFFSET);
  const bytes2 = load<u32>(header2, PAYLOAD_LENGTH_BYTE_OFFSET);
  const shared = min(min(bytes0, bytes1), bytes2) & ~7;
  const differ = bytes0 != bytes1 || bytes0 != bytes2;
  absorbThree(key, counter, header0, header1, header2, payload0, payload1, payload2, differ ? shared : bytes0, differ);
  if (differ) finishThree(shared, bytes0, bytes1, bytes2, payload0, payload1, payload2);
}

/**
 * Writes the tags of three frames into their headers; each one's payload may lie elsewhere. `counter` is that of the first.
 */
export function writeTags(
  key: usize,
  counter: u64,
  header0: usize,
  header1: usize,
  header2: usize,
  payload0: usize,
  payload1: usize,
  payload2: usize,
): void {
  tagThree(key, counter, header0, header1, header2, payload0, payload1, payload2);
  store<u64>(header0, tag0, TAG_BYTE_OFFSET);
  store<u64>(header1, tag1, TAG_BYTE_OFFSET);
  store<u64>(header2, tag2, TAG_BYTE_OFFSET);
}

/** Which of three whole frames bear the tags that are due: a bit for each, the first one's the lowest. */
export function tagsFit(key: usize, counter: u64, frame0: usize, frame1: usize, frame2: usize): u32 {
  tagThree(
    key,
    counter,
    frame0,
    frame1,
    frame2,
    frame0 + FRAME_HEADER_BYTES,
    frame1 + FRAME_HEADER_BYTES,
    frame2 + FRAME_HEADER_BYTES,
  );
  return (
    (load<u64>(frame0, TAG_BYTE_OFFSET) == tag0 ? 1 : 0) |
    (load<u64>(frame1, TAG_BYTE_OFFSET) == tag1 ? 2 : 0) |
    (load<u64>(frame2, TAG_BYTE_OFFSET) == tag2 ? 4 : 0)
  );
}
