// SipHash-2-4 (https://www.aumasson.jp/siphash/siphash.pdf) of a frame where it lies: of the direction's counter,
// the header's first 32 bytes and the payload. One word after another goes through the state, so that
// nothing is copied together; the rounds stand in the loops because the state must stay in registers.
import {
  FRAME_HEADER_BYTES,
  HEADER_TAGGED_BYTES,
  KEY_FIRST,
  KEY_SECOND,
  PAYLOAD_LENGTH_BYTE_OFFSET,
  TAG_BYTE_OFFSET,
} from '../layout';

export const START_0: u64 = 0x736f6d6570736575;
export const START_1: u64 = 0x646f72616e646f6d;
export const START_2: u64 = 0x6c7967656e657261;
export const START_3: u64 = 0x7465646279746573;

/** Bytes of a frame's message before its payload: the counter and what is tagged of the header. */
export const BEFORE_PAYLOAD: u32 = 8 + HEADER_TAGGED_BYTES;

/** The last word of a message: the `byteCount` & 7 bytes that are left at `at`, and the whole message's length. */
// @ts-ignore: decorator
@inline export function lastWord(at: usize, byteCount: u32, before: u32): u64 {
  const rest = byteCount & 7;
  const lengthWord = <u64>(before + byteCount) << 56;
  return rest ? (load<u64>(at) & (((<u64>1) << ((<u64>rest) << 3)) - 1)) | lengthWord : lengthWord;
}

/**
 * SipHash-2-4 of `first` (8 bytes, little-endian), the 32 bytes at `header`, and `byteCount` bytes at `at`. Up to
 * seven bytes behind those are read, and without effect: in a frame they are its padding.
 */
export function siphashOf(
  k0: u64,
  k1: u64,
  first: u64,
  header: usize,
  at: usize,
  byteCount: u32,
): u64 {
  let a = k0 ^ START_0;
  let b = k1 ^ START_1;
  let c = k0 ^ START_2;
  let d = k1 ^ START_3;
  let word = first;
  const headerEnd = header + HEADER_TAGGED_BYTES;
  while (true) {
    d ^= word;
    a += b; b = rotl<u64>(b, 13) ^ a; a = rotl<u64>(a, 32);
    c += d; d = rotl<u64>(d, 16) ^ c;
    a += d; d = rotl<u64>(d, 21) ^ a;
    c += b; b = rotl<u64>(b, 17) ^ c; c = rotl<u64>(c, 32);
    a += b; b = rotl<u64>(b, 13) ^ a; a = rotl<u64>(a, 32);
    c += d; d = rotl<u64>(d, 16) ^ c;
    a += d; d = rotl<u64>(d, 21) ^ a;
    c += b; b = rotl<u64>(b, 17) ^ c; c = rotl<u64>(c, 32);
    a ^= word;
    if (header == headerEnd) break;
    word = load<u64>(header);
    header += 8;
  }
  return siphashEnd(a, b, c, d, at, byteCount, BEFORE_PAYLOAD);
}

/** The rest of a message of which `before` bytes (a multiple of 8) have gone through the state. */
// @ts-ignore: decorator
@inline function siphashEnd(a: u64, b: u64, c: u64, d: u64, at: usize, byteCount: u32, before: u32): u64 {
  const wordsEnd = at + (byteCount & ~7);
  let isLast = false;
  while (true) {
    let word: u64;
    if (at < wordsEnd) {
      word = load<u64>(at);
      at += 8;
    } else {
      word = lastWord(at, byteCount, before);
      isLast = true;
    }
    d ^= word;
    a += b; b = rotl<u64>(b, 13) ^ a; a = rotl<u64>(a, 32);
    c += d; d = rotl<u64>(d, 16) ^ c;
    a += d; d = rotl<u64>(d, 21) ^ a;
    c += b; b = rotl<u64>(b, 17) ^ c; c = rotl<u64>(c, 32);
    a += b; b = rotl<u64>(b, 13) ^ a; a = rotl<u64>(a, 32);
    c += d; d = rotl<u64>(d, 16) ^ c;
    a += d; d = rotl<u64>(d, 21) ^ a;
    c += b; b = rotl<u64>(b, 17) ^ c; c = rotl<u64>(c, 32);
    a ^= word;
    if (isLast) break;
  }
  c ^= 0xff;
  for (let i = 0; i < 4; i++) {
    a += b; b = rotl<u64>(b, 13) ^ a; a = rotl<u64>(a, 32);
    c += d; d = rotl<u64>(d, 16) ^ c;
    a += d; d = rotl<u64>(d, 21) ^ a;
    c += b; b = rotl<u64>(b, 17) ^ c; c = rotl<u64>(c, 32);
  }
  return a ^ b ^ c ^ d;
}

/** The same, for who has more than one rest. */
export function siphashRest(a: u64, b: u64, c: u64, d: u64, at: usize, byteCount: u32, before: u32): u64 {
  return siphashEnd(a, b, c, d, at, byteCount, before);
}

/** SipHash-2-4 of plain bytes; up to seven bytes behind them are read, and without effect. */
export function siphash(k0: u64, k1: u64, at: usize, byteCount: u32): u64 {
  return siphashEnd(k0 ^ START_0, k1 ^ START_1, k0 ^ START_2, k1 ^ START_3, at, byteCount, 0);
}

/** The tag of the frame whose header is at `header` and whose payload is at `payload`, under the key at `key`. */
// @ts-ignore: decorator
@inline export function tagOf(key: usize, counter: u64, header: usize, payload: usize): u64 {
  return siphashOf(
    load<u64>(key, KEY_FIRST),
    load<u64>(key, KEY_SECOND),
    counter,
    header,
    payload,
    load<u32>(header, PAYLOAD_LENGTH_BYTE_OFFSET),
  );
}

/** Whether the whole frame at `frame` bears the tag that is due; the two are compared as one word, in constant time. */
// @ts-ignore: decorator
@inline export function tagFits(key: usize, counter: u64, frame: usize): bool {
  return load<u64>(frame, TAG_BYTE_OFFSET) == tagOf(key, counter, frame, frame + FRAME_HEADER_BYTES);
}
