import { expect, test } from 'vitest';
import { BENCH_SHAPE, Board } from '../../../src/cli/bench/board.js';
import { parseBench } from '../../../src/cli/bench/options.js';
import { percentileOf, summaryOf } from '../../../src/cli/bench/summary.js';
import { Histogram } from '../../../src/histogram.js';

const plan = (...argv: string[]) => parseBench([...argv, '--url', 'ms://h:1'])!;
const result = (elapsedMs: number, perConnection: number[], busy = 0.1) => ({
  elapsedMs,
  perConnection,
  busy,
});

test('threads are added up, over the longest of their times', () => {
  const boards = [new Board(), new Board()];
  for (const board of boards) {
    board.add('sent', 500);
    board.add('acknowledged', 400);
  }
  const results = [result(1000, [300, 200]), result(2000, [500])];
  const found = summaryOf(plan('pub', '--size', '10'), boards, results);
  expect(found).toMatchObject({ frames: 800, elapsedMs: 2000, framesPerSecond: 400 });
  expect(found).toMatchObject({ bytesPerSecond: 4000, perConnection: [300, 200, 500] });
  expect(found).toMatchObject({ isBroken: false, remarks: [] });
});

test('nothing at all is no rate', () => {
  const found = summaryOf(plan('sub'), [new Board()], [result(0, [0])]);
  expect(found).toMatchObject({ frames: 0, framesPerSecond: 0, bytesPerSecond: 0 });
});

test('a tool that was busy all the time says so', () => {
  for (const kind of ['pub', 'sub']) {
    const { remarks } = summaryOf(plan(kind), [new Board()], [result(1, [1], 0.95)]);
    expect(remarks.join()).toContain('at its limit');
  }
  expect(summaryOf(plan('rtt'), [new Board()], [result(1, [1], 1)]).remarks).toEqual([]);
});

test('a rate that was not reached, and a tool that was late, are told', () => {
  const board = new Board();
  board.times.record(100_000, 90);
  board.lag.record(30_000, 90);
  const found = summaryOf(plan('latency', '--rate', '100'), [board], [result(1000, [90])]);
  expect(found.remarks.join()).toContain('late itself');
  expect(found.remarks.join()).toContain('rate was not reached');
  board.times.record(200_000, 10);
  const other = summaryOf(plan('latency', '--rate', '100'), [board], [result(1000, [100])]);
  expect(other.remarks).toEqual([]);
});

test.each([
  ['latency', { sent: 10, received: 8, skipped: 1 }, 1, true],
  ['latency', { sent: 10, received: 8, skipped: 2 }, 0, false],
  ['latency', { sent: 10, received: 10, disordered: 1 }, 0, true],
  ['sub', { received: 10, skipped: 3 }, 0, false],
  ['sub', { received: 10, disordered: 1 }, 0, true],
  ['pub', { sent: 10 }, 0, false],
] as const)('%s with %j: %d lost, broken: %s', (kind, counts, lost, isBroken) => {
  const board = new Board();
  for (const [name, count] of Object.entries(counts)) board.add(name as 'sent', count);
  expect(summaryOf(plan(kind), [board], [result(1, [1])])).toMatchObject({ lost, isBroken });
});

test('a percentile needs five values behind it', () => {
  const histogram = new Histogram(BENCH_SHAPE);
  histogram.record(10, 49_999);
  expect(percentileOf(histogram, 0.9999)).toBeUndefined();
  histogram.record(10);
  expect(percentileOf(histogram, 0.9999)).toBe(10);
  expect(percentileOf(new Histogram(BENCH_SHAPE), 0.5)).toBeUndefined();
});
