// Topology:  500 publishers --> broker, one shard for each CPU but one --> 500 subscribers, each pair on a stream of its own,
//            and one pair beside them with 2,000 messages a second; all ends in the generator, on the last CPU. The
//            configuration is rewritten and SIGHUP sent by this script.
//
// Measures what a reload does to a broker that has as much to do as it can: the longest turn of any shard, from one look at
// its sockets to the next, as the broker itself tells at SIGUSR2, and how long the messages of the pair beside took, in periods
// with a reload each second and without, in turn, in one run; then so many reloads one right behind the other. Each gives
// heartbeat.interval another value, which the broker logs as applied, and which then every shard must tell a client that
// connects. Before all that every stream is filled once: README.md, "Memory that is new".
//
// Fails when a connection is lost, a message is lost or changed, a reload is not applied, or a shard does not show it.
// Void when others used the machine. Where there are no more CPUs than shards, control, which reads the configuration, and
// the shards share one.
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { welcomesOf } from '../lib/greeting.mjs';
import { tooFewFor } from '../lib/histogram.mjs';
import { startLoadgen } from '../lib/loadgen.mjs';
import { LogLines } from '../lib/log-lines.mjs';
import { allowedCpus, cpuSecondsOf, planCpus } from '../lib/machine.mjs';
import { noiseIn, watchOthers } from '../lib/noise.mjs';
import { startBroker } from '../lib/peers.mjs';
import { progress } from '../lib/progress.mjs';
import { count, median, printTable } from '../lib/report.mjs';
import { faultsOf } from '../lib/runs.mjs';
import { quantileCell, voidCell } from '../lib/timed.mjs';

const HEARTBEAT_MS = 30_000;
const RETENTION = '1MiB';
/** What the broker says of one period is asked for at its end, and forgotten at its beginning. */
const WITHOUT = 'a';
const WITH = 'b';
const OFTEN = 'c';
const TITLES = {
  [WITHOUT]: 'without',
  [WITH]: 'one each second',
  [OFTEN]: 'one behind the other',
};

/** The broker with its file, which it reads again when it is told. */
class Reloaded {
  #file;
  #log;
  #count = 0;
  tookMs = [];

  constructor(folder) {
    this.#file = join(folder, 'broker.json');
    this.#write(HEARTBEAT_MS);
  }

  async start(cpus, shards) {
    const flags = ['--config', this.#file, '--reload-on', 'signal'];
    this.peer = await startBroker({ cpus, shards, flags });
    this.#log = new LogLines(this.peer.handle);
    this.shards = shards;
  }

  #write(intervalMs) {
    const values = {
      heartbeat: { interval: intervalMs },
      streams: { default: { retention: { bytes: RETENTION } } },
    };
    writeFileSync(`${this.#file}.new`, JSON.stringify(values));
    renameSync(`${this.#file}.new`, this.#file);
  }

  get count() {
    return this.#count;
  }

  /** One more reload, which every shard then shows. */
  async reload() {
    // Never whole seconds, which the broker would write another way.
    const intervalMs = HEARTBEAT_MS + 2 * ++this.#count + 1;
    this.#write(intervalMs);
    const start = performance.now();
    const logged = this.#log.next('config reload', 1, `reload ${this.#count}`);
    process.kill(this.peer.pid, 'SIGHUP');
    const [{ result, changed }] = await logged;
    this.tookMs.push(performance.now() - start);
    if (result !== 'applied' || changed[0]?.after !== `${intervalMs}ms`) {
      throw new Error(`reload ${this.#count}: ${result} ${JSON.stringify(changed)}`);
    }
    for (const [shard, { heartbeatMs }] of await welcomesOf(this.peer.port, this.shards)) {
      if (heartbeatMs === intervalMs) continue;
      throw new Error(`shard ${shard} shows ${heartbeatMs} ms after ${intervalMs} ms was applied`);
    }
  }

  /** The longest time between two turns of a shard, in ms, since this was called last. */
  async gapMs() {
    const logged = this.#log.next('histograms', this.shards, 'the longest turns');
    process.kill(this.peer.pid, 'SIGUSR2');
    const lines = await logged;
    return Math.max(...lines.map(({ longestTurnNs }) => longestTurnNs)) / 1e6;
  }
}

/** One period of so many ms: answers the longest gap in it. */
async function period(reloaded, generator, letter, run) {
  await generator.enter(letter);
  await reloaded.gapMs();
  await run();
  return reloaded.gapMs();
}

async function eachSecond(reloaded, seconds) {
  const end = performance.now() + seconds * 1000;
  for (let left = seconds * 1000; left > 0; left = end - performance.now()) {
    const next = performance.now() + Math.min(1000, left);
    await reloaded.reload();
    await delay(Math.max(0, next - performance.now()));
  }
}

/** A B A B, and then one behind the other; answers the gaps by period. */
async function measure(reloaded, generator, options) {
  const gaps = { [WITHOUT]: [], [WITH]: [], [OFTEN]: [] };
  const during = async (letter, run) =>
    gaps[letter].push(await period(reloaded, generator, letter, run));
  const { reloadSeconds, reloadRounds } = options;
  await delay(options.reloadWarmup * 1000);
  for (let round = 0; round < reloadRounds; round++) {
    progress('reload', `round ${round + 1} of ${reloadRounds}`);
    await during(WITHOUT, () => delay(reloadSeconds * 1000));
    await during(WITH, () => eachSecond(reloaded, reloadSeconds));
  }
  await during(OFTEN, async () => {
    for (let done = 0; done < options.reloads; done++) {
      if (done % 100 === 0) progress('reload', `${done} of ${options.reloads}`);
      await reloaded.reload();
    }
  });
  return gaps;
}

async function runOnce(cpus, shards, options) {
  const folder = mkdtempSync(join(tmpdir(), 'memorystreamer-perf-reload-'));
  const reloaded = new Reloaded(folder);
  try {
    await reloaded.start(cpus.peer, shards);
    const { peer } = reloaded;
    try {
      const othersPart = watchOthers(peer.pid);
      const cpuBefore = cpuSecondsOf(peer.pid);
      const generator = await startLoadgen('reload', {
        port: peer.port,
        cpu: cpus.generator,
        streams: options.reloadStreams,
        size: options.latencySize,
        window: options.reloadWindowBytes,
        rate: options.reloadRate,
        verify: options.verify,
      });
      const gaps = await measure(reloaded, generator, options);
      const report = await generator.end();
      const { count: reloads, tookMs } = reloaded;
      return {
        ...report,
        turnGapsMs: gaps,
        reloads,
        shards,
        reloadMs: median(tookMs),
        reloadMsMax: Math.max(...tookMs),
        peerCpuSeconds: cpuSecondsOf(peer.pid) - cpuBefore,
        othersPart: Number(othersPart().toFixed(3)),
      };
    } finally {
      await peer.stop();
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function figureOf(run, letter, faults) {
  const { seconds, framesPerSecond, latency, sendLag } = run.periods[letter];
  const { counts, ...quantiles } = latency;
  const shown = (name, q) => (tooFewFor(q, latency.count) ? null : quantiles[name]);
  return {
    peer: 'memorystreamer',
    period: TITLES[letter],
    seconds,
    framesPerSecond,
    gapMs: Math.max(...run.turnGapsMs[letter]),
    gapsMs: run.turnGapsMs[letter],
    p50Us: shown('p50Us', 0.5),
    p99Us: shown('p99Us', 0.99),
    p999Us: shown('p999Us', 0.999),
    maxUs: quantiles.maxUs,
    sendLagP99Us: sendLag.p99Us,
    samples: counts.reduce((sum, [, n]) => sum + n, 0),
    voidBecause: [...faults, ...noiseIn([run])],
    ownFailure: faults.length > 0,
    missing: null,
    failed: null,
    runs: [run],
  };
}

function withoutBuckets(run) {
  const periods = Object.entries(run.periods).map(([letter, { latency, sendLag, ...rest }]) => {
    const slim = [latency, sendLag].map((one) => ({ ...one, counts: undefined }));
    return [letter, { ...rest, latency: slim[0], sendLag: slim[1] }];
  });
  return { ...run, periods: Object.fromEntries(periods) };
}

export async function reload(options) {
  if (!options.peers.includes('memorystreamer')) {
    return { skipped: 'memorystreamer is not among --peers' };
  }
  const shards = options.reloadShards ?? Math.max(1, allowedCpus().length - 1);
  const cpus = planCpus(shards);
  const run = await runOnce(cpus, shards, options);
  const faults = faultsOf(run);
  const figures = Object.keys(TITLES).map((letter) => figureOf(run, letter, faults));
  for (const figure of figures) figure.runs = [withoutBuckets(run)];
  const shared = cpus.shared ? '; the generator SHARES a CPU with the broker' : '';
  printTable(
    `reload: ${run.reloads} of them, ${count(run.connections)} connections, ${shards} shards, ${options.latencySize} B${shared}; ` +
      `median ${count(run.reloadMs, 1)} ms from SIGHUP to the log's line, at most ${count(run.reloadMsMax, 1)}`,
    ['reloads', 'frames/s', 'longest gap ms', 'p50 µs', 'p99 µs', 'p99.9 µs', 'max µs', ''],
    figures.map((figure) => [
      figure.period,
      count(figure.framesPerSecond),
      count(figure.gapMs, 1),
      ...['p50Us', 'p99Us', 'p999Us', 'maxUs'].map((name) => quantileCell(figure[name])),
      voidCell(figure),
    ]),
  );
  return { cpus, shards, reloads: run.reloads, reloadMs: run.reloadMs, figures };
}
