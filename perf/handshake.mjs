// Topology:  connections of the C generator (CPU B) --> broker: acceptor, one shard, control (CPU A), loopback.
//            and beside it:  publisher --> broker --> subscriber, both ends in another generator (CPU B), keyed.
//
// Measures what hmac-sha256 costs: connections a second from connect() to WELCOME and close, and the CPU time for one, beside
// connections that say HELLO and prove nothing; what an attempt that fails costs the broker and whoever makes it, while
// every one is looked at and beyond `auth.attemptsPerMinute`; and the latency of an established, keyed client at a
// fixed rate, alone and beside so many bad attempts a second.
//
// Void when: an attempt ended in another way than it must; the bad ones did not reach their rate; a message of the
// established client was lost or changed; others had more than a tenth of the CPUs; rounds differ by more than half. With two CPUs
// the attempts are made on the CPU of the established client's generator, whose own lag stands beside its latency.
//
//   node perf/handshake.mjs [--smoke] [--rounds N] [--json FILE]
import { writeFileSync } from 'node:fs';
import { scriptOptions } from './lib/command-line.mjs';
import { writeCredentials } from './lib/credentials.mjs';
import { compileLoadgen, runLoadgen } from './lib/loadgen.mjs';
import { cpuNsOf, describeMachine, planCpus } from './lib/machine.mjs';
import { noiseIn, watchOthers } from './lib/noise.mjs';
import { buildProject, startBroker } from './lib/peers.mjs';
import { count, median, percent, printTable, spread } from './lib/report.mjs';
import { resultText } from './lib/results.mjs';
import { faultsOf } from './lib/runs.mjs';

const values = scriptOptions('node perf/handshake.mjs [--smoke] [--rounds N] [--json FILE]', {
  smoke: 'flag',
  rounds: 'count',
  json: 'text',
});
const { smoke = false } = values;
const rounds = values.rounds ?? (smoke ? 1 : 5);
const OUTSTANDING = smoke ? [8] : [1, 8, 64];
const TOTAL = smoke ? 100 : 5000;
/** Attempts that fail: so many that the first of a minute, which are looked at in any case, don't weigh. */
const BAD_TOTAL = smoke ? 100 : 20_000;
const SECONDS = smoke ? 0.2 : 3;
const BAD_PER_SECOND = 1000;
const MESSAGES_PER_SECOND = 1000;
const PAYLOAD_BYTES = 128;
/** The rate is kept when so much of it was reached. */
const RATE_PART_MIN = 0.95;
/** Every attempt is looked at, however many there were. */
const UNLIMITED = { required: true, attemptsPerMinute: 1_000_000 };

const cpus = planCpus();
let files;

/** Runs `measure(broker)` against a fresh one; adds what the broker used, and what others did. */
async function withBroker(flags, measure) {
  const broker = await startBroker({ cpus: cpus.peer, flags });
  try {
    const othersPart = watchOthers(broker.pid);
    const before = cpuNsOf(broker.pid);
    const run = await measure(broker);
    return { ...run, brokerCpuNs: cpuNsOf(broker.pid) - before, othersPart: othersPart() };
  } finally {
    await broker.stop();
  }
}

const generate = (mode, broker, options) =>
  runLoadgen(mode, { port: broker.port, cpu: cpus.generator, ...options });

/** Connections that end as one of `ends` says, so many at once. */
function attempts(flags, who, outstanding, total, ends) {
  return withBroker(flags, async (broker) => {
    const run = await generate('handshake', broker, { ...who, outstanding, total });
    const ended = ends.reduce((sum, end) => sum + run[end], 0);
    const faults = ended === total ? [] : [`${ends.join(', ')}: ${ended} of ${total}`];
    return { ...run, faults };
  });
}

function greetings(outstanding) {
  return withBroker([], async (broker) => {
    const run = await generate('connect', broker, { hello: true, outstanding, total: TOTAL });
    return { ...run, attempts: TOTAL, attemptsPerSecond: run.cyclesPerSecond, faults: [] };
  });
}

/** The established client, and beside it bad attempts at that rate. */
function established(badPerSecond) {
  return withBroker(files.flags(UNLIMITED), async (broker) => {
    const client = generate('latency', broker, {
      ...files.good,
      size: PAYLOAD_BYTES,
      rate: MESSAGES_PER_SECOND,
      seconds: SECONDS,
      warmup: SECONDS / 6,
    });
    const attackers = badPerSecond
      ? generate('handshake', broker, { ...files.bad, rate: badPerSecond, seconds: SECONDS * 1.2 })
      : { attemptsPerSecond: 0, refused: 0, attempts: 0 };
    const [run, attack] = await Promise.all([client, attackers]);
    const faults = faultsOf(run);
    if (attack.refused !== attack.attempts) faults.push('a bad attempt was not refused');
    const reached = badPerSecond ? attack.attemptsPerSecond / badPerSecond : 1;
    const voids = reached < RATE_PART_MIN ? [`${percent(reached)} of the bad attempts’ rate`] : [];
    return { ...run, badPerSecond: attack.attemptsPerSecond, faults, voids };
  });
}

/** By name, in turns. */
async function inTurns(measures) {
  const runs = Object.fromEntries(Object.keys(measures).map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const [name, measure] of Object.entries(measures)) runs[name].push(await measure());
  }
  return Object.entries(runs);
}

function voidReasons(runs, rates) {
  const own = runs.flatMap(({ faults, voids = [] }) => [...faults, ...voids]);
  return [...own, ...noiseIn(runs, spread(rates))];
}

const voidText = ({ voidBecause }) =>
  voidBecause.length > 0 ? `VOID: ${[...new Set(voidBecause)].join(', ')}` : '';

/** What one connection costs either side. */
function costOf([name, runs]) {
  const rates = runs.map((run) => run.attemptsPerSecond);
  const each = (pick) => median(runs.map((run) => pick(run) / run.attempts));
  return {
    name,
    attemptsPerSecond: median(rates),
    spread: spread(rates),
    brokerUs: each((run) => run.brokerCpuNs / 1e3),
    generatorUs: each((run) => run.generatorCpuSeconds * 1e6),
    voidBecause: voidReasons(runs, rates),
    runs: runs.map(slim),
  };
}

function latencyOf([name, runs]) {
  const of = (pick) => median(runs.map(pick));
  const medians = runs.map((run) => run.latency.p50Us);
  return {
    name,
    badPerSecond: of((run) => run.badPerSecond),
    p50Us: of((run) => run.latency.p50Us),
    p99Us: of((run) => run.latency.p99Us),
    p999Us: of((run) => run.latency.p999Us),
    lagP99Us: of((run) => run.sendLag.p99Us),
    voidBecause: voidReasons(runs, medians),
    runs: runs.map(slim),
  };
}

/** Without the buckets of the histograms. */
function slim(run) {
  const lean = { ...run };
  for (const name of ['latency', 'sendLag']) {
    if (lean[name]) lean[name] = { ...lean[name], counts: undefined };
  }
  return lean;
}

function printCosts(title, figures) {
  printTable(
    title,
    ['', 'a second', 'spread', 'broker µs', 'generator µs', ''],
    figures.map((figure) => [
      figure.name,
      count(figure.attemptsPerSecond),
      percent(figure.spread),
      count(figure.brokerUs, 1),
      count(figure.generatorUs, 1),
      voidText(figure),
    ]),
  );
}

function goodMeasures(outstanding) {
  const hmac = () => attempts(files.flags(UNLIMITED), files.good, outstanding, TOTAL, ['welcomed']);
  return [
    [`HELLO, ${outstanding} at once`, () => greetings(outstanding)],
    [`hmac-sha256, ${outstanding} at once`, hmac],
  ];
}

const badAttempts = (auth, ends) => () =>
  attempts(files.flags(auth), files.bad, 8, BAD_TOTAL, ends);

async function main() {
  compileLoadgen();
  buildProject();
  const machine = describeMachine();
  files = writeCredentials();
  try {
    const good = await inTurns(Object.fromEntries(OUTSTANDING.flatMap(goodMeasures)));
    const bad = await inTurns({
      'looked at': badAttempts(UNLIMITED, ['refused']),
      // Of a flood only some are told that they failed.
      'beyond the limit': badAttempts({ required: true }, ['refused', 'closed']),
    });
    const client = await inTurns({
      alone: () => established(0),
      'beside bad attempts': () => established(BAD_PER_SECOND),
    });
    report(machine, {
      good: good.map(costOf),
      bad: bad.map(costOf),
      client: client.map(latencyOf),
    });
  } finally {
    files.remove();
  }
}

function report(machine, results) {
  const where = cpus.peer
    ? `broker on CPU ${cpus.peer}, generators on CPU ${cpus.generator}`
    : 'one CPU';
  printCosts(`connections that end well, and the CPU time of each; ${where}`, results.good);
  printCosts('attempts with a wrong secret, 8 at once', results.bad);
  printTable(
    `an established client, keyed, ${PAYLOAD_BYTES} B, ${count(MESSAGES_PER_SECOND)} messages a second; microseconds`,
    ['', 'bad attempts/s', 'p50', 'p99', 'p99.9', 'own lag p99', ''],
    results.client.map((figure) => [
      figure.name,
      count(figure.badPerSecond),
      ...[figure.p50Us, figure.p99Us, figure.p999Us, figure.lagP99Us].map((us) => count(us, 1)),
      voidText(figure),
    ]),
  );
  const command = ['node', 'perf/handshake.mjs', ...process.argv.slice(2)].join(' ');
  const whole = { machine: { ...machine, command }, results: { handshake: { cpus, ...results } } };
  if (values.json) writeFileSync(values.json, resultText(whole));
  const runs = Object.values(results).flatMap((figures) => figures.flatMap((one) => one.runs));
  if (runs.some(({ faults }) => faults.length > 0)) process.exitCode = 1;
}

await main();
