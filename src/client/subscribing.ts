/**
 * All subscriptions of a client on the present connection, and how they go on after it on the next one:
 * every frame that a subscription covers is delivered, or told as a gap.
 *
 * A stream goes on after the last frame seen, in the life (epoch) in which it was seen. A wildcard has one
 * `from` for all its streams, so each stream that it delivered is subscribed by its own subject first (the
 * earliest subscription of a connection delivers a stream), and the wildcard after them, which then covers
 * only streams that had delivered nothing yet: see `fromForUnseen`.
 */
import { MemoryStreamerError } from '../errors.js';
import type { FrameDecoder } from '../frame/codec.js';
import { TYPE_CREDIT, TYPE_SUBSCRIBE, TYPE_SUBSCRIBED, TYPE_UNSUBSCRIBE } from '../frame/codes.js';
import {
  encodePayload,
  parseOpened,
  parseSubscribed,
  type From,
  type Opened,
  type Subscribed,
} from '../frame/payloads.js';
import { hasWildcard, matches } from '../frame/subject.js';
import type { Gap, Message, Reset, Subscription } from './subscription.js';
import type { Transport } from './transport.js';

/** Where a subscription is in one stream. */
interface Position {
  epoch: bigint;
  /** The sequence of the next frame. */
  next: bigint;
}

/** One user's subscription, over all connections. */
interface Entry {
  readonly subscription: Subscription;
  /** By subject: the streams that it has delivered, or that SUBSCRIBED listed. */
  readonly positions: Map<string, Position>;
  /** Wall clock just before the first SUBSCRIBE left, in ns. */
  sinceNs: bigint;
  /** SUBSCRIBED was in, on some connection. */
  known: boolean;
}

/** One SUBSCRIBE on the present connection; a resumed wildcard has several. */
interface Wire {
  readonly entry: Entry;
  readonly subject: string;
  /** Frames consumed and not granted again yet, where the subscription has a credit. */
  consumed: number;
}

/** A stream on the present connection, and who gets it. */
interface Route {
  readonly stream: number;
  readonly subject: string;
  readonly epoch: bigint;
  wire: Wire | undefined;
  position: Position | undefined;
}

export interface SubscribingHandlers {
  gap(subscription: Subscription, gap: Gap): void;
  reset(subscription: Subscription, reset: Reset): void;
  wallMs(): number;
}

/** Payloads are cut from pieces of this size, so that a kept message keeps no more than that alive. */
const PIECE_BYTES = 32 * 1024;

export class Subscribing {
  readonly #handlers: SubscribingHandlers;
  readonly #entries = new Map<Subscription, Entry>();
  /** In the order in which they were sent. */
  #wires: Wire[] = [];
  readonly #routes = new Map<number, Route>();
  /** Who got a message in this batch. */
  readonly #touched = new Set<Subscription>();
  #transport: Transport | undefined;
  #piece = new Uint8Array(0);
  #pieceUsedBytes = 0;

  constructor(handlers: SubscribingHandlers) {
    this.#handlers = handlers;
  }

  get subscriptions(): Iterable<Subscription> {
    return this.#entries.keys();
  }

  /** A connection is there: every subscription goes on, in the order in which they were made. */
  attach(transport: Transport): void {
    this.#transport = transport;
    for (const entry of this.#entries.values()) this.#subscribe(entry);
  }

  detach(): void {
    this.#transport = undefined;
    this.#wires = [];
    this.#routes.clear();
  }

  add(subscription: Subscription): void {
    const entry: Entry = { subscription, positions: new Map(), sinceNs: 0n, known: false };
    this.#entries.set(subscription, entry);
    if (this.#transport?.live === true) this.#subscribe(entry);
  }

  #subscribe(entry: Entry): void {
    const { subject, from } = entry.subscription;
    if (!entry.known) {
      entry.sinceNs = BigInt(Math.floor(this.#handlers.wallMs())) * 1_000_000n;
      this.#send(entry, subject, from);
      return;
    }
    const wildcard = hasWildcard(subject);
    for (const [stream, { epoch, next }] of entry.positions) {
      this.#send(entry, stream, { sequence: next, epoch });
    }
    if (wildcard || entry.positions.size === 0) {
      this.#send(entry, subject, fromForUnseen(from, wildcard, entry.sinceNs));
    }
  }

  #send(entry: Entry, subject: string, from: From): void {
    const { subscription } = entry;
    const covered = this.#wires.some((wire) => wire.subject === subject && wire.entry !== entry);
    if (covered && subject === subscription.subject && entry.known) {
      // An earlier wildcard goes on with this stream by its name: it delivers it, as it did before.
      return;
    }
    const wire: Wire = { entry, subject, consumed: 0 };
    this.#wires.push(wire);
    const { credit } = subscription;
    this.#transport!.request(TYPE_SUBSCRIBE, { subject, from, credit }, (frame, error) => {
      if (frame !== undefined) this.#subscribed(wire, frame);
      else if (error?.code === 'MS_ERR_REFUSED') this.#refused(wire, error);
    });
  }

  #subscribed(wire: Wire, frame: FrameDecoder): void {
    const answer = frame.type === TYPE_SUBSCRIBED ? parseSubscribed(frame.payload) : undefined;
    if (answer === undefined) {
      this.#transport?.fail(
        new MemoryStreamerError('MS_ERR_PROTOCOL', `the broker's SUBSCRIBED does not fit`),
      );
      return;
    }
    wire.entry.known = true;
    for (const stream of answer.streams) this.#listed(wire, stream);
    if (wire.subject === wire.entry.subscription.subject) wire.entry.subscription.subscribed();
  }

  #listed(wire: Wire, listed: Subscribed['streams'][number]): void {
    const { id, subject, epoch, next, reset } = listed;
    const known = wire.entry.positions.get(subject);
    const sameLife = known?.epoch === epoch;
    const route = this.#route({ stream: id, subject, epoch });
    if (route.wire !== wire) return;
    route.position = { epoch, next };
    wire.entry.positions.set(subject, route.position);
    // Another life was told by the route already.
    if (reset === true && (known === undefined || sameLife)) {
      this.#handlers.reset(wire.entry.subscription, { subject, stream: id });
    }
  }

  #refused(wire: Wire, error: MemoryStreamerError): void {
    this.#wires = this.#wires.filter((other) => other !== wire);
    // Of a wildcard that goes on stream by stream, one that is refused ends all: no loss is silent.
    this.#entries.delete(wire.entry.subscription);
    wire.entry.subscription.end(error);
    void this.#dropWires(wire.entry);
  }

  /** OPENED, asked or not: the subject and life of a stream id of this connection. */
  opened(stream: number, { subject, epoch }: Opened): void {
    this.#route({ stream, subject, epoch });
  }

  openedFrame(frame: FrameDecoder): boolean {
    const opened = parseOpened(frame.payload);
    if (opened === undefined || frame.stream === 0) return false;
    this.opened(frame.stream, opened);
    return true;
  }

  /** The stream's route, made or looked up: its wire is the earliest that covers it. */
  #route({ stream, subject, epoch }: Pick<Route, 'stream' | 'subject' | 'epoch'>): Route {
    let route = this.#routes.get(stream);
    if (route?.epoch !== epoch) {
      route = { stream, subject, epoch, wire: undefined, position: undefined };
      this.#routes.set(stream, route);
    }
    if (route.wire === undefined) this.#assign(route);
    return route;
  }

  #assign(route: Route): void {
    const wire = this.#wires.find(({ subject }) => matches(subject, route.subject));
    route.wire = wire;
    const known = wire?.entry.positions.get(route.subject);
    route.position = known?.epoch === route.epoch ? known : undefined;
    if (wire !== undefined && known !== undefined && route.position === undefined) {
      const { subject, stream } = route;
      wire.entry.positions.delete(subject);
      this.#handlers.reset(wire.entry.subscription, { subject, stream });
    }
  }

  /** DATA. False: of a stream that nobody told us about. */
  data(frame: FrameDecoder): boolean {
    const route = this.#routes.get(frame.stream);
    if (route === undefined) return false;
    if (route.wire === undefined) this.#assign(route);
    const entry = route.wire?.entry;
    if (entry === undefined) return true;
    const { sequence } = frame;
    const position = this.#positionOf(route, entry, sequence);
    if (sequence > position.next) this.#gap(route, entry, position.next, sequence - 1n);
    position.next = sequence + 1n;
    if (frame.damaged) {
      this.#gap(route, entry, sequence, sequence);
      return true;
    }
    const { subscription } = entry;
    subscription.push({
      subject: route.subject,
      stream: route.stream,
      sequence,
      timestamp: frame.timestamp,
      payload: this.#payload(frame),
    });
    this.#touched.add(subscription);
    return true;
  }

  #positionOf(route: Route, entry: Entry, sequence: bigint): Position {
    if (route.position === undefined) {
      route.position = { epoch: route.epoch, next: sequence };
      entry.positions.set(route.subject, route.position);
    }
    return route.position;
  }

  #payload(frame: FrameDecoder): Uint8Array {
    const byteCount = frame.payloadBytes;
    if (byteCount > PIECE_BYTES / 4) return Uint8Array.from(frame.payload);
    if (this.#piece.length - this.#pieceUsedBytes < byteCount) {
      this.#piece = new Uint8Array(PIECE_BYTES);
      this.#pieceUsedBytes = 0;
    }
    const at = this.#pieceUsedBytes;
    frame.copyPayload(this.#piece, at);
    this.#pieceUsedBytes = at + byteCount;
    return this.#piece.subarray(at, at + byteCount);
  }

  /** GAP. False: it does not fit. */
  gapFrame(frame: FrameDecoder): boolean {
    const next = frame.payloadU64();
    const route = this.#routes.get(frame.stream);
    if (next === undefined || next <= frame.sequence || route === undefined) return false;
    if (route.wire === undefined) this.#assign(route);
    const entry = route.wire?.entry;
    if (entry === undefined) return true;
    this.#positionOf(route, entry, frame.sequence).next = next;
    this.#gap(route, entry, frame.sequence, next - 1n);
    return true;
  }

  #gap({ subject, stream }: Route, { subscription }: Entry, from: bigint, to: bigint): void {
    this.#handlers.gap(subscription, { subject, stream, from, to });
  }

  /** After the frames of one read: wakes the consumers. */
  batch(): void {
    for (const subscription of this.#touched) subscription.deliver();
    this.#touched.clear();
  }

  /** Grants again what was consumed, half a credit at a time. */
  consumed(subscription: Subscription, messages: readonly Message[]): void {
    const { credit } = subscription;
    if (credit === undefined || this.#transport?.live !== true) return;
    for (const { stream } of messages) {
      const wire = this.#routes.get(stream)?.wire;
      // Messages of an earlier connection may be counted for its successor: a little too much is granted.
      if (wire?.entry.subscription !== subscription) continue;
      if (++wire.consumed * 2 < credit) continue;
      const { subject } = wire;
      this.#transport.control({
        type: TYPE_CREDIT,
        sequence: BigInt(wire.consumed),
        payload: encodePayload({ subject }),
      });
      wire.consumed = 0;
    }
  }

  /** Takes the subscription away; resolves once the broker sends nothing of it any more. */
  async remove(subscription: Subscription): Promise<void> {
    const entry = this.#entries.get(subscription);
    if (entry === undefined) return;
    this.#entries.delete(subscription);
    await this.#dropWires(entry);
  }

  async #dropWires(entry: Entry): Promise<void> {
    const transport = this.#transport;
    if (transport?.live !== true) return;
    const wires = this.#wires.filter((wire) => wire.entry === entry);
    await Promise.all(
      wires.map(
        (wire) =>
          new Promise<void>((resolve) => {
            // Whatever the answer is, also a lost connection, nothing follows it.
            transport.request(TYPE_UNSUBSCRIBE, { subject: wire.subject }, () => {
              this.#dropped(wire);
              resolve();
            });
          }),
      ),
    );
  }

  #dropped(wire: Wire): void {
    this.#wires = this.#wires.filter((other) => other !== wire);
    for (const route of this.#routes.values()) {
      if (route.wire === wire) {
        route.wire = undefined;
        route.position = undefined;
      }
    }
    // Who was covered by the name of a resumed wildcard's stream is now subscribed for itself.
    for (const entry of this.#entries.values()) {
      const sent = this.#wires.some((other) => other.entry === entry);
      if (!sent && entry.known && this.#transport?.live === true) this.#subscribe(entry);
    }
  }

  /** The client is at its end. */
  endAll(error: MemoryStreamerError | undefined): void {
    for (const subscription of this.#entries.keys()) subscription.end(error);
    this.#entries.clear();
  }
}

/**
 * Where a subscription goes on with a stream that has delivered nothing so far, and that no SUBSCRIBED
 * listed. A literal subject's stream did not exist then: it was born since, and begins with its first
 * frame. Of a wildcard the broker lists nothing, so the stream may also have been silent all the time:
 * for "new" all that arrived since the first SUBSCRIBE left is wanted, and nothing before. That instant
 * is of this machine's clock; the broker compares it with its own.
 */
function fromForUnseen(from: From, wildcard: boolean, sinceNs: bigint): From {
  if (from === 'new') return wildcard ? { time: sinceNs } : 'first';
  if (from === 'last') return 'first';
  if (typeof from === 'object' && 'last' in from) return 'first';
  return from;
}
