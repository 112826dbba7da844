/**
 * Control frames of clients: what each asks for, and the answer (docs/PROTOCOL.md, sections 2 to 5).
 *
 * Invariant: a connection has at most one request under way at control, and is not received from meanwhile,
 * so that its frames are answered in their order.
 */
import * as codes from '../frame/codes.js';
import {
  FRAME_HEADER_BYTES,
  PAYLOAD_LENGTH_BYTE_OFFSET,
  SEQUENCE_BYTE_OFFSET,
  TYPE_BYTE_OFFSET,
} from '../frame/layout.js';
import { encodePayload, parseOpen, parseSubscribe, parseSubjectOnly } from '../frame/payloads.js';
import { patternFault, subjectFault } from '../frame/subject.js';
import type { ShardContext } from './context.js';
import type { Handshakes } from './handshakes.js';
import * as layout from './layout.js';
import type { Lifecycle } from './lifecycle.js';
import type { ConnectionRef, PendingRequest } from './messages.js';
import { permits, permitsPattern } from './permissions.js';
import { PLACE_BUSY, PLACE_FULL, type StreamEntry, type Subscriptions } from './subscriptions.js';

const PING_BYTES_MAX = 64;

/** What a client whose HELLO is still due may send before it. */
function isPrelude(type: number): boolean {
  return type === codes.TYPE_PING || type === codes.TYPE_PONG;
}

export class Requests {
  readonly #context: ShardContext;
  readonly #lifecycle: Lifecycle;
  readonly #subscriptions: Subscriptions;
  readonly #handshakes: Handshakes;
  /** Streams that control has told this shard of, by subject; streams live as long as the broker. */
  readonly #streams = new Map<string, number>();
  readonly #pending = new Map<number, PendingRequest>();
  /** Subscriptions whose place was just being written: the streams that are still to be tried. */
  readonly #busy = new Map<number, readonly number[]>();

  constructor(
    context: ShardContext,
    lifecycle: Lifecycle,
    subscriptions: Subscriptions,
    handshakes: Handshakes,
  ) {
    this.#context = context;
    this.#handshakes = handshakes;
    this.#lifecycle = lifecycle;
    this.#subscriptions = subscriptions;
  }

  /** Handles the whole, checked control frame at `at`. */
  handle(slot: number, at: number): void {
    const context = this.#context;
    const type = context.bytes[at + TYPE_BYTE_OFFSET]!;
    const sequence = context.u64(at + SEQUENCE_BYTE_OFFSET);
    const payloadAt = at + FRAME_HEADER_BYTES;
    // A copy: JSON and text are parsed outside of the shared memory, which could change under the parser.
    const payload = Uint8Array.prototype.slice.call(
      context.bytes,
      payloadAt,
      payloadAt + context.u32(at + PAYLOAD_LENGTH_BYTE_OFFSET),
    );
    const isFirst = !context.has(slot, layout.FLAG_STARTED);
    if (type === codes.TYPE_HELLO) context.bytes.fill(0, payloadAt, payloadAt + payload.length);
    else if (!isPrelude(type) || !context.has(slot, layout.FLAG_STRANGER)) {
      context.raise(slot, layout.FLAG_STARTED);
    }
    this.#dispatch(slot, type, sequence, payload, isFirst);
  }

  #dispatch(
    slot: number,
    type: number,
    sequence: bigint,
    payload: Uint8Array,
    isFirst: boolean,
  ): void {
    if (type === codes.TYPE_PING) this.#ping(slot, sequence, payload);
    else if (type === codes.TYPE_PONG || type === codes.TYPE_ACK) return;
    else if (type === codes.TYPE_HELLO) this.#hello(slot, sequence, payload, isFirst);
    else if (type === codes.TYPE_PROOF) this.#handshakes.proof(slot, sequence, payload);
    else if (type === codes.TYPE_OPEN) this.#open(slot, sequence, payload);
    else if (type === codes.TYPE_SUBSCRIBE) this.#subscribe(slot, sequence, payload);
    else if (type === codes.TYPE_UNSUBSCRIBE) this.#unsubscribe(slot, sequence, payload);
    else if (type === codes.TYPE_CREDIT) this.#credit(slot, sequence, payload);
    else if (type === codes.TYPE_GOODBYE) this.#lifecycle.goodbye(slot, 'goodbye');
    else this.#refuse(slot, codes.CODE_UNEXPECTED, sequence, 'this was not asked for');
  }

  #refuse(slot: number, code: number, sequence: bigint, text: string): void {
    this.#lifecycle.error(slot, code, 0, sequence, text);
  }

  #reply(slot: number, type: number, stream: number, sequence: bigint, payload: Uint8Array): void {
    if (!this.#lifecycle.reply(slot, type, 0, stream, sequence, payload)) {
      this.#lifecycle.closeSlow(slot);
    }
  }

  #ping(slot: number, sequence: bigint, payload: Uint8Array): void {
    if (payload.length > PING_BYTES_MAX) {
      const text = `a PING has at most ${PING_BYTES_MAX} bytes`;
      this.#refuse(slot, codes.CODE_MALFORMED, sequence, text);
      return;
    }
    this.#reply(slot, codes.TYPE_PONG, 0, sequence, payload);
  }

  #hello(slot: number, sequence: bigint, payload: Uint8Array, isFirst: boolean): void {
    if (isFirst) this.#handshakes.hello(slot, sequence, payload);
    else
      this.#refuse(
        slot,
        codes.CODE_UNEXPECTED,
        sequence,
        'HELLO is the first frame, and comes once',
      );
  }

  // ---- OPEN ----

  #open(slot: number, requestId: bigint, payload: Uint8Array): void {
    const open = parseOpen(payload);
    if (!open) {
      this.#refuse(slot, codes.CODE_MALFORMED, requestId, 'OPEN is {"subject": "…"}');
      return;
    }
    const fault = subjectFault(open.subject);
    if (fault !== undefined) {
      this.#refuse(slot, codes.CODE_BAD_SUBJECT, requestId, fault);
      return;
    }
    const permissions = this.#handshakes.permissionsOf(slot);
    if (!permits(permissions.publish, open.subject)) {
      const text = `this connection may not publish on ${open.subject}`;
      this.#refuse(slot, codes.CODE_FORBIDDEN, requestId, text);
      return;
    }
    const stream = this.#streams.get(open.subject);
    if (stream !== undefined) {
      this.#opened(slot, requestId, stream);
      return;
    }
    this.#ask(slot, { kind: 'open', requestId });
    const mayCreate = permits(permissions.create, open.subject);
    const ref = this.#ref(slot);
    this.#context.control.post({ type: 'open', ref, subject: open.subject, mayCreate });
  }

  #opened(slot: number, requestId: bigint, stream: number): void {
    const { kernel, settings } = this.#context;
    const count = this.#context.get(slot, layout.CONNECTION_PUBLICATION_COUNT);
    const isKnown = kernel.findPublication(slot, stream) !== 0;
    if (!isKnown && count >= settings.publicationsMax) {
      const text = `a connection opens at most ${settings.publicationsMax} streams`;
      this.#refuse(slot, codes.CODE_LIMIT_EXCEEDED, requestId, text);
      return;
    }
    if (kernel.addPublication(slot, stream) === 0) {
      const text = 'this shard has no room for another opened stream';
      this.#refuse(slot, codes.CODE_LIMIT_EXCEEDED, requestId, text);
      return;
    }
    this.#reply(slot, codes.TYPE_OPENED, stream, requestId, this.#streamPayload(stream));
  }

  #streamPayload(stream: number): Uint8Array {
    const context = this.#context;
    return encodePayload({
      subject: context.subjectOf(stream),
      epoch: context.epochOf(stream),
      first: BigInt.asUintN(64, context.kernel.firstSequenceOf(stream)),
      next: BigInt.asUintN(64, context.kernel.nextSequenceOf(stream)),
    });
  }

  /** An unasked OPENED: before the first DATA of a stream that no list has named. */
  announce(slot: number, stream: number): boolean {
    const payload = this.#streamPayload(stream);
    return this.#lifecycle.reply(slot, codes.TYPE_OPENED, 0, stream, 0n, payload);
  }

  // ---- SUBSCRIBE, UNSUBSCRIBE, CREDIT ----

  #subscribe(slot: number, requestId: bigint, payload: Uint8Array): void {
    const wanted = parseSubscribe(payload);
    if (!wanted) {
      const text = 'SUBSCRIBE is {"subject": "…", "from": …, "credit": …}';
      this.#refuse(slot, codes.CODE_MALFORMED, requestId, text);
      return;
    }
    const fault = patternFault(wanted.subject);
    if (fault !== undefined) {
      this.#refuse(slot, codes.CODE_BAD_SUBJECT, requestId, fault);
      return;
    }
    if (!permitsPattern(this.#handshakes.permissionsOf(slot).subscribe, wanted.subject)) {
      const text = `this connection may not subscribe to ${wanted.subject}`;
      this.#refuse(slot, codes.CODE_FORBIDDEN, requestId, text);
      return;
    }
    if (wanted.group !== undefined) {
      this.#refuse(slot, codes.CODE_MALFORMED, requestId, 'this broker knows no groups yet');
      return;
    }
    if (this.#subscriptions.find(slot, wanted.subject)) {
      const text = `this connection has subscribed to ${wanted.subject} already`;
      this.#refuse(slot, codes.CODE_ALREADY_SUBSCRIBED, requestId, text);
      return;
    }
    const max = this.#context.settings.subscriptionsMax;
    if (this.#subscriptions.count(slot) >= max) {
      const text = `a connection has at most ${max} subscriptions`;
      this.#refuse(slot, codes.CODE_LIMIT_EXCEEDED, requestId, text);
      return;
    }
    const { subject: pattern, from, credit } = wanted;
    this.#ask(slot, { kind: 'subscribe', requestId, pattern, from, credit });
    this.#context.control.post({ type: 'subscribe', ref: this.#ref(slot), pattern });
  }

  #unsubscribe(slot: number, requestId: bigint, payload: Uint8Array): void {
    const subject = parseSubjectOnly(payload)?.subject;
    const subscription =
      subject === undefined ? undefined : this.#subscriptions.find(slot, subject);
    if (!subscription) {
      const text = 'UNSUBSCRIBE is {"subject": "…"}, as it was subscribed on this connection';
      this.#refuse(slot, codes.CODE_MALFORMED, requestId, text);
      return;
    }
    if (!this.#subscriptions.remove(subscription)) {
      this.#lifecycle.closeNow(slot);
      return;
    }
    const answer = encodePayload({ subject: subscription.pattern });
    this.#reply(slot, codes.TYPE_UNSUBSCRIBED, 0, requestId, answer);
  }

  #credit(slot: number, frames: bigint, payload: Uint8Array): void {
    const subject = parseSubjectOnly(payload)?.subject;
    const subscription =
      subject === undefined ? undefined : this.#subscriptions.find(slot, subject);
    if (!subscription) {
      const text = 'CREDIT is {"subject": "…"}, as it was subscribed on this connection';
      this.#refuse(slot, codes.CODE_MALFORMED, frames, text);
      return;
    }
    this.#subscriptions.grant(subscription, frames);
  }

  // ---- What is asked of control ----

  #ref(slot: number): ConnectionRef {
    return { slot, generation: this.#context.shared.generation(slot) };
  }

  #ask(slot: number, request: PendingRequest): void {
    this.#context.raise(slot, layout.FLAG_HELD_BY_CONTROL);
    this.#pending.set(slot, request);
  }

  /** The request that an answer of control is for, if its connection still lives. */
  #take(ref: ConnectionRef): PendingRequest | undefined {
    const { shared } = this.#context;
    if (shared.fd(ref.slot) < 0 || shared.generation(ref.slot) !== ref.generation) return undefined;
    const request = this.#pending.get(ref.slot);
    this.#pending.delete(ref.slot);
    return request;
  }

  /** Control has made (or known) the stream. True: the connection is free to go on. */
  streamOpened(ref: ConnectionRef, subject: string, stream: number): boolean {
    this.#streams.set(subject, stream);
    const request = this.#take(ref);
    if (request?.kind !== 'open') return false;
    this.#context.lower(ref.slot, layout.FLAG_HELD_BY_CONTROL);
    this.#opened(ref.slot, request.requestId, stream);
    return true;
  }

  requestRefused(ref: ConnectionRef, code: number, text: string): boolean {
    const request = this.#take(ref);
    if (!request) return false;
    this.#context.lower(ref.slot, layout.FLAG_HELD_BY_CONTROL);
    this.#refuse(ref.slot, code, request.requestId, text);
    return true;
  }

  /** Control has registered the pattern. True: the connection is free to go on. */
  patternRegistered(ref: ConnectionRef, pattern: string, streams: readonly number[]): boolean {
    const request = this.#take(ref);
    if (request?.kind !== 'subscribe') {
      // Whoever asked is gone: nobody wants it any more.
      this.#context.control.post({ type: 'unsubscribe', pattern });
      return false;
    }
    const { slot } = ref;
    if (!this.#subscriptions.add(slot, pattern, request.credit)) {
      this.#context.control.post({ type: 'unsubscribe', pattern });
      this.#context.lower(slot, layout.FLAG_HELD_BY_CONTROL);
      const text = 'this shard has no room for another subscription';
      this.#refuse(slot, codes.CODE_LIMIT_EXCEEDED, request.requestId, text);
      return true;
    }
    this.#pending.set(slot, request);
    this.#busy.set(
      slot,
      streams.filter((stream) => this.#mayGet(slot, stream)),
    );
    return this.placeBusy(slot);
  }

  /** Of what a wildcard covers, a connection gets what it may subscribe to. */
  #mayGet(slot: number, stream: number): boolean {
    const { subscribe } = this.#handshakes.permissionsOf(slot);
    return permits(subscribe, this.#context.subjectOf(stream));
  }

  /** Connections whose subscription waits for a place that was just being written. */
  get busySlots(): Iterable<number> {
    return this.#busy.keys();
  }

  /** Places what is still to be placed. True: SUBSCRIBED is queued, and the connection free to go on. */
  placeBusy(slot: number): boolean {
    const request = this.#pending.get(slot);
    const streams = this.#busy.get(slot);
    if (request?.kind !== 'subscribe' || !streams) return false;
    const subscription = this.#subscriptions.find(slot, request.pattern)!;
    const entries: StreamEntry[] = [];
    for (const [index, stream] of streams.entries()) {
      const placed = this.#subscriptions.place(
        subscription,
        stream,
        request.from,
        subscription.isWildcard,
      );
      if (placed === PLACE_BUSY) {
        this.#busy.set(slot, streams.slice(index));
        return false;
      }
      if (placed === PLACE_FULL) {
        this.#settled(slot);
        this.#subscriptions.remove(subscription);
        const text = 'this shard has no cursor left for what the pattern covers';
        this.#refuse(slot, codes.CODE_LIMIT_EXCEEDED, request.requestId, text);
        return true;
      }
      entries.push(placed);
    }
    this.#settled(slot);
    const payload = encodePayload({
      subject: request.pattern,
      streams: subscription.isWildcard ? [] : entries,
    });
    this.#reply(slot, codes.TYPE_SUBSCRIBED, 0, request.requestId, payload);
    return true;
  }

  #settled(slot: number): void {
    this.#pending.delete(slot);
    this.#busy.delete(slot);
    this.#context.lower(slot, layout.FLAG_HELD_BY_CONTROL);
  }

  forget(slot: number): void {
    this.#pending.delete(slot);
    this.#busy.delete(slot);
  }
}
