import { pino } from 'pino';
import { expect, test } from 'vitest';
import { logMeters } from '../../src/cli/meters.js';
import { Histogram } from '../../src/histogram.js';
import type { ShardMeters } from '../../src/shards/meters.js';

function counted(...values: readonly [value: number, times: number][]): Histogram {
  const histogram = new Histogram({ subBucketBits: 4, valueBits: 40 });
  for (const [value, times] of values) histogram.record(value, times);
  return histogram;
}

const METERS: ShardMeters = {
  shard: 3,
  turnNs: counted([8200, 9_990], [700_000, 9], [12_345_678, 1]),
  appendToSendNs: counted([1_500_000_000, 1]),
  framesPerReceive: counted([1, 50], [4681, 50]),
  framesPerSend: counted(),
  longestTurnNs: 12_345_678,
  errors: { BAD_TAG: 1234, FORBIDDEN: 2 },
};

function logged(isTTY: boolean, level = 'info'): { text: string; lines: string[] } {
  const lines: string[] = [];
  const log = pino({ level, base: null, timestamp: false }, { write: (line) => lines.push(line) });
  let text = '';
  logMeters([METERS, { ...METERS, shard: 4 }], log, { isTTY, write: (more) => (text += more) });
  return { text, lines };
}

test('on a terminal: a table of each shard, in 80 columns', () => {
  const { text, lines } = logged(true);
  expect(lines).toEqual([]);
  const table = text.split('\n');
  expect(table.slice(0, 8)).toEqual([
    'shard 3                    count      p50      p90      p99    p99.9      max',
    '  turn                    10,000   8.70us   8.70us   8.70us   8.70us   12.3ms',
    '  append to send               1    1.50s    1.50s    1.50s    1.50s    1.50s',
    '  frames per receive         100        1    4,681    4,681    4,681    4,681',
    '  frames per send              0        -        -        -        -        -',
    '  longest turn since the last such table 12.3ms',
    '  ERROR BAD_TAG was sent 1,234 times',
    '  ERROR FORBIDDEN was sent 2 times',
  ]);
  expect(table[8]).toMatch(/^shard 4 /);
  expect(Math.max(...table.map((line) => line.length))).toBeLessThanOrEqual(80);
});

test.each(['info', 'fatal', 'silent'])(
  'else a line of JSON for each shard, with nanoseconds, also at log.level %s',
  (level) => {
    const { text, lines } = logged(false, level);
    expect(text).toBe('');
    const told = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(told.map(({ shard }) => shard)).toEqual([3, 4]);
    expect(told[0]).toMatchObject({
      msg: 'histograms',
      turnNs: { count: 10_000, p50: 8703, p90: 8703, p99: 8703, p999: 8703, max: 12_345_678 },
      appendToSendNs: { count: 1, p50: 1_500_000_000, max: 1_500_000_000, sum: 1_500_000_000 },
      framesPerReceive: { count: 100, p50: 1, p90: 4681, max: 4681, sum: 234_100 },
      framesPerSend: { count: 0, p50: 0, p999: 0, max: 0, sum: 0 },
      longestTurnNs: 12_345_678,
      errors: { BAD_TAG: 1234, FORBIDDEN: 2 },
    });
  },
);
