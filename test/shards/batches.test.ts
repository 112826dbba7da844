import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { expect, onTestFinished, test } from 'vitest';
import { ANSWERED_TOGETHER, ASKED_TOGETHER, Inbox, Outbox } from '../../src/shards/batches.js';
import type { ShardMessage } from '../../src/shards/messages.js';

function subscribe(pattern: string): ShardMessage {
  return { type: 'subscribe', ref: { slot: 1, generation: 1 }, pattern };
}

const READY: ShardMessage = { type: 'ready', threadId: 7 };

class Counted {
  posts = 0;
  readonly #port: MessagePort;

  constructor(port: MessagePort) {
    this.#port = port;
  }

  postMessage(message: unknown): void {
    this.posts++;
    this.#port.postMessage(message);
  }
}

function ends(): { port: Counted; outbox: Outbox<ShardMessage>; inbox: Inbox<ShardMessage> } {
  const { port1, port2 } = new MessageChannel();
  onTestFinished(() => port1.close());
  const port = new Counted(port1);
  return { port, outbox: new Outbox(port, ASKED_TOGETHER), inbox: new Inbox(port2) };
}

function takeAll(inbox: Inbox<ShardMessage>): ShardMessage[] {
  const all: ShardMessage[] = [];
  for (let message = inbox.take(); message; message = inbox.take()) all.push(message);
  return all;
}

test('what is asked often waits for the flush, and goes as one', () => {
  const { port, outbox, inbox } = ends();
  const asked = [subscribe('a'), subscribe('b'), subscribe('c')];
  expect(asked.map((message) => outbox.post(message))).toEqual([false, false, false]);
  expect(inbox.take()).toBeUndefined();
  expect([outbox.flush(), outbox.flush(), port.posts]).toEqual([true, false, 1]);
  expect(takeAll(inbox)).toEqual(asked);
});

test('anything else goes at once, behind what was waiting', () => {
  const { port, outbox, inbox } = ends();
  outbox.post(subscribe('a'));
  expect([outbox.post(READY), port.posts]).toEqual([true, 1]);
  outbox.post(subscribe('b'));
  outbox.flush();
  expect(takeAll(inbox)).toEqual([subscribe('a'), READY, subscribe('b')]);
});

test('an empty inbox is asked again, and finds what came later', () => {
  const { outbox, inbox } = ends();
  for (const pattern of ['a', 'b']) {
    expect([inbox.take(), inbox.take()]).toEqual([undefined, undefined]);
    outbox.post(subscribe(pattern));
    outbox.flush();
    expect(takeAll(inbox)).toEqual([subscribe(pattern)]);
  }
});

test('a secret does not wait: whoever posts it wipes it at once', () => {
  expect(ASKED_TOGETHER.has('authenticate')).toBe(false);
  expect(ANSWERED_TOGETHER.has('authenticated')).toBe(false);
  const { outbox, inbox } = ends();
  const digest = new Uint8Array([1, 2, 3]);
  const request = { method: 'token' as const, address: '', digest };
  outbox.post({ type: 'authenticate', ref: { slot: 1, generation: 1 }, request });
  digest.fill(0);
  expect(inbox.take()).toMatchObject({ request: { digest: new Uint8Array([1, 2, 3]) } });
});
