// Topology:  publisher --> peer (CPU A) --> subscriber, both ends in the generator (CPU B), loopback.
//
// Measures payloads a second that a peer carries from one publisher to one subscriber when it is
// always offered more than it takes, for each payload size; every message is walked and numbered.
//
// Void when: not every message came, whole and in order; or the figure is above 80 % of what the
// same generator does against the bare relay at that size (then it measures the generator); or neither
// side used 70 % of a CPU (then something else had the machine).
import { planCpus } from './machine.mjs';
import { count, median, percent, printTable, ratio, spread } from './report.mjs';
import { absence, faultsOf, inRounds, ownFailure } from './runs.mjs';
import { peers } from './peers.mjs';
import { runLoadgen } from './loadgen.mjs';

const CEILING_PART_MAX = 0.8;
/** Where neither side used this much of a CPU, something else had the machine. */
const BUSIEST_SIDE_MIN = 0.7;

function summarise(name, payloadBytes, result, byName) {
  const runs = result.runs;
  const rates = runs.map((run) => run.framesPerSecond);
  const faults = runs.flatMap(faultsOf);
  const framesPerSecond = runs.length ? median(rates) : NaN;
  const ceilingRuns = byName[peers[name].ceiling]?.runs ?? [];
  const ceiling = ceilingRuns.length ? median(ceilingRuns.map((run) => run.framesPerSecond)) : NaN;
  const ceilingPart = framesPerSecond / ceiling;
  const voidBecause = [...faults];
  if (ceilingPart > CEILING_PART_MAX) {
    voidBecause.push(`${percent(ceilingPart)} of the generator's own ceiling`);
  }
  const medianOf = (pick) => (runs.length ? median(runs.map(pick)) : NaN);
  const peerCpu = medianOf((run) => run.peerCpuSeconds / run.wallSeconds);
  const generatorCpu = medianOf((run) => run.generatorCpuSeconds / run.seconds);
  if (Math.max(peerCpu, generatorCpu) < BUSIEST_SIDE_MIN) voidBecause.push('neither side was busy');
  return {
    peer: name,
    payloadBytes,
    framesPerSecond,
    megabytesPerSecond: (framesPerSecond * payloadBytes) / 1e6,
    spread: runs.length ? spread(rates) : NaN,
    sent: runs.reduce((sum, run) => sum + run.expected, 0),
    delivered: runs.reduce((sum, run) => sum + run.delivered, 0),
    ceilingPart,
    peerCpu,
    generatorCpu,
    voidBecause,
    missing: result.missing,
    failed: result.failed,
    ownFailure: ownFailure(name, result, faults.length > 0),
    runs,
  };
}

function rowOf(summary, reference) {
  if (!summary.runs.length) {
    return [`${summary.peer} ${summary.payloadBytes} B`, ...Array(8).fill('-'), absence(summary)];
  }
  const again = summary.failed ? `; then ${absence(summary)}` : '';
  return [
    `${summary.peer} ${summary.payloadBytes} B`,
    count(summary.framesPerSecond),
    count(summary.megabytesPerSecond, 1),
    percent(summary.spread),
    summary.sent === summary.delivered ? 'all' : `${summary.delivered}/${summary.sent}`,
    reference ? ratio(summary.framesPerSecond / reference.framesPerSecond) : '-',
    percent(summary.ceilingPart),
    percent(summary.peerCpu),
    percent(summary.generatorCpu),
    (summary.voidBecause.length ? `VOID: ${summary.voidBecause.join(', ')}` : '') + again,
  ];
}

const columns = [
  'peer, payload',
  'frames/s',
  'MB/s',
  'spread',
  'delivered',
  'of nats',
  'of ceiling',
  'peer CPU',
  'gen. CPU',
  '',
];

/** One section of the table: `names` at every size. Answers the summaries. */
async function measure(title, names, cpus, options) {
  const summaries = [];
  for (const payloadBytes of options.sizes) {
    const startOptions = { cpus: cpus.peer, shards: options.shards };
    const byName = await inRounds(names, options.rounds, startOptions, (peer, definition) =>
      runLoadgen('throughput', {
        port: peer.port,
        protocol: definition.protocol,
        wire: definition.wire,
        cpu: cpus.generator,
        size: payloadBytes,
        seconds: options.seconds,
        warmup: options.warmup,
        verify: options.verify,
      }),
    );
    for (const name of names) {
      summaries.push(summarise(name, payloadBytes, byName[name], byName));
    }
  }
  const rows = summaries.map((summary) => {
    const atSize = summaries.filter((other) => other.payloadBytes === summary.payloadBytes);
    return rowOf(
      summary,
      atSize.find((other) => other.peer === 'nats' && other.runs.length > 0),
    );
  });
  printTable(title, columns, rows);
  return summaries;
}

function withCeilings(names) {
  const wanted = names.flatMap((name) => (peers[name].ceiling ? [peers[name].ceiling] : []));
  return [...new Set([...names, ...wanted])].filter((name) => name !== 'answer');
}

export async function throughput(options) {
  const cpus = planCpus();
  const where = cpus.peer
    ? `peer on CPU ${cpus.peer}, generator on CPU ${cpus.generator}`
    : 'one CPU';
  const title = `throughput, one shard, 1 publisher -> 1 subscriber; ${where}`;
  const names = withCeilings(options.peers);
  return { cpus, figures: await measure(title, names, cpus, { ...options, shards: 1 }) };
}

/**
 * The same through two shards. The broker places connections itself; the generator opens the
 * publisher's first and the subscriber's next, which puts them on different shards where placement
 * takes turns. The relay and nats-server get the same CPUs.
 */
export async function shards(options) {
  if (!options.peers.includes('memorystreamer'))
    return { skipped: 'memorystreamer is not among --peers' };
  const cpus = planCpus(2);
  const conflict = cpus.shared
    ? `the generator SHARES its CPU (${cpus.generator ?? 'the only one'}) with a shard: a floor, no comparison`
    : `peer on CPUs ${cpus.peer}, generator on CPU ${cpus.generator}: no conflict`;
  const title = `throughput, two shards, publisher and subscriber placed in turn; ${conflict}`;
  const figures = await measure(title, withCeilings(options.peers), cpus, {
    ...options,
    shards: 2,
  });
  return { cpus, conflict, figures };
}
