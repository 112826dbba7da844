// XXH64 with seed 0 (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md), of bytes in linear memory.
// Loads may be unaligned; the kernels nevertheless call it on 8-byte boundaries, where it is fastest.

const PRIME_1: u64 = 0x9e3779b185ebca87;
const PRIME_2: u64 = 0xc2b2ae3d27d4eb4f;
const PRIME_3: u64 = 0x165667b19e3779f9;
const PRIME_4: u64 = 0x85ebca77c2b2ae63;
const PRIME_5: u64 = 0x27d4eb2f165667c5;

// @ts-ignore: decorator
@inline function round(accumulator: u64, lane: u64): u64 {
  return rotl<u64>(accumulator + lane * PRIME_2, 31) * PRIME_1;
}

/** A round whose product was computed elsewhere. */
// @ts-ignore: decorator
@inline function roundOf(accumulator: u64, product: u64): u64 {
  return rotl<u64>(accumulator + product, 31) * PRIME_1;
}

// @ts-ignore: decorator
@inline function merge(hash: u64, accumulator: u64): u64 {
  return (hash ^ round(0, accumulator)) * PRIME_1 + PRIME_4;
}

// @ts-ignore: decorator
@inline function avalanche(hash: u64): u64 {
  hash ^= hash >> 33;
  hash *= PRIME_2;
  hash ^= hash >> 29;
  hash *= PRIME_3;
  return hash ^ (hash >> 32);
}

// What the header's words gave the last time. Of a run of frames most words are the same from one to the next: kind and
// flags, stream and length, on their way out the time; the hash then takes half the multiplications. It begins with zeros.
let knownFirst: u64 = 0;
let knownSecond: u64 = 0;
let knownFourth: u64 = 0;
let firstLane: u64 = rotl<u64>(PRIME_1 + PRIME_2, 31) * PRIME_1;
let secondLane: u64 = rotl<u64>(PRIME_2, 31) * PRIME_1;
let fourthLane: u64 = rotl<u64>(0 - PRIME_1, 31) * PRIME_1;
let firstRound: u64 = rotl<u64>(rotl<u64>(PRIME_1 + PRIME_2, 31) * PRIME_1 * PRIME_2, 31) * PRIME_1;
let secondRound: u64 = rotl<u64>(rotl<u64>(PRIME_2, 31) * PRIME_1 * PRIME_2, 31) * PRIME_1;
let fourthRound: u64 = rotl<u64>(rotl<u64>(0 - PRIME_1, 31) * PRIME_1 * PRIME_2, 31) * PRIME_1;

/** The low 32 bits of XXH64 of exactly 36 bytes: the header check. */
// @ts-ignore: decorator
@inline export function headerCheck(header: usize): u32 {
  return headerCheckOf(
    load<u64>(header),
    load<u64>(header, 8),
    load<u64>(header, 16),
    load<u64>(header, 24),
    load<u32>(header, 32),
  );
}

/** The same of a header's words. */
// @ts-ignore: decorator
@inline export function headerCheckOf(first: u64, second: u64, third: u64, fourth: u64, last: u32): u32 {
  if (first != knownFirst) {
    knownFirst = first;
    firstLane = round(PRIME_1 + PRIME_2, first);
    firstRound = round(0, firstLane);
  }
  if (second != knownSecond) {
    knownSecond = second;
    secondLane = round(PRIME_2, second);
    secondRound = round(0, secondLane);
  }
  if (fourth != knownFourth) {
    knownFourth = fourth;
    fourthLane = round(0 - PRIME_1, fourth);
    fourthRound = round(0, fourthLane);
  }
  const thirdLane = round(0, third);
  let hash =
    rotl<u64>(firstLane, 1) + rotl<u64>(secondLane, 7) + rotl<u64>(thirdLane, 12) + rotl<u64>(fourthLane, 18);
  hash = (hash ^ firstRound) * PRIME_1 + PRIME_4;
  hash = (hash ^ secondRound) * PRIME_1 + PRIME_4;
  hash = (hash ^ round(0, thirdLane)) * PRIME_1 + PRIME_4;
  hash = (hash ^ fourthRound) * PRIME_1 + PRIME_4;
  hash += 36;
  hash = rotl<u64>(hash ^ ((<u64>last) * PRIME_1), 23) * PRIME_2 + PRIME_3;
  return <u32>avalanche(hash);
}

/** XXH64 of `byteCount` bytes at `at`. */
export function xxh64(at: usize, byteCount: u32): u64 {
  const end = at + byteCount;
  let hash: u64;
  if (byteCount >= 32) {
    let a = PRIME_1 + PRIME_2;
    let b = PRIME_2;
    let c: u64 = 0;
    let d = 0 - PRIME_1;
    // Two stripes a turn. The multiplier is what the loop waits for: it does one product of 64 bits a cycle, and
    // a stripe has eight. Two of the sixteen are therefore made by vector instructions, off the accumulators' chain.
    const prime2 = i64x2.splat(PRIME_2);
    for (const pairs = at + (byteCount & ~63); at < pairs; at += 64) {
      const products = i64x2.mul(v128.load(at, 48), prime2);
      a = round(a, load<u64>(at));
      b = round(b, load<u64>(at, 8));
      c = round(c, load<u64>(at, 16));
      d = round(d, load<u64>(at, 24));
      a = round(a, load<u64>(at, 32));
      b = round(b, load<u64>(at, 40));
      c = roundOf(c, i64x2.extract_lane(products, 0));
      d = roundOf(d, i64x2.extract_lane(products, 1));
    }
    if (byteCount & 32) {
      a = round(a, load<u64>(at));
      b = round(b, load<u64>(at, 8));
      c = round(c, load<u64>(at, 16));
      d = round(d, load<u64>(at, 24));
      at += 32;
    }
    hash = rotl<u64>(a, 1) + rotl<u64>(b, 7) + rotl<u64>(c, 12) + rotl<u64>(d, 18);
    hash = merge(merge(merge(merge(hash, a), b), c), d);
  } else {
    hash = PRIME_5;
  }
  hash += <u64>byteCount;
  while (at + 8 <= end) {
    hash = rotl<u64>(hash ^ round(0, load<u64>(at)), 27) * PRIME_1 + PRIME_4;
    at += 8;
  }
  if (at + 4 <= end) {
    hash = rotl<u64>(hash ^ ((<u64>load<u32>(at)) * PRIME_1), 23) * PRIME_2 + PRIME_3;
    at += 4;
  }
  while (at < end) {
    hash = rotl<u64>(hash ^ ((<u64>load<u8>(at)) * PRIME_5), 11) * PRIME_1;
    at++;
  }
  return avalanche(hash);
}
