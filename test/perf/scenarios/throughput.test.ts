import { expect, it } from 'vitest';
import { perfModule } from '../module.js';

interface Sides {
  name: string;
  runs: object[];
  framesPerSecond: number;
  peerCpu: number;
  generatorCpu: number;
}

const { limitsIn } = await perfModule<{ limitsIn: (sides: Sides) => string[] }>(
  'scenarios/throughput.mjs',
);

const sides = { name: 'nats', runs: [{}], framesPerSecond: 1e6, peerCpu: 0.99, generatorCpu: 0.4 };

it.each([
  ['the peer was the limit', {}, []],
  ['both were', { generatorCpu: 0.99 }, []],
  ['the generator was', { generatorCpu: 0.97, peerCpu: 0.8 }, ['the generator was saturated']],
  ['that of a relay is what it shows', { name: 'relay', generatorCpu: 0.97, peerCpu: 0.8 }, []],
  ['neither was', { generatorCpu: 0.5, peerCpu: 0.6 }, ['neither side was busy']],
  ['nothing came', { framesPerSecond: 0 }, ['nothing came within the time']],
  ['it did not run', { runs: [] }, []],
])('%s', (_what, more, said) => {
  expect(limitsIn({ ...sides, ...more })).toEqual(said);
});
