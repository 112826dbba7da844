import { describe, expect, it } from 'vitest';
import {
  CODE_FORBIDDEN,
  TYPE_CREDIT,
  TYPE_PING,
  TYPE_SUBSCRIBE,
  TYPE_UNSUBSCRIBE,
} from '../../src/frame/codes.js';
import type { From } from '../../src/frame/payloads.js';
import type { TestServer } from '../support/server.js';
import {
  AT_ONCE,
  FakeClock,
  Reader,
  event,
  numbers,
  startClient,
  startServer,
  text,
} from './support.js';

function fill(server: TestServer, subject: string, from: number, to: number): void {
  for (const payload of numbers(from, to)) server.append(subject, payload, BigInt(payload));
}

const requests = (server: TestServer) =>
  server.received
    .filter(({ type }) => type === TYPE_SUBSCRIBE)
    .map(({ payload }) => JSON.parse(payload.toString()) as { subject: string; from: From });

describe('subscribe', () => {
  it('delivers subject, stream, sequence, timestamp and payload', async () => {
    const server = await startServer();
    const client = await startClient(server);
    const subscription = client.subscribe('a.b');
    await subscription.ready;
    server.append('a.b', 'hello', 1_750_000_000_123_456_789n);
    const [message] = await new Reader(subscription).take(1);
    expect(message).toEqual({
      subject: 'a.b',
      stream: 1,
      sequence: 1n,
      timestamp: 1_750_000_000_123_456_789n,
      payload: new Uint8Array(Buffer.from('hello')),
    });
  });

  it.each<{ name: string; from: From; expected: string[] }>([
    { name: 'new', from: 'new', expected: ['11'] },
    { name: 'first', from: 'first', expected: numbers(3, 11) },
    { name: 'last', from: 'last', expected: ['10', '11'] },
    { name: 'the last three', from: { last: 3n }, expected: ['8', '9', '10', '11'] },
    { name: 'a sequence', from: { sequence: 9n }, expected: ['9', '10', '11'] },
    { name: 'a time', from: { time: 10n }, expected: ['10', '11'] },
  ])('from $name', async ({ from, expected }) => {
    const server = await startServer();
    const client = await startClient(server);
    fill(server, 'a', 1, 10);
    server.retain('a', 2);
    const subscription = client.subscribe('a', { from });
    await subscription.ready;
    fill(server, 'a', 11, 11);
    expect(await new Reader(subscription).texts(expected.length)).toEqual(expected);
  });

  it('works when every byte comes alone, for empty and for largest frames', async () => {
    const server = await startServer({ pieceBytes: 1 });
    const client = await startClient(server);
    const payloads = [Buffer.alloc(0), Buffer.alloc(65_496, 'x'), Buffer.alloc(8192 + 1, 'y')];
    for (const payload of payloads) server.append('a', payload);
    const reader = new Reader(client.subscribe('a', { from: 'first' }));
    const found = await reader.take(3);
    expect(found.map(({ payload }) => Buffer.from(payload))).toEqual(payloads);
  });

  it('what a receiver was given stays as it is', async () => {
    const server = await startServer();
    const client = await startClient(server);
    const reader = new Reader(client.subscribe('a', { from: 'first' }));
    const kept = [];
    for (let round = 0; round < 20; round++) {
      fill(server, 'a', round * 1000 + 1, round * 1000 + 1000);
      kept.push(...(await reader.take(1000)));
    }
    expect(kept.map(text)).toEqual(numbers(1, 20_000));
  });

  it('a wildcard delivers many streams under their own subjects', async () => {
    const server = await startServer();
    const client = await startClient(server);
    server.append('o.eu', 'old');
    const subscription = client.subscribe('o.>');
    await subscription.ready;
    server.append('o.eu', '1');
    server.append('o.us.ny', '2');
    server.append('p', 'not ours');
    server.append('o.eu', '3');
    const found = await new Reader(subscription).take(3);
    expect(found.map((message) => [message.subject, text(message), message.sequence])).toEqual([
      ['o.eu', '1', 2n],
      ['o.us.ny', '2', 1n],
      ['o.eu', '3', 3n],
    ]);
  });

  it('a stream goes to the earliest subscription that matches, and to no other', async () => {
    const server = await startServer();
    const client = await startClient(server);
    const wide = client.subscribe('a.*');
    const narrow = client.subscribe('a.b');
    await narrow.ready;
    server.append('a.b', '1');
    expect(await new Reader(wide).texts(1)).toEqual(['1']);
    expect(narrow.queuedBytes).toBe(0);
  });

  it('refuses a second subscription with the same subject', async () => {
    const server = await startServer();
    const client = await startClient(server);
    const first = client.subscribe('a');
    const second = client.subscribe('a');
    const refused = { code: 'MS_ERR_REFUSED', protocolCode: 'ALREADY_SUBSCRIBED' };
    await expect(second.ready).rejects.toMatchObject(refused);
    await expect(new Reader(second).take(1)).rejects.toMatchObject(refused);
    server.append('a', 'still');
    expect(await new Reader(first).texts(1)).toEqual(['still']);
  });

  it('tells what the broker refuses by ready and by the iteration', async () => {
    const server = await startServer();
    const client = await startClient(server);
    server.refused.set('a', CODE_FORBIDDEN);
    const subscription = client.subscribe('a');
    await expect(new Reader(subscription).take(1)).rejects.toMatchObject({
      protocolCode: 'FORBIDDEN',
    });
  });

  it('refuses subjects and credits that cannot be', async () => {
    const server = await startServer();
    const client = await startClient(server);
    expect(() => client.subscribe('a.>.b')).toThrow(/last token/);
    expect(() => client.subscribe('a', { credit: 0 })).toThrow(RangeError);
  });
});

describe('the end of a subscription', () => {
  it('leaving the loop unsubscribes', async () => {
    const server = await startServer();
    const client = await startClient(server);
    fill(server, 'a', 1, 10);
    const left = server.next(TYPE_UNSUBSCRIBE);
    for await (const message of client.subscribe('a', { from: 'first' })) {
      if (text(message) === '3') break;
    }
    expect(JSON.parse((await left).payload.toString())).toEqual({ subject: 'a' });
    const again = client.subscribe('a', { from: 'first' });
    expect(await new Reader(again).texts(2)).toEqual(['1', '2']);
  });

  it('an abort ends the iteration after what has come', async () => {
    const server = await startServer();
    const client = await startClient(server);
    const controller = new AbortController();
    const subscription = client.subscribe('a', { signal: controller.signal });
    await subscription.ready;
    const reader = new Reader(subscription);
    server.append('a', '1');
    server.append('a', '2');
    expect(await reader.texts(1)).toEqual(['1']);
    controller.abort();
    expect((await reader.rest()).map(text)).toEqual(['2']);
    expect(await new Reader(client.subscribe('b', { signal: controller.signal })).rest()).toEqual(
      [],
    );
  });

  it('drain ends subscriptions, and what has come is still read', async () => {
    const server = await startServer();
    const client = await startClient(server);
    const subscription = client.subscribe('a', { from: 'first' });
    await subscription.ready;
    server.append('a', '1');
    // Its ACK comes behind the message.
    await client.publish('b', 'x', { ack: true });
    await client.drain();
    expect((await new Reader(subscription).rest()).map(text)).toEqual(['1']);
  });

  it('the loss that ends the client is thrown by the iteration, after what has come', async () => {
    const server = await startServer();
    const client = await startClient(server, { reconnect: false });
    const subscription = client.subscribe('a', { from: 'first' });
    await subscription.ready;
    server.append('a', '1');
    const reader = new Reader(subscription);
    expect(await reader.texts(1)).toEqual(['1']);
    server.cut();
    await expect(reader.take(1)).rejects.toMatchObject({ code: 'MS_ERR_CONNECTION_LOST' });
  });
});

describe('gaps', () => {
  it('are told by events of the subscription and of the client, and by no message', async () => {
    const server = await startServer();
    const client = await startClient(server);
    fill(server, 'a', 1, 10);
    server.retain('a', 4);
    const subscription = client.subscribe('a', { from: { sequence: 2n } });
    const told = event(subscription, 'gap');
    const toldClient = event(client, 'gap');
    expect(await new Reader(subscription).texts(6)).toEqual(numbers(5, 10));
    const gap = { subject: 'a', stream: 1, from: 2n, to: 4n };
    expect(await told).toEqual(gap);
    expect(await toldClient).toEqual(gap);
  });

  it('a subscriber that is moved on goes on behind its gap', async () => {
    const server = await startServer();
    const client = await startClient(server);
    const subscription = client.subscribe('a', { credit: 2 });
    await subscription.ready;
    fill(server, 'a', 1, 10);
    const gaps: unknown[] = [];
    subscription.on('gap', ({ from, to }) => gaps.push([from, to]));
    server.live[0]!.moveOn('a', 9n);
    expect(await new Reader(subscription).texts(4)).toEqual(['1', '2', '9', '10']);
    expect(gaps).toEqual([[3n, 8n]]);
  });

  it('a frame whose payload is damaged is a gap, and the rest comes', async () => {
    const server = await startServer();
    const client = await startClient(server);
    const subscription = client.subscribe('a');
    await subscription.ready;
    const told = event(subscription, 'gap');
    server.damageNext = true;
    fill(server, 'a', 1, 2);
    expect(await new Reader(subscription).texts(1)).toEqual(['2']);
    expect(await told).toMatchObject({ from: 1n, to: 1n });
  });

  it('a hole without a GAP is told as well', async () => {
    const server = await startServer();
    const client = await startClient(server);
    fill(server, 'a', 1, 1);
    const subscription = client.subscribe('a', { from: 'first' });
    const reader = new Reader(subscription);
    await reader.take(1);
    const told = event(subscription, 'gap');
    server.live[0]!.put({ type: 0x20, stream: 1, sequence: 5n, payload: Buffer.from('5') });
    server.live[0]!.flush();
    expect(await reader.texts(1)).toEqual(['5']);
    expect(await told).toMatchObject({ from: 2n, to: 4n });
  });
});

describe('back-pressure', () => {
  it('credit limits what is sent, and is granted again as it is consumed', async () => {
    const server = await startServer();
    const client = await startClient(server);
    fill(server, 'a', 1, 100);
    const subscription = client.subscribe('a', { from: 'first', credit: 10 });
    await subscription.ready;
    expect(server.live[0]!.sentCount).toBe(10);
    const granted = server.next(TYPE_CREDIT);
    const reader = new Reader(subscription);
    expect(await reader.texts(11)).toEqual(numbers(1, 11));
    expect((await granted).sequence).toBeGreaterThanOrEqual(5n);
    expect(await reader.texts(89)).toEqual(numbers(12, 100));
  });

  it('a lagging consumer stops the socket, PINGs go on, and reading on brings everything', async () => {
    const clock = new FakeClock();
    const server = await startServer({ heartbeatMs: 1000 });
    const client = await startClient(server, { clock, receiveBufferBytes: 100_000 });
    const payload = Buffer.alloc(60_000, 'x');
    const count = 400;
    for (let i = 0; i < count; i++) server.append('a', payload);
    const subscription = client.subscribe('a', { from: 'first' });
    await subscription.ready;
    // The socket stops in the turn of the event loop in which the queue runs over.
    while (subscription.queuedBytes <= 100_000) await new Promise(setImmediate);
    const [connection] = server.live;
    // What the sockets and the buffer hold is far less than what is to come: the server has to wait.
    expect(connection!.socket.writableLength).toBeGreaterThan(0);
    for (let i = 0; i < 8; i++) {
      const ping = server.next(TYPE_PING);
      clock.advance(500);
      await ping;
    }
    expect(client.connected).toBe(true);
    expect(subscription.queuedBytes).toBeLessThan(1_000_000);
    const found = await new Reader(subscription).take(count);
    expect(found.at(-1)?.sequence).toBe(BigInt(count));
    expect(client.connected).toBe(true);
  });

  it('a lagging consumer that publishes with ack gets its ACK', async () => {
    const server = await startServer();
    const client = await startClient(server, { receiveBufferBytes: 100_000 });
    const payload = Buffer.alloc(60_000, 'x');
    for (let i = 0; i < 100; i++) server.append('a', payload);
    let copied = 0;
    for await (const message of client.subscribe('a', { from: 'first' })) {
      await client.publish('b', message.payload, { ack: true });
      if (++copied === 100) break;
    }
    expect(server.stream('b').frames).toHaveLength(100);
  });
});

describe('reconnecting', () => {
  it('goes on after the last frame seen, in the same life', async () => {
    const server = await startServer();
    const client = await startClient(server, AT_ONCE);
    fill(server, 'a', 1, 5);
    const reader = new Reader(client.subscribe('a', { from: 'first' }));
    expect(await reader.texts(3)).toEqual(numbers(1, 3));
    const lost = event(client, 'lost');
    server.cut();
    await lost;
    fill(server, 'a', 6, 8);
    expect(await reader.texts(5)).toEqual(numbers(4, 8));
    expect(requests(server)).toEqual([
      { subject: 'a', from: 'first' },
      { subject: 'a', from: { sequence: '6', epoch: '1000' } },
    ]);
  });

  it('many times while frames come: each frame once, in order', async () => {
    const server = await startServer();
    const client = await startClient(server, AT_ONCE);
    const reader = new Reader(client.subscribe('>', { from: 'first' }));
    const gaps: unknown[] = [];
    client.on('gap', (gap) => gaps.push(gap));
    for (let round = 0; round < 10; round++) {
      fill(server, 'a', round * 100 + 1, round * 100 + 50);
      await reader.take(1);
      server.cut();
      fill(server, 'a', round * 100 + 51, round * 100 + 100);
      const found = await reader.texts(99);
      expect(found).toEqual(numbers(round * 100 + 2, round * 100 + 100));
    }
    expect(gaps).toEqual([]);
  });

  it('another life is read from its oldest frame, and told', async () => {
    const server = await startServer();
    const client = await startClient(server, AT_ONCE);
    fill(server, 'a', 1, 5);
    const subscription = client.subscribe('a', { from: 'first' });
    const reader = new Reader(subscription);
    await reader.take(5);
    const reset = event(subscription, 'reset');
    const lost = event(client, 'lost');
    server.cut();
    await lost;
    server.forget();
    fill(server, 'a', 101, 103);
    expect(await reader.texts(3)).toEqual(numbers(101, 103));
    expect(await reset).toMatchObject({ subject: 'a' });
  });

  it('another life that is born only later is told as well', async () => {
    const server = await startServer();
    const client = await startClient(server, AT_ONCE);
    const subscription = client.subscribe('a.>');
    await subscription.ready;
    const reader = new Reader(subscription);
    fill(server, 'a.b', 1, 2);
    await reader.take(2);
    let resets = 0;
    subscription.on('reset', () => resets++);
    const again = server.next(TYPE_SUBSCRIBE, 2);
    server.cut();
    server.forget();
    await again;
    fill(server, 'a.b', 1, 2);
    expect(await reader.texts(2)).toEqual(['1', '2']);
    expect(resets).toBe(1);
  });

  it('a literal subject whose stream is born while away comes from its first frame', async () => {
    const server = await startServer();
    const client = await startClient(server, AT_ONCE);
    const subscription = client.subscribe('a');
    await subscription.ready;
    const lost = event(client, 'lost');
    server.cut();
    await lost;
    fill(server, 'a', 1, 3);
    expect(await new Reader(subscription).texts(3)).toEqual(numbers(1, 3));
  });

  it('a wildcard loses nothing and repeats nothing: seen, silent, and born while away', async () => {
    const clock = new FakeClock();
    const server = await startServer();
    const client = await startClient(server, { ...AT_ONCE, clock });
    const nowNs = () => BigInt(clock.nowMs) * 1_000_000n;
    for (const subject of ['w.seen', 'w.silent']) server.append(subject, 'old', nowNs() - 1n);
    const subscription = client.subscribe('w.*');
    await subscription.ready;
    const reader = new Reader(subscription);
    server.append('w.seen', 'seen 1', nowNs());
    expect(await reader.texts(1)).toEqual(['seen 1']);
    const lost = event(client, 'lost');
    server.cut();
    await lost;
    server.append('w.seen', 'seen 2', nowNs());
    server.append('w.silent', 'silent 1', nowNs());
    server.append('w.born', 'born 1', nowNs());
    const connected = event(client, 'connected');
    clock.advance(1);
    await connected;
    const found = (await reader.texts(3)).sort();
    expect(found).toEqual(['born 1', 'seen 2', 'silent 1']);
    server.append('w.later', 'later 1', nowNs());
    server.append('w.seen', 'seen 3', nowNs());
    expect((await reader.texts(2)).sort()).toEqual(['later 1', 'seen 3']);
    expect(requests(server).slice(1)).toEqual([
      { subject: 'w.seen', from: { sequence: '3', epoch: '1000' } },
      { subject: 'w.*', from: { time: '1000000000000' } },
    ]);
  });

  it('a resumed wildcard is taken away whole, and a narrower one behind it then has its turn', async () => {
    const server = await startServer();
    const client = await startClient(server, AT_ONCE);
    const wide = client.subscribe('a.*');
    const narrow = client.subscribe('a.b');
    await narrow.ready;
    server.append('a.b', '1');
    expect(await new Reader(wide).texts(1)).toEqual(['1']);
    const again = server.next(TYPE_SUBSCRIBE, 2);
    server.cut();
    await again;
    await wide.unsubscribe();
    const left = server.received.filter(({ type }) => type === TYPE_UNSUBSCRIBE);
    expect(left.map(({ payload }) => payload.toString()).sort()).toEqual([
      '{"subject":"a.*"}',
      '{"subject":"a.b"}',
    ]);
    server.append('a.b', '2');
    // All that came since it was made: it had been given nothing of this stream.
    expect(await new Reader(narrow).texts(2)).toEqual(['1', '2']);
  });

  it('credit is granted to each stream of a resumed wildcard', async () => {
    const server = await startServer();
    const client = await startClient(server, AT_ONCE);
    const subscription = client.subscribe('a.*', { credit: 4 });
    await subscription.ready;
    const reader = new Reader(subscription);
    fill(server, 'a.x', 1, 20);
    await reader.take(20);
    const lost = event(client, 'lost');
    server.cut();
    await lost;
    fill(server, 'a.x', 21, 60);
    expect(await reader.texts(40)).toEqual(numbers(21, 60));
  });
});
