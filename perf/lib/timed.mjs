// Figures that are distributions of times: the medians of the rounds' quantiles, and of all rounds together the curve
// and the histogram that the report draws.
import {
  binsOf,
  curveOf,
  encodedOf,
  merged,
  QUANTILES,
  quantilesOf,
  tooFewFor,
  totalOf,
} from './histogram.mjs';
import { noiseIn } from './noise.mjs';
import { count, median, spread } from './report.mjs';
import { faultsOf, ownFailure } from './runs.mjs';

/** Without the buckets, which would be nine tenths of a result's file and are in the curve. */
export function slim(run) {
  const lean = { ...run };
  for (const name of ['latency', 'sendLag']) {
    if (!lean[name]) continue;
    lean[name] = { ...lean[name] };
    delete lean[name].counts;
  }
  return lean;
}

/** Medians of the rounds' quantiles in microseconds, by name; null where too few samples lie behind one. */
function mediansOf(runs, samples) {
  const ofRuns = runs.map((run) => quantilesOf(run.latency.counts));
  const figures = Object.entries(QUANTILES).map(([name, q]) => [
    name,
    tooFewFor(q, samples) ? null : Number((median(ofRuns.map((of) => of(q))) / 1e3).toFixed(1)),
  ]);
  figures.push(['maxUs', Math.max(...runs.map((run) => run.latency.maxUs))]);
  return Object.fromEntries(figures);
}

/** One figure of `name` from its rounds, each with `latency`. `key` says what is measured, as `{ rate }`. */
export function timedFigure(name, key, result) {
  const runs = result.runs;
  const faults = runs.flatMap(faultsOf);
  const figure = { peer: name, ...key, voidBecause: faults };
  if (runs.length > 0) {
    const counts = merged(runs.map((run) => run.latency.counts));
    figure.samples = totalOf(counts);
    Object.assign(figure, mediansOf(runs, figure.samples));
    figure.spread = spread(runs.map((run) => run.latency.p50Us));
    figure.curve = curveOf(counts);
    figure.bins = binsOf(counts);
    figure.hdr = encodedOf(counts);
    figure.voidBecause = [...faults, ...noiseIn(runs, figure.spread)];
    if (figure.samples === 0) figure.voidBecause.push('no samples');
  }
  return {
    ...figure,
    missing: result.missing,
    failed: result.failed,
    ownFailure: ownFailure(name, result, faults.length > 0),
    runs: runs.map(slim),
  };
}

export const quantileColumns = ['p50', 'p90', 'p99', 'p99.9', 'p99.99', 'max', 'spread'];

/** A quantile for a table, divided by `unitUs`; "few" where too few samples lie behind it. */
export function quantileCell(us, unitUs = 1) {
  return us === null ? 'few' : count(us / unitUs, 1);
}

export function quantileCells(figure) {
  const cells = [...Object.keys(QUANTILES), 'maxUs'].map((name) => quantileCell(figure[name]));
  return [...cells, `${(figure.spread * 100).toFixed(0)} %`];
}

export function voidCell({ voidBecause }) {
  return voidBecause.length > 0 ? `VOID: ${voidBecause.join(', ')}` : '';
}
