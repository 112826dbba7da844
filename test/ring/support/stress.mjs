// The main side of the thread tests: makes an arena and threads, lets them work, has some of them die,
// recovers from that by src/ring/recovery.ts, and judges what came out.
import { performance } from 'node:perf_hooks';
import { setImmediate as immediate, setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { createArena } from '../../../dist/ring/arena.js';
import { assertInvariants } from '../../../dist/ring/invariants.js';
import { ON_FULL_BLOCK } from '../../../dist/ring/layout.js';
import { recoverDeadThread } from '../../../dist/ring/recovery.js';
import {
  AREA_BYTES,
  Area,
  PHASE_RUN,
  PHASE_STOP,
  PHASE_STOP_APPENDING,
  loadKernel,
  makeRandom,
  pathOf,
} from './rig.mjs';

export const DEFAULTS = {
  seed: 1,
  milliseconds: 2000,
  appenders: 2,
  readers: 1,
  /** Threads that do both, like shards. */
  both: 0,
  streams: 1,
  /** Bytes that each log may take. */
  limitBytes: 65536,
  onFull: ON_FULL_BLOCK,
  /** Bytes for the segments of the arena, beside its tables. */
  poolBytes: 4 * 1024 * 1024,
  maxRun: 20,
  maxPayload: 400,
  /** One run in so many is of frames of 65,536 bytes; 0 = none. */
  largeOneIn: 0,
  detachOneIn: 0,
  dawdleOneIn: 0,
  reseekOneIn: 0,
  /** Weight of simulated deaths of pure appenders at the chaos points (src/ring/kernel/chaos.ts); 0 = none. */
  deathOneIn: 0,
  readerDeathOneIn: 0,
  /** Mean time between real ends of threads by `terminate()`; 0 = none. */
  terminateEveryMs: 0,
  kernel: 'build/kernel-chaos.wasm',
};

const END_MS_MAX = 15_000;
/** Less than a thread blocks before it gives up: recovery must not depend on that. */
const RECOVERY_MS_MAX = 2000;
/** What one pause of it counts, at most: longer ones are stops of the whole process. */
const PAUSE_MS_MAX = 100;

/** Answers `{ok, error, …}`; never throws for a fault of the ring. */
export async function runStress(options) {
  const config = { ...DEFAULTS, ...options };
  config.roles = [
    ...Array.from({ length: config.appenders }, () => ({ appends: true, reads: false })),
    ...Array.from({ length: config.readers }, () => ({ appends: false, reads: true })),
    ...Array.from({ length: config.both }, () => ({ appends: true, reads: true })),
  ];
  config.streamIds = Array.from({ length: config.streams }, (_, i) => i + 1);
  const stress = new Stress(config);
  try {
    await stress.run();
  } catch (error) {
    stress.error ??= error instanceof Error ? error.message : String(error);
  } finally {
    await stress.close();
  }
  return stress.result(options);
}

class Stress {
  constructor(config) {
    this.config = config;
    this.threads = config.roles.length + 1;
    const { memory, geometry } = createArena({
      bytes: 8 * 1024 * 1024 + config.poolBytes + config.roles.length * AREA_BYTES,
      threads: this.threads,
      streams: config.streams,
      shardBytes: AREA_BYTES,
      sharedBytes: 4096,
      nodes: 1,
    });
    this.memory = memory;
    this.geometry = geometry;
    this.kernel = loadKernel(pathOf(config.controlKernel ?? 'dist/shards/kernel.wasm'), memory);
    this.kernel.attach(0);
    this.areas = config.roles.map((_, i) => new Area(memory, geometry, i + 1));
    this.workers = new Map();
    this.incarnations = new Map();
    this.down = new Set();
    this.finals = new Map();
    this.ready = new Set();
    this.quiet = new Set();
    this.windows = [];
    this.recovering = new Set();
    this.deaths = 0;
    this.terminations = 0;
    this.recovered = { holes: 0, lostSequences: 0, seals: 0, milliseconds: 0 };
    this.error = null;
    this.random = makeRandom(config.seed);
  }

  async run() {
    const { config, kernel } = this;
    for (const stream of config.streamIds) {
      if (!kernel.createStream(stream, config.limitBytes, config.onFull, 1n)) {
        throw new Error('no room for the streams');
      }
    }
    const threads = config.roles.map((_, i) => i + 1);
    for (const thread of threads) this.spawn(thread);
    await this.until(() => this.ready.size === threads.length, 'the threads start');
    this.areas[0].setPhase(PHASE_RUN);
    await this.disturb();
    await this.stop(PHASE_STOP_APPENDING, this.quiet);
    await this.stop(PHASE_STOP, this.finals);
    this.judge();
  }

  spawn(thread) {
    const incarnation = (this.incarnations.get(thread) ?? 0) + 1;
    this.incarnations.set(thread, incarnation);
    this.kernel.setAlive(thread, true);
    const { memory, geometry, config } = this;
    const worker = new Worker(new URL('./worker.mjs', import.meta.url), {
      workerData: {
        memory,
        geometry,
        thread,
        config,
        incarnation,
        kernelPath: pathOf(config.kernel),
      },
    });
    this.workers.set(thread, worker);
    worker.on('error', (error) => (this.error ??= `thread ${thread}: ${error.stack}`));
    worker.on('message', (message) => {
      if (message.error !== undefined) this.error ??= message.error;
      else if (message.ready !== undefined) this.ready.add(thread);
      else if (message.quiet !== undefined) this.quiet.add(thread);
      else if (message.final !== undefined) this.onFinal(thread, message.final);
      else if (message.dead !== undefined) this.onDeath(thread);
    });
    return worker;
  }

  /** An orderly end: nobody waits for its turns any more. */
  onFinal(thread, final) {
    this.finals.set(thread, final);
    this.kernel.setAlive(thread, false);
  }

  /** A simulated death: the thread waits until it is recovered from, and goes on as a new one. */
  onDeath(thread) {
    this.deaths++;
    this.down.add(thread);
    const revival = this.recover(thread)
      .then(() => {
        this.kernel.setAlive(thread, true);
        this.down.delete(thread);
        this.areas[thread - 1].restart();
      })
      .catch((error) => (this.error ??= error.message))
      .finally(() => this.recovering.delete(revival));
    this.recovering.add(revival);
  }

  async recover(thread) {
    const area = this.areas[thread - 1];
    for (const stream of this.config.streamIds) {
      const from = area.acknowledged(stream);
      const to = area.attempted(stream);
      if (to > from) this.windows.push({ thread, stream, from, to });
      area.setAcknowledged(stream, to);
    }
    let ranMs = 0;
    const recovered = await recoverDeadThread({
      kernel: this.kernel,
      dead: thread,
      threads: this.threads,
      signal: (t) => this.areas[t - 1].signal(),
      async pause() {
        const before = performance.now();
        await immediate();
        ranMs += Math.min(performance.now() - before, PAUSE_MS_MAX);
      },
    });
    this.recovered.holes += recovered.holes;
    this.recovered.lostSequences += recovered.lostSequences;
    this.recovered.seals += recovered.seals;
    this.recovered.milliseconds = Math.max(this.recovered.milliseconds, recovered.milliseconds);
    if (ranMs > RECOVERY_MS_MAX) {
      this.error ??= `recovery from thread ${thread} took ${ranMs} ms`;
    }
  }

  /** Lets the threads work for the time given, and really ends some of them meanwhile. */
  async disturb() {
    const { milliseconds, terminateEveryMs } = this.config;
    const end = performance.now() + milliseconds;
    while ((performance.now() < end || this.awaitsDeath(end)) && this.error === null) {
      const pause = terminateEveryMs === 0 ? 20 : 1 + this.random.below(2 * terminateEveryMs);
      await sleep(Math.min(pause, milliseconds));
      if (terminateEveryMs !== 0) await this.terminateOne();
    }
  }

  /** On a busy machine the first death may take its time; a run without one would show nothing. */
  awaitsDeath(endMs) {
    const { deathOneIn, readerDeathOneIn } = this.config;
    if (deathOneIn === 0 && readerDeathOneIn === 0) return false;
    return this.deaths === 0 && performance.now() < endMs + END_MS_MAX;
  }

  async terminateOne() {
    const thread = 1 + this.random.below(this.config.roles.length);
    if (this.down.has(thread)) return;
    this.down.add(thread);
    const worker = this.workers.get(thread);
    worker.removeAllListeners('message');
    const ended = worker.terminate();
    this.areas[thread - 1].signal();
    await ended;
    this.terminations++;
    await this.recover(thread);
    this.down.delete(thread);
    this.spawn(thread);
  }

  /** Waits until every thread has said that it is in this phase. */
  async stop(phase, arrived) {
    this.areas[0].setPhase(phase);
    const threads = this.config.roles.map((_, i) => i + 1);
    await this.until(() => {
      for (const area of this.areas) area.signal();
      return threads.every((t) => arrived.has(t)) && this.recovering.size === 0;
    }, 'the threads end');
  }

  async until(holds, what) {
    const end = performance.now() + END_MS_MAX;
    while (!holds()) {
      if (this.error !== null) throw new Error(this.error);
      if (performance.now() > end) throw new Error(`too long until ${what}; ${this.describe()}`);
      await sleep(2);
    }
  }

  describe() {
    const waits = this.config.roles.map((role, i) => {
      const t = i + 1;
      const state = this.finals.has(t) ? 'ended' : this.down.has(t) ? 'down' : 'runs';
      return `thread ${t} ${state}, sleeping ${this.kernel.isSleeping(t)}`;
    });
    return waits.join('; ');
  }

  // ---- The judgement ----

  judge() {
    const census = assertInvariants({
      memory: this.memory,
      geometry: this.geometry,
      threads: this.config.roles.map((_, i) => i + 1),
    });
    const chained = [...census.chains.values()].reduce((sum, length) => sum + length, 0);
    const all = this.geometry.smallCount + this.geometry.mediumCount + this.geometry.largeCount;
    if (census.free + chained !== all || census.free !== this.kernel.freeCount()) {
      throw new Error(`segments leak: ${census.free} free, ${chained} in chains, of ${all}`);
    }
    this.chains = [...census.chains.values()];
    for (const final of this.finals.values()) this.judgeReader(final);
  }

  judgeReader(final) {
    if (!final.role.reads || !final.exact || this.config.detachOneIn !== 0) return;
    for (const { stream, expected, numbers, jumps } of final.read) {
      const next = BigInt.asUintN(64, this.kernel.nextSequenceOf(stream));
      if (expected !== next && !(expected === 0n && next === 1n)) {
        throw new Error(`thread ${final.thread} ended at ${expected} of ${stream}, not at ${next}`);
      }
      const reached = new Map(numbers);
      for (let i = 0; i < jumps.length; i += 3) {
        this.expectLost(final.thread, stream, jumps[i], jumps[i + 1], jumps[i + 2]);
      }
      this.config.roles.forEach((role, i) => {
        const acknowledged = this.areas[i].acknowledged(stream);
        const seen = reached.get(i + 1) ?? 0;
        if (seen < acknowledged) this.expectLost(final.thread, stream, i + 1, seen, acknowledged);
      });
    }
    const lost = this.recovered.lostSequences;
    if (final.gapSequences !== lost) {
      throw new Error(`thread ${final.thread} was told of ${final.gapSequences} lost, not ${lost}`);
    }
  }

  /** Numbers may be missing only where a death left it open whether they were taken. */
  expectLost(reader, stream, publisher, from, to) {
    let at = from;
    const windows = this.windows
      .filter((w) => w.thread === publisher && w.stream === stream)
      .sort((a, b) => a.from - b.from);
    for (const window of windows) {
      if (window.from <= at && window.to > at) at = window.to;
    }
    if (at < to) {
      throw new Error(
        `thread ${reader} never saw ${at}…${to - 1} of publisher ${publisher} in stream ${stream}`,
      );
    }
  }

  async close() {
    this.areas[0].setPhase(PHASE_STOP);
    const ends = [...this.workers.values()].map((worker) => worker.terminate());
    for (const area of this.areas) {
      area.restart();
      area.signal();
    }
    await Promise.all(ends);
  }

  result(options) {
    const finals = [...this.finals.values()];
    const sum = (key) => finals.reduce((total, final) => total + final[key], 0);
    return {
      ok: this.error === null,
      error: this.error,
      options,
      deaths: this.deaths,
      terminations: this.terminations,
      recovered: { ...this.recovered, milliseconds: Math.round(this.recovered.milliseconds) },
      frames: sum('frames'),
      appended: sum('appended'),
      gapSequences: sum('gapSequences'),
      blocks: sum('blocks'),
      full: sum('full'),
      rotations: sum('rotations'),
      lostSwaps: sum('lostSwaps'),
      reclaimed: sum('reclaimed'),
      flaps: sum('flaps'),
      spurious: sum('spurious'),
      busySeeks: sum('busySeeks'),
      chains: this.chains,
    };
  }
}
