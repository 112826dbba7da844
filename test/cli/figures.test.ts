import { expect, test } from 'vitest';
import { countText, durationText } from '../../src/cli/figures.js';

test.each([
  [0, '0ns'],
  [7, '7ns'],
  [999, '999ns'],
  [1000, '1.00us'],
  [1234, '1.23us'],
  [12_345, '12.3us'],
  [123_456, '123us'],
  [999_400, '999us'],
  [999_600, '1.00ms'],
  [9_996_000, '10.0ms'],
  [99_950_000, '100ms'],
  [1_500_000_000, '1.50s'],
  [123_456_000_000, '123s'],
  [1_234_567_000_000, '1235s'],
])('%d ns is %s', (ns, text) => {
  expect(durationText(ns)).toBe(text);
});

test('a count has its thousands apart, and no fraction', () => {
  expect([0, 999, 1234567.6].map(countText)).toEqual(['0', '999', '1,234,568']);
});
