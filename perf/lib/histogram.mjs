// Histograms as the generator prints them: [upper edge in ns, count] for each bucket that holds something, ascending.

/** The sum of several. */
export function merged(histograms) {
  const sums = new Map();
  for (const [ns, count] of histograms.flat()) sums.set(ns, (sums.get(ns) ?? 0) + count);
  return [...sums].sort(([a], [b]) => a - b);
}

export function totalOf(counts) {
  return counts.reduce((sum, [, count]) => sum + count, 0);
}

/** The upper edge of the bucket that holds quantile `q` (0 … 1), in ns; NaN of nothing. */
export function quantileOf(counts, q) {
  const wanted = Math.max(1, Math.ceil(q * totalOf(counts)));
  let seen = 0;
  for (const [ns, count] of counts) {
    seen += count;
    if (seen >= wanted) return ns;
  }
  return NaN;
}

const POINTS_A_DECADE = 12;

/** [n, us]: one in n messages took longer than that; n from 1 to the number of messages, evenly on a logarithmic scale. */
export function curveOf(counts) {
  const total = totalOf(counts);
  if (total === 0) return [];
  const steps = Math.floor(Math.log10(total) * POINTS_A_DECADE);
  return Array.from({ length: steps + 1 }, (_, step) => {
    const oneIn = 10 ** (step / POINTS_A_DECADE);
    return [rounded(oneIn), rounded(quantileOf(counts, 1 - 1 / oneIn) / 1e3)];
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
