/**
 * Shards, the registry and their clients in one thread, on the fake system and a clock that stands still.
 *
 * Invariant: at the end of each test nothing is left: no descriptor, no row, no pin, no violation.
 */
import { expect, onTestFinished } from 'vitest';
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../src/clock.js';
import type { CredentialEntry } from '../../src/config/credentials.js';
import { Authenticator, type Credential } from '../../src/control/authenticator.js';
import { Principals } from '../../src/control/principals.js';
import { Registry } from '../../src/control/registry.js';
import { createArena, type Geometry, writeThreadNode } from '../../src/ring/arena.js';
import type { RandomBytes } from '../../src/frame/handshake.js';
import { assertInvariants } from '../../src/ring/invariants.js';
import * as ring from '../../src/ring/layout.js';
import { connectionSlots, planArea, sharedBytes, writeArea } from '../../src/shards/area.js';
import type { ShardSettings } from '../../src/shards/context.js';
import { type BrokerKernel, loadKernel } from '../../src/shards/kernel.js';
import * as layout from '../../src/shards/layout.js';
import type { ControlLink, ControlMessage, ShardMessage } from '../../src/shards/messages.js';
import { ALL_ALLOWED, type Permissions } from '../../src/shards/permissions.js';
import { SettingsPage, type AuthSettings } from '../../src/shards/settings.js';
import { Shard } from '../../src/shards/shard.js';
import { SharedArea } from '../../src/shards/shared.js';
import { FakeSys, type FakeOptions } from '../../src/sys/fake.js';
import { TestPeer } from './test-peer.js';

export const KERNEL_FILE = new URL('../../dist/shards/kernel.wasm', import.meta.url);
const MIB = 1024 * 1024;
const ROUNDS_MAX = 100_000;
const STEP_MS = 50;

export interface HarnessOptions extends FakeOptions {
  shards?: number;
  arenaBytes?: number;
  streams?: number;
  connections?: number;
  retentionBytes?: number;
  onFull?: 'block' | 'evict';
  settings?: Partial<Omit<ShardSettings, 'auth'>>;
  auth?: Partial<AuthSettings>;
  /** Who may connect, and what each may do. */
  credentials?: readonly HarnessCredential[];
  attemptsPerMinute?: number;
  /** In place of the system's, where an exchange is to be the same each time. */
  random?: RandomBytes;
  /** In place of the package's. */
  kernelFile?: URL;
}

export type HarnessCredential = Omit<Credential, 'principal'> & {
  permissions?: Partial<Permissions>;
};

/** Counts what moves, and lets a test act while a shard blocks. */
export class CountingSys extends FakeSys {
  moved = 0;
  /** Every eventfd that was signalled. */
  readonly signalled: number[] = [];
  /** Called in place of a wait that would block; then the wait looks once more. */
  onBlock: ((epollFd: number) => void) | undefined;

  #count(answer: number): number {
    if (answer > 0) this.moved++;
    return answer;
  }

  override receive(fd: number, byteOffset: number, byteCount: number): number {
    return this.#count(super.receive(fd, byteOffset, byteCount));
  }

  override discard(fd: number, byteCount: number): number {
    return this.#count(super.discard(fd, byteCount));
  }

  override send(fd: number, byteOffset: number, byteCount: number): number {
    return this.#count(super.send(fd, byteOffset, byteCount));
  }

  override sendSpans(fd: number, spansByteOffset: number, spanCount: number): number {
    return this.#count(super.sendSpans(fd, spansByteOffset, spanCount));
  }

  override close(fd: number): number {
    this.moved++;
    return super.close(fd);
  }

  override eventfdSignal(fd: number): number {
    this.signalled.push(fd);
    return super.eventfdSignal(fd);
  }

  override epollWait(epollFd: number, timeoutMs: number): number {
    const events = super.epollWait(epollFd, 0);
    if (events > 0 || timeoutMs === 0 || !this.onBlock) return events;
    this.onBlock(epollFd);
    return super.epollWait(epollFd, 0);
  }
}

export class Harness {
  readonly sys: CountingSys;
  readonly memory: WebAssembly.Memory;
  readonly geometry: Geometry;
  readonly shared: SharedArea;
  readonly control: BrokerKernel;
  readonly registry: Registry;
  readonly authenticator: Authenticator;
  readonly logged: ShardMessage[] = [];
  /** Addresses that the authenticator has barred. */
  readonly barred: string[] = [];
  /** What the authenticator has logged. */
  readonly warnings: object[] = [];
  readonly shards: Shard[] = [];
  readonly kernels: BrokerKernel[] = [];
  readonly peers: TestPeer[] = [];
  /** All that has passed between control and the shards, either way. */
  readonly exchanged: (ControlMessage | ShardMessage)[] = [];
  /** What shards said that is not the registry's: `1 quiesced`. */
  readonly heard: string[] = [];
  readonly eventfds: number[] = [];
  /** While true the registry is not asked: requests stay under way. */
  isControlHeld = false;
  readonly settingsPage: SettingsPage;
  readonly votes: { shard: number; offer: number; fault: string | undefined }[] = [];
  /** By shard: the version of the settings that it said to run with. */
  readonly runsWith: number[] = [];
  nowMs = 1000;
  readonly principals = new Principals();
  readonly #settings: ShardSettings;
  readonly #random: RandomBytes;
  readonly #kernelFile: URL;
  readonly #listenFd: number;
  readonly #inboxes: ControlMessage[][] = [];
  readonly #toControl: { shard: number; message: ShardMessage }[] = [];
  readonly #running = new Set<number>();
  readonly #words: Uint32Array;
  #nextSlot = 1;

  constructor(options: HarnessOptions = {}) {
    this.#random = options.random ?? randomBytes;
    this.#kernelFile = options.kernelFile ?? KERNEL_FILE;
    const shards = options.shards ?? 1;
    const streams = options.streams ?? 64;
    const connections = options.connections ?? 64;
    const arenaBytes = options.arenaBytes ?? 16 * MIB;
    this.#settings = {
      heartbeatMs: 30_000,
      slowConsumerTimeoutMs: 5_000,
      subscriptionsMax: 16,
      publicationsMax: 16,
      idleStrategy: 'block',
      serverName: 'memorystreamer/test',
      versions: [1],
      auth: {
        isRequired: false,
        isKeyingRequired: false,
        handshakeTimeoutMs: 10_000,
        pendingMax: 1024,
        areInsecureTokensTaken: false,
        ...options.auth,
      },
      ...options.settings,
    };
    const plan = planArea({ arenaBytes, shards, connections, streams });
    const { memory, geometry } = createArena({
      bytes: arenaBytes,
      threads: shards + 1,
      streams,
      shardBytes: plan.bytes,
      sharedBytes: sharedBytes(connections),
      nodes: 1,
    });
    this.memory = memory;
    this.geometry = geometry;
    this.#words = new Uint32Array(memory.buffer);
    this.sys = new CountingSys(memory, options);
    const slots = connectionSlots(connections);
    this.shared = new SharedArea(memory, geometry.sharedByteOffset, slots);
    this.settingsPage = new SettingsPage(memory, geometry.sharedByteOffset);
    this.control = loadKernel(memory, 0, this.#kernelFile);
    this.#listenFd = this.sys.listen('127.0.0.1', 0, 1024);
    let epoch = 1000n;
    this.authenticator = new Authenticator({
      credentials: this.principals.exchange(entriesOf(options.credentials ?? [])).credentials,
      attemptsPerMinute: options.attemptsPerMinute ?? 60,
      random: this.#random,
      barred: (address) => void this.barred.push(address),
      clock: { wallMs: () => this.nowMs, monotonicMs: () => this.nowMs },
      log: {
        warn: (fields: object, text?: string) => void this.warnings.push({ ...fields, text }),
      },
    });
    this.registry = new Registry({
      memory,
      kernel: this.control,
      streamsAt: geometry.streamsByteOffset,
      streamsMax: streams,
      defaults: {
        retentionBytes: options.retentionBytes ?? 4 * MIB,
        onFull: options.onFull ?? 'block',
        overrides: [],
      },
      epoch: () => ++epoch,
      send: (shard, message) => this.order(shard, message),
    });
    for (let thread = 0; thread <= shards; thread++) this.eventfds.push(this.sys.eventfd());
    for (let shard = 1; shard <= shards; shard++) {
      writeArea(memory, this.areaAt(shard), geometry.sharedByteOffset, streams, plan);
      writeThreadNode(memory, geometry, shard, 0);
      this.control.setAlive(shard, true);
      this.shared.setShardState(shard, layout.SHARD_LIVE);
    }
    for (let shard = 1; shard <= shards; shard++) this.#start(shard);
  }

  #start(thread: number): void {
    const inbox: ControlMessage[] = [];
    this.#inboxes[thread] = inbox;
    const control: ControlLink = {
      post: (message) => {
        this.exchanged.push(structuredClone(message));
        this.#toControl.push({ shard: thread, message });
      },
      receive: () => inbox.shift(),
    };
    const clock: Clock = { wallMs: () => this.nowMs, monotonicMs: () => this.nowMs };
    const kernel = loadKernel(this.memory, thread, this.#kernelFile);
    this.kernels[thread] = kernel;
    this.shards[thread] = new Shard({
      thread,
      memory: this.memory,
      kernel,
      sys: this.sys,
      shared: this.shared,
      control,
      clock,
      settings: this.#settings,
      principals: this.principals.all,
      settingsPage: this.settingsPage,
      randomBytes: this.#random,
      areaAt: this.areaAt(thread),
      streamsAt: this.geometry.streamsByteOffset,
      eventfds: this.eventfds,
    });
    this.#running.add(thread);
  }

  areaAt(shard: number): number {
    return this.geometry.shardsByteOffset + (shard - 1) * this.geometry.shardBytes;
  }

  /** A message of control, with its signal. */
  order(shard: number, message: ControlMessage): void {
    this.exchanged.push(structuredClone(message));
    this.#inboxes[shard]!.push(message);
    this.sys.eventfdSignal(this.eventfds[shard]!);
  }

  /** As control makes other settings live. */
  setAuth(auth: Partial<AuthSettings>): void {
    const { serverName, ...settings } = this.#settings;
    expect(serverName).not.toBe('');
    this.settingsPage.begin({ ...settings, auth: { ...settings.auth, ...auth } });
    for (const shard of this.#running) this.sys.eventfdSignal(this.eventfds[shard]!);
  }

  /** As control exchanges those who may connect. */
  exchange(credentials: readonly HarnessCredential[], attemptsPerMinute = 60): void {
    const exchange = this.principals.exchange(entriesOf(credentials));
    this.authenticator.exchange({ credentials: exchange.credentials, attemptsPerMinute });
    const { gone, principals } = exchange;
    for (const shard of this.#running) this.order(shard, { type: 'principals', gone, principals });
  }

  orderAll(type: 'drain' | 'finish' | 'abort'): void {
    for (const shard of this.#running) this.order(shard, { type });
  }

  /** A client whose connection is handed to `shard`. */
  connect(shard = 1, cpu = 0, address?: Uint8Array): TestPeer {
    const fake = this.sys.connect(this.sys.localPort(this.#listenFd), cpu, address);
    const fd = this.sys.accept(this.#listenFd);
    expect(fd).toBeGreaterThan(0);
    while (!this.shared.isFree(this.#nextSlot)) this.#nextSlot++;
    const slot = this.#nextSlot;
    this.sys.socketCookie(fd, this.shared.cookieAt(slot));
    this.shared.hand(slot, fd, shard);
    expect(this.shared.push(shard, slot)).toBe(true);
    this.sys.eventfdSignal(this.eventfds[shard]!);
    const peer = new TestPeer(fake, slot, fd, () => this.run());
    this.peers.push(peer);
    return peer;
  }

  // ---- Time ----

  turn(shard: number): void {
    if (!this.#running.has(shard)) return;
    if (!this.shards[shard]!.turn()) this.#running.delete(shard);
  }

  /** That shard turns no more: its thread has ended. */
  kill(shard: number): void {
    this.#running.delete(shard);
  }

  /** Turns everything once. */
  round(): void {
    for (const shard of [...this.#running]) this.turn(shard);
    if (!this.isControlHeld) this.#hearShards();
  }

  #hearShards(): void {
    for (const { shard, message } of this.#toControl.splice(0)) {
      this.sys.moved++;
      switch (message.type) {
        case 'authenticate': {
          const answer = this.authenticator.authenticate(message.request);
          this.order(shard, { type: 'authenticated', ref: message.ref, answer });
          break;
        }
        case 'open':
          this.registry.open(shard, message.ref, message.subject, message.mayCreate);
          break;
        case 'subscribe':
          this.registry.subscribe(shard, message.ref, message.pattern);
          break;
        case 'unsubscribe':
          this.registry.unsubscribe(shard, message.pattern);
          break;
        case 'attached':
          this.registry.attached(shard, message.stream);
          break;
        case 'log':
          this.logged.push(message);
          break;
        case 'vote':
          this.votes.push({ shard, offer: message.offer, fault: message.fault });
          break;
        case 'settings':
          this.runsWith[shard] = message.version;
          break;
        default:
          this.heard.push(`${shard} ${message.type}`);
      }
    }
  }

  /** Turns everything until nothing moves, without letting time pass. */
  run(): void {
    const isFaulty = Object.values(this.sys.faults).some((fault) => fault > 0);
    const quietRounds = isFaulty ? 24 : 4;
    let quiet = 0;
    for (let rounds = 0; quiet < quietRounds; rounds++) {
      if (rounds > ROUNDS_MAX) throw new Error('it never comes to rest');
      const before = this.sys.moved;
      this.round();
      let isRead = false;
      for (const peer of this.peers) isRead = peer.pump() || isRead;
      quiet = isRead || this.sys.moved !== before ? 0 : quiet + 1;
    }
  }

  /** Lets time pass, in steps in which everything comes to rest. */
  advance(milliseconds: number): void {
    this.run();
    for (let left = milliseconds; left > 0; left -= STEP_MS) {
      const step = Math.min(STEP_MS, left);
      this.nowMs += step;
      this.sys.advanceClockMs(step);
      this.run();
    }
  }

  // ---- What is left ----

  poolInUse(shard: number, pool: number): number {
    const at = layout.AREA_POOLS + pool * layout.POOL_BYTES + layout.POOL_IN_USE;
    return this.#words[(this.areaAt(shard) + at) >>> 2]!;
  }

  /** Takes every free row of a pool but `spared`; answers how to give them back. */
  exhaust(shard: number, pool: number, spared = 0): () => void {
    const kernel = this.kernels[shard]!;
    const rows: number[] = [];
    while (kernel.freeRows(pool) > spared) rows.push(kernel.takeRow(pool));
    return () => {
      for (const row of rows.splice(0)) kernel.giveRow(pool, row);
    };
  }

  field(peer: TestPeer, field: number): number {
    return this.#words[(this.shared.rowAt(peer.slot) + field) >>> 2]!;
  }

  isOpen(peer: TestPeer): boolean {
    return this.sys.openFds().includes(peer.fd);
  }

  /** Segments that some thread pins. */
  pinnedSegments(): number[] {
    const { smallCount, mediumCount, largeCount, segmentsByteOffset } = this.geometry;
    const pinned: number[] = [];
    for (let segment = 1; segment <= smallCount + mediumCount + largeCount; segment++) {
      const at = (segmentsByteOffset + segment * ring.SEGMENT_BYTES + ring.SEGMENT_PINS) >>> 2;
      if (this.#words[at] !== 0 || this.#words[at + 1] !== 0) pinned.push(segment);
    }
    return pinned;
  }

  assertSound(): void {
    assertInvariants({ memory: this.memory, geometry: this.geometry });
    expect(this.sys.violations).toEqual([]);
  }

  /** All clients leave; then nothing may be left. */
  finish(): void {
    this.isControlHeld = false;
    this.sys.onBlock = undefined;
    for (const peer of this.peers) {
      peer.isReading = true;
      peer.readMax = Number.MAX_SAFE_INTEGER;
      peer.fake.end();
    }
    this.advance(3000);
    for (const peer of this.peers) if (!peer.fake.closed) peer.fake.reset();
    this.advance(100);
    const own = new Set([this.#listenFd, ...this.eventfds]);
    const isLeft = (fd: number): boolean => !own.has(fd);
    expect(this.sys.openFds().filter(isLeft), 'an epoll each').toHaveLength(this.shards.length - 1);
    for (let shard = 1; shard < this.shards.length; shard++) {
      this.shards[shard]!.close();
      const inUse = Array.from({ length: layout.POOL_COUNT }, (_, pool) =>
        this.poolInUse(shard, pool),
      );
      expect(inUse, `rows in use, shard ${shard}`).toEqual([0, 0, 0, 0, 0, 0, 1, 0]);
      expect(this.shared.connectionCount(shard)).toBe(0);
    }
    expect(this.sys.openFds().filter(isLeft)).toEqual([]);
    expect(this.pinnedSegments(), 'pinned segments').toEqual([]);
    this.assertSound();
  }
}

function entriesOf(credentials: readonly HarnessCredential[]): CredentialEntry[] {
  return credentials.map(({ permissions, ...rest }) => ({
    ...rest,
    permissions: { ...ALL_ALLOWED, ...permissions },
  }));
}

/** A harness that is looked through when its test ends. */
export function harness(options: HarnessOptions = {}): Harness {
  const made = new Harness(options);
  onTestFinished((context) => {
    // What is left behind by a test that failed says nothing.
    if (context.task.result?.state !== 'fail') made.finish();
  });
  return made;
}
