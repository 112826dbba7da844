import { afterEach } from 'vitest';
import { connect, type Client } from '../../src/client/client.js';
import type { ClientClock, ConnectOptions } from '../../src/client/options.js';
import type { Message, Subscription } from '../../src/client/subscription.js';
import { TestServer, type ServerOptions } from '../support/server.js';

const cleanup: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const undo of cleanup.splice(0).reverse()) await undo();
});

export async function startServer(options: ServerOptions = {}): Promise<TestServer> {
  const server = await TestServer.start(options);
  cleanup.push(() => server.close());
  return server;
}

export async function startClient(
  server: TestServer,
  options: ConnectOptions = {},
): Promise<Client> {
  const client = await connect(server.url, options);
  cleanup.push(() => client.close());
  return client;
}

/** Reconnects at once, and says when: no test waits for a delay. */
export const AT_ONCE: ConnectOptions = { reconnect: { delayMs: 0 }, random: () => 0 };

/** Time that stands still until it is moved. */
export class FakeClock implements ClientClock {
  nowMs = 1_000_000;
  #timers: { dueMs: number; run: () => void }[] = [];

  wallMs(): number {
    return this.nowMs;
  }

  monotonicMs(): number {
    return this.nowMs;
  }

  /** Delays of the timers that run now. */
  get delaysMs(): number[] {
    return this.#timers.map(({ dueMs }) => dueMs - this.nowMs);
  }

  schedule(run: () => void, delayMs: number): () => void {
    const timer = { dueMs: this.nowMs + delayMs, run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  advance(ms: number): void {
    const endMs = this.nowMs + ms;
    for (;;) {
      const [first] = this.#timers.toSorted((a, b) => a.dueMs - b.dueMs);
      if (first === undefined || first.dueMs > endMs) break;
      this.#timers = this.#timers.filter((other) => other !== first);
      this.nowMs = first.dueMs;
      first.run();
    }
    this.nowMs = endMs;
  }
}

/** The next event, as a promise. */
export function event<T>(
  emitter: { once(name: string, listener: (value: T) => void): unknown },
  name: string,
): Promise<T> {
  return new Promise((resolve) => emitter.once(name, resolve));
}

/** The next `count` messages; leaves the subscription open. */
export class Reader {
  readonly #iterator: AsyncIterator<Message, unknown>;

  constructor(subscription: Subscription) {
    this.#iterator = subscription[Symbol.asyncIterator]();
  }

  async take(count: number): Promise<Message[]> {
    const messages: Message[] = [];
    while (messages.length < count) {
      const { value, done } = await this.#iterator.next();
      if (done === true) throw new Error(`ended after ${messages.length} of ${count} messages`);
      messages.push(value);
    }
    return messages;
  }

  /** Payloads as text. */
  async texts(count: number): Promise<string[]> {
    return (await this.take(count)).map(text);
  }

  async rest(): Promise<Message[]> {
    const messages: Message[] = [];
    for (;;) {
      const { value, done } = await this.#iterator.next();
      if (done === true) return messages;
      messages.push(value);
    }
  }
}

export const text = ({ payload }: { payload: Uint8Array }): string =>
  Buffer.from(payload).toString();

export const numbers = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, i) => String(from + i));
