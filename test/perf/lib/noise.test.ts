import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { perfModule } from '../module.js';

const { noiseIn, watchOthers } = await perfModule<{
  noiseIn: (runs: { othersPart?: number }[], spread?: number) => string[];
  watchOthers: (pid?: number) => () => number;
}>('lib/noise.mjs');
const { allowedCpus, cpuSecondsOf } = await perfModule<{
  allowedCpus: () => number[];
  cpuSecondsOf: (pid: number) => number;
}>('lib/machine.mjs');

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

it('counts a process for one of the others, unless it is the peer', async () => {
  const busy = spawn(process.execPath, ['--eval', 'for (;;);'], { stdio: 'ignore' });
  try {
    const begun = cpuSecondsOf(busy.pid!);
    const begunMs = performance.now();
    const ofAll = watchOthers();
    const ofAllButOne = watchOthers(busy.pid);
    // Twenty times what /proc tells apart.
    while (cpuSecondsOf(busy.pid!) < begun + 0.2) await turn();
    const partOfOthers = ofAllButOne();
    expect(partOfOthers).toBeGreaterThanOrEqual(0);
    const itsPart = ofAll() - partOfOthers;
    const seconds = ((performance.now() - begunMs) / 1000) * allowedCpus().length;
    expect(itsPart * seconds).toBeGreaterThan(0.1);
  } finally {
    busy.kill('SIGKILL');
    await once(busy, 'exit');
  }
});
