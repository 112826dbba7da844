import { expect, test } from 'vitest';
import { Attempts } from '../../src/control/attempts.js';

function world(perMinute: number) {
  const time = { nowMs: 0 };
  const clock = { wallMs: () => time.nowMs, monotonicMs: () => time.nowMs };
  return { time, attempts: new Attempts(perMinute, clock) };
}

test('as many failures as a minute may have, and one more each time its part has passed', () => {
  const { time, attempts } = world(60);
  for (let i = 0; i < 60; i++) {
    expect(attempts.mayTry('a')).toBe(true);
    // The last one says how long it is until another is looked at.
    expect(attempts.failed('a')).toBe(i < 59 ? 0 : 1000);
  }
  expect(attempts.mayTry('a')).toBe(false);
  expect(attempts.mayTry('b')).toBe(true);
  time.nowMs = 999;
  expect(attempts.mayTry('a')).toBe(false);
  time.nowMs = 1001;
  expect(attempts.mayTry('a')).toBe(true);
  attempts.failed('a');
  expect(attempts.mayTry('a')).toBe(false);
});

test('a minute later all is forgiven', () => {
  const { time, attempts } = world(2);
  for (let i = 0; i < 2; i++) attempts.failed('a');
  expect(attempts.mayTry('a')).toBe(false);
  time.nowMs = 60_000;
  for (let i = 0; i < 2; i++) {
    expect(attempts.mayTry('a')).toBe(true);
    attempts.failed('a');
  }
});

test('only so many addresses are remembered: the one that failed least lately goes', () => {
  const { attempts } = world(1);
  for (let i = 0; i < 4096; i++) attempts.failed(`address ${i}`);
  expect(attempts.size).toBe(4096);
  attempts.failed('address 0');
  attempts.failed('one more');
  expect(attempts.size).toBe(4096);
  expect(attempts.mayTry('address 0')).toBe(false);
  expect(attempts.mayTry('address 1')).toBe(true);
  expect(attempts.mayTry('address 2')).toBe(false);
});
