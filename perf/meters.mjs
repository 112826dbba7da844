// Topology:  publisher --> broker whose histograms go on and off --> subscriber, or ten of them;
//            one shard (CPU A), the generator (CPU B)
//
// Measures what the histograms inside the broker cost. The broker is a build in which the shard itself switches them, in slices
// of some 4 ms in turn, the order within each pair drawn at random, and tells of each how long its turns took and how
// many frames they delivered. So both sides share thread, memory and compiled code, and a pair lies within some 10 ms of one
// load: what else the machine does falls on both. A turn counts from the return of epoll_wait to the next call of it, where it
// brought something, and so does what lies before the wait of the two turns behind it, which write down what it was; the
// readings of the clock for this stand on both sides. Off, a test of the switch remains, in
// place of nothing. The median of the pairs' ratios is a round's figure, each load of a round has a fresh broker; what is said
// is the estimate over the rounds and its interval, as in the gate. Two fixed rates are among the loads because a turn costs
// most where it brings one frame.
//
// Void when anything was lost, reordered or damaged. Unclear when the interval reaches beyond 1 % on both sides:
// more rounds, or a quieter machine. `--control` switches nothing, and shows what the noise alone does.
//
//   node perf/meters.mjs [--rounds N] [--seconds S] [--control] [--smoke] [--json FILE]
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { takeWorkingTree } from './gate/builds.mjs';
import { estimate, median } from './gate/statistics.mjs';
import { scriptOptions } from './lib/command-line.mjs';
import { compileLoadgen, runLoadgen } from './lib/loadgen.mjs';
import { describeMachine, goFirst, planCpus } from './lib/machine.mjs';
import { startBroker } from './lib/peers.mjs';
import { count, printTable } from './lib/report.mjs';
import { faultsOf } from './lib/runs.mjs';

const COST_MAX = 0.01;
const ALPHA = 0.05;
const FLAGS = ['--memory-arena', '128MiB', '--log-level', 'error'];
const EXIT = { below: 0, above: 1, unclear: 2 };
const SLICE_MS = 4;
const SLICES_PER_LINE = 20;
const ATTEMPTS_MAX = 4;

const values = scriptOptions(
  'node perf/meters.mjs [--rounds N] [--seconds S] [--control] [--smoke] [--json FILE]',
  { rounds: 'count', seconds: 'seconds', control: 'flag', smoke: 'flag', json: 'text' },
);
const rounds = values.rounds ?? (values.smoke ? 1 : 12);
const seconds = values.seconds ?? (values.smoke ? 0.4 : 2);
const warmup = values.smoke ? 0.05 : 0.5;

const loads = [
  { title: '1 -> 1, 16 B', mode: 'throughput', options: { size: 16 } },
  { title: '1 -> 1, 128 B', mode: 'throughput', options: { size: 128 } },
  { title: '1 -> 1, 16 KiB', mode: 'throughput', options: { size: 16384 } },
  { title: '1 -> 10, 16 B', mode: 'throughput', options: { size: 16, subscribers: 10 } },
  { title: '10,000/s, 128 B', mode: 'latency', options: { size: 128, rate: 10_000 } },
  { title: '50,000/s, 128 B', mode: 'latency', options: { size: 128, rate: 50_000 } },
];

/** In the broker's build: `METERED` becomes a switch in kernel and JavaScript, and the shard has a probe that turns it. */
const SWITCHED = [
  {
    file: 'src/shards/layout.ts',
    from: 'export const METERED = true as boolean;',
    to: `export let METERED = true as boolean;
      export function switchMeters(on: boolean): void { METERED = on; }`,
  },
  {
    file: 'src/shards/kernel/index.ts',
    from: "export { sendsEnd, turnBegins, turnTook } from './meters';",
    to: "export { sendsEnd, turnBegins, turnTook } from './meters'; export { switchMeters } from '../layout';",
  },
  {
    file: 'src/shards/kernel.ts',
    from: 'sendsEnd(ns: number): void;',
    to: 'sendsEnd(ns: number): void; switchMeters(on: number): void;',
  },
  {
    file: 'src/shards/shard.ts',
    from: 'if (mayBlock) kernel.wokenUp();',
    to: 'if (mayBlock) kernel.wokenUp(); this.#probe.waited();',
  },
  {
    file: 'src/shards/shard.ts',
    from: 'const events = sys.epollWait(',
    to: 'this.#probe.waits(); const events = sys.epollWait(',
  },
  {
    file: 'src/shards/shard.ts',
    from: 'const sentNs =',
    to: 'this.#probe.turnBegins(); const sentNs =',
  },
  {
    file: 'src/shards/shard.ts',
    from: 'this.#turnEndedMs = this.awakeMs;',
    to: 'this.#turnEndedMs = this.awakeMs; if (this.#worked) this.#probe.turnEnds(kernel);',
  },
  {
    file: 'src/shards/shard.ts',
    from: '#faultAsked = false;\n',
    to: '#faultAsked = false; readonly #probe = new Probe();\n',
  },
  {
    file: 'src/shards/shard.ts',
    from: 'export class Shard {',
    to: `class Probe {
      #sliceBegan = 0;
      #began = 0;
      #countsBefore = 0;
      #spent = 0;
      #before = 0;
      #isSecond = false;
      #isOn = true;
      #lines: number[][] = [];
      turnBegins(): void { this.#began = performance.now(); }
      waits(): void {
        if (this.#countsBefore-- > 0) this.#spent += performance.now() - this.#began;
      }
      waited(): void { this.#began = performance.now(); }
      turnEnds(kernel: ShardContext['kernel']): void {
        const now = performance.now();
        this.#spent += now - this.#began;
        this.#countsBefore = 2;
        if (now - this.#sliceBegan < ${SLICE_MS}) return;
        const frames = kernel.deliveredFrames();
        this.#lines.push([this.#isSecond ? 1 : 0, this.#isOn ? 1 : 0, this.#spent, frames - this.#before]);
        if (this.#isSecond && this.#lines.length >= ${SLICES_PER_LINE}) {
          console.log('slices ' + JSON.stringify(this.#lines));
          this.#lines = [];
        }
        this.#isSecond = !this.#isSecond;
        this.#isOn = this.#isSecond ? !this.#isOn : Math.random() < 0.5;
        ${values.control ? '' : 'layout.switchMeters(this.#isOn); kernel.switchMeters(this.#isOn ? 1 : 0);'}
        this.#before = frames;
        this.#spent = 0;
        this.#sliceBegan = performance.now();
      }
    }
    export class Shard {`,
  },
];

/**
 * A round's figures of one load: by side the median of a slice's ns for a frame, and the median of the pairs' ratios.
 * Where others had the CPUs for so long that no pair of slices was whole, it is measured again, for twice as long.
 */
async function measure(entry, cpus, load) {
  let pairs = [];
  for (let attempt = 0; pairs.length === 0; attempt++) {
    if (attempt === ATTEMPTS_MAX) throw new Error(`${load.title}: no pair of slices was whole`);
    pairs = await slicePairs(entry, cpus, load, seconds * 2 ** attempt);
  }
  const [without, withThem] = [0, 1].map((side) => median(pairs.map((pair) => pair[side])));
  return {
    without,
    withThem,
    ratio: median(pairs.map(([off, on]) => Math.log(on / off))),
    pairs: pairs.length,
  };
}

/** One run of a load against a fresh broker. */
async function slicePairs(entry, cpus, { title, mode, options }, durationSeconds) {
  const broker = await startBroker({ cpus: cpus.peer, entry, flags: FLAGS });
  let report;
  try {
    const timing = { seconds: durationSeconds, warmup };
    const common = { port: broker.port, protocol: 'ms', cpu: cpus.generator };
    report = await runLoadgen(mode, { ...common, ...timing, ...options });
  } finally {
    await broker.stop();
  }
  const faults = faultsOf(report);
  if (faults.length > 0) throw new Error(`${title}: ${faults.join(', ')}`);
  return pairsOf(broker.handle.stdout);
}

/** Of pairs in which both slices delivered something: ns for a frame, without and with. The first line is warm-up. */
function pairsOf(output) {
  const lines = [...output.matchAll(/^slices (.*)$/gm)].slice(1);
  const pairs = [];
  for (const [, text] of lines) {
    let first;
    for (const [isSecond, isOn, ms, frames] of JSON.parse(text)) {
      const slice = { isOn, ns: (ms * 1e6) / frames, frames };
      if (!isSecond) first = slice;
      else if (first !== undefined && first.frames > 0 && frames > 0) {
        pairs.push(isOn ? [first.ns, slice.ns] : [slice.ns, first.ns]);
      }
    }
  }
  return pairs;
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
const entry = join(takeWorkingTree(SWITCHED).path, 'dist', 'main.js');
const cpus = planCpus();
machine.nice = goFirst();
const measured = loads.map(() => []);
for (let round = 1; round <= rounds; round++) {
  for (const [at, load] of loads.entries()) measured[at].push(await measure(entry, cpus, load));
  console.log(`round ${round} of ${rounds}`);
}
const results = loads.map(({ title }, at) => {
  const found = estimate(
    measured[at].map(({ ratio }) => ratio),
    ALPHA,
  );
  return { title, rounds: measured[at], ...found, verdict: judged(found) };
});
const place = cpus.peer
  ? `broker on CPU ${cpus.peer}, generator on CPU ${cpus.generator}`
  : 'one CPU';
printTable(
  `${values.control ? 'CONTROL, nothing is switched' : 'without and with histograms'}: the shard's time for a delivered ` +
    `frame, medians of ${rounds} rounds; ${place}; load average before ${machine.loadAverageBefore.join(' ')}`,
  ['load', 'without, ns', 'with, ns', 'cost', 'from', 'to', 'than 1 %', 'pairs'],
  results.map(({ title, rounds: of, estimate: middle, low, high, verdict }) => [
    title,
    ...['without', 'withThem'].map((side) => count(median(of.map((each) => each[side])), 1)),
    ...[middle, low, high].map(percentOf),
    verdict,
    count(of.reduce((sum, { pairs }) => sum + pairs, 0)),
  ]),
);
const verdicts = results.map(({ verdict }) => verdict);
const worst = ['above', 'unclear'].find((verdict) => verdicts.includes(verdict)) ?? 'below';
if (values.json) {
  writeFileSync(values.json, `${JSON.stringify({ machine, cpus, rounds, results }, null, 2)}\n`);
}
process.exitCode = EXIT[worst];
