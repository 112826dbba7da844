import { expect, test } from 'vitest';
import { systemClock, systemRandom } from '../src/clock.js';

test('the wall clock counts milliseconds since 1970', () => {
  expect(Math.abs(systemClock.wallMs() - Date.now())).toBeLessThan(60_000);
});

test('the monotonic clock does not go back', () => {
  const times = Array.from({ length: 1_000 }, () => systemClock.monotonicMs());
  expect(times).toEqual(times.toSorted((a, b) => a - b));
});

test('random numbers lie in [0, 1) and differ', () => {
  const numbers = Array.from({ length: 100 }, systemRandom);
  expect(numbers.every((number) => number >= 0 && number < 1)).toBe(true);
  expect(new Set(numbers).size).toBeGreaterThan(90);
});
