// Topology:  N publishers --> broker (N shards, CPUs 0 to N-1) --> N subscribers, loopback. Each publisher has a stream
//            and a subscriber of its own, and each such pair is a C generator on a CPU of its own.
//
// Measures the frames a second of all pairs together for each N: what a shard more, and a CPU for it, brings. The broker
// places connections itself, so that a frame may come to one shard and leave by another. Other brokers get the same CPUs,
// and use of them what they can; of the bare relay there is one for each pair, as the most that N such CPUs can do.
//
// Void when: not every frame came, whole and in order; the rounds differ by more than half; others had more than a tenth of
// the CPUs; broker and generators had to share CPUs; or the generators had no time left while the broker had some. Of the
// relays the figure is the generators' mostly.
//
//   node perf/scaling.mjs [--smoke] [--pairs 1,2,4] [--sizes 128,1024] [--peers A,B] [--rounds N] [--seconds S] [--json FILE]
import { writeFileSync } from 'node:fs';
import { scriptOptions } from './lib/command-line.mjs';
import { compileLoadgen, runLoadgen } from './lib/loadgen.mjs';
import { allowedCpus, cpuSecondsOf, describeMachine } from './lib/machine.mjs';
import { noiseIn, watchOthers } from './lib/noise.mjs';
import { brokers, buildProject, peers } from './lib/peers.mjs';
import { clearProgress, progress } from './lib/progress.mjs';
import { count, median, percent, printTable, ratio, spread } from './lib/report.mjs';
import { resultText } from './lib/results.mjs';
import { absence, faultsOf, ownFailure } from './lib/runs.mjs';
import { PeerMissing } from './lib/servers.mjs';
import { limitsIn } from './scenarios/throughput.mjs';

const comparable = [...brokers, 'relay'];
const values = scriptOptions(
  'node perf/scaling.mjs [--smoke] [--pairs 1,2,4] [--sizes 128,1024] [--peers A,B] [--rounds N] [--seconds S] [--json FILE]',
  {
    smoke: 'flag',
    pairs: 'counts',
    sizes: 'counts',
    peers: comparable,
    rounds: 'count',
    seconds: 'seconds',
    json: 'text',
  },
);
const { smoke = false, json } = values;
const pairCounts = values.pairs ?? (smoke ? [1, 2] : halvesOf(allowedCpus().length));
const sizes = values.sizes ?? (smoke ? [128] : [128, 1024]);
const names = values.peers ?? (smoke ? ['memorystreamer', 'relay'] : comparable);
const rounds = values.rounds ?? (smoke ? 1 : 3);
const seconds = values.seconds ?? (smoke ? 0.05 : 1);
const warmup = smoke ? 0.02 : 0.6;
/** Bytes that are under way on a stream, at most. */
const WINDOW_BYTES = 4 * 1024 * 1024;

/** 1, 2, 4 … up to half of the CPUs. */
function halvesOf(cpus) {
  const halves = [1];
  while (halves.at(-1) * 4 <= cpus) halves.push(halves.at(-1) * 2);
  return halves;
}

/** The broker's CPUs from the first on, the generators' from the last. */
function planFor(pairs) {
  const allowed = allowedCpus();
  const isShared = allowed.length < 2 * pairs;
  return {
    isShared,
    peer: isShared ? allowed : allowed.slice(0, pairs),
    generators: Array.from({ length: pairs }, (_, at) => allowed.at(-1 - (at % allowed.length))),
  };
}

/** Some are one process for all pairs; of the relay there is one for each. */
async function startPeers(name, pairs, cpus) {
  const { start } = peers[name];
  if (name !== 'relay') return [await start({ cpus: cpus.peer, shards: pairs })];
  const started = [];
  for (let at = 0; at < pairs; at++) {
    const cpu = cpus.peer[at % cpus.peer.length];
    started.push(await start({ cpus: [cpu], shape: { streams: 1, subscribers: 1 } }));
  }
  return started;
}

/** One run against fresh peers: what each generator says. */
async function run(name, pairs, payloadBytes) {
  const cpus = planFor(pairs);
  const started = await startPeers(name, pairs, cpus);
  const pids = started.map(({ pid }) => pid);
  const cpuSeconds = () => pids.reduce((sum, pid) => sum + cpuSecondsOf(pid), 0);
  try {
    const othersPart = watchOthers(...pids);
    const before = cpuSeconds();
    const reports = await Promise.all(
      cpus.generators.map((cpu, at) =>
        runLoadgen('throughput', {
          port: started[at % started.length].port,
          protocol: peers[name].protocol,
          wire: peers[name].wire,
          subject: `scaling.${at}`,
          cpu,
          size: payloadBytes,
          seconds,
          warmup,
          window: WINDOW_BYTES,
          verify: smoke,
        }),
      ),
    );
    const wallSeconds = Math.max(...reports.map((report) => report.wallSeconds));
    return {
      framesPerSecond: reports.reduce((sum, report) => sum + report.framesPerSecond, 0),
      peerCpus: (cpuSeconds() - before) / wallSeconds,
      generatorCpu: median(reports.map((each) => each.generatorCpuSeconds / each.seconds)),
      faults: reports.flatMap(faultsOf),
      othersPart: othersPart(),
      reports,
    };
  } finally {
    await Promise.all(started.map((peer) => peer.stop()));
  }
}

/** All rounds of one size; the counts and peers in turn, so that a drift of the machine falls on all alike. */
async function measure(payloadBytes) {
  const cases = pairCounts.flatMap((pairs) =>
    names.map((name) => ({ name, pairs, payloadBytes, runs: [], missing: null, failed: null })),
  );
  for (let round = 0; round < rounds; round++) {
    for (const each of cases.filter((one) => absence(one) === null)) {
      const { name, pairs, runs } = each;
      progress(`${payloadBytes} B`, `${name}, ${pairs}, round ${round + 1} of ${rounds}`);
      try {
        runs.push(await run(name, pairs, payloadBytes));
      } catch (error) {
        each[error instanceof PeerMissing ? 'missing' : 'failed'] = error.message;
      }
    }
  }
  clearProgress();
  return cases.map(figureOf);
}

function figureOf({ name, pairs, payloadBytes, runs, missing, failed }) {
  const rates = runs.map((each) => each.framesPerSecond);
  const of = (pick) => (runs.length > 0 ? median(runs.map(pick)) : NaN);
  const framesPerSecond = of((each) => each.framesPerSecond);
  const peerCpus = of((each) => each.peerCpus);
  const generatorCpu = of((each) => each.generatorCpu);
  const faults = runs.flatMap((each) => each.faults);
  const voidBecause = runs.length > 0 ? [...faults, ...noiseIn(runs, spread(rates))] : [];
  voidBecause.push(
    ...limitsIn({ name, runs, framesPerSecond, peerCpu: peerCpus / pairs, generatorCpu }),
  );
  if (planFor(pairs).isShared) voidBecause.push(`${2 * pairs} CPUs are wanted`);
  return {
    peer: name,
    pairs,
    payloadBytes,
    framesPerSecond,
    spread: runs.length > 0 ? spread(rates) : NaN,
    peerCpus,
    generatorCpu,
    voidBecause,
    absent: absence({ missing, failed }),
    ownFailure: ownFailure(name, { missing, failed }, faults.length > 0),
    runs,
  };
}

const COLUMNS = [
  'peer, pairs',
  'frames/s',
  'MB/s',
  'of one pair',
  'spread',
  'CPUs used',
  'gen. CPU',
  '',
];

function print(figures) {
  const { cpu, cpusAllowed, node } = describeMachine();
  for (const payloadBytes of sizes) {
    const ofSize = figures.filter((each) => each.payloadBytes === payloadBytes);
    const rows = names.flatMap((name) => {
      const ofPeer = ofSize.filter(({ peer }) => peer === name);
      return ofPeer.map((each) => rowOf(each, ofPeer[0]));
    });
    const where = `${cpu}, ${cpusAllowed.length} CPUs, Node.js ${node}`;
    const title = `${payloadBytes} B: N pairs of publisher and subscriber through N shards, medians of ${rounds} rounds; ${where}`;
    printTable(title, COLUMNS, rows);
  }
}

function rowOf(figure, first) {
  const name = `${figure.peer} ${figure.pairs}`;
  if (figure.runs.length === 0) return [name, ...Array(6).fill('-'), figure.absent];
  const remarks = figure.voidBecause.length > 0 ? [`VOID: ${figure.voidBecause.join(', ')}`] : [];
  if (figure.absent !== null) remarks.push(`then ${figure.absent}`);
  return [
    name,
    count(figure.framesPerSecond),
    count((figure.framesPerSecond * figure.payloadBytes) / 1e6, 1),
    ratio(figure.framesPerSecond / first.framesPerSecond),
    percent(figure.spread),
    count(figure.peerCpus, 2),
    percent(figure.generatorCpu),
    remarks.join(', '),
  ];
}

compileLoadgen();
buildProject();
const machine = describeMachine();
const figures = [];
for (const payloadBytes of sizes) figures.push(...(await measure(payloadBytes)));
print(figures);
const command = ['node', 'perf/scaling.mjs', ...process.argv.slice(2)].join(' ');
const whole = { machine: { ...machine, command }, results: { scaling: { figures } } };
if (json) writeFileSync(json, resultText(whole));
if (figures.some((figure) => figure.ownFailure)) process.exitCode = 1;
