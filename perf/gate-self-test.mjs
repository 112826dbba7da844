// Does the gate find what it must, and nothing else? It compares the last commit with itself, built twice, and with
// itself plus a planted slow-down of some 15 % of the CPU time per small frame; so often each, in turn.
//
//   npm run perf:gate:self-test                       ten times each, with the rounds of --quick
//   npm run perf:gate:self-test -- --runs 3 --full
//   npm run perf:gate:self-test -- --calibrate 12     only what the patch costs, in so many rounds
//
// Exit status: 0 when every planted slow-down was found and every identical build passed, 1 otherwise.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runGate, show } from './gate.mjs';
import { commitOf, takeCommit, takePatched } from './gate/builds.mjs';
import { looks } from './gate/comparison.mjs';
import { changeOf } from './gate/metrics.mjs';
import { sentenceOf } from './gate/report.mjs';
import { scriptOptions } from './lib/command-line.mjs';
import { compileLoadgen } from './lib/loadgen.mjs';
import { printTable } from './lib/report.mjs';

const PATCH = fileURLToPath(new URL('gate/slow-down.patch', import.meta.url));
const PLANTED = 'throughput.small.cpu';
const EXPECTED = { planted: 'regression', identical: 'pass' };

const values = scriptOptions(
  'npm run perf:gate:self-test -- [--runs N | --calibrate ROUNDS] [--seed N] [--full] [--json FILE]',
  { runs: 'count', seed: 'count', calibrate: 'count', full: 'flag', json: 'text' },
);
const { runs = 10, seed = 1 } = values;

function percentOf(value) {
  return `${value >= 0 ? '+' : ''}${(value * 100).toFixed(1)} %`;
}

function plantedCost({ comparisons }) {
  const { metric, result } = comparisons.find(({ metric: { id } }) => id === PLANTED);
  if (!result) return ['-', '-'];
  const ends = [result.low, result.high].map((end) => percentOf(changeOf(metric, end)));
  return [percentOf(changeOf(metric, result.estimate)), ends.join(' … ')];
}

function rowOf({ name, run, whole }) {
  const right = whole.outcome === EXPECTED[name];
  return [
    `${name} ${run}`,
    whole.rounds,
    `${whole.seconds.toFixed(0)} s`,
    ...plantedCost(whole),
    whole.machine.loadAverageBefore[0],
    right ? 'as it must' : 'WRONG',
    sentenceOf(whole),
  ];
}

const columns = ['comparison', 'rounds', 'took', 'small CPU', 'interval', 'load', '', 'it said'];

async function main() {
  compileLoadgen();
  const commit = commitOf('HEAD');
  const base = takeCommit(commit);
  const candidates = {
    planted: takePatched(commit, PATCH),
    identical: takeCommit(commit, 'again'),
  };
  const kind = values.full ? 'full' : 'quick';
  if (values.calibrate) {
    const plan = [values.calibrate];
    show(await runGate([base, candidates.planted], { kind, plan, seed }));
    return 0;
  }
  const done = [];
  for (let run = 1; run <= runs; run++) {
    for (const name of Object.keys(EXPECTED)) {
      const request = { kind, plan: looks[kind], seed: seed + done.length };
      const whole = await runGate([base, candidates[name]], request, () => {});
      done.push({ name, run, whole });
      console.log(rowOf(done.at(-1)).join('  '));
    }
  }
  printTable('the gate’s own test', columns, done.map(rowOf));
  if (values.json) {
    mkdirSync(dirname(values.json), { recursive: true });
    writeFileSync(values.json, `${JSON.stringify(done, null, 2)}\n`);
  }
  for (const [name, outcome] of Object.entries(EXPECTED)) {
    const of = done.filter((one) => one.name === name);
    const right = of.filter(({ whole }) => whole.outcome === outcome);
    console.log(`${name}: ${right.length} of ${of.length} as it must (${outcome})`);
  }
  return done.every(({ name, whole }) => whole.outcome === EXPECTED[name]) ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`perf:gate:self-test: ${error.message}`);
  process.exitCode = 2;
}
