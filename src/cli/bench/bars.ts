/** A histogram of times as lines of text, with steps that people read easily. */
import type { Histogram } from '../../histogram.js';
import { countText } from '../figures.js';

/** Steps within each power of ten, finest first: the first series that needs few lines is taken. */
const SERIES = [[1, 1.5, 2, 3, 5, 7], [1, 2, 5], [1]] as const;
const LINES_MAX = 18;
const BAR_WIDTH = 34;
/** Up to 10^13, beyond any value that a histogram holds. */
const POWERS = 14;
const UNITS = [
  [1e9, 's'],
  [1e6, 'ms'],
  [1e3, 'us'],
  [1, 'ns'],
] as const;

interface Step {
  readonly from: number;
  readonly to: number;
  readonly count: number;
}

/** Lines of at most 80 columns; none where nothing is counted. */
export function bars(histogram: Histogram): string[] {
  const steps = stepsOf(histogram);
  const most = Math.max(...steps.map(({ count }) => count));
  return steps.map(({ from, to, count }) => {
    const part = `${((100 * count) / histogram.count).toFixed(2)} %`;
    const bar = '#'.repeat(Math.ceil((BAR_WIDTH * count) / most));
    const range = `${text(from).padStart(7)} - ${text(to).padEnd(7)}`;
    return `${range}${countText(count).padStart(13)}${part.padStart(10)}  ${bar}`.trimEnd();
  });
}

/** From the first step that holds something to the last one. */
function stepsOf(histogram: Histogram): Step[] {
  let steps: Step[] = [];
  for (const series of SERIES) {
    steps = trimmed(allSteps(histogram, series));
    if (steps.length <= LINES_MAX) break;
  }
  return steps;
}

function allSteps(histogram: Histogram, series: readonly number[]): Step[] {
  const bounds = boundsOf(series);
  const counts = bounds.map(() => 0);
  let step = 0;
  for (const [end, count] of histogram.entries()) {
    // A bucket belongs where it ends.
    while (end >= bounds[step]!) step++;
    counts[step]! += count;
  }
  return bounds.map((to, i) => ({ from: bounds[i - 1] ?? 0, to, count: counts[i]! }));
}

function boundsOf(series: readonly number[]): number[] {
  const powers = Array.from({ length: POWERS }, (_, power) => 10 ** power);
  return powers.flatMap((power) => series.map((step) => step * power)).filter(Number.isInteger);
}

function trimmed(steps: readonly Step[]): Step[] {
  const isFull = ({ count }: Step) => count > 0;
  const first = steps.findIndex(isFull);
  return first < 0 ? [] : steps.slice(first, steps.findLastIndex(isFull) + 1);
}

function text(ns: number): string {
  const [unitNs, unit] = UNITS.find(([size]) => ns >= size) ?? [1, 'ns'];
  return `${ns / unitNs}${unit}`;
}
