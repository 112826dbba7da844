/** What the shards have measured of themselves, for the log: a table for a person, else a line of JSON for each shard. */
import type { Histogram } from '../histogram.js';
import type { Logger } from '../log.js';
import type { ShardMeters } from '../shards/meters.js';
import { countText, durationText } from './figures.js';

const PERCENTILES = [
  ['p50', 0.5],
  ['p90', 0.9],
  ['p99', 0.99],
  ['p99.9', 0.999],
] as const;
const NAME_WIDTH = 20;
const COUNT_WIDTH = 12;
const VALUE_WIDTH = 9;

/** Writes them whatever the log's level is: somebody has asked for them. */
export function logMeters(
  meters: readonly ShardMeters[],
  log: Logger,
  terminal: { readonly isTTY?: boolean; write(text: string): unknown },
): void {
  if (terminal.isTTY === true) {
    terminal.write(metersTable(meters));
    return;
  }
  const asked = log.child({}, { level: 'info' });
  for (const each of meters) asked.info(metersFields(each), 'histograms');
}

function metersFields({ shard, longestTurnNs, errors, ...meters }: ShardMeters): object {
  const numbers = Object.entries(meters).map(([name, histogram]) => [name, fields(histogram)]);
  return { shard, ...(Object.fromEntries(numbers) as object), longestTurnNs, errors };
}

function fields(histogram: Histogram): object {
  const { count, sum, max } = histogram;
  const percentiles = PERCENTILES.map(([name, part]) => [
    name.replace('.', ''),
    histogram.valueAt(part),
  ]);
  return { count, ...(Object.fromEntries(percentiles) as object), max, sum };
}

function metersTable(meters: readonly ShardMeters[]): string {
  const heads = ['count', ...PERCENTILES.map(([name]) => name), 'max'];
  return meters
    .map((each) => [row(`shard ${each.shard}`, heads), ...rows(each), ''].join('\n'))
    .join('');
}

function rows(meters: ShardMeters): string[] {
  return [
    histogramRow('turn', meters.turnNs, durationText),
    histogramRow('append to send', meters.appendToSendNs, durationText),
    histogramRow('frames per receive', meters.framesPerReceive, countText),
    histogramRow('frames per send', meters.framesPerSend, countText),
    `  longest turn since the last such table ${durationText(meters.longestTurnNs)}`,
    ...Object.entries(meters.errors).map(
      ([name, count]) => `  ERROR ${name} was sent ${countText(count)} times`,
    ),
  ];
}

function histogramRow(name: string, histogram: Histogram, text: (value: number) => string): string {
  const values = [...PERCENTILES.map(([, part]) => histogram.valueAt(part)), histogram.max];
  const cells = values.map((value) => (histogram.count === 0 ? '-' : text(value)));
  return row(`  ${name}`, [countText(histogram.count), ...cells]);
}

function row(name: string, [count = '', ...values]: readonly string[]): string {
  const cells = values.map((value) => value.padStart(VALUE_WIDTH));
  return name.padEnd(NAME_WIDTH) + count.padStart(COUNT_WIDTH) + cells.join('');
}
