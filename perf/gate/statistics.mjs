// What pairs of figures say: an estimate, an interval that no shape of the noise invalidates, and a verdict.
//
// A sample is the logarithm of candidate over base, turned so that more is worse; one for each round. The estimate is
// Hodges and Lehmann's (the median of all means of two samples), the interval is the exact one that belongs to
// Wilcoxon's signed ranks. Neither asks for normal noise, and one wild round in ten moves them little.

/** Numbers in [0, 1) that follow from the seed (mulberry32). */
export function seededRandom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The value below which the part `q` (0 … 1) lies, interpolated between neighbours. */
export function quantile(values, q) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = q * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}

/** The median distance from the median, scaled so that for normal noise it is the standard deviation. */
export function scaledMad(values) {
  const middle = median(values);
  return 1.4826 * median(values.map((value) => Math.abs(value - middle)));
}

/** P(W <= w) for the sum of the positive ranks of `n` samples that are symmetric about 0; by w. */
export function signedRankDistribution(n) {
  const ranksTotal = (n * (n + 1)) / 2;
  let ways = new Float64Array(ranksTotal + 1);
  ways[0] = 1;
  for (let rank = 1; rank <= n; rank++) {
    for (let sum = ranksTotal; sum >= rank; sum--) ways[sum] += ways[sum - rank];
  }
  let below = 0;
  return ways.map((count) => (below += count) / 2 ** n);
}

function walshAverages(samples) {
  const averages = samples.flatMap((a, i) => samples.slice(i).map((b) => (a + b) / 2));
  return averages.sort((a, b) => a - b);
}

/**
 * The estimate and the interval that covers the truth with at least 1 - `alpha`. With too few samples for
 * that `alpha` the interval is unbounded: nothing can be said.
 */
export function estimate(samples, alpha) {
  const averages = walshAverages(samples);
  const distribution = signedRankDistribution(samples.length);
  let cut = 0;
  while (cut < averages.length / 2 && distribution[cut] <= alpha / 2) cut++;
  const bounded = cut > 0;
  return {
    estimate: median(averages),
    low: bounded ? averages[cut - 1] : -Infinity,
    high: bounded ? averages[averages.length - cut] : Infinity,
  };
}

/**
 * What the samples of one metric say. `threshold` is a logarithm, above 0. `alpha` is for this one look.
 *
 *   slower    the interval lies above 0 and the estimate reaches the threshold
 *   faster    the same on the other side
 *   ok        the interval lies below the threshold; or, at the `last` look, the estimate does and the interval
 *             reaches no further than a threshold from it, so that the noise was not what hid a slow-down
 *   unclear   none of these: more rounds are needed
 */
export function judge(samples, { threshold, alpha, last = false }) {
  const { estimate: middle, low, high } = estimate(samples, alpha);
  const said = { estimate: middle, low, high, spread: scaledMad(samples), rounds: samples.length };
  if (low > 0 && middle >= threshold) return { ...said, verdict: 'slower' };
  if (high < 0 && middle <= -threshold) return { ...said, verdict: 'faster' };
  const precise = high - middle <= threshold;
  if (high < threshold || (last && middle < threshold && precise)) {
    return { ...said, verdict: 'ok' };
  }
  return { ...said, verdict: 'unclear', roundsMore: roundsMore(said, threshold) };
}

/** An interval narrows with the root of the number of rounds; at least 1, at most 1000. */
function roundsMore({ estimate: middle, high, low, rounds }, threshold) {
  if (!Number.isFinite(high)) return rounds;
  const reach = middle >= threshold ? middle - low : high - middle;
  const allowed = middle >= threshold ? middle : threshold - Math.min(middle, threshold / 2);
  const wanted = Math.ceil(rounds * (reach / allowed) ** 2);
  return Math.min(1000, Math.max(1, wanted - rounds));
}
