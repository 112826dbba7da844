import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readU64, writeNanoseconds, writeU64 } from '../../src/sys/words.js';

test('nanoseconds are exact for every second of the next 2,000 years and beyond', () => {
  const words = new Uint32Array(3);
  const quadword = new DataView(words.buffer);
  const check = (seconds: number, nanoseconds: number): void => {
    writeNanoseconds(words, 1, seconds, nanoseconds);
    const wanted = BigInt.asUintN(64, BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds));
    expect(quadword.getBigUint64(4, true)).toBe(wanted);
    expect(words[0]).toBe(0);
  };
  for (const seconds of [
    0,
    1,
    4,
    5,
    65_535,
    65_536,
    1_732_000_000,
    2 ** 32 - 1,
    2 ** 32,
    2 ** 34,
  ]) {
    for (const nanoseconds of [0, 1, 999_999_999]) check(seconds, nanoseconds);
  }
  fc.assert(
    fc.property(fc.nat(2 ** 31 - 1), fc.nat(7), fc.nat(999_999_999), (low, high, nanoseconds) =>
      check(high * 2 ** 31 + low, nanoseconds),
    ),
  );
});

test('a u64 is written low word first, and read back', () => {
  const words = new Uint32Array(3);
  for (const value of [0, 1, 0x7f_ffff_ffff, 2 ** 32, 2 ** 47 - 1, 2 ** 53 - 1]) {
    writeU64(words, 1, value);
    expect(new DataView(words.buffer).getBigUint64(4, true)).toBe(BigInt(value));
    expect(readU64(words, 1)).toBe(value);
  }
});
