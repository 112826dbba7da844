// Topology:  publisher --> broker (one shard, CPU A) --> subscriber, both ends in the C generator (CPU B), loopback.
//
// Measures frames a second from one publisher to one subscriber, keyed on both sides and keyed on neither, in turns
// within one run, and the CPU time that the broker spends on a frame. The generator tags every frame that it sends,
// several at a time; of those that come it walks every one, and verifies one in 64, as it does with checks.
//
// Void when: not every frame came, whole and in order; the rounds differ by more than half; or others had more than a tenth
// of the CPUs. Where the broker used less than 85 % of its CPU, its rate is the generator's, and what can be compared
// is the CPU time of a frame.
//
//   node perf/keyed.mjs [--smoke] [--sizes 16,128] [--rounds N] [--seconds S] [--beside FOLDER] [--json FILE]
//
// `--beside` measures keyed frames of another build of the project as well, in the same turns: before and after a change.
import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { scriptOptions } from './lib/command-line.mjs';
import { writeCredentials } from './lib/credentials.mjs';
import { compileLoadgen, runLoadgen } from './lib/loadgen.mjs';
import { cpuNsOf, describeMachine, planCpus } from './lib/machine.mjs';
import { noiseIn, watchOthers } from './lib/noise.mjs';
import { brokerEntry } from './lib/paths.mjs';
import { buildProject, startBroker } from './lib/peers.mjs';
import { count, median, percent, printTable, ratio, spread } from './lib/report.mjs';
import { resultText } from './lib/results.mjs';
import { faultsOf } from './lib/runs.mjs';

const BUSY_MIN = 0.85;
/** Bytes that are under way on the stream, at most. */
const WINDOW_BYTES = 4 * 1024 * 1024;

const values = scriptOptions(
  'node perf/keyed.mjs [--smoke] [--sizes 16,128] [--rounds N] [--seconds S] [--beside FOLDER] [--json FILE]',
  {
    smoke: 'flag',
    sizes: 'counts',
    rounds: 'count',
    seconds: 'seconds',
    beside: 'text',
    json: 'text',
  },
);
const { smoke = false } = values;
const sizes = values.sizes ?? (smoke ? [128] : [16, 128, 1024, 16384]);
const rounds = values.rounds ?? (smoke ? 1 : 5);
const seconds = values.seconds ?? (smoke ? 0.05 : 1);
const warmup = smoke ? 0.02 : 0.4;

/** One run against a fresh broker. */
async function run({ entry, isKeyed }, payloadBytes, cpus, files) {
  const broker = await startBroker({ cpus: cpus.peer, entry, flags: files.flags() });
  try {
    const othersPart = watchOthers(broker.pid);
    const cpuNs = cpuNsOf(broker.pid);
    const report = await runLoadgen('throughput', {
      port: broker.port,
      cpu: cpus.generator,
      size: payloadBytes,
      seconds,
      warmup,
      window: WINDOW_BYTES,
      verify: smoke,
      ...(isKeyed ? files.good : {}),
    });
    const usedNs = cpuNsOf(broker.pid) - cpuNs;
    return {
      ...report,
      brokerNs: usedNs / report.delivered,
      brokerCpu: usedNs / 1e9 / report.wallSeconds,
      generatorCpu: report.generatorCpuSeconds / report.seconds,
      othersPart: othersPart(),
    };
  } finally {
    await broker.stop();
  }
}

function figureOf(name, payloadBytes, runs) {
  const of = (pick) => median(runs.map(pick));
  const rates = runs.map((one) => one.framesPerSecond);
  const brokerCpu = of((one) => one.brokerCpu);
  return {
    name,
    payloadBytes,
    framesPerSecond: median(rates),
    spread: spread(rates),
    brokerNs: of((one) => one.brokerNs),
    brokerCpu,
    generatorCpu: of((one) => one.generatorCpu),
    isGenerators: brokerCpu < BUSY_MIN,
    faults: runs.flatMap(faultsOf),
    voidBecause: [...runs.flatMap(faultsOf), ...noiseIn(runs, spread(rates))],
    runs,
  };
}

function rowOf(figure, plain) {
  const { name, payloadBytes, voidBecause } = figure;
  const remarks = figure.isGenerators ? ['frames/s: the generator’s'] : [];
  if (voidBecause.length > 0) remarks.unshift(`VOID: ${voidBecause.join(', ')}`);
  return [
    `${name} ${payloadBytes} B`,
    count(figure.framesPerSecond),
    percent(figure.framesPerSecond / plain.framesPerSecond),
    percent(figure.spread),
    count(figure.brokerNs, 0),
    percent(plain.brokerNs / figure.brokerNs),
    percent(figure.brokerCpu),
    percent(figure.generatorCpu),
    remarks.join(', '),
  ];
}

const columns = [
  'payload',
  'frames/s',
  'of plain',
  'spread',
  'broker ns/frame',
  'plain/keyed',
  'broker CPU',
  'gen. CPU',
  '',
];

async function main() {
  compileLoadgen();
  buildProject();
  const cpus = planCpus();
  const machine = describeMachine();
  const files = writeCredentials();
  const beside = values.beside && resolve(values.beside, 'dist', 'main.js');
  const modes = [
    { name: 'plain', entry: brokerEntry, isKeyed: false },
    { name: 'keyed', entry: brokerEntry, isKeyed: true },
    ...(beside ? [{ name: 'keyed, beside', entry: beside, isKeyed: true }] : []),
  ];
  const figures = [];
  try {
    for (const payloadBytes of sizes) {
      const runs = modes.map(() => []);
      for (let round = 0; round < rounds; round++) {
        for (const [i, mode] of modes.entries())
          runs[i].push(await run(mode, payloadBytes, cpus, files));
      }
      figures.push(...modes.map(({ name }, i) => figureOf(name, payloadBytes, runs[i])));
    }
  } finally {
    files.remove();
  }
  report(figures, cpus);
  const command = ['node', 'perf/keyed.mjs', ...process.argv.slice(2)].join(' ');
  const whole = { machine: { ...machine, command }, results: { keyed: { cpus, figures } } };
  if (values.json) writeFileSync(values.json, resultText(whole));
  if (figures.some(({ faults }) => faults.length > 0)) process.exitCode = 1;
}

function report(figures, cpus) {
  const plainOf = ({ payloadBytes }) =>
    figures.find((one) => one.name === 'plain' && one.payloadBytes === payloadBytes);
  const where = cpus.peer
    ? `broker on CPU ${cpus.peer}, generator on CPU ${cpus.generator}`
    : 'one CPU';
  printTable(
    `keyed beside plain, one shard, 1 publisher -> 1 subscriber, ${rounds} rounds in turn; ${where}`,
    columns,
    figures.map((figure) => rowOf(figure, plainOf(figure))),
  );
  if (!values.beside) return;
  for (const after of figures.filter(({ name }) => name === 'keyed')) {
    const before = figures.find(
      ({ name, payloadBytes }) => name === 'keyed, beside' && payloadBytes === after.payloadBytes,
    );
    console.log(
      `${after.payloadBytes} B: this build takes ${ratio(after.brokerNs / before.brokerNs)} of the CPU of the one beside`,
    );
  }
}

await main();
