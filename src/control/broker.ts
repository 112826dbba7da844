/**
 * The broker as a whole: memory, listening socket, threads; what happens when one of them ends; and the
 * orderly end of all.
 *
 *   starting ──every shard ready, acceptor up──▶ serving ──stop()──▶ draining ──all quiesced──▶ finishing ──▶ stopped
 *                                                  │  ▲               (no new connections,       (the rest is
 *                                        shard dies└──┘ replaced       GOODBYE to everybody)       delivered)
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { setImmediate as pause } from 'node:timers/promises';
import { MessageChannel, Worker, type MessagePort } from 'node:worker_threads';
import type { AcceptorLog, AcceptorOrder, AcceptorTask } from '../acceptor/task.js';
import { systemClock } from '../clock.js';
import type { CredentialEntry } from '../config/credentials.js';
import type { Config } from '../config/table.js';
import { asError, MemoryStreamerError } from '../errors.js';
import { INTEGRITY_KEYED } from '../frame/handshake.js';
import { PROTOCOL_VERSION } from '../frame/layout.js';
import type { Logger } from '../log.js';
import {
  createArena,
  MEDIUM_SEGMENT_BYTES,
  reserve,
  SMALL_SEGMENT_BYTES,
  writeThreadNode,
  type Geometry,
} from '../ring/arena.js';
import { recoverDeadThread } from '../ring/recovery.js';
import { payWakes } from '../ring/wakes.js';
import { connectionSlots, writeArea } from '../shards/area.js';
import { loadKernel, type BrokerKernel } from '../shards/kernel.js';
import { SHARD_DEAD, SHARD_LIVE } from '../shards/layout.js';
import type { ControlMessage, ShardMessage } from '../shards/messages.js';
import { takeMeters, type ShardMeters } from '../shards/meters.js';
import { SettingsPage, type AuthSettings, type HotSettings } from '../shards/settings.js';
import { SharedArea } from '../shards/shared.js';
import type { MemoryRange } from '../shards/task.js';
import { createLinuxSys } from '../sys/linux.js';
import { EACCES, EADDRINUSE, EADDRNOTAVAIL, type Sys } from '../sys/sys.js';
import { VERSION } from '../version.js';
import { planOf, SHARDS_MAX } from './arena-plan.js';
import { Authenticator } from './authenticator.js';
import { Deaths, DEATHS_MAX, DEATHS_WITHIN_MS } from './deaths.js';
import { releaseIdlePages } from './idle-pages.js';
import { Registry, type StreamDefaults } from './registry.js';
import { SettingsVote } from './settings-vote.js';
import { ShardPool, YOUNG_GENERATION_MB } from './shard-pool.js';
import { Principals } from './principals.js';
import { isPrefault, prefaultRanges } from './prefault.js';
import { placeShards, readNodeOfCpu, type Placement } from './topology.js';
import type { Broker, BrokerOptions } from './types.js';

const BACKLOG = 4096;
const ACCEPTOR_FILE = new URL('../acceptor/worker.js', import.meta.url);
/** How often control looks for memory that nobody needs. */
const IDLE_LOOK_MS = 1000;
/** What the threads may take to end once they have been told to end at once. */
const ABORT_MS = 1000;

export async function startBroker(options: BrokerOptions): Promise<Broker> {
  const broker = new RunningBroker(options);
  await broker.start();
  return broker;
}

interface Deferred {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
}

function deferred(): Deferred {
  let resolve!: () => void;
  const promise = new Promise<void>((done) => (resolve = done));
  return { promise, resolve };
}

class RunningBroker implements Broker {
  readonly shards: number;
  readonly failed: Promise<Error>;
  #config: Config;
  readonly #log: Logger;
  readonly #memory: WebAssembly.Memory;
  readonly #geometry: Geometry;
  readonly #placement: Placement;
  readonly #shared: SharedArea;
  readonly #slots: number;
  readonly #kernel: BrokerKernel;
  readonly #sys: Sys;
  readonly #registry: Registry;
  readonly #vote: SettingsVote;
  readonly #principals = new Principals();
  readonly #authenticator: Authenticator;
  readonly #pool: ShardPool;
  readonly #eventfds: number[] = [];
  readonly #wakeFd: number;
  readonly #deaths = new Deaths();
  /** Shards whose new thread has still to say that it is there. */
  readonly #replaced = new Set<number>();
  /** Shards that were lost while the broker stops: they are not replaced. */
  readonly #gone = new Set<number>();
  /** By thread. */
  readonly #prefault: readonly (readonly MemoryRange[])[];
  #listenFd = -1;
  #port = 0;
  #acceptor: { worker: Worker; port: MessagePort } | undefined;
  #fail!: (error: Error) => void;
  #isStopping = false;
  #idleTimer: NodeJS.Timeout | undefined;
  /** Shards that have not yet said what is awaited of all of them, and what is done then. */
  #awaited: { readonly type: ShardMessage['type']; readonly shards: Set<number>; done: () => void };

  constructor({ config, log, credentials }: BrokerOptions) {
    this.#config = config;
    this.#log = log;
    this.#authenticator = new Authenticator({
      credentials: this.#principals.exchange(credentials).credentials,
      attemptsPerMinute: config.auth.attemptsPerMinute,
      random: randomBytes,
      clock: systemClock,
      log,
      barred: (address, forMs) => this.#bar(address, forMs),
    });
    this.failed = new Promise((resolve) => (this.#fail = resolve));
    this.#awaited = { type: 'ended', shards: new Set(), done: () => undefined };
    // A memory of one page, for a call that needs none of it.
    const probe = createLinuxSys(reserve(1));
    const cpus = probe.affinity();
    const wanted = config.shards === 'auto' ? cpus.length : config.shards;
    this.shards = Math.min(wanted, SHARDS_MAX);
    this.#placement = placeShards(this.shards, cpus, readNodeOfCpu());
    const streams = config.limits.streams;
    const connections = config.limits.connections;
    const { area, arena } = planOf({
      arena: config.memory.arena,
      shards: this.shards,
      connections,
      streams,
      nodes: this.#placement.groups,
    });
    const { memory, geometry } = createArena(arena);
    this.#memory = memory;
    this.#geometry = geometry;
    this.#slots = connectionSlots(connections);
    this.#shared = new SharedArea(memory, geometry.sharedByteOffset, this.#slots);
    this.#kernel = loadKernel(memory, 0);
    this.#sys = createLinuxSys(memory);
    this.#adviseHugePages();
    const { groupOfShard } = this.#placement;
    this.#prefault = prefaultRanges(geometry, groupOfShard, config.memory.prefault);
    for (let shard = 1; shard <= this.shards; shard++) {
      writeArea(memory, this.#areaAt(shard), geometry.sharedByteOffset, streams, area);
      writeThreadNode(memory, geometry, shard, this.#placement.groupOfShard[shard]!);
    }
    for (let thread = 0; thread <= this.shards; thread++) this.#eventfds.push(this.#eventfd());
    this.#wakeFd = this.#eventfd();
    this.#registry = this.#makeRegistry(streams);
    const page = new SettingsPage(memory, geometry.sharedByteOffset);
    page.begin(this.#hotSettings(config));
    this.#vote = new SettingsVote({
      page,
      shards: () => this.#liveShards(),
      signal: (shard) => this.#signal(shard),
      schedule: (run, delayMs) => {
        const timer = setTimeout(run, delayMs);
        return () => clearTimeout(timer);
      },
    });
    this.#pool = new ShardPool({
      placement: this.#placement,
      task: (shard) => this.#task(shard),
      signal: (shard) => this.#signal(shard),
      onMessage: (shard, message) => this.#hear(shard, message),
      onExit: (shard, exitCode) => void this.#replace(shard, exitCode),
    });
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    const { host } = this.#config.listen;
    return `ms://${host.includes(':') ? `[${host}]` : host}:${this.#port}`;
  }

  #areaAt(shard: number): number {
    return this.#geometry.shardsByteOffset + (shard - 1) * this.#geometry.shardBytes;
  }

  /** Large segments are written from end to end: with large pages a fresh one costs few faults. Only a hint. */
  #adviseHugePages(): void {
    const { dataByteOffset, endByteOffset, smallCount, mediumCount } = this.#geometry;
    const largeAt =
      dataByteOffset + smallCount * SMALL_SEGMENT_BYTES + mediumCount * MEDIUM_SEGMENT_BYTES;
    this.#sys.adviseHugePages(largeAt, endByteOffset - largeAt);
  }

  #eventfd(): number {
    const fd = this.#sys.eventfd();
    if (fd < 0) throw new MemoryStreamerError('MS_ERR_SYSTEM', `eventfd: errno ${-fd}`);
    return fd;
  }

  #signal(thread: number): void {
    this.#sys.eventfdSignal(this.#eventfds[thread]!);
  }

  #payWakes(): void {
    payWakes(this.#kernel, (thread) => this.#signal(thread));
  }

  #makeRegistry(streams: number): Registry {
    // Unique among the lives of this broker, and of others before it on this machine.
    let epoch = BigInt(Math.floor(systemClock.wallMs())) * 1_000_000n;
    return new Registry({
      memory: this.#memory,
      kernel: this.#kernel,
      streamsAt: this.#geometry.streamsByteOffset,
      streamsMax: streams,
      defaults: streamDefaults(this.#config),
      epoch: () => ++epoch,
      send: (shard, message) => this.#send(shard, message),
    });
  }

  #task(
    shard: number,
  ): Parameters<ShardPool['start']>[0] extends number
    ? Omit<import('../shards/task.js').ShardTask, 'port'>
    : never {
    return {
      thread: shard,
      memory: this.#memory,
      areaAt: this.#areaAt(shard),
      sharedAt: this.#geometry.sharedByteOffset,
      streamsAt: this.#geometry.streamsByteOffset,
      slots: this.#slots,
      eventfds: this.#eventfds,
      cpu: this.#placement.cpuOfShard[shard]!,
      prefault: this.#prefault[shard]!,
      settings: {
        ...this.#hotSettings(this.#config),
        serverName: `memorystreamer/${VERSION}`,
        versions: [PROTOCOL_VERSION],
      },
      principals: this.#principals.all,
    };
  }

  #hotSettings(config: Config): HotSettings {
    return {
      heartbeatMs: config.heartbeat.interval,
      slowConsumerTimeoutMs: config.slowConsumer.timeout,
      subscriptionsMax: config.limits.subscriptions,
      publicationsMax: config.limits.publications,
      idleStrategy: config.idle.strategy,
      auth: this.#authSettings(config),
    };
  }

  #authSettings(config: Config): AuthSettings {
    const asked = config.auth;
    return {
      isRequired: asked.required,
      isKeyingRequired: asked.integrity === INTEGRITY_KEYED,
      handshakeTimeoutMs: asked.handshakeTimeout,
      // Connections are spread evenly, and those that wait with them.
      pendingMax: Math.ceil(asked.maxPending / this.shards),
      areInsecureTokensTaken: asked.insecureTokens,
    };
  }

  // ---- Beginning ----

  async start(): Promise<void> {
    this.#listen();
    const ready = this.#awaitAll('ready');
    for (let shard = 1; shard <= this.shards; shard++) this.#startShard(shard);
    const failure = await Promise.race([ready, this.failed]);
    if (failure instanceof Error) {
      this.kill();
      throw failure;
    }
    this.#startAcceptor();
    this.#idleTimer = setInterval(() => {
      const bytes = releaseIdlePages(this.#kernel, this.#sys, (at) =>
        isPrefault(this.#prefault, at),
      );
      if (bytes === 0) return;
      this.#payWakes();
      this.#log.debug({ bytes }, 'idle memory given back');
    }, IDLE_LOOK_MS);
    this.#idleTimer.unref();
  }

  #listen(): void {
    const { host, port } = this.#config.listen;
    const address = host === 'localhost' ? '127.0.0.1' : host;
    const fd = this.#sys.listen(address, port, BACKLOG);
    if (fd < 0) throw listenError(address, port, -fd);
    this.#listenFd = fd;
    this.#port = this.#sys.localPort(fd);
  }

  #startShard(shard: number): void {
    this.#kernel.setAlive(shard, true);
    this.#pool.start(shard);
  }

  #startAcceptor(): void {
    const { port1, port2 } = new MessageChannel();
    const task: AcceptorTask = {
      memory: this.#memory,
      port: port2,
      sharedAt: this.#geometry.sharedByteOffset,
      slots: this.#slots,
      threadsAt: this.#geometry.threadsByteOffset,
      shards: this.shards,
      nodeOfShard: this.#placement.groupOfShard,
      nodeOfCpu: this.#placement.groupOfCpu,
      connectionsMax: this.#config.limits.connections,
      listenFd: this.#listenFd,
      eventfds: this.#eventfds,
      wakeFd: this.#wakeFd,
    };
    const worker = new Worker(ACCEPTOR_FILE, {
      workerData: task,
      transferList: [port2],
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
    });
    port1.on('message', (entry: AcceptorLog) =>
      this.#log[entry.level](entry.fields, entry.message),
    );
    worker.on('error', (error) => this.#log.error({ err: error }, 'acceptor failed'));
    worker.once('exit', () => {
      port1.close();
      if (this.#isStopping) return;
      this.#fail(new MemoryStreamerError('MS_ERR_SYSTEM', 'the acceptor has ended'));
    });
    this.#acceptor = { worker, port: port1 };
  }

  /** Where everybody must say who he is, whoever is not heard anyway is not let in. */
  #bar(address: string, forMs: number): void {
    const { required, integrity } = this.#config.auth;
    if (required || integrity === INTEGRITY_KEYED) {
      this.#orderAcceptor({ type: 'bar', address, forMs });
    }
  }

  #orderAcceptor(order: AcceptorOrder): void {
    this.#acceptor?.port.postMessage(order);
  }

  // ---- Messages ----

  #send(shard: number, message: ControlMessage): void {
    this.#pool.send(shard, message);
  }

  #hear(shard: number, message: ShardMessage): void {
    switch (message.type) {
      case 'ready':
        this.#shared.setShardState(shard, SHARD_LIVE);
        if (this.#replaced.delete(shard)) this.#log.warn({ shard }, 'shard replaced');
        break;
      case 'open':
        this.#registry.open(shard, message.ref, message.subject, message.mayCreate);
        // A birth may have taken segments back, and told whoever waits for some.
        this.#payWakes();
        return;
      case 'authenticate': {
        const answer = this.#authenticator.authenticate(message.request);
        this.#send(shard, { type: 'authenticated', ref: message.ref, answer });
        answer?.keys?.clientToServer.fill(0);
        answer?.keys?.serverToClient.fill(0);
        return;
      }
      case 'subscribe':
        this.#registry.subscribe(shard, message.ref, message.pattern);
        return;
      case 'unsubscribe':
        this.#registry.unsubscribe(shard, message.pattern);
        return;
      case 'attached':
        this.#registry.attached(shard, message.stream);
        return;
      case 'vote':
        this.#vote.voted(shard, message.offer, message.fault);
        return;
      case 'settings':
        this.#vote.runs(shard, message.version);
        return;
      case 'log':
        this.#log[message.level](message.fields, message.message);
        return;
      case 'quiesced':
      case 'ended':
        break;
    }
    this.#heard(shard, message.type);
  }

  /** Resolves when every shard that there is has said this since now. */
  #awaitAll(type: ShardMessage['type']): Promise<void> {
    const { promise, resolve } = deferred();
    const shards = new Set<number>();
    for (let shard = 1; shard <= this.shards; shard++) {
      if (!this.#gone.has(shard)) shards.add(shard);
    }
    this.#awaited = { type, shards, done: resolve };
    if (shards.size === 0) resolve();
    return promise;
  }

  #heard(shard: number, type: ShardMessage['type']): void {
    if (this.#awaited.type !== type) return;
    this.#awaited.shards.delete(shard);
    if (this.#awaited.shards.size === 0) this.#awaited.done();
  }

  // ---- A shard's death ----

  async #replace(shard: number, exitCode: number): Promise<void> {
    this.#log.error({ shard, exitCode }, 'shard lost');
    try {
      await this.#recover(shard);
    } catch (error) {
      this.#fail(asError(error));
      return;
    }
    if (this.#isStopping) {
      // Nobody is left on it that could be said goodbye, now and in what phases are still to come.
      this.#gone.add(shard);
      this.#heard(shard, this.#awaited.type);
      return;
    }
    if (this.#deaths.areTooMany(systemClock.monotonicMs())) {
      const text = `${DEATHS_MAX} shards were lost within ${DEATHS_WITHIN_MS} ms`;
      this.#fail(new MemoryStreamerError('MS_ERR_SHARD_LOST', text));
      return;
    }
    this.#replaced.add(shard);
    this.#startShard(shard);
  }

  async #recover(shard: number): Promise<void> {
    // First of all nothing more is handed to it; then its fds, for clients wait for their end.
    this.#shared.setShardState(shard, SHARD_DEAD);
    const closed = this.#closeConnections(shard);
    const recovered = await recoverDeadThread({
      kernel: this.#kernel,
      dead: shard,
      threads: this.shards + 1,
      signal: (thread) => this.#signal(thread),
      pause: () => pause(),
    });
    this.#registry.forgetShard(shard);
    this.#vote.forget(shard);
    this.#log.warn({ shard, connectionsClosed: closed, ...recovered }, 'shard recovered');
  }

  /** Closes what a dead shard owned, each fd only if it is still the socket that was handed over. */
  #closeConnections(shard: number): number {
    const scratchAt = this.#areaAt(shard);
    const longs = new BigUint64Array(this.#memory.buffer, scratchAt, 1);
    let closed = 0;
    for (let slot = 1; slot <= this.#slots; slot++) {
      const fd = this.#shared.fd(slot);
      if (fd < 0 || this.#shared.shardOf(slot) !== shard) continue;
      const header = longs[0]!;
      const status = this.#sys.socketCookie(fd, scratchAt);
      const isSame = status >= 0 && longs[0] === this.#shared.cookie(slot);
      longs[0] = header;
      if (this.#shared.release(slot) < 0 || !isSame) continue;
      this.#sys.close(fd);
      closed++;
    }
    this.#shared.emptyRing(shard);
    const epollFd = this.#shared.takeEpoll(shard);
    if (epollFd >= 0) this.#sys.close(epollFd);
    return closed;
  }

  crashShard(): void {
    let busiest = 1;
    for (let shard = 2; shard <= this.shards; shard++) {
      if (this.#shared.connectionCount(shard) > this.#shared.connectionCount(busiest)) {
        busiest = shard;
      }
    }
    this.#send(busiest, { type: 'fault' });
  }

  takeMeters(): ShardMeters[] {
    return Array.from({ length: this.shards }, (_, i) =>
      takeMeters(this.#memory, i + 1, this.#areaAt(i + 1)),
    );
  }

  // ---- New settings ----

  async apply(config: Config, credentials: readonly CredentialEntry[]): Promise<void> {
    if (this.#isStopping) throw new MemoryStreamerError('MS_ERR_RELOAD', 'the broker is stopping');
    await this.#vote.apply(this.#hotSettings(config), () => this.#commit(config, credentials));
  }

  /** What control itself and its messages bring to pass, in the same moment as the page's commit. */
  #commit(config: Config, credentials: readonly CredentialEntry[]): void {
    this.#config = config;
    this.#registry.setDefaults(streamDefaults(config));
    const exchange = this.#principals.exchange(credentials);
    const { attemptsPerMinute } = config.auth;
    this.#authenticator.exchange({ credentials: exchange.credentials, attemptsPerMinute });
    this.#orderAcceptor({ type: 'unbar' });
    const { gone, principals } = exchange;
    if (gone.length === 0 && principals.length === 0) return;
    for (let shard = 1; shard <= this.shards; shard++) {
      this.#send(shard, { type: 'principals', gone, principals });
    }
  }

  #liveShards(): number[] {
    const shards = Array.from({ length: this.shards }, (_, i) => i + 1);
    return shards.filter((shard) => this.#shared.shardState(shard) === SHARD_LIVE);
  }

  // ---- The end ----

  async stop(): Promise<void> {
    this.#isStopping = true;
    const deadlineMs = systemClock.monotonicMs() + this.#config.shutdown.grace;
    await this.#stopAcceptor();
    if (await this.#phase('drain', 'quiesced', deadlineMs)) {
      if (await this.#phase('finish', 'ended', deadlineMs)) return this.#close();
    }
    this.#log.warn('shutdown.grace is over: what is not delivered is lost');
    await this.#phase('abort', 'ended', systemClock.monotonicMs() + ABORT_MS);
    return this.#close();
  }

  /** Tells every shard, and waits until all have answered; false: the deadline was first. */
  async #phase(
    order: 'drain' | 'finish' | 'abort',
    answer: 'quiesced' | 'ended',
    deadlineMs: number,
  ): Promise<boolean> {
    const answered = this.#awaitAll(answer);
    for (let shard = 1; shard <= this.shards; shard++) this.#send(shard, { type: order });
    const leftMs = Math.max(0, deadlineMs - systemClock.monotonicMs());
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<false>((resolve) => (timer = setTimeout(resolve, leftMs, false)));
    const isDone = await Promise.race([answered.then(() => true as const), late]);
    clearTimeout(timer);
    return isDone;
  }

  async #stopAcceptor(): Promise<void> {
    const acceptor = this.#acceptor;
    if (!acceptor) return;
    this.#acceptor = undefined;
    const exited = once(acceptor.worker, 'exit');
    acceptor.port.postMessage({ type: 'end' } satisfies AcceptorOrder);
    this.#sys.eventfdSignal(this.#wakeFd);
    await exited;
  }

  async #close(): Promise<void> {
    clearInterval(this.#idleTimer);
    await this.#pool.close();
    for (const fd of [...this.#eventfds, this.#wakeFd]) this.#sys.close(fd);
  }

  /** Ends at once: the process is about to exit, and the kernel closes what is open. */
  kill(): void {
    this.#isStopping = true;
    void this.#acceptor?.worker.terminate();
    void this.#pool.close();
  }
}

function streamDefaults(config: Config): StreamDefaults {
  const defaults = config.streams.default;
  return {
    retentionBytes: defaults.retention.bytes,
    onFull: defaults.onFull,
    overrides: config.streams.overrides,
  };
}

function listenError(address: string, port: number, errno: number): MemoryStreamerError {
  const reasons = new Map([
    [EADDRINUSE, 'the port is taken; choose another one by listen.port (--port)'],
    [EACCES, 'this user may not listen there; ports below 1024 are for root'],
    [EADDRNOTAVAIL, 'this machine has no such address'],
  ]);
  const reason = reasons.get(errno) ?? `errno ${errno}`;
  return new MemoryStreamerError('MS_ERR_LISTEN', `cannot listen on ${address}:${port}: ${reason}`);
}
