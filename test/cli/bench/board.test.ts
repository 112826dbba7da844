import { expect, test } from 'vitest';
import { Board, summed } from '../../../src/cli/bench/board.js';

test('what one thread counts, another one reads through the same memory', () => {
  const writer = new Board();
  const reader = new Board(writer.buffer);
  writer.add('sent', 3);
  writer.add('sent');
  writer.times.record(1000);
  writer.lag.record(5);
  expect(reader.counts).toMatchObject({ sent: 4, received: 0 });
  expect([reader.times.count, reader.times.max]).toEqual([1, 1000]);
  expect([reader.lag.count, reader.lag.max]).toEqual([1, 5]);
});

test('boards are summed', () => {
  const boards = [new Board(), new Board()];
  for (const [i, board] of boards.entries()) {
    board.add('received', 10 + i);
    board.add('skipped', i);
    board.times.record(100 * (i + 1));
    board.lag.record(i + 1);
  }
  const { counts, times, lag } = summed(boards);
  expect(counts).toMatchObject({ received: 21, skipped: 1, sent: 0 });
  expect([times.count, times.sum, times.max]).toEqual([2, 300, 200]);
  expect([lag.count, lag.sum, lag.max]).toEqual([2, 3, 2]);
});
