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

/** The same of a header's words, for who has some of them at hand: what is constant is then computed once. */
// @ts-ignore: decorator
@inline export function headerCheckOf(first: u64, second: u64, third: u64, fourth: u64, last: u32): u32 {
  const a = round(PRIME_1 + PRIME_2, first);
  const b = round(PRIME_2, second);
  const c = round(0, third);
  const d = round(0 - PRIME_1, fourth);
  let hash = rotl<u64>(a, 1) + rotl<u64>(b, 7) + rotl<u64>(c, 12) + rotl<u64>(d, 18);
  hash = merge(merge(merge(merge(hash, a), b), c), d) + 36;
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
    const lastStripe = end - 32;
    do {
      a = round(a, load<u64>(at));
      b = round(b, load<u64>(at, 8));
      c = round(c, load<u64>(at, 16));
      d = round(d, load<u64>(at, 24));
      at += 32;
    } while (at <= lastStripe);
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
