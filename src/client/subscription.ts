/**
 * One subscription as its consumer has it: an async iterable of messages over a queue that outlives
 * connections. What it is on the wire is the business of `subscribing.ts`.
 */
import { EventEmitter } from 'node:events';
import type { MemoryStreamerError } from '../errors.js';
import type { From } from '../frame/payloads.js';

/** A frame of a stream; all of it belongs to the receiver. */
export interface Message {
  /** The stream's own subject, also under a wildcard. */
  readonly subject: string;
  /** The stream's id on this connection's broker. */
  readonly stream: number;
  /** 1, 2, 3 … in the stream; begins again with the stream's next life. */
  readonly sequence: bigint;
  /** The broker's clock when the frame arrived, in ns since the Unix epoch. */
  readonly timestamp: bigint;
  /** 0 to 65,496 bytes, as they were published. */
  readonly payload: Uint8Array;
}

/** Frames `from` … `to`, both included, that this subscriber will not get. */
export interface Gap {
  /** The stream's own subject. */
  readonly subject: string;
  /** The stream's id on this broker. */
  readonly stream: number;
  /** Sequence of the first frame that is missing. */
  readonly from: bigint;
  /** Sequence of the last one; the next message's is one more. */
  readonly to: bigint;
}

/** The stream began another life (or lost what was asked for), and is read from its oldest frame. */
export interface Reset {
  /** The stream's own subject. */
  readonly subject: string;
  /** The stream's id in its new life. */
  readonly stream: number;
}

/** Where a subscription begins, and what limits it. */
export interface SubscribeOptions {
  /** Where to begin: `"new"` by default. `{time}` in ns since the Unix epoch. */
  from?: From;
  /** At most so many frames are on their way or wait for the consumer, per stream subscription: 1 or more. Without it the socket is what holds the broker back. */
  credit?: number;
  /** Ends the subscription, and the iteration with it. */
  signal?: AbortSignal;
}

/** What a subscription emits, each with the values that its listeners get. */
export interface SubscriptionEvents {
  /** Some frames will not come: they were no longer kept, or the consumer was too far behind. */
  gap: [Gap];
  /** The stream is read from the beginning of another life. */
  reset: [Reset];
}

/** What the queue counts for a message, over its payload. */
export const MESSAGE_OVERHEAD_BYTES = 64;

/** @internal What a subscription tells the client that made it. */
export interface SubscriptionOwner {
  /** Messages were taken from the queue. */
  consumed(subscription: Subscription, messages: readonly Message[]): void;
  /** The consumer wants no more; resolves once the broker knows, or need not. */
  unsubscribe(subscription: Subscription): Promise<void>;
}

type Waiter = (result: IteratorResult<Message[], undefined>) => void;

/**
 * An async iterable of messages, made by `client.subscribe`. It lives on over reconnects and goes on where it stood.
 * The iteration throws a MemoryStreamerError where the broker refuses the subscription or the client ends by a fault.
 */
export class Subscription
  extends EventEmitter<SubscriptionEvents>
  implements AsyncIterable<Message>
{
  /** As subscribed, wildcards included. */
  readonly subject: string;
  /** Where it began, or was asked to. */
  readonly from: From;
  /** Frames under way at most; undefined: no limit but the socket's. */
  readonly credit: number | undefined;
  /** The broker has taken the subscription (SUBSCRIBED), or has refused it. Unhandled, a refusal is told by the iteration. */
  readonly ready: Promise<void>;
  readonly #owner: SubscriptionOwner;
  #settleReady: (error?: Error) => void = () => undefined;
  #queue: Message[] = [];
  #queuedBytes = 0;
  #waiters: { resolve: Waiter; reject: (error: Error) => void }[] = [];
  #ended = false;
  #error: MemoryStreamerError | undefined;

  /** @internal Made by `client.subscribe`. */
  constructor(subject: string, options: SubscribeOptions, owner: SubscriptionOwner) {
    super();
    this.subject = subject;
    this.from = options.from ?? 'new';
    this.credit = options.credit;
    this.#owner = owner;
    this.ready = new Promise((resolve, reject) => {
      this.#settleReady = (error) => {
        if (error === undefined) resolve();
        else reject(error);
      };
    });
    this.ready.catch(() => undefined);
  }

  /** Payload bytes that wait for the consumer, and MESSAGE_OVERHEAD_BYTES for each message. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** Ends it: no message comes after those that wait already. */
  async unsubscribe(): Promise<void> {
    await this.#owner.unsubscribe(this);
  }

  /** Messages one by one. Leaving the loop ends the subscription; the loop throws where the client was lost. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Message, void, undefined> {
    for await (const batch of this.batches()) {
      for (const message of batch) yield message;
    }
  }

  /** The same messages, as many at once as have come: the faster way for bulk use. */
  batches(): AsyncGenerator<Message[], void, undefined> {
    return this.#batches();
  }

  async *#batches(): AsyncGenerator<Message[], void, undefined> {
    try {
      for (;;) {
        const { value, done } = await this.#next();
        if (done === true) return;
        yield value;
        // Only now: what the consumer still works on keeps counting against credit and buffer.
        this.#account(value);
      }
    } finally {
      await this.#owner.unsubscribe(this);
    }
  }

  #next(): Promise<IteratorResult<Message[], undefined>> {
    if (this.#queue.length > 0) {
      const value = this.#queue;
      this.#queue = [];
      return Promise.resolve({ value, done: false });
    }
    if (this.#error !== undefined) return Promise.reject(this.#error);
    if (this.#ended) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  #account(messages: readonly Message[]): void {
    for (const { payload } of messages) {
      this.#queuedBytes -= payload.length + MESSAGE_OVERHEAD_BYTES;
    }
    this.#owner.consumed(this, messages);
  }

  /** @internal A message has come. The consumer is woken by `deliver`, once a batch. */
  push(message: Message): void {
    if (this.#ended) return;
    this.#queue.push(message);
    this.#queuedBytes += message.payload.length + MESSAGE_OVERHEAD_BYTES;
  }

  /** @internal Gives what has come to a consumer that waits for it. */
  deliver(): void {
    if (this.#queue.length === 0) return;
    const waiter = this.#waiters.shift();
    if (waiter === undefined) return;
    const value = this.#queue;
    this.#queue = [];
    waiter.resolve({ value, done: false });
  }

  /** @internal SUBSCRIBED is in. */
  subscribed(): void {
    this.#settleReady();
  }

  /** @internal No message comes any more; with an error the iteration throws it after what has come. */
  end(error?: MemoryStreamerError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    this.#settleReady(error);
    this.deliver();
    for (const { resolve, reject } of this.#waiters.splice(0)) {
      if (error === undefined) resolve({ value: undefined, done: true });
      else reject(error);
    }
  }
}
