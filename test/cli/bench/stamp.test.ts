import { expect, test } from 'vitest';
import { readStamp, STAMP_BYTES, writeStamp } from '../../../src/cli/bench/stamp.js';

test('a stamp is read as it was written, wherever the payload lies', () => {
  const bytes = new Uint8Array(64);
  const stamp = { run: 2 ** 32 - 1, number: 7, dueMs: 12345.678_901 };
  writeStamp(new DataView(bytes.buffer, 3, STAMP_BYTES), stamp);
  expect(readStamp(bytes.subarray(3, 3 + STAMP_BYTES))).toEqual(stamp);
  expect(readStamp(bytes.subarray(3))).toEqual(stamp);
});

test('a payload that is too short has none', () => {
  expect(readStamp(new Uint8Array(STAMP_BYTES - 1))).toBeUndefined();
});
