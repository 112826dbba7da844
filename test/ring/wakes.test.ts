import { expect, test } from 'vitest';
import { payWakes } from '../../src/ring/wakes.js';

function signalled(low: number, high: number): number[] {
  const threads: number[] = [];
  // As the kernel answers: signed, and each half once.
  payWakes({ takeWakes: (isHigh) => (isHigh ? high | 0 : low | 0) }, (thread) => {
    threads.push(thread);
  });
  return threads;
}

test('each thread that is owed a signal gets one, and no other', () => {
  expect(signalled(0, 0)).toEqual([]);
  expect(signalled(0b1010, 0)).toEqual([1, 3]);
  expect(signalled(0x8000_0001, 0x8000_0001)).toEqual([0, 31, 32, 63]);
  expect(signalled(0xffff_ffff, 0xffff_ffff)).toEqual(Array.from({ length: 64 }, (_, i) => i));
});
