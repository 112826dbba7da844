import { expect, it } from 'vitest';
import { perfModule } from '../module.js';

const { noiseIn, watchOthers } = await perfModule<{
  noiseIn: (runs: { othersPart?: number }[], spread?: number) => string[];
  watchOthers: (pid: number) => () => number;
}>('lib/noise.mjs');

it('calls a figure void when others had more than a tenth of the CPUs in most rounds', () => {
  expect(noiseIn([{ othersPart: 0.02 }, { othersPart: 0.09 }, { othersPart: 0.5 }])).toEqual([]);
  expect(noiseIn([{ othersPart: 0.02 }, { othersPart: 0.11 }, { othersPart: 0.5 }])).toEqual([
    'others had 11 % of the CPUs',
  ]);
});

it('calls it void when the rounds lie far apart', () => {
  expect(noiseIn([{}], 0.5)).toEqual([]);
  expect(noiseIn([{}], 0.6)).toEqual(['rounds differ by 60 %']);
});

it('answers a part of the CPUs, of which this process is none', () => {
  const othersPart = watchOthers(process.pid);
  const part = othersPart();
  expect(part).toBeGreaterThanOrEqual(0);
  expect(part).toBeLessThanOrEqual(1.5);
});
