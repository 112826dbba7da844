// Histograms as the generator prints them: [upper edge in ns, count] for each bucket that holds something, ascending. Their
// percentiles, and the form in which a result keeps them, are those of HdrHistogram.
import { build, encodeIntoCompressedBase64 } from 'hdr-histogram-js';

/** A quarter of an hour: what takes longer is taken for that. */
const HIGHEST_NS = 900e9;

/** The sum of several. */
export function merged(histograms) {
  const sums = new Map();
  for (const [ns, count] of histograms.flat()) sums.set(ns, (sums.get(ns) ?? 0) + count);
  return [...sums].sort(([a], [b]) => a - b);
}

export function totalOf(counts) {
  return counts.reduce((sum, [, count]) => sum + count, 0);
}

/** Three digits of every value are kept; the generator's buckets are wider. */
function hdrOf(counts) {
  const histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: HIGHEST_NS,
    numberOfSignificantValueDigits: 3,
    bitBucketSize: 64,
    useWebAssembly: false,
  });
  for (const [ns, count] of counts) histogram.recordValueWithCount(Math.min(ns, HIGHEST_NS), count);
  return histogram;
}

/** Nanoseconds, as HdrHistogram's own tools read it: compressed, in base64. */
export function encodedOf(counts) {
  return encodeIntoCompressedBase64(hdrOf(counts));
}

/** Answers a function from a quantile (0 … 1) to its value in ns; NaN of nothing. */
export function quantilesOf(counts) {
  if (counts.length === 0) return () => NaN;
  const histogram = hdrOf(counts);
  const greatest = counts.at(-1)[0];
  return (q) => Math.min(histogram.getValueAtPercentile(q * 100), greatest);
}

const POINTS_A_DECADE = 12;

/** [n, us]: one in n messages took longer than that; n from 1 to the number of messages, evenly on a logarithmic scale. */
export function curveOf(counts) {
  const total = totalOf(counts);
  if (total === 0) return [];
  const steps = Math.floor(Math.log10(total) * POINTS_A_DECADE);
  const quantile = quantilesOf(counts);
  return Array.from({ length: steps + 1 }, (_, step) => {
    const oneIn = 10 ** (step / POINTS_A_DECADE);
    return [rounded(oneIn), rounded(quantile(1 - 1 / oneIn) / 1e3)];
  });
}

const BINS_AN_OCTAVE = 4;

/** [lower edge in us, share of all]: bins of a quarter of an octave, those between the first and the last included. */
export function binsOf(counts) {
  const total = totalOf(counts);
  const shares = new Map();
  for (const [ns, count] of counts) {
    const bin = Math.floor(Math.log2(Math.max(1, ns)) * BINS_AN_OCTAVE);
    shares.set(bin, (shares.get(bin) ?? 0) + count / total);
  }
  const bins = [...shares.keys()];
  if (bins.length === 0) return [];
  const first = bins.reduce((a, b) => Math.min(a, b));
  const last = bins.reduce((a, b) => Math.max(a, b));
  return Array.from({ length: last - first + 1 }, (_, i) => [
    rounded(2 ** ((first + i) / BINS_AN_OCTAVE) / 1e3),
    Number((shares.get(first + i) ?? 0).toPrecision(3)),
  ]);
}

function rounded(value) {
  return Number(value.toPrecision(4));
}

/** A quantile is shown where so many messages lie behind it: fewer say nothing of it. */
export const SAMPLES_BEHIND_MIN = 5;

export function tooFewFor(q, samples) {
  return samples * (1 - q) < SAMPLES_BEHIND_MIN - 1e-6;
}

export const QUANTILES = { p50Us: 0.5, p90Us: 0.9, p99Us: 0.99, p999Us: 0.999, p9999Us: 0.9999 };
