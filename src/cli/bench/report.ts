/** The end of a bench: for a person as text of 80 columns, for machines as one line of JSON. */
import type { Histogram } from '../../histogram.js';
import { countText, durationText } from '../figures.js';
import { bars } from './bars.js';
import type { BenchPlan } from './options.js';
import { PERCENTILES, percentileOf, type Summary } from './summary.js';

const BYTES_PER_MB = 1e6;
const NAME_WIDTH = 13;
const COUNT_WIDTH = 12;
const VALUE_WIDTH = 10;

/** What `times` holds, by kind, in words and as JSON's name. */
const TIMES = {
  pub: ['from publishing to the acknowledgement', 'acknowledgementNs'],
  sub: ['pauses between arrivals', 'pauseNs'],
  latency: ['from the moment a frame was due to its arrival', 'latencyNs'],
  rtt: ['from a question to its answer', 'roundTripNs'],
} as const;

export function reportText(plan: BenchPlan, summary: Summary): string {
  const { times } = summary;
  const lines = [headOf(plan), ...linesOf(plan, summary).map(([name, text]) => line(name, text))];
  for (const remark of summary.remarks) lines.push(line('remark', remark));
  if (times.count > 0) {
    lines.push('', TIMES[plan.kind][0], ...percentileLines(times), '', ...bars(times));
  }
  return `${lines.join('\n')}\n`;
}

function headOf({ kind, subject, url, connections, sizeBytes, rate }: BenchPlan): string {
  const isPaired = kind === 'latency' || kind === 'rtt';
  const ends = `${countText(connections)} ${isPaired ? 'pair' : 'connection'}${connections === 1 ? '' : 's'}`;
  const parts = [`${kind} of ${subject} by ${ends}`];
  if (kind !== 'sub') parts.push(`${countText(sizeBytes)} B`);
  if (rate !== undefined) parts.push(`${countText(rate)}/s`);
  return [...parts, url].join(', ');
}

function linesOf(plan: BenchPlan, summary: Summary): [name: string, text: string][] {
  const { framesPerSecond, bytesPerSecond, elapsedMs, perConnection, busy, lag } = summary;
  const volume = `${(bytesPerSecond / BYTES_PER_MB).toFixed(1)} MB/s of payload`;
  const lines: [string, string][] = [
    ['frames', framesText(plan, summary)],
    ['rate', `${countText(framesPerSecond)}/s, ${volume}, in ${durationText(elapsedMs * 1e6)}`],
  ];
  if (perConnection.length > 1) lines.push(['each', eachText(perConnection, elapsedMs)]);
  if (plan.kind === 'latency') {
    const [p50, p99, max] = [lag.valueAt(0.5), lag.valueAt(0.99), lag.max].map(durationText);
    lines.push(['own lag', `p50 ${p50}, p99 ${p99}, max ${max}: how late this tool sent`]);
  } else {
    lines.push(['this tool', `${Math.round(busy * 100)} % busy`]);
  }
  return lines;
}

function framesText({ kind, ack }: BenchPlan, { counts, frames, lost }: Summary): string {
  const { sent, acknowledged, skipped, disordered } = counts;
  if (kind === 'pub') {
    const published = `${countText(sent)} published`;
    return ack === 'none' ? published : `${published}, ${countText(acknowledged)} acknowledged`;
  }
  const order = disordered > 0 ? `${countText(disordered)} OUT OF ORDER` : 'in order';
  const parts = [kind === 'sub' ? countText(frames) : `${countText(frames)} counted`, order];
  parts.push(skipped > 0 ? `${countText(skipped)} skipped, as gaps told` : 'no gaps');
  if (lost > 0) parts.push(`${countText(lost)} LOST`);
  return parts.join(', ');
}

function eachText(perConnection: readonly number[], elapsedMs: number): string {
  const perSecond = (frames: number) => countText(elapsedMs > 0 ? (frames * 1000) / elapsedMs : 0);
  const [least, most] = [Math.min(...perConnection), Math.max(...perConnection)];
  return `least ${perSecond(least)}/s, greatest ${perSecond(most)}/s`;
}

function percentileLines(times: Histogram): string[] {
  const heads = [...PERCENTILES.map(([name]) => name), 'max'];
  const values = PERCENTILES.map(([, part]) => percentileOf(times, part));
  const texts = values.map((value) => (value === undefined ? 'few' : durationText(value)));
  return [row('count', heads), row(countText(times.count), [...texts, durationText(times.max)])];
}

function row(count: string, values: readonly string[]): string {
  return count.padStart(COUNT_WIDTH) + values.map((value) => value.padStart(VALUE_WIDTH)).join('');
}

function line(name: string, text: string): string {
  return `  ${name.padEnd(NAME_WIDTH)}${text}`;
}

export function reportJson(plan: BenchPlan, summary: Summary): string {
  const { kind, subject, url, sizeBytes, connections, streams, tasks } = plan;
  const { rate, count, durationMs, ack, window } = plan;
  const { times, lag, counts, remarks, ...found } = summary;
  const asked = { url, sizeBytes, connections, threads: tasks.length, streams, rate, count };
  return `${JSON.stringify({
    bench: kind,
    subject,
    ...asked,
    durationMs,
    ...(kind === 'pub' ? { ack, window: ack === 'each' ? window : undefined } : {}),
    ...found,
    ...counts,
    [TIMES[kind][1]]: histogramJson(times),
    ...(kind === 'latency' ? { ownLagNs: histogramJson(lag) } : {}),
    remarks,
  })}\n`;
}

/** A percentile with too few values behind it is null. */
function histogramJson(histogram: Histogram): object {
  const { count, sum, max } = histogram;
  const percentiles = PERCENTILES.map(([name, part]) => [
    name.replace('.', ''),
    percentileOf(histogram, part) ?? null,
  ]);
  const mean = count > 0 ? sum / count : 0;
  return { count, ...(Object.fromEntries(percentiles) as object), max, mean };
}
