import { expect, test } from 'vitest';
import { Board } from '../../../src/cli/bench/board.js';
import { parseBench } from '../../../src/cli/bench/options.js';
import { reportJson, reportText } from '../../../src/cli/bench/report.js';
import { summaryOf } from '../../../src/cli/bench/summary.js';

function report(argv: string[], fill: (board: Board) => void, busy = 0.5) {
  const plan = parseBench([...argv, '--url', 'ms://127.0.0.1:7878'])!;
  const board = new Board();
  fill(board);
  const frames = plan.tasks[0]!.subjects.map(() => 1_000_000);
  const results = [{ elapsedMs: 2000, perConnection: frames, busy }];
  const summary = summaryOf(plan, [board], results);
  const text = reportText(plan, summary);
  expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
  return { lines: text.split('\n'), json: JSON.parse(reportJson(plan, summary)) as object };
}

test('pub', () => {
  const { lines, json } = report(['pub', '--connections', '2', '--rate', '1000000'], (board) => {
    board.add('sent', 2_000_000);
    board.add('acknowledged', 1_999_999);
  });
  expect(lines).toEqual([
    'pub of bench by 2 connections, 128 B, 1,000,000/s, ms://127.0.0.1:7878',
    '  frames       2,000,000 published, 1,999,999 acknowledged',
    '  rate         1,000,000/s, 128.0 MB/s of payload, in 2.00s',
    '  each         least 500,000/s, greatest 500,000/s',
    '  this tool    50 % busy',
    '',
  ]);
  expect(json).toMatchObject({ bench: 'pub', rate: 1e6, ack: 'bulk', sent: 2e6, threads: 1 });
});

test('pub without acknowledgements, at the limit of the tool', () => {
  const { lines } = report(['pub', '--ack', 'none'], (board) => board.add('sent', 10), 0.97);
  expect(lines[1]).toBe('  frames       10 published');
  expect(lines[4]).toMatch(/^ {2}remark {7}this tool was at its limit/);
});

test('sub with faults', () => {
  const { lines, json } = report(['sub', 'a.>'], (board) => {
    board.add('received', 1000);
    board.add('receivedBytes', 5_000_000);
    board.add('skipped', 7);
    board.add('disordered', 2);
    board.times.record(1_000_000, 3);
  });
  expect(lines.slice(0, 9)).toEqual([
    'sub of a.> by 1 connection, ms://127.0.0.1:7878',
    '  frames       1,000, 2 OUT OF ORDER, 7 skipped, as gaps told',
    '  rate         500/s, 2.5 MB/s of payload, in 2.00s',
    '  this tool    50 % busy',
    '',
    'pauses between arrivals',
    '       count       p50       p90       p99     p99.9    p99.99       max',
    '           3       few       few       few       few       few    1.00ms',
    '',
  ]);
  expect(json).toMatchObject({ isBroken: true, pauseNs: { count: 3, p50: null, max: 1_000_000 } });
});

test('latency with losses', () => {
  const { lines, json } = report(['latency', '--connections', '2', '--rate', '600'], (board) => {
    board.add('sent', 1200);
    board.add('received', 1199);
    board.times.record(60_000, 1199);
    board.lag.record(1000, 1200);
  });
  expect(lines.slice(0, 5)).toEqual([
    'latency of bench by 2 pairs, 128 B, 600/s, ms://127.0.0.1:7878',
    '  frames       1,199 counted, in order, no gaps, 1 LOST',
    '  rate         600/s, 0.1 MB/s of payload, in 2.00s',
    '  each         least 500,000/s, greatest 500,000/s',
    '  own lag      p50 1.00us, p99 1.00us, max 1.00us: how late this tool sent',
  ]);
  expect(lines[6]).toBe('from the moment a frame was due to its arrival');
  expect(json).toMatchObject({ lost: 1, isBroken: true, ownLagNs: { count: 1200 } });
});
