/**
 * The client: one connection at a time, and what outlives it. Publications and subscriptions go on over
 * a lost connection until the client is closed.
 *
 *   connecting ──> connected <──> waiting (reconnect) ──> closed
 *        └──────────────┴── close, drain, no reconnect ──────^
 */
import { EventEmitter } from 'node:events';
import { MemoryStreamerError } from '../errors.js';
import type { FrameDecoder } from '../frame/codec.js';
import {
  TYPE_ACK,
  TYPE_DATA,
  TYPE_ERROR,
  TYPE_GAP,
  TYPE_GOODBYE,
  TYPE_OPENED,
  TYPE_PING,
} from '../frame/codes.js';
import { typeName } from '../frame/names.js';
import type { Opened, Welcome } from '../frame/payloads.js';
import { patternFault, subjectFault } from '../frame/subject.js';
import { DEFAULT_URL, reconnectDelayMs, settingsOf } from './options.js';
import type { ConnectOptions, Settings } from './options.js';
import {
  Publication,
  type Published,
  type PublishingContext,
  type Settled,
} from './publication.js';
import { Publisher, checkPayloadBytes, type PublisherOwner } from './publisher.js';
import { Subscribing } from './subscribing.js';
import { Subscription } from './subscription.js';
import type { Gap, Message, Reset, SubscribeOptions, SubscriptionOwner } from './subscription.js';
import { Transport, TransportMemory, refusal } from './transport.js';

/** What a client emits, each with the values that its listeners get. */
export interface ClientEvents {
  /** WELCOME is in, for the first time or again. */
  connected: [{ server: string; connection: string }];
  /** The connection was lost; `error` says why. With `reconnect` another one is tried. */
  lost: [error: MemoryStreamerError];
  /** A subscription of this client will not get some frames; the subscription emits it too. */
  gap: [Gap];
  /** A stream is read from its beginning again; the subscription emits it too. */
  reset: [Reset];
  /** What no call can be told: an ERROR for a frame without ACK, or the loss that ends the client. Never thrown. */
  error: [error: MemoryStreamerError];
}

/** How one frame is published. */
export interface PublishOptions {
  /** Wait until the frame is in the stream's log. Default false: wait until the client has taken it. */
  ack?: boolean;
}

/** Refusals that another attempt does not cure. */
const FINAL_REFUSALS = new Set(['UNSUPPORTED_VERSION', 'AUTH_REQUIRED', 'AUTH_FAILED']);

function isFinal({ code, protocolCode = '' }: MemoryStreamerError): boolean {
  return code === 'MS_ERR_UNTRUSTED' || FINAL_REFUSALS.has(protocolCode);
}

/**
 * Connects to the broker at `url` (`ms://host:port`). Rejects with MS_ERR_UNREACHABLE, MS_ERR_REFUSED or
 * MS_ERR_PROTOCOL: the first connection is tried once.
 */
export async function connect(
  url: string = DEFAULT_URL,
  options: ConnectOptions = {},
): Promise<Client> {
  const client = new Client(settingsOf(url, options));
  await client.connectFirst(options.signal);
  return client;
}

/**
 * One connection to a broker, made again when it is lost: publishes, and subscribes. Made by `connect`.
 * Calls after `close` or `drain` throw or reject with MS_ERR_CLOSED.
 */
export class Client extends EventEmitter<ClientEvents> {
  readonly #settings: Settings;
  readonly #memory: TransportMemory;
  readonly #publications = new Map<string, Publication>();
  /** By the present connection's stream ids. */
  readonly #publicationByStream = new Map<number, Publication>();
  readonly #subscribing: Subscribing;
  /** Subscriptions whose consumers lag; while there are any, the socket may stand still. */
  readonly #lagging = new Set<Subscription>();
  readonly #idleWaiters: (() => void)[] = [];
  readonly #closedWaiters: (() => void)[] = [];
  #transport: Transport | undefined;
  #connectedFirst: ((error?: MemoryStreamerError) => void) | undefined;
  #cancelReconnect: () => void = () => undefined;
  #attempt = 0;
  /** ACK, ERROR or OPENED was in this batch: something may be sent, or be settled. */
  #publishingMoved = false;
  #draining = false;
  /** The next loss of the connection is the end, for this reason or, with undefined, as wanted. */
  #closing = false;
  #closed = false;
  #closedBy: MemoryStreamerError | undefined;

  /** @internal Made by `connect`. */
  constructor(settings: Settings) {
    super();
    this.#settings = settings;
    this.#memory = new TransportMemory(settings.sendBufferBytes);
    this.#context = {
      unackedBytesMax: settings.unackedBytesMax,
      resend: settings.reconnect !== false,
      heldBytes: 0,
      opened: (stream, opened, publication) => this.#opened(stream, opened, publication),
      refused: (publication) => {
        this.#publications.delete(publication.subject);
        this.#publishingMoved = true;
      },
    };
    this.#subscribing = new Subscribing({
      gap: (subscription, gap) => {
        subscription.emit('gap', gap);
        this.emit('gap', gap);
      },
      reset: (subscription, reset) => {
        subscription.emit('reset', reset);
        this.emit('reset', reset);
      },
      wallMs: () => settings.clock.wallMs(),
    });
  }

  readonly #context: PublishingContext;

  readonly #publisherOwner: PublisherOwner = {
    checkOpen: () => this.#checkOpen(),
    publicationOf: (subject) => this.#publicationOf(subject),
    given: () => this.#updatePause(),
  };

  readonly #subscriptionOwner: SubscriptionOwner = {
    consumed: (subscription, messages) => this.#consumed(subscription, messages),
    unsubscribe: (subscription) => this.#unsubscribe(subscription),
  };

  /** Whether a connection is there now. */
  get connected(): boolean {
    return this.#transport?.live === true;
  }

  /** @internal */
  async connectFirst(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    const aborted = () => {
      this.#transport?.fail(new MemoryStreamerError('MS_ERR_CLOSED', 'connecting was aborted'));
    };
    signal?.addEventListener('abort', aborted, { once: true });
    try {
      await new Promise<void>((resolve, reject) => {
        this.#connectedFirst = (error) => {
          if (error === undefined) resolve();
          else reject(error);
        };
        this.#connect();
      });
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    } finally {
      signal?.removeEventListener('abort', aborted);
    }
  }

  #connect(): void {
    this.#transport = new Transport(this.#settings, this.#memory, {
      live: (welcome) => this.#live(welcome),
      frame: (frame) => this.#frame(frame),
      batch: () => this.#batch(),
      room: () => this.#pump(),
      leaving: () => undefined,
      lost: (error) => this.#lost(error),
    });
  }

  #live({ server, connection }: Welcome): void {
    const transport = this.#transport!;
    this.#attempt = 0;
    for (const publication of this.#publications.values()) publication.attach(transport);
    this.#subscribing.attach(transport);
    this.#connectedFirst?.();
    this.#connectedFirst = undefined;
    this.emit('connected', { server, connection });
  }

  #lost(reason: MemoryStreamerError): void {
    this.#transport = undefined;
    this.#publicationByStream.clear();
    this.#subscribing.detach();
    if (this.#connectedFirst !== undefined) {
      this.#connectedFirst(reason);
      this.#closed = true;
      return;
    }
    if (this.#closing) {
      this.#finish(undefined);
      return;
    }
    const error = asLoss(reason);
    for (const publication of this.#publications.values()) publication.detach();
    this.emit('lost', error);
    const { reconnect, clock, random } = this.#settings;
    const final = isFinal(error);
    if (reconnect === false || final || this.#attempt >= reconnect.attemptsMax) {
      this.#finish(error);
      return;
    }
    this.#attempt++;
    const delayMs = reconnectDelayMs(reconnect, this.#attempt, random);
    this.#cancelReconnect = clock.schedule(() => this.#connect(), delayMs);
  }

  /** The end: what waits is told, and nothing starts any more. */
  #finish(error: MemoryStreamerError | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#closedBy = error;
    const why = error ?? new MemoryStreamerError('MS_ERR_CLOSED', 'the client was closed');
    for (const publication of this.#publications.values()) publication.abandon(why);
    this.#publications.clear();
    this.#subscribing.endAll(error);
    this.#lagging.clear();
    for (const told of [...this.#idleWaiters.splice(0), ...this.#closedWaiters.splice(0)]) told();
    if (error !== undefined) this.#tell(error);
  }

  /** An `error` event without a listener would be thrown: nobody asked for it. */
  #tell(error: MemoryStreamerError): void {
    if (this.listenerCount('error') > 0) this.emit('error', error);
  }

  #frame(frame: FrameDecoder): void {
    switch (frame.type) {
      case TYPE_DATA:
        if (!this.#subscribing.data(frame)) this.#broken(frame);
        break;
      case TYPE_ACK:
        this.#ack(frame);
        break;
      case TYPE_GAP:
        if (frame.damaged || !this.#subscribing.gapFrame(frame)) this.#broken(frame);
        break;
      case TYPE_OPENED:
        if (frame.damaged || !this.#subscribing.openedFrame(frame)) this.#broken(frame);
        break;
      case TYPE_ERROR:
        this.#refused(frame);
        break;
      default:
        this.#broken(frame);
    }
  }

  #broken(frame: FrameDecoder): void {
    const what = `${typeName(frame.type)} of stream ${frame.stream}`;
    const text = `${this.#settings.url} broke the protocol: ${what} does not fit here`;
    this.#transport?.fail(new MemoryStreamerError('MS_ERR_PROTOCOL', text));
  }

  #ack(frame: FrameDecoder): void {
    const sequence = frame.damaged ? undefined : frame.payloadU64();
    const publication = this.#publicationByStream.get(frame.stream);
    if (sequence === undefined || publication === undefined) {
      this.#broken(frame);
      return;
    }
    publication.acked(frame.sequenceNumber, sequence);
    this.#publishingMoved = true;
  }

  #refused(frame: FrameDecoder): void {
    const error = refusal(frame);
    const publication = this.#publicationByStream.get(frame.stream);
    this.#publishingMoved = true;
    if (publication?.refused(frame.sequenceNumber, error) !== true) this.#tell(error);
  }

  #opened(stream: number, opened: Opened, publication: Publication): void {
    this.#publicationByStream.set(stream, publication);
    this.#publishingMoved = true;
    this.#subscribing.opened(stream, opened);
  }

  /** After the frames of one read. */
  #batch(): void {
    this.#subscribing.batch();
    for (const subscription of this.#subscribing.subscriptions) {
      if (subscription.queuedBytes > this.#settings.receiveBufferBytes) {
        this.#lagging.add(subscription);
      }
    }
    if (this.#publishingMoved) {
      this.#publishingMoved = false;
      this.#pump();
    }
    this.#updatePause();
  }

  #pump(): void {
    for (const publication of this.#publications.values()) publication.pump();
    this.#checkIdle();
  }

  #checkIdle(): void {
    if (this.#idleWaiters.length === 0 || !this.#publishingIdle()) return;
    for (const told of this.#idleWaiters.splice(0)) told();
  }

  #publishingIdle(): boolean {
    for (const publication of this.#publications.values()) if (!publication.idle) return false;
    return true;
  }

  /**
   * The socket stands still while a consumer lags, but not while anybody waits for the broker: a consumer
   * that awaits its own publishing, or an answer, would wait for ever. What comes meanwhile is queued;
   * `credit` limits it.
   */
  #updatePause(): void {
    const transport = this.#transport;
    if (transport === undefined) return;
    const still = this.#lagging.size > 0 && transport.requestCount === 0 && this.#publishingIdle();
    transport.setPaused(still);
  }

  #consumed(subscription: Subscription, messages: readonly Message[]): void {
    this.#subscribing.consumed(subscription, messages);
    if (subscription.queuedBytes * 2 > this.#settings.receiveBufferBytes) return;
    if (this.#lagging.delete(subscription)) this.#updatePause();
  }

  #checkOpen(): void {
    if (!this.#draining && !this.#closing && !this.#closed) return;
    throw new MemoryStreamerError(
      'MS_ERR_CLOSED',
      'the client is closed',
      this.#closedBy && { cause: this.#closedBy },
    );
  }

  #publicationOf(subject: string): Publication {
    const known = this.#publications.get(subject);
    if (known !== undefined) return known;
    const fault = subjectFault(subject);
    if (fault !== undefined) throw subjectError(subject, fault);
    const publication = new Publication(subject, this.#context);
    this.#publications.set(subject, publication);
    if (this.#transport?.live === true) publication.attach(this.#transport);
    return publication;
  }

  /**
   * Asks the broker for a sign of life; resolves to the round trip in ms. Rejects with MS_ERR_TIMEOUT after
   * `timeoutMs` (default 5,000), MS_ERR_CONNECTION_LOST (also where no connection is there now), MS_ERR_REFUSED
   * and MS_ERR_CLOSED.
   */
  async ping({ timeoutMs = 5000 }: { timeoutMs?: number } = {}): Promise<number> {
    this.#checkOpen();
    const { clock, url } = this.#settings;
    const transport = this.#transport;
    if (transport?.live !== true) {
      throw new MemoryStreamerError('MS_ERR_CONNECTION_LOST', `${url}: there is no connection now`);
    }
    const sentMs = clock.monotonicMs();
    return new Promise((resolve, reject) => {
      const cancel = clock.schedule(() => {
        const text = `${url} did not answer a PING within ${timeoutMs} ms`;
        reject(new MemoryStreamerError('MS_ERR_TIMEOUT', text));
      }, timeoutMs);
      transport.request(TYPE_PING, {}, (_frame, error) => {
        cancel();
        if (error === undefined) resolve(clock.monotonicMs() - sentMs);
        else reject(error);
        this.#updatePause();
      });
      this.#updatePause();
    });
  }

  /**
   * Publishes one frame and resolves once it is in the stream's log. `payload` (at most 65,496 bytes; a string is sent
   * as UTF-8) is left alone until the promise settles. A frame whose connection is lost is sent again on the next
   * one: where only the ACK was lost it is then in the stream twice. Rejects with MS_ERR_SUBJECT,
   * MS_ERR_FRAME_TOO_LARGE, MS_ERR_REFUSED (`protocolCode` says why), MS_ERR_CONNECTION_LOST (without
   * `reconnect`) and MS_ERR_CLOSED.
   */
  publish(
    subject: string,
    payload: Uint8Array | string,
    options: PublishOptions & { ack: true },
  ): Promise<Published>;
  /**
   * Publishes one frame and resolves once the client has taken it, with undefined: it waits while the client's buffer
   * is full or no connection is there. What was under way with a connection that is lost may be lost. Rejects as above.
   */
  publish(
    subject: string,
    payload: Uint8Array | string,
    options?: PublishOptions,
  ): Promise<Published | undefined>;
  async publish(
    subject: string,
    payload: Uint8Array | string,
    { ack = false }: PublishOptions = {},
  ): Promise<Published | undefined> {
    this.#checkOpen();
    const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
    checkPayloadBytes(bytes.length);
    const publication = this.#publicationOf(subject);
    return new Promise((resolve, reject) => {
      const settled: Settled = (_frameCount, published, error) => {
        if (error !== undefined) reject(error);
        else resolve(published);
      };
      const accepted = (error?: MemoryStreamerError) => {
        if (error !== undefined || !ack) settled(1, undefined, error);
      };
      const frame = {
        source: bytes,
        start: 0,
        end: bytes.length,
        settled: ack ? settled : undefined,
      };
      if (publication.offer(bytes, 0, bytes.length, frame.settled)) accepted();
      else publication.wait({ ...frame, accepted });
      this.#updatePause();
    });
  }

  /** For many frames on one subject. Resolves once the broker has opened it; rejects as `publish` does. */
  async publisher(subject: string): Promise<Publisher> {
    this.#checkOpen();
    const publication = this.#publicationOf(subject);
    this.#updatePause();
    await new Promise<void>((resolve, reject) => {
      publication.whenOpen((error) => {
        if (error === undefined) resolve();
        else reject(error);
      });
    });
    return new Publisher(subject, this.#publisherOwner);
  }

  /**
   * Subscribes to a subject, which may hold the wildcards `*` and `>`. The subscription is an async
   * iterable of messages; what comes waits for its consumer. A stream that several subscriptions of one
   * client match comes to the earliest of them only. Throws MS_ERR_SUBJECT and MS_ERR_CLOSED; `ready`, and
   * the iteration, reject with what the broker refuses.
   */
  subscribe(subject: string, options: SubscribeOptions = {}): Subscription {
    this.#checkOpen();
    const fault = patternFault(subject);
    if (fault !== undefined) throw subjectError(subject, fault);
    const { credit, signal } = options;
    if (credit !== undefined && !(Number.isSafeInteger(credit) && credit > 0)) {
      throw new RangeError(`a credit of ${credit}: a whole number from 1 is wanted`);
    }
    const subscription = new Subscription(subject, options, this.#subscriptionOwner);
    if (signal?.aborted === true) {
      subscription.end();
      return subscription;
    }
    signal?.addEventListener('abort', () => void subscription.unsubscribe(), { once: true });
    this.#subscribing.add(subscription);
    this.#updatePause();
    return subscription;
  }

  async #unsubscribe(subscription: Subscription): Promise<void> {
    subscription.end();
    this.#lagging.delete(subscription);
    const removed = this.#subscribing.remove(subscription);
    this.#updatePause();
    await removed;
  }

  /**
   * Ends in order: takes nothing new, waits until all that was published is sent and acknowledged, ends
   * the subscriptions, and says GOODBYE. Rejects where the connection is lost for good meanwhile.
   */
  async drain(): Promise<void> {
    if (this.#closed) return;
    this.#draining = true;
    this.#updatePause();
    if (!this.#publishingIdle()) {
      await new Promise<void>((resolve) => this.#idleWaiters.push(resolve));
    }
    const subscriptions = [...this.#subscribing.subscriptions];
    await Promise.all(subscriptions.map((subscription) => this.#unsubscribe(subscription)));
    if (this.#closedBy !== undefined) throw this.#closedBy;
    if (this.#transport?.live !== true) {
      await this.close();
      return;
    }
    this.#closing = true;
    this.#transport.control({ type: TYPE_GOODBYE });
    const { clock, connectTimeoutMs } = this.#settings;
    const cancel = clock.schedule(() => void this.close(), connectTimeoutMs);
    await this.#untilClosed();
    cancel();
  }

  /** Ends at once: what waits is rejected with MS_ERR_CLOSED, iterations end. Never rejects. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closing = true;
    this.#cancelReconnect();
    if (this.#transport === undefined) {
      this.#finish(undefined);
      return;
    }
    this.#transport.fail(new MemoryStreamerError('MS_ERR_CLOSED', 'the client was closed'));
    await this.#untilClosed();
  }

  async #untilClosed(): Promise<void> {
    if (this.#closed) return;
    await new Promise<void>((resolve) => this.#closedWaiters.push(resolve));
  }

  /** `await using client = await connect(…)`: drains while connected, else closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.connected) await this.drain();
    else await this.close();
  }
}

function subjectError(subject: string, fault: string): MemoryStreamerError {
  return new MemoryStreamerError('MS_ERR_SUBJECT', `${JSON.stringify(subject)}: ${fault}`);
}

/** What a lost connection means to those who wait: refused, or lost. */
/** Losses whose own code says more than that there was one. */
const KEPT_AS_THEY_ARE = new Set(['MS_ERR_REFUSED', 'MS_ERR_CONNECTION_LOST', 'MS_ERR_UNTRUSTED']);

function asLoss(reason: MemoryStreamerError): MemoryStreamerError {
  if (KEPT_AS_THEY_ARE.has(reason.code)) return reason;
  return new MemoryStreamerError('MS_ERR_CONNECTION_LOST', reason.message, { cause: reason });
}
