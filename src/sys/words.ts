/** 64-bit words as pairs of u32, low word first, without a BigInt: no allocation per call. */
const U32_RANGE = 0x1_0000_0000;
const U16_RANGE = 0x1_0000;
const NANOSECONDS_PER_SECOND = 1_000_000_000;

/** Writes a safe integer of 0 or more as u64. */
export function writeU64(words: Uint32Array, int32Index: number, value: number): void {
  words[int32Index] = value % U32_RANGE;
  words[int32Index + 1] = value / U32_RANGE;
}

/** Reads a u64; exact up to 2^53. */
export function readU64(words: Uint32Array, int32Index: number): number {
  return words[int32Index]! + words[int32Index + 1]! * U32_RANGE;
}

/**
 * Writes `seconds * 1e9 + nanoseconds` modulo 2^64 as u64. The product does not fit a double, so
 * the seconds are multiplied in two parts of 16 and up to 20 bits, each of which does.
 */
export function writeNanoseconds(
  words: Uint32Array,
  int32Index: number,
  seconds: number,
  nanoseconds: number,
): void {
  const secondsHigh = Math.floor(seconds / U16_RANGE);
  const secondsLow = seconds % U16_RANGE;
  const high = secondsHigh * NANOSECONDS_PER_SECOND; // counts units of 2^16 ns
  const low = secondsLow * NANOSECONDS_PER_SECOND + nanoseconds;
  const lowSum = (high % U16_RANGE) * U16_RANGE + low;
  words[int32Index] = lowSum % U32_RANGE;
  words[int32Index + 1] = Math.floor(high / U16_RANGE) + Math.floor(lowSum / U32_RANGE);
}
