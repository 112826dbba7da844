/**
 * The settings page: what an operator may change while the broker runs, for every shard to read. Control
 * offers a version, every shard says whether it can run with it, and control makes it live for all or takes it back.
 *
 *   live v ──offer(v+1)──▶ offered ──every shard votes yes──▶ commit: live v+1
 *     ▲                       │
 *     └────── withdraw ◀──────┘ one votes no, or is silent for too long
 *
 * Invariant: the words of the live version are never written. An offer lies in the other slot; a reader that
 * was so slow that its slot is being written again sees that another version is live by then, and reads again.
 */
import type { IdleStrategyName } from './context.js';
import * as layout from './layout.js';

/** Who may connect, but for the credentials, which control has. */
export interface AuthSettings {
  readonly isRequired: boolean;
  /** Every connection must be keyed. */
  readonly isKeyingRequired: boolean;
  /** For everything before WELCOME, where authentication is asked for or under way. 1 … 2^31 - 1. */
  readonly handshakeTimeoutMs: number;
  /** Connections of this shard that have still to say who they are. 1 … 1,000,000. */
  readonly pendingMax: number;
  /** A token is taken from another machine though the connection is not encrypted. */
  readonly areInsecureTokensTaken: boolean;
}

/** The settings that a shard takes over at its next turn. */
export interface HotSettings {
  /** Milliseconds of silence after which a peer is asked whether it lives; twice that is the end. 1 … 2^31 - 1. */
  readonly heartbeatMs: number;
  /** 1 … 2^31 - 1. */
  readonly slowConsumerTimeoutMs: number;
  /** Per connection, 1 … 65,535. */
  readonly subscriptionsMax: number;
  readonly publicationsMax: number;
  readonly idleStrategy: IdleStrategyName;
  readonly auth: AuthSettings;
}

export interface SettingsVersion {
  readonly version: number;
  readonly settings: HotSettings;
}

export interface SettingsOffer {
  /** Names this offer among all that there ever were. */
  readonly offer: number;
  readonly settings: HotSettings;
}

const STRATEGIES: readonly IdleStrategyName[] = ['block', 'backoff', 'spin'];
const MS_MAX = 2 ** 31 - 1;
const COUNT_MAX = 65_535;
const PENDING_MAX = 1_000_000;

/** Why a shard cannot run with these settings, or undefined where it can. */
export function settingsFault(settings: HotSettings): string | undefined {
  const { auth, ...others } = settings;
  const numbers = { ...others, ...auth };
  const within = (name: keyof typeof numbers, max: number): string | undefined => {
    const value = Number(numbers[name]);
    const isFine = Number.isInteger(value) && value >= 1 && value <= max;
    return isFine ? undefined : `${name} is ${String(numbers[name])}; allowed: 1 to ${max}`;
  };
  return (
    within('heartbeatMs', MS_MAX) ??
    within('slowConsumerTimeoutMs', MS_MAX) ??
    within('subscriptionsMax', COUNT_MAX) ??
    within('publicationsMax', COUNT_MAX) ??
    within('handshakeTimeoutMs', MS_MAX) ??
    within('pendingMax', PENDING_MAX) ??
    (STRATEGIES.includes(settings.idleStrategy) ? undefined : 'idleStrategy is none that is known')
  );
}

export class SettingsPage {
  readonly #words: Uint32Array;
  readonly #at: number;

  /** `byteOffset` is the shared area's. */
  constructor(memory: WebAssembly.Memory, byteOffset: number) {
    this.#words = new Uint32Array(memory.buffer);
    this.#at = byteOffset;
  }

  // ---- Control ----

  /** Makes a version live at once; before there is a shard. */
  begin(settings: HotSettings): void {
    this.offer(settings);
    this.commit();
  }

  /** Lays the next version out for the shards to judge, and answers the offer's number. */
  offer(settings: HotSettings): number {
    const version = this.liveVersion + 1;
    const slot = this.#slotOf(version);
    const store = (field: number, value: number): void => {
      Atomics.store(this.#words, (slot + field) >>> 2, value);
    };
    store(layout.SETTINGS_HEARTBEAT_MS, settings.heartbeatMs);
    store(layout.SETTINGS_SLOW_CONSUMER_MS, settings.slowConsumerTimeoutMs);
    store(layout.SETTINGS_SUBSCRIPTIONS_MAX, settings.subscriptionsMax);
    store(layout.SETTINGS_PUBLICATIONS_MAX, settings.publicationsMax);
    store(layout.SETTINGS_IDLE_STRATEGY, STRATEGIES.indexOf(settings.idleStrategy));
    const { auth } = settings;
    const flags =
      (auth.isRequired ? layout.AUTH_REQUIRED : 0) |
      (auth.isKeyingRequired ? layout.AUTH_KEYING_REQUIRED : 0) |
      (auth.areInsecureTokensTaken ? layout.AUTH_INSECURE_TOKENS : 0);
    store(layout.SETTINGS_AUTH_FLAGS, flags);
    store(layout.SETTINGS_HANDSHAKE_MS, auth.handshakeTimeoutMs);
    store(layout.SETTINGS_PENDING_MAX, auth.pendingMax);
    // Publishes the words; pairs with the load in `offered`.
    this.#store(layout.SETTINGS_OFFER, version);
    return this.#changed();
  }

  /** What is offered becomes live. */
  commit(): void {
    // Publishes the version; pairs with the two loads in `live`.
    this.#store(layout.SETTINGS_LIVE, this.#load(layout.SETTINGS_OFFER));
    this.#store(layout.SETTINGS_OFFER, 0);
    this.#changed();
  }

  /** What is offered is forgotten. */
  withdraw(): void {
    this.#store(layout.SETTINGS_OFFER, 0);
    this.#changed();
  }

  // ---- Every thread ----

  /** Grows with every offer, commit and withdrawal; one load, so that a turn can afford it. */
  get change(): number {
    return this.#load(layout.SETTINGS_CHANGE);
  }

  get liveVersion(): number {
    return this.#load(layout.SETTINGS_LIVE);
  }

  /** What is live; undefined: nothing is yet. */
  live(): SettingsVersion | undefined {
    while (true) {
      const version = this.liveVersion;
      if (version === 0) return undefined;
      const settings = this.#read(version);
      if (this.liveVersion === version) return { version, settings };
    }
  }

  /** What is offered, if anything is. */
  offered(): SettingsOffer | undefined {
    while (true) {
      const offer = this.change;
      const version = this.#load(layout.SETTINGS_OFFER);
      if (version === 0) return undefined;
      const settings = this.#read(version);
      if (this.change === offer) return { offer, settings };
    }
  }

  #read(version: number): HotSettings {
    const slot = this.#slotOf(version);
    const load = (field: number): number => Atomics.load(this.#words, (slot + field) >>> 2);
    const flags = load(layout.SETTINGS_AUTH_FLAGS);
    return {
      heartbeatMs: load(layout.SETTINGS_HEARTBEAT_MS),
      slowConsumerTimeoutMs: load(layout.SETTINGS_SLOW_CONSUMER_MS),
      subscriptionsMax: load(layout.SETTINGS_SUBSCRIPTIONS_MAX),
      publicationsMax: load(layout.SETTINGS_PUBLICATIONS_MAX),
      idleStrategy: STRATEGIES[load(layout.SETTINGS_IDLE_STRATEGY)]!,
      auth: {
        isRequired: (flags & layout.AUTH_REQUIRED) !== 0,
        isKeyingRequired: (flags & layout.AUTH_KEYING_REQUIRED) !== 0,
        handshakeTimeoutMs: load(layout.SETTINGS_HANDSHAKE_MS),
        pendingMax: load(layout.SETTINGS_PENDING_MAX),
        areInsecureTokensTaken: (flags & layout.AUTH_INSECURE_TOKENS) !== 0,
      },
    };
  }

  /** Byte offset of a version's words. */
  #slotOf(version: number): number {
    return this.#at + layout.SETTINGS_SLOTS + (version & 1) * layout.SETTINGS_SLOT_BYTES;
  }

  #changed(): number {
    return (Atomics.add(this.#words, (this.#at + layout.SETTINGS_CHANGE) >>> 2, 1) + 1) >>> 0;
  }

  #load(field: number): number {
    return Atomics.load(this.#words, (this.#at + field) >>> 2);
  }

  #store(field: number, value: number): void {
    Atomics.store(this.#words, (this.#at + field) >>> 2, value);
  }
}
