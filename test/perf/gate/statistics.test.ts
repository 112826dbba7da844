import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';

interface Judged {
  estimate: number;
  low: number;
  high: number;
  spread: number;
  verdict: 'ok' | 'slower' | 'faster' | 'unclear';
  roundsMore?: number;
}

interface Statistics {
  seededRandom: (seed: number) => () => number;
  median: (values: number[]) => number;
  scaledMad: (values: number[]) => number;
  signedRankDistribution: (n: number) => Float64Array;
  estimate: (samples: number[], alpha: number) => Pick<Judged, 'estimate' | 'low' | 'high'>;
  judge: (
    samples: number[],
    options: { threshold: number; alpha: number; last?: boolean },
  ) => Judged;
}

// Plain JavaScript without types, hence a name that the compiler does not follow.
const path = join(import.meta.dirname, '../../../perf/gate/statistics.mjs');
const { seededRandom, median, scaledMad, signedRankDistribution, estimate, judge } = (await import(
  pathToFileURL(path).href
)) as Statistics;

/** Noise of the shapes that a shared machine makes: normal, and with one wild value in ten. */
function noise(random: () => number, sigma: number, wild: boolean): number {
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return sigma * normal * (wild && random() < 0.1 ? 8 : 1);
}

function simulate(options: {
  trials: number;
  n: number;
  truth: number;
  sigma: number;
  wild: boolean;
}) {
  const random = seededRandom(20_261);
  return Array.from({ length: options.trials }, () =>
    Array.from(
      { length: options.n },
      () => options.truth + noise(random, options.sigma, options.wild),
    ),
  );
}

describe('the distribution of signed ranks', () => {
  // Table of Wilcoxon's one-sided critical values, 0.5 %: the greatest w with P(W <= w) <= 0.005.
  it.each([
    [8, 0],
    [9, 1],
    [10, 3],
    [12, 7],
    [15, 15],
    [20, 37],
    [25, 68],
  ])('for %i samples ends at the published critical value', (n, critical) => {
    const below = signedRankDistribution(n);
    expect(below[critical]).toBeLessThanOrEqual(0.005);
    expect(below[critical + 1]).toBeGreaterThan(0.005);
    expect(below.at(-1)).toBeCloseTo(1, 12);
  });
});

describe('the estimate and its interval', () => {
  it('are those of an example worked out by hand', () => {
    // The means of two are 1 2 3 3 4 5; P(W <= 0) = 1/8 and P(W <= 1) = 2/8, so either end loses none or one.
    expect(estimate([1, 3, 5], 0.25)).toEqual({ estimate: 3, low: 1, high: 5 });
    expect(estimate([1, 3, 5], 0.5)).toEqual({ estimate: 3, low: 2, high: 4 });
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(scaledMad([1, 2, 3, 4, 100])).toBeCloseTo(1.4826, 10);
  });

  it('say nothing of too few samples', () => {
    expect(estimate([1, 1, 1, 1, 1, 1], 0.0167)).toEqual({
      estimate: 1,
      low: -Infinity,
      high: Infinity,
    });
    expect(estimate([1, 1, 1, 1, 1, 1, 1], 0.0167)).toEqual({ estimate: 1, low: 1, high: 1 });
  });

  it.each([false, true])('cover the truth as often as they say (wild: %j; seed 20261)', (wild) => {
    const truth = 0.03;
    const samples = simulate({ trials: 4000, n: 12, truth, sigma: 0.05, wild });
    const missed = samples.filter((sample) => {
      const { low, high } = estimate(sample, 0.05);
      return low > truth || high < truth;
    });
    expect(missed.length / samples.length).toBeLessThan(0.06);
    // An interval that never misses says too little.
    expect(missed.length / samples.length).toBeGreaterThan(0.02);
  });
});

describe('the verdict', () => {
  const threshold = Math.log1p(0.07);
  const alpha = 0.05 / 4;

  it.each([
    ['slower', [0.14, 0.12, 0.15, 0.13, 0.16, 0.11, 0.14, 0.12]],
    ['faster', [-0.14, -0.12, -0.15, -0.13, -0.16, -0.11, -0.14, -0.12]],
    ['ok', [0.01, -0.02, 0.0, 0.02, -0.01, 0.01, -0.03, 0.02]],
    ['unclear', [0.4, -0.3, 0.1, -0.2, 0.3, 0.0, 0.2, -0.1]],
    // Surely worse, and by less than counts.
    ['ok', [0.02, 0.03, 0.02, 0.03, 0.02, 0.03, 0.02, 0.03]],
  ])('is %s for %j', (verdict, samples) => {
    expect(judge(samples, { threshold, alpha }).verdict).toBe(verdict);
  });

  it('says how many rounds are missing, more of them for more noise', () => {
    const samples = [0.1, -0.08, 0.05, -0.05, 0.08, 0.0, -0.1, 0.1];
    const some = judge(samples, { threshold, alpha });
    const many = judge(
      samples.map((sample) => sample * 3),
      { threshold, alpha },
    );
    expect([some.verdict, many.verdict]).toEqual(['unclear', 'unclear']);
    expect(some.roundsMore).toBeGreaterThan(0);
    expect(many.roundsMore).toBeGreaterThan(some.roundsMore!);
  });

  it('takes an estimate below the threshold for the answer at the last look, if it is precise', () => {
    const near = [0.05, 0.06, 0.09, 0.02, 0.07, 0.04, 0.05, 0.05];
    expect(judge(near, { threshold, alpha }).verdict).toBe('unclear');
    expect(judge(near, { threshold, alpha, last: true }).verdict).toBe('ok');
    const wide = near.map((sample, i) => sample + (i % 2 ? 0.2 : -0.2));
    expect(judge(wide, { threshold, alpha, last: true }).verdict).toBe('unclear');
  });

  // The rounds' CPU time per frame spreads by 5 % where two CPUs have a load of 8.
  it.each([
    [false, 0.99],
    [true, 0.93],
  ])(
    'is "slower" hardly ever for equal builds, and for 15 % nearly always (wild: %j; seed 20261)',
    (wild, power) => {
      const slowerPart = (truth: number) => {
        const samples = simulate({ trials: 4000, n: 26, truth, sigma: 0.05, wild });
        const verdicts = samples.map(
          (sample) => judge(sample, { threshold, alpha, last: true }).verdict,
        );
        return verdicts.filter((verdict) => verdict === 'slower').length / samples.length;
      };
      expect(slowerPart(0)).toBeLessThan(0.002);
      expect(slowerPart(Math.log(1.15))).toBeGreaterThan(power);
    },
  );
});
