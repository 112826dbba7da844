/**
 * What the connections of a shard subscribe to, and the cursors that follow from it.
 *
 * Invariant: a connection has at most one cursor on a stream, under the earliest of its subscriptions that
 * cover that stream; and a stream that is covered by one has its cursor before control lets anybody
 * publish on it for the first time.
 */
import { CODE_LIMIT_EXCEEDED } from '../frame/codes.js';
import { hasWildcard, matches } from '../frame/subject.js';
import type { From } from '../frame/payloads.js';
import * as ring from '../ring/layout.js';
import type { ShardContext } from './context.js';
import * as layout from './layout.js';
import type { Lifecycle } from './lifecycle.js';
import { SubjectIndex } from './subject-index.js';

export interface Subscription {
  readonly slot: number;
  readonly pattern: string;
  readonly isWildcard: boolean;
  /** Its place among all subscriptions of the shard: the earlier of two delivers. */
  readonly order: number;
  /** Row that holds its credit. */
  readonly row: number;
}

/** A subscription that exists, and the stream of a literal one. */
export interface StreamEntry {
  readonly id: number;
  readonly subject: string;
  readonly epoch: bigint;
  readonly next: bigint;
  readonly reset?: true;
}

export interface Subscriber {
  /** By pattern, in the order in which they came. */
  readonly subscriptions: Map<string, Subscription>;
  /** Cursor by stream. */
  readonly cursors: Map<number, number>;
}

const UNLIMITED = 2n ** 64n - 1n;
const SEEK_BUSY = 2;
/** What `place` answers beside a stream's entry. */
export const PLACE_BUSY = 'busy';
export const PLACE_FULL = 'full';

export class Subscriptions {
  readonly #context: ShardContext;
  readonly #subscribers = new Map<number, Subscriber>();
  readonly #index = new SubjectIndex<Subscription>();
  #nextOrder = 1;

  constructor(context: ShardContext) {
    this.#context = context;
  }

  of(slot: number): Subscriber | undefined {
    return this.#subscribers.get(slot);
  }

  find(slot: number, pattern: string): Subscription | undefined {
    return this.#subscribers.get(slot)?.subscriptions.get(pattern);
  }

  count(slot: number): number {
    return this.#subscribers.get(slot)?.subscriptions.size ?? 0;
  }

  /** Registers a subscription without cursors. Undefined: the shard has no row left. */
  add(slot: number, pattern: string, credit: bigint | undefined): Subscription | undefined {
    const { kernel, longs } = this.#context;
    const row = kernel.takeRow(layout.POOL_SUBSCRIPTIONS);
    if (row === 0) return undefined;
    const creditAt =
      (kernel.rowAt(layout.POOL_SUBSCRIPTIONS, row) >>> 0) + layout.SUBSCRIPTION_CREDIT;
    longs[creditAt / 8] = credit ?? UNLIMITED;
    const order = this.#nextOrder++;
    const isWildcard = hasWildcard(pattern);
    const subscription: Subscription = { slot, pattern, isWildcard, order, row };
    let subscriber = this.#subscribers.get(slot);
    if (!subscriber) {
      subscriber = { subscriptions: new Map(), cursors: new Map() };
      this.#subscribers.set(slot, subscriber);
    }
    subscriber.subscriptions.set(pattern, subscription);
    this.#index.add(pattern, subscription);
    return subscription;
  }

  /**
   * Gives a subscription its cursor on a stream, unless an earlier one has it already. PLACE_BUSY: the wanted
   * place is just being written, again in a later turn. PLACE_FULL: the shard has no cursor left.
   */
  place(
    subscription: Subscription,
    stream: number,
    from: From,
    isAnnounced: boolean,
  ): StreamEntry | typeof PLACE_BUSY | typeof PLACE_FULL {
    const { kernel, longs } = this.#context;
    const subscriber = this.#subscribers.get(subscription.slot)!;
    const known = subscriber.cursors.get(stream);
    if (known !== undefined) return this.#entry(stream, kernel.cursorAt(known) >>> 0, false);
    const flags = isAnnounced ? layout.CURSOR_FLAG_ANNOUNCE : 0;
    const cursor = kernel.openCursor(subscription.slot, stream, subscription.row, flags);
    if (cursor === 0) return PLACE_FULL;
    const at = kernel.cursorAt(cursor) >>> 0;
    const answer = this.#seek(at, stream, from);
    if (answer === SEEK_BUSY) {
      kernel.endCursor(cursor);
      return PLACE_BUSY;
    }
    // What is there already is older than its delay.
    if (from !== 'new') longs[(at + layout.CURSOR_LIVE_FROM) / 8] = kernel.nextSequenceOf(stream);
    subscriber.cursors.set(stream, cursor);
    kernel.wakeCursor(cursor);
    return this.#entry(stream, at, answer === ring.SEEK_RESET);
  }

  #entry(stream: number, cursorAt: number, isReset: boolean): StreamEntry {
    const context = this.#context;
    const entry = {
      id: stream,
      subject: context.subjectOf(stream),
      epoch: context.epochOf(stream),
      next: BigInt.asUintN(64, context.kernel.cursorSequence(cursorAt)),
    };
    return isReset ? { ...entry, reset: true } : entry;
  }

  #seek(cursorAt: number, stream: number, from: From): number {
    const { kernel } = this.#context;
    if (from === 'new') return kernel.seek(cursorAt, stream, ring.FROM_NEW, 0n);
    if (from === 'first') return kernel.seek(cursorAt, stream, ring.FROM_FIRST, 0n);
    if (from === 'last') return kernel.seek(cursorAt, stream, ring.FROM_LAST, 1n);
    if ('last' in from) return kernel.seek(cursorAt, stream, ring.FROM_LAST, from.last);
    if ('time' in from) return kernel.seek(cursorAt, stream, ring.FROM_TIME, from.time);
    if (from.epoch !== undefined && from.epoch !== this.#context.epochOf(stream)) {
      kernel.seek(cursorAt, stream, ring.FROM_FIRST, 0n);
      return ring.SEEK_RESET;
    }
    return kernel.seek(cursorAt, stream, ring.FROM_SEQUENCE, from.sequence);
  }

  /** A stream is born: everybody whom it concerns gets a cursor on its first frame. */
  born(
    stream: number,
    subject: string,
    lifecycle: Lifecycle,
    mayGet: (slot: number) => boolean = () => true,
  ): void {
    const earliest = new Map<number, Subscription>();
    for (const subscription of this.#index.match(subject)) {
      if (!mayGet(subscription.slot)) continue;
      const other = earliest.get(subscription.slot);
      if (!other || subscription.order < other.order) {
        earliest.set(subscription.slot, subscription);
      }
    }
    for (const subscription of earliest.values()) {
      if (this.place(subscription, stream, 'first', true) !== PLACE_FULL) continue;
      const text = `no cursor is left for the new stream ${subject}: it is not delivered here`;
      lifecycle.error(subscription.slot, CODE_LIMIT_EXCEEDED, stream, 0n, text);
    }
  }

  /** Frames that may be sent under a subscription, on top of what was left. */
  grant(subscription: Subscription, frames: bigint): void {
    const { kernel, longs } = this.#context;
    const at =
      ((kernel.rowAt(layout.POOL_SUBSCRIPTIONS, subscription.row) >>> 0) +
        layout.SUBSCRIPTION_CREDIT) /
      8;
    const left = longs[at]!;
    if (left === UNLIMITED) return;
    const sum = left + frames;
    longs[at] = sum >= UNLIMITED ? UNLIMITED - 1n : sum;
    for (const cursor of this.#subscribers.get(subscription.slot)!.cursors.values()) {
      kernel.wakeCursor(cursor);
    }
  }

  /**
   * Ends a subscription; its streams go on under the next earliest that covers them. False: a half-sent
   * frame could not be kept, and the connection must end.
   */
  remove(subscription: Subscription): boolean {
    const context = this.#context;
    const subscriber = this.#subscribers.get(subscription.slot)!;
    subscriber.subscriptions.delete(subscription.pattern);
    this.#index.remove(subscription.pattern, subscription);
    let isWhole = true;
    for (const [stream, cursor] of subscriber.cursors) {
      const at = context.kernel.cursorAt(cursor) >>> 0;
      if (context.u32(at + layout.CURSOR_SUBSCRIPTION) !== subscription.row) continue;
      const heir = heirOf(subscriber, context.subjectOf(stream));
      if (heir) {
        context.words[(at + layout.CURSOR_SUBSCRIPTION) >>> 2] = heir.row;
        context.kernel.wakeCursor(cursor);
        continue;
      }
      subscriber.cursors.delete(stream);
      if (context.kernel.endCursor(cursor) === 0) isWhole = false;
    }
    context.kernel.giveRow(layout.POOL_SUBSCRIPTIONS, subscription.row);
    if (subscriber.subscriptions.size === 0) this.#subscribers.delete(subscription.slot);
    context.control.post({ type: 'unsubscribe', pattern: subscription.pattern });
    return isWhole;
  }

  /** The connection ends: its subscriptions too. The kernel ends its cursors, all at once. */
  forget(slot: number): void {
    const subscriber = this.#subscribers.get(slot);
    if (!subscriber) return;
    const { kernel, control } = this.#context;
    for (const subscription of subscriber.subscriptions.values()) {
      this.#index.remove(subscription.pattern, subscription);
      kernel.giveRow(layout.POOL_SUBSCRIPTIONS, subscription.row);
      control.post({ type: 'unsubscribe', pattern: subscription.pattern });
    }
    this.#subscribers.delete(slot);
  }
}

function heirOf(subscriber: Subscriber, subject: string): Subscription | undefined {
  for (const subscription of subscriber.subscriptions.values()) {
    if (matches(subscription.pattern, subject)) return subscription;
  }
  return undefined;
}
