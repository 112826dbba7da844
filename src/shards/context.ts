/** What the parts of a shard share: its kernel, the seam, the tables, and its settings. */
import { Buffer } from 'node:buffer';
import type { Clock } from '../clock.js';
import {
  STREAM_BYTES,
  STREAM_EPOCH,
  STREAM_SUBJECT,
  STREAM_SUBJECT_BYTES,
} from '../ring/layout.js';
import type { RandomBytes } from '../frame/handshake.js';
import type { Sys } from '../sys/sys.js';
import type { BrokerKernel } from './kernel.js';
import * as layout from './layout.js';
import type { ControlLink } from './messages.js';
import type { Principal } from './permissions.js';
import type { HotSettings, SettingsPage } from './settings.js';
import type { SharedArea } from './shared.js';

export type IdleStrategyName = 'block' | 'backoff' | 'spin';

export interface ShardSettings extends HotSettings {
  /** Versions of the protocol that are spoken; its kernel must be built for them. */
  readonly versions: readonly number[];
  /** As WELCOME gives it: `memorystreamer/0.1.0`. */
  readonly serverName: string;
}

export interface ShardOptions {
  /** 1 … 63. */
  readonly thread: number;
  readonly memory: WebAssembly.Memory;
  readonly kernel: BrokerKernel;
  readonly sys: Sys;
  readonly shared: SharedArea;
  readonly control: ControlLink;
  readonly clock: Clock;
  /** What holds until the page says otherwise. */
  readonly settings: ShardSettings;
  readonly settingsPage: SettingsPage;
  /** Who may connect, until control says otherwise. */
  readonly principals: readonly Principal[];
  /** Nonces of the handshake. */
  readonly randomBytes: RandomBytes;
  /** Byte offset of this shard's area. */
  readonly areaAt: number;
  /** Byte offset of the stream table. */
  readonly streamsAt: number;
  /** By thread number; this shard's own is among them. */
  readonly eventfds: readonly number[];
}

/** A tick is 10 ms: coarse enough that a u32 lasts for more than a year, fine enough for every timeout. */
export const TICK_MS = 10;

export class ShardContext {
  readonly thread: number;
  readonly kernel: BrokerKernel;
  readonly sys: Sys;
  readonly shared: SharedArea;
  readonly control: ControlLink;
  readonly clock: Clock;
  /** Replaced as a whole, between two turns. */
  settings: ShardSettings;
  readonly areaAt: number;
  readonly eventfds: readonly number[];
  readonly words: Uint32Array;
  readonly longs: BigUint64Array;
  readonly bytes: Buffer;
  readonly #streamsAt: number;
  /** Ticks since the shard began; set once a turn. */
  tick = 1;

  constructor(options: ShardOptions) {
    this.thread = options.thread;
    this.kernel = options.kernel;
    this.sys = options.sys;
    this.shared = options.shared;
    this.control = options.control;
    this.clock = options.clock;
    this.settings = options.settings;
    this.areaAt = options.areaAt;
    this.eventfds = options.eventfds;
    this.words = new Uint32Array(options.memory.buffer);
    this.longs = new BigUint64Array(options.memory.buffer);
    this.bytes = Buffer.from(options.memory.buffer);
    this.#streamsAt = options.streamsAt;
  }

  u32(byteOffset: number): number {
    return this.words[byteOffset >>> 2]!;
  }

  u64(byteOffset: number): bigint {
    return this.longs[byteOffset / 8]!;
  }

  // ---- Connection rows ----

  get(slot: number, field: number): number {
    return this.words[(this.shared.rowAt(slot) + field) >>> 2]!;
  }

  set(slot: number, field: number, value: number): void {
    this.words[(this.shared.rowAt(slot) + field) >>> 2] = value;
  }

  flags(slot: number): number {
    return this.get(slot, layout.CONNECTION_FLAGS);
  }

  has(slot: number, flag: number): boolean {
    return (this.get(slot, layout.CONNECTION_FLAGS) & flag) !== 0;
  }

  raise(slot: number, flag: number): void {
    this.set(slot, layout.CONNECTION_FLAGS, this.get(slot, layout.CONNECTION_FLAGS) | flag);
  }

  lower(slot: number, flag: number): void {
    this.set(slot, layout.CONNECTION_FLAGS, this.get(slot, layout.CONNECTION_FLAGS) & ~flag);
  }

  // ---- Streams: written by control before anybody learns of the id, never changed ----

  subjectOf(stream: number): string {
    const row = this.#streamsAt + stream * STREAM_BYTES;
    const at = row + STREAM_SUBJECT;
    return this.bytes.toString('utf8', at, at + this.u32(row + STREAM_SUBJECT_BYTES));
  }

  epochOf(stream: number): bigint {
    return this.u64(this.#streamsAt + stream * STREAM_BYTES + STREAM_EPOCH);
  }
}

/** Not received from, for whatever reason. */
export const FLAGS_HELD =
  layout.FLAG_HELD_BY_LOG | layout.FLAG_HELD_BY_CONTROL | layout.FLAG_HELD_BY_OUTPUT;
