// Topology:  publisher --> broker with its histograms, or a build without (CPU A) --> subscriber, or ten of them;
//            all ends in the generator (CPU B). Both brokers live side by side, one of them busy at a time.
//
// Measures what the histograms inside the broker cost: its CPU time for a frame, with them beside without them, in
// slices of some 50 ms in turn, the order within each pair drawn by the seed. The better quartile of the slices is a round's
// figure; both brokers are started afresh for each round; what is said is the estimate over the rounds and its interval, as
// in the gate. Two fixed rates are among the loads because a turn costs most where it brings one frame.
//
// Void when anything was lost, reordered or damaged. Unclear when the interval reaches beyond 1 % on both sides:
// more rounds, or a quieter machine. `--control` has the histograms on both sides, and shows what the noise alone does.
//
//   node perf/meters.mjs [--rounds N] [--seed N] [--control] [--smoke] [--json FILE]
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { takeWorkingTree } from './gate/builds.mjs';
import { estimate, quantile, seededRandom } from './gate/statistics.mjs';
import { compileLoadgen, runLoadgen } from './lib/loadgen.mjs';
import { cpuNsOf, describeMachine, goFirst, planCpus } from './lib/machine.mjs';
import { startBroker } from './lib/peers.mjs';
import { count, median, printTable } from './lib/report.mjs';
import { faultsOf } from './lib/runs.mjs';

const WITHOUT = [{ file: 'src/shards/layout.ts', from: 'METERED = true', to: 'METERED = false' }];
const COST_MAX = 0.01;
const ALPHA = 0.05;
const FLAGS = ['--memory-arena', '128MiB', '--log-level', 'error'];
const EXIT = { below: 0, above: 1, unclear: 2 };

const loads = [
  { title: '1 -> 1, 16 B', mode: 'throughput', options: { size: 16 } },
  { title: '1 -> 1, 128 B', mode: 'throughput', options: { size: 128 } },
  { title: '1 -> 1, 16 KiB', mode: 'throughput', options: { size: 16384 } },
  { title: '1 -> 10, 16 B', mode: 'throughput', options: { size: 16, subscribers: 10 } },
  { title: '10,000/s, 128 B', mode: 'latency', options: { size: 128, rate: 10_000 } },
  { title: '50,000/s, 128 B', mode: 'latency', options: { size: 128, rate: 50_000 } },
];

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
    control: { type: 'boolean', default: false },
    smoke: { type: 'boolean', default: false },
    json: { type: 'string' },
  },
});
const rounds = values.smoke ? 1 : Number(values.rounds);
const pairs = values.smoke ? 1 : 12;
const seconds = values.smoke ? 0.02 : 0.05;
const random = seededRandom(Number(values.seed));
const order = () => (random() < 0.5 ? [0, 1] : [1, 0]);

/** The broker's CPU time for a frame that is delivered, in ns. */
async function slice({ pid, port }, cpu, { title, mode, options }, factor = 1) {
  const before = cpuNsOf(pid);
  const timing = { seconds: seconds * factor, warmup: 0.01 };
  const report = await runLoadgen(mode, { port, protocol: 'ms', cpu, ...timing, ...options });
  const faults = faultsOf(report);
  if (faults.length > 0) throw new Error(`${title}: ${faults.join(', ')}`);
  return (cpuNsOf(pid) - before) / report.delivered;
}

/** By load: the figure without, and the one with. */
async function round(builds, cpus) {
  const brokers = [];
  try {
    for (const side of order()) {
      const entry = join(builds[side].path, 'dist', 'main.js');
      brokers[side] = await startBroker({ cpus: cpus.peer, entry, flags: FLAGS });
    }
    const figures = loads.map(() => [[], []]);
    for (const load of loads) {
      for (const side of order()) await slice(brokers[side], cpus.generator, load, 3);
    }
    for (let pair = 0; pair < pairs; pair++) {
      for (const [i, load] of loads.entries()) {
        for (const side of order()) {
          figures[i][side].push(await slice(brokers[side], cpus.generator, load));
        }
      }
    }
    return figures.map((sides) => sides.map((slices) => quantile(slices, 0.25)));
  } finally {
    await Promise.all(brokers.map((broker) => broker?.stop()));
  }
}

function judged({ low, high }) {
  const limit = Math.log1p(COST_MAX);
  if (high < limit) return 'below';
  return low > limit ? 'above' : 'unclear';
}

function percentOf(log) {
  const text = (Math.expm1(log) * 100).toFixed(2);
  return Number.isFinite(log) ? `${log > 0 ? '+' : ''}${text} %` : '-';
}

compileLoadgen();
const machine = describeMachine();
const withMeters = takeWorkingTree();
const builds = [values.control ? withMeters : takeWorkingTree(WITHOUT), withMeters];
const cpus = planCpus();
machine.nice = goFirst();
const measured = [];
for (let i = 0; i < rounds; i++) {
  measured.push(await round(builds, cpus));
  console.log(`round ${i + 1} of ${rounds}`);
}
const results = loads.map(({ title }, i) => {
  const sides = measured.map((each) => each[i]);
  const found = estimate(
    sides.map(([without, withThem]) => Math.log(withThem / without)),
    ALPHA,
  );
  return { title, sides, ...found, verdict: judged(found) };
});
const place = cpus.peer
  ? `broker on CPU ${cpus.peer}, generator on CPU ${cpus.generator}`
  : 'one CPU';
printTable(
  `${values.control ? 'CONTROL, both with' : 'without and with'} histograms: broker CPU per delivered frame, ` +
    `medians of ${rounds} rounds; ${place}; load average before ${machine.loadAverageBefore.join(' ')}`,
  ['load', 'without, ns', 'with, ns', 'cost', 'from', 'to', 'than 1 %'],
  results.map(({ title, sides, estimate: middle, low, high, verdict }) => [
    title,
    count(median(sides.map(([without]) => without)), 1),
    count(median(sides.map(([, withThem]) => withThem)), 1),
    ...[middle, low, high].map(percentOf),
    verdict,
  ]),
);
const verdicts = results.map(({ verdict }) => verdict);
const worst = ['above', 'unclear'].find((verdict) => verdicts.includes(verdict)) ?? 'below';
if (values.json) {
  writeFileSync(values.json, `${JSON.stringify({ machine, cpus, rounds, results }, null, 2)}\n`);
}
process.exitCode = EXIT[worst];
