// Topology:  publisher --> bare relay (CPU A) --> subscriber, both ends in the generator (CPU B); the relay looks at nothing.
//
// Measures the generator itself, for what it can do is the most that it can measure: messages a second of each protocol;
// in an open loop how late it is itself, at the highest rate of `latency` and at several times that; and, with a message that
// the relay loses, changes or swaps with the next one, whether it notices.
//
// Void when others used the machine, or the rounds differ widely. A spoiled message that is not noticed is a failure.
import { startLoadgenPeer, runLoadgen } from '../lib/loadgen.mjs';
import { planCpus } from '../lib/machine.mjs';
import { noiseIn } from '../lib/noise.mjs';
import { stop } from '../lib/processes.mjs';
import { progress } from '../lib/progress.mjs';
import { count, median, percent, printTable, spread } from '../lib/report.mjs';
import { faultsOf, inRounds } from '../lib/runs.mjs';
import { slim, voidCell } from '../lib/timed.mjs';

const WIRES = ['ms', 'nats', 'redis', 'mqtt'];
const SIZES = [16, 1024];
/** Times the highest rate of `latency`. */
const RATE_FACTORS = [1, 4, 10];
const RATE_PART_MIN = 0.95;
const FAULTS = { drop: 'gaps', flip: 'corrupt', swap: 'reordered' };
const FAULT_RUN = { size: 64, seconds: 0.05, warmup: 0.02, patience: 0.5, verify: true };
const FAULTY_MESSAGE = 5;

const relayOf = (wire) => (wire === 'ms' ? 'relay' : `relay-${wire}`);

function figureOf(what, runs, rates, more) {
  const faults = runs.flatMap(faultsOf);
  return {
    peer: 'relay',
    what,
    perSecond: median(rates),
    peerCpu: median(runs.map((run) => run.peerCpuSeconds / run.wallSeconds)),
    spread: spread(rates),
    voidBecause: [...faults, ...noiseIn(runs, spread(rates))],
    ownFailure: faults.length > 0,
    missing: null,
    failed: null,
    runs,
    ...more(runs),
  };
}

async function rounds(name, options, cpus, measure, topic) {
  const start = { cpus: cpus.peer, shape: { streams: 1, subscribers: 1 } };
  const results = await inRounds([name], options.rounds, start, measure, { topic, isAll: true });
  const { runs, failed, missing } = results[name];
  if (runs.length === 0) throw new Error(`${name}: ${failed ?? missing}`);
  return runs;
}

async function throughputOf(wire, size, options, cpus) {
  const measure = ({ port }, { protocol }) =>
    runLoadgen('throughput', {
      port,
      protocol,
      wire,
      cpu: cpus.generator,
      size,
      seconds: options.seconds,
      warmup: options.warmup,
      verify: options.verify,
      window: options.windowBytes,
    });
  const runs = await rounds(relayOf(wire), options, cpus, measure, `${wire}, ${size} B`);
  const rates = runs.map((run) => run.framesPerSecond);
  return figureOf(`${wire} messages, ${size} B`, runs, rates, () => ({
    wire,
    payloadBytes: size,
    generatorCpu: median(runs.map((run) => run.generatorCpuSeconds / run.seconds)),
  }));
}

/** It never sleeps in an open loop, so that its CPU time says nothing there. */
async function openLoop(rate, options, cpus) {
  const measure = async ({ port }, { protocol, wire }) => {
    const timing = { seconds: options.latencySeconds, warmup: options.warmup };
    const common = { port, protocol, wire, cpu: cpus.generator, size: options.latencySize };
    const run = await runLoadgen('latency', { ...common, rate, ...timing });
    return { ...run, wallSeconds: run.delivered / run.achievedRate };
  };
  const runs = await rounds('relay', options, cpus, measure, `open loop, ${rate}/s`);
  const rates = runs.map((run) => run.achievedRate);
  const figure = figureOf(`open loop, ${count(rate)}/s`, runs, rates, () => ({
    rate,
    sendLagP99Us: median(runs.map((run) => run.sendLag.p99Us)),
    p50Us: median(runs.map((run) => run.latency.p50Us)),
    runs: runs.map(slim),
  }));
  if (figure.perSecond < RATE_PART_MIN * rate) {
    figure.voidBecause.push(`rate not reached: ${count(figure.perSecond)}/s`);
  }
  return figure;
}

/** Whether a message that is spoiled on its way is noticed, and as what it is. */
async function noticed(wire, fault, cpus) {
  progress('faults', `${fault}, ${wire}`);
  const { handle, port } = await startLoadgenPeer(
    'relay',
    { wire, size: FAULT_RUN.size, fault: `${fault}:${FAULTY_MESSAGE}` },
    cpus.peer,
  );
  try {
    const common = { port, protocol: 'relay', wire, cpu: cpus.generator };
    const run = await runLoadgen('throughput', { ...common, ...FAULT_RUN });
    return run[FAULTS[fault]] === 1;
  } finally {
    await stop(handle);
  }
}

async function checks(wire, cpus) {
  const missed = [];
  for (const fault of Object.keys(FAULTS)) {
    if (!(await noticed(wire, fault, cpus))) missed.push(fault);
  }
  return {
    peer: 'relay',
    what: `${wire}: ${Object.keys(FAULTS).join(', ')} noticed`,
    wire,
    missed,
    voidBecause: missed.map((fault) => `${fault} was NOT NOTICED`),
    ownFailure: missed.length > 0,
    missing: null,
    failed: null,
    runs: [],
    roundCount: 1,
  };
}

export async function generator(options) {
  const cpus = planCpus();
  const figures = [];
  for (const size of SIZES) {
    for (const wire of WIRES) figures.push(await throughputOf(wire, size, options, cpus));
  }
  for (const factor of RATE_FACTORS) {
    figures.push(await openLoop(factor * Math.max(...options.rates), options, cpus));
  }
  for (const wire of WIRES) figures.push(await checks(wire, cpus));
  const part = (value) => (value === undefined ? '-' : percent(value));
  printTable(
    'the generator itself, against a bare relay',
    ['what', 'messages/s', 'spread', 'gen. CPU', 'relay CPU', 'own lag p99 us', 'p50 us', ''],
    figures.map((figure) => [
      figure.what,
      count(figure.perSecond),
      part(figure.spread),
      part(figure.generatorCpu),
      part(figure.peerCpu),
      count(figure.sendLagP99Us, 1),
      count(figure.p50Us, 1),
      figure.missed?.length === 0 ? 'yes' : voidCell(figure),
    ]),
  );
  return { cpus, figures };
}
