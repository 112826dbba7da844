import { expect, test } from 'vitest';
import { Barred } from '../../src/acceptor/barred.js';

test('an address is barred until its time, and forgotten then', () => {
  const barred = new Barred();
  expect([barred.isEmpty, barred.has('a', 0)]).toEqual([true, false]);
  barred.bar('a', 10);
  expect([barred.isEmpty, barred.has('a', 9), barred.has('b', 9)]).toEqual([false, true, false]);
  expect([barred.has('a', 10), barred.isEmpty]).toEqual([false, true]);
});

test('only so many are remembered: the one barred first makes room, and one that is barred again is not it', () => {
  const barred = new Barred();
  for (let i = 0; i < 4096; i++) barred.bar(`address ${i}`, 10);
  barred.bar('address 1', 10);
  barred.bar('one more', 10);
  barred.bar('and another', 10);
  const has = (address: string): boolean => barred.has(address, 0);
  expect(['address 0', 'address 1', 'address 2', 'one more'].map(has)).toEqual([
    false,
    true,
    false,
    true,
  ]);
});
