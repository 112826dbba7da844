import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';

const gate = join(import.meta.dirname, '../../../perf/gate');
const load = (name: string): Promise<unknown> => import(pathToFileURL(join(gate, name)).href);

interface Metric {
  id: string;
  title: string;
  worse: 'more' | 'less';
  deciding: boolean;
  threshold: number;
}
type Round = Record<string, [base: number, candidate: number]>;
interface Found {
  rounds: Round[];
  outcome: 'pass' | 'regression' | 'void';
  why: string;
}

const { compareInRounds, looks } = (await load('comparison.mjs')) as {
  compareInRounds: (plan: number[], nextRound: (index: number) => Promise<Round>) => Promise<Found>;
  looks: Record<'full' | 'quick', number[]>;
};
const { metrics, badness, changeOf, thresholdLog } = (await load('metrics.mjs')) as {
  metrics: Metric[];
  badness: (metric: Metric, base: number, candidate: number) => number;
  changeOf: (metric: Metric, value: number) => number;
  thresholdLog: (metric: Metric) => number;
};
const { seededRandom } = (await load('statistics.mjs')) as {
  seededRandom: (seed: number) => () => number;
};

/** Rounds of 100 against 100, with `worse[id]` as the factor by which that metric is worse. */
function machine(worse: Record<string, number>, noise: Record<string, number> = {}) {
  const random = seededRandom(5);
  return (): Promise<Round> =>
    Promise.resolve(
      Object.fromEntries(
        metrics.map((metric) => {
          const factor = worse[metric.id] ?? 1;
          const wild = Math.exp((random() - 0.5) * (noise[metric.id] ?? 0.01));
          const turned = metric.worse === 'more' ? factor : 1 / factor;
          return [metric.id, [100, 100 * turned * wild]] as const;
        }),
      ),
    );
}

const titleOf = (id: string) => metrics.find((metric) => metric.id === id)!.title;
const deciding = metrics.filter((metric) => metric.deciding);
const byTheClock = metrics.filter((metric) => !metric.deciding);

describe('what a comparison comes to', () => {
  it('equal builds pass at the first look', async () => {
    const { outcome, rounds } = await compareInRounds(looks.quick, machine({}));
    expect({ outcome, rounds: rounds.length }).toEqual({ outcome: 'pass', rounds: looks.quick[0] });
  });

  it.each(deciding.map(({ id }) => id))(
    'a slow-down beyond the limit is found in %s',
    async (id) => {
      const metric = metrics.find((one) => one.id === id)!;
      const worse = { [id]: 1 + metric.threshold * 1.2 };
      const { outcome, why } = await compareInRounds(looks.full, machine(worse));
      expect({ outcome, why }).toEqual({ outcome: 'regression', why: `worse in ${titleOf(id)}` });
    },
  );

  it.each(byTheClock.map(({ id }) => id))('and in %s, by the clock', async (id) => {
    const { outcome } = await compareInRounds(looks.quick, machine({ [id]: 2 }));
    expect(outcome).toBe('regression');
  });

  it('what is better is no regression', async () => {
    const better = Object.fromEntries(metrics.map(({ id }) => [id, 0.7]));
    expect((await compareInRounds(looks.quick, machine(better))).outcome).toBe('pass');
  });

  it('noise in what decides makes it void after the last look, and names it', async () => {
    const id = 'throughput.small.cpu';
    const { outcome, why, rounds } = await compareInRounds(looks.quick, machine({}, { [id]: 3 }));
    expect(outcome).toBe('void');
    expect(why).toContain(titleOf(id));
    expect(rounds).toHaveLength(looks.quick.at(-1)!);
  });

  it('noise on the clock alone neither prolongs nor spoils it', async () => {
    const { outcome, rounds } = await compareInRounds(
      looks.quick,
      machine({}, { 'latency.p99': 6 }),
    );
    expect({ outcome, rounds: rounds.length }).toEqual({ outcome: 'pass', rounds: looks.quick[0] });
  });

  it('a metric that was not measured makes it void', async () => {
    const whole = machine({});
    const { outcome, why } = await compareInRounds(looks.quick, async () => {
      const rest = await whole();
      delete rest['config.load'];
      return rest;
    });
    expect(outcome).toBe('void');
    expect(why).toContain(titleOf('config.load'));
  });

  it('a regression stays one, whatever else is noisy', async () => {
    const round = machine({ 'connect.cpu': 1.3 }, { 'throughput.small.cpu': 3 });
    expect((await compareInRounds(looks.quick, round)).outcome).toBe('regression');
  });
});

describe('the metrics', () => {
  it('turn every figure so that more is worse, and back', () => {
    for (const metric of metrics) {
      const worse = metric.worse === 'more' ? 120 : 80;
      expect(badness(metric, 100, worse), metric.id).toBeGreaterThan(0);
      expect(changeOf(metric, badness(metric, 100, worse)), metric.id).toBeCloseTo(worse / 100 - 1);
      const sign = metric.worse === 'more' ? 1 : -1;
      expect(changeOf(metric, thresholdLog(metric)), metric.id).toBeCloseTo(
        sign * metric.threshold,
      );
    }
  });

  it('decide by work done, with limits that a change of 15 % passes, memory per connection apart', () => {
    const loose = deciding.filter(({ threshold }) => threshold >= 0.15).map(({ id }) => id);
    expect(loose).toEqual(['memory.connection']);
    expect(deciding.map(({ id }) => id)).toEqual(
      expect.arrayContaining(['throughput.small.cpu', 'connect.cpu', 'codec.check', 'config.load']),
    );
  });
});
