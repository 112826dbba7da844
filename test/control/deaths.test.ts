import { expect, test } from 'vitest';
import { Deaths, DEATHS_MAX, DEATHS_WITHIN_MS } from '../../src/control/deaths.js';

function verdicts(times: readonly number[]): boolean[] {
  const deaths = new Deaths();
  return times.map((nowMs) => deaths.areTooMany(nowMs));
}

function every(stepMs: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => 1000 + index * stepMs);
}

test('so many at once are too many, and one less is not', () => {
  const found = verdicts(every(0, DEATHS_MAX));
  expect(found.indexOf(true)).toBe(DEATHS_MAX - 1);
});

test('the first and the last within the time, by a millisecond', () => {
  const first = every(0, DEATHS_MAX - 1);
  expect(verdicts([...first, 1000 + DEATHS_WITHIN_MS - 1]).at(-1)).toBe(true);
  expect(verdicts([...first, 1000 + DEATHS_WITHIN_MS]).at(-1)).toBe(false);
});

test('now and then one for ever is none too many', () => {
  const apart = DEATHS_WITHIN_MS / (DEATHS_MAX - 1);
  expect(verdicts(every(Math.ceil(apart), 200))).not.toContain(true);
  expect(verdicts(every(Math.floor(apart) - 1, 200)).slice(DEATHS_MAX - 1)).not.toContain(false);
});

test('a time of many deaths that is over is forgotten', () => {
  const before = every(0, DEATHS_MAX - 1);
  const later = every(0, DEATHS_MAX).map((nowMs) => nowMs + DEATHS_WITHIN_MS);
  expect(verdicts([...before, ...later]).indexOf(true)).toBe(2 * DEATHS_MAX - 2);
});
