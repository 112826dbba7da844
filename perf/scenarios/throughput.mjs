// Topology:  publisher --> peer (CPU A) --> subscriber(s), all ends in the generator (CPU B), loopback.
//
//   throughput  1 -> 1                        one shard
//   shards      1 -> 1                        publisher and subscriber on different shards, of two or so many as are asked for
//   streams     10 x (1 -> 1), side by side   each pair on a stream of its own, one shard
//   fanin       10 -> 1                       all on one stream, one shard
//   fanout      1 -> 10                       one shard; counted is what all ten receive together
//
// Measures payloads a second that a peer carries when it is always offered more than it takes, for each payload
// size; every message is walked and numbered. At most 4 MiB are under way on a stream, with every peer alike:
// some have no other way to slow a publisher down, and would drop what is behind.
//
// Before each measurement the streams of MemoryStreamer are filled once: the first time, a log's memory comes from the
// system page by page, which costs more than all else ("Memory that is new", in README.md). `--warmup` less shows that.
//
// Void when: not every message came, whole and in order; or the figure is above 80 % of what the
// same generator does against the bare relay with the same messages, or the generator had no CPU time left while the
// peer had some (then it measures the generator); or neither side used 70 % of a CPU (then something else had the
// machine); or others used more than a tenth of the CPUs. The relay does not merge, so that fanin has no ceiling.
import { planCpus } from '../lib/machine.mjs';
import { noiseIn } from '../lib/noise.mjs';
import { count, median, percent, printTable, ratio, spread } from '../lib/report.mjs';
import { absence, faultsOf, inRounds, ownFailure, withCeilings } from '../lib/runs.mjs';
import { peers } from '../lib/peers.mjs';
import { runLoadgen } from '../lib/loadgen.mjs';

const CEILING_PART_MAX = 0.8;
/** Where neither side used this much of a CPU, something else had the machine. */
const BUSIEST_SIDE_MIN = 0.7;
/** With so much of a CPU a side is taken to be at its limit. */
const FULL_SIDE_MIN = 0.92;
const STREAMS = 10;
const FANIN = 10;
const FANOUT = 10;

function summarise(name, payloadBytes, result, byName) {
  const runs = result.runs;
  const rates = runs.map((run) => run.framesPerSecond);
  const faults = runs.flatMap(faultsOf);
  const framesPerSecond = runs.length ? median(rates) : NaN;
  const ceilingRuns = byName[peers[name].ceiling]?.runs ?? [];
  const ceiling = ceilingRuns.length ? median(ceilingRuns.map((run) => run.framesPerSecond)) : NaN;
  const ceilingPart = framesPerSecond / ceiling;
  const voidBecause = runs.length ? [...faults, ...noiseIn(runs, spread(rates))] : [];
  if (ceilingPart > CEILING_PART_MAX) {
    voidBecause.push(`${percent(ceilingPart)} of the generator's own ceiling`);
  }
  const medianOf = (pick) => (runs.length ? median(runs.map(pick)) : NaN);
  const peerCpu = medianOf((run) => run.peerCpuSeconds / run.wallSeconds);
  const generatorCpu = medianOf((run) => run.generatorCpuSeconds / run.seconds);
  voidBecause.push(...limitsIn({ name, runs, framesPerSecond, peerCpu, generatorCpu }));
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

/** What was the limit, where it was not the peer; of a relay it may be the generator, for that is what it is there to show. */
export function limitsIn({ name, runs, framesPerSecond, peerCpu, generatorCpu }) {
  if (runs.length === 0) return [];
  if (!(framesPerSecond > 0)) return ['nothing came within the time'];
  if (Math.max(peerCpu, generatorCpu) < BUSIEST_SIDE_MIN) return ['neither side was busy'];
  const isSaturated = generatorCpu >= FULL_SIDE_MIN && peerCpu < FULL_SIDE_MIN;
  if (name.startsWith('relay')) return [];
  return isSaturated ? ['the generator was saturated'] : [];
}

function rowOf(summary, ours) {
  const name = `${summary.peer} ${summary.payloadBytes} B`;
  if (!summary.runs.length) return [name, ...Array(8).fill('-'), absence(summary)];
  const again = summary.failed ? `; then ${absence(summary)}` : '';
  return [
    name,
    count(summary.framesPerSecond),
    count(summary.megabytesPerSecond, 1),
    percent(summary.spread),
    summary.sent === summary.delivered ? 'all' : `${summary.delivered}/${summary.sent}`,
    ours && ours !== summary ? ratio(ours.framesPerSecond / summary.framesPerSecond) : '-',
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
  'ours/peer',
  'of ceiling',
  'peer CPU',
  'gen. CPU',
  '',
];

/** One table: all peers at every size, joined as `shape` says. Answers the summaries. */
async function measure(title, cpus, options, shape) {
  // A relay joins one publisher with its subscribers, and merges none.
  const names =
    shape.publishers > 1
      ? options.peers.filter((name) => !name.startsWith('relay'))
      : withCeilings(options.peers);
  const summaries = [];
  for (const payloadBytes of options.sizes) {
    const startOptions = { cpus: cpus.peer, shards: options.shards, shape };
    const byName = await inRounds(
      names,
      options.rounds,
      startOptions,
      (peer, definition) =>
        runLoadgen('throughput', {
          port: peer.port,
          protocol: definition.protocol,
          wire: definition.wire,
          cpu: cpus.generator,
          size: payloadBytes,
          seconds: options.seconds,
          warmup: options.warmup,
          verify: options.verify,
          window: options.windowBytes,
          ...shape,
        }),
      { topic: `${payloadBytes} B` },
    );
    for (const name of names) {
      summaries.push(summarise(name, payloadBytes, byName[name], byName));
    }
  }
  const rows = summaries.map((summary) => {
    const atSize = summaries.filter((other) => other.payloadBytes === summary.payloadBytes);
    return rowOf(
      summary,
      atSize.find((other) => other.peer === 'memorystreamer' && other.runs.length > 0),
    );
  });
  printTable(title, columns, rows);
  return summaries;
}

function placeOf(cpus) {
  return cpus.peer ? `peer on CPU ${cpus.peer}, generator on CPU ${cpus.generator}` : 'one CPU';
}

async function onOneShard(text, options, shape) {
  const cpus = planCpus();
  const title = `${text}; ${placeOf(cpus)}`;
  return { cpus, shape, figures: await measure(title, cpus, { ...options, shards: 1 }, shape) };
}

export function throughput(options) {
  return onOneShard('throughput, one shard, 1 publisher -> 1 subscriber', options, {
    streams: 1,
    subscribers: 1,
  });
}

export function streams(options) {
  return onOneShard(
    `streams, one shard, ${STREAMS} publishers -> ${STREAMS} subscribers on ${STREAMS} streams`,
    {
      ...options,
      sizes: options.fewSizes,
      warmup: Math.max(options.warmup, options.streamsWarmup),
    },
    { streams: STREAMS, subscribers: 1 },
  );
}

export function fanin(options) {
  return onOneShard(
    `fan-in, one shard, ${FANIN} publishers -> 1 subscriber, all on one stream`,
    { ...options, sizes: options.fewSizes },
    { streams: 1, publishers: FANIN, subscribers: 1 },
  );
}

export function fanout(options) {
  return onOneShard(
    `fan-out, one shard, 1 publisher -> ${FANOUT} subscribers; deliveries of all together`,
    { ...options, sizes: options.fewSizes },
    { streams: 1, subscribers: FANOUT },
  );
}

/**
 * The broker places connections itself; the generator opens the
 * publisher's first and the subscriber's next, which puts them on different shards where placement
 * takes turns. The relay and the peers get the same CPUs.
 */
export async function shards(options) {
  if (!options.peers.includes('memorystreamer'))
    return { skipped: 'memorystreamer is not among --peers' };
  const cpus = planCpus(options.shards);
  const conflict = cpus.shared
    ? `the generator SHARES its CPU (${cpus.generator ?? 'the only one'}) with a shard: a floor, no comparison`
    : `peer on CPUs ${cpus.peer}, generator on CPU ${cpus.generator}: no conflict`;
  const title = `throughput, ${options.shards} shards, publisher and subscriber placed in turn; ${conflict}`;
  const shape = { streams: 1, subscribers: 1 };
  const figures = await measure(title, cpus, options, shape);
  return { cpus, shards: options.shards, conflict, figures };
}
