import { expect, it } from 'vitest';
import { perfModule } from '../module.js';
import { result } from './page/result.js';

interface Comparison {
  scenario: string;
  metric: string;
  point: string;
  peer: string;
  ratio: number;
  isVoid: boolean;
}

const { comparisons, behind } = await perfModule<{
  comparisons: (results: unknown) => Comparison[];
  behind: (results: unknown) => Comparison[];
}>('lib/compare.mjs');

it('sets ours beside each broker, where more is better and where less is', () => {
  const all = comparisons(result.results);
  const ratioTo = (peer: string, metric: string) =>
    all.find((one) => one.peer === peer && one.metric === metric)?.ratio;
  expect(ratioTo('nats', 'frames/s')).toBe(4);
  expect(ratioTo('nats', 'p50 us')).toBe(1.5);
  expect(ratioTo('redis', 'p50 us')).toBe(0.75);
  expect(ratioTo('nats', 'bytes')).toBe(100);
});

it('compares with no bare peer, and with none that is missing', () => {
  const peers = new Set(comparisons(result.results).map(({ peer }) => peer));
  expect([...peers].sort()).toEqual(['aedes', 'nats', 'redis']);
});

it('says who is ahead, but not by a figure that is void', () => {
  const ahead = behind(result.results).map(({ peer, metric }) => `${peer} ${metric}`);
  expect(ahead).toEqual(['redis p50 us', 'redis p99 us']);
  const noisy = structuredClone(result.results);
  noisy.latency.figures[2]!.voidBecause = ['others had 40 % of the CPUs'];
  expect(behind(noisy)).toEqual([]);
  expect(comparisons(noisy).filter(({ peer, isVoid }) => peer === 'redis' && isVoid)).toHaveLength(
    2,
  );
});
