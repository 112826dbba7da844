// Topology:  generator (CPU B) --> base's broker or candidate's (both on CPU A, one busy at a time).
//
// One round: both brokers are started afresh, side by side; they are measured idle, with idle connections, then
// in many short slices in turn, the order within each pair drawn by the seed. A round's figure for a metric is the better
// quartile of its slices for either side: other work on the machine can only add to a slice. A round's sample is one
// ratio: processes differ from start to start (addresses, compilation), so slices of one process are no
// independent samples.
//
// Void when a broker does not start, or when anything was lost, reordered or damaged.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { holdConnections, runLoadgen } from '../lib/loadgen.mjs';
import { cpuNsOf, memoryOf, planCpus } from '../lib/machine.mjs';
import { startBroker } from '../lib/peers.mjs';
import { faultsOf } from '../lib/runs.mjs';
import { metrics } from './metrics.mjs';
import { quantile } from './statistics.mjs';

const run = promisify(execFile);
const PROBE = fileURLToPath(new URL('probe.mjs', import.meta.url));
const MIB = 1024 * 1024;
/** Small, so that the log has gone round its memory before anything is measured. */
const BROKER_FLAGS = ['--memory-arena', '128MiB', '--log-level', 'error'];
const LATENCY = { size: 128, rate: 5000 };
const OUTSTANDING = 32;

/** What a round does. Times in seconds. */
export const sizes = {
  full: {
    pairs: 16,
    seconds: 0.04,
    latencySeconds: 0.1,
    cycles: 400,
    connections: 4000,
    probes: 3,
  },
  quick: {
    pairs: 8,
    seconds: 0.03,
    latencySeconds: 0.05,
    cycles: 300,
    connections: 3000,
    probes: 2,
  },
  smoke: {
    pairs: 1,
    seconds: 0.02,
    latencySeconds: 0.02,
    cycles: 20,
    connections: 20,
    probes: 1,
  },
};
const WARM_UP_SECONDS = 0.01;
const WARM_UP_FACTOR = 5;
const SETTLE_MS = 200;

class Unmeasurable extends Error {}

/** Runs one round of `base` and `candidate` (folders of builds). Answers `{ id: [base, candidate] }`. */
export async function measureRound(builds, size, random) {
  const cpus = planCpus();
  const order = () => (random() < 0.5 ? [0, 1] : [1, 0]);
  const values = new Map();
  const note = (id, side, value) => {
    if (!(value > 0))
      throw new Unmeasurable(`${id}: ${value} on the ${side ? 'candidate' : 'base'}`);
    if (!values.has(id)) values.set(id, [[], []]);
    values.get(id)[side].push(value);
  };
  const brokers = [];
  try {
    for (const side of order()) {
      const entry = join(builds[side], 'dist', 'main.js');
      brokers[side] = await startBroker({ cpus: cpus.peer, entry, flags: BROKER_FLAGS });
    }
    const context = { brokers, cpus, size, note };
    await delay(SETTLE_MS);
    for (const side of order()) await measureMemory(context, side);
    for (const side of order()) await warmUp(context, side);
    for (let pair = 0; pair < size.pairs; pair++) {
      for (const slice of slices) {
        if (pair % 2 && slice === latencySlice) continue;
        for (const side of order()) await slice(context, side);
      }
    }
  } finally {
    await Promise.all(brokers.map((broker) => broker?.stop()));
  }
  for (let i = 0; i < size.probes; i++) {
    for (const side of order()) await probe(builds[side], side, cpus, size, note);
  }
  return Object.fromEntries(
    metrics.map(({ id, worse }) => {
      const better = worse === 'more' ? 0.25 : 0.75;
      return [id, values.get(id)?.map((slicesOfSide) => quantile(slicesOfSide, better))];
    }),
  );
}

async function measureMemory({ brokers, cpus, size, note }, side) {
  const { pid, port } = brokers[side];
  const before = memoryOf(pid).rssBytes;
  const { connections } = size;
  const held = await holdConnections({ port, protocol: 'ms', cpu: cpus.generator, connections });
  await delay(SETTLE_MS);
  const during = memoryOf(pid).rssBytes;
  const { lost } = await held.release();
  if (lost > 0) throw new Unmeasurable(`${lost} idle connections were lost`);
  note('memory.idle', side, before / MIB);
  note('memory.connection', side, (during - before) / connections);
}

/** The generator once, and the broker's CPU time meanwhile. */
async function generate({ brokers, cpus }, side, mode, options) {
  const { pid, port } = brokers[side];
  const cpuBefore = cpuNsOf(pid);
  const common = { port, protocol: 'ms', cpu: cpus.generator };
  const report = await runLoadgen(mode, { ...common, ...options });
  const cpuNs = cpuNsOf(pid) - cpuBefore;
  const faults = mode === 'connect' ? [] : faultsOf(report);
  if (faults.length) {
    const who = side ? 'candidate' : 'base';
    throw new Unmeasurable(`${mode} through the ${who}: ${faults.join(', ')}`);
  }
  return { report, cpuNs };
}

function throughputSlice(name, payloadBytes) {
  return async (context, side) => {
    const timing = { seconds: context.size.seconds, warmup: WARM_UP_SECONDS };
    const { report, cpuNs } = await generate(context, side, 'throughput', {
      size: payloadBytes,
      ...timing,
    });
    context.note(`throughput.${name}.cpu`, side, cpuNs / report.delivered);
    context.note(`throughput.${name}.rate`, side, report.delivered / report.wallSeconds);
  };
}

async function latencySlice(context, side) {
  const timing = { seconds: context.size.latencySeconds, warmup: WARM_UP_SECONDS };
  const { report } = await generate(context, side, 'latency', { ...LATENCY, ...timing });
  context.note('latency.p50', side, report.latency.p50Us);
  context.note('latency.p99', side, report.latency.p99Us);
}

async function connectSlice(context, side) {
  const { report, cpuNs } = await generate(context, side, 'connect', {
    outstanding: OUTSTANDING,
    total: context.size.cycles,
  });
  context.note('connect.cpu', side, cpuNs / report.cycles / 1000);
  context.note('connect.rate', side, report.cyclesPerSecond);
}

const slices = [
  throughputSlice('small', 16),
  throughputSlice('large', 16384),
  latencySlice,
  connectSlice,
];

/** The kernels get compiled for good, the log goes round once, pools fill: all that is not measured. */
async function warmUp(context, side) {
  const seconds = context.size.seconds * WARM_UP_FACTOR;
  const silent = { ...context, note: () => {}, size: { ...context.size, seconds } };
  for (const slice of slices) await slice(silent, side);
}

async function probe(build, side, cpus, size, note) {
  const pinned = cpus.peer ? ['taskset', ['-c', String(cpus.peer[0])]] : [process.execPath, []];
  const [file, before] = pinned;
  const args = [...before, ...(cpus.peer ? [process.execPath] : []), PROBE, build];
  const { stdout } = await run(file, args).catch((error) => {
    throw new Unmeasurable(`codec and configuration: ${error.stderr || error.message}`);
  });
  const { configMs, encodeNs, checkNs } = JSON.parse(stdout);
  note('config.load', side, configMs);
  note('codec.encode', side, encodeNs);
  note('codec.check', side, checkNs);
}
