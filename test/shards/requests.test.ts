import { Buffer } from 'node:buffer';
import { expect, test } from 'vitest';
import * as codes from '../../src/frame/codes.js';
import { FRAME_BYTES_MAX } from '../../src/frame/layout.js';
import { harness } from '../support/shard-harness.js';
import { json, ping } from '../support/test-peer.js';

const hello = (value: object): { type: number; sequence: bigint; payload: Uint8Array } => ({
  type: codes.TYPE_HELLO,
  sequence: 3n,
  payload: json(value),
});

// ---- HELLO ----

test('HELLO is answered by WELCOME with what the connection is', () => {
  const h = harness({ settings: { heartbeatMs: 12_000 } });
  const peer = h.connect();
  peer.send(hello({ versions: [1, 2], client: 'test/1', integrity: ['siphash-2-4', 'xxh64'] }));
  h.run();
  const [frame, ...others] = peer.take();
  expect(others).toEqual([]);
  expect([frame!.type, frame!.sequence]).toEqual([codes.TYPE_WELCOME, 3n]);
  expect(JSON.parse(frame!.payload.toString())).toEqual({
    version: 1,
    server: 'memorystreamer/test',
    connection: `1-${peer.slot}-1`,
    integrity: 'xxh64',
    maxFrame: FRAME_BYTES_MAX,
    heartbeatMs: 12_000,
  });
});

test.each([
  ['no version in common', { versions: [2, 3] }, 'ERROR UNSUPPORTED_VERSION 0#3'],
  [
    'no integrity that needs no key',
    { versions: [1], integrity: ['siphash-2-4'] },
    'ERROR UNSUPPORTED_VERSION 0#3',
  ],
])('HELLO with %s is the end', (_name, value, answer) => {
  const h = harness();
  const peer = h.connect();
  expect(peer.ask(hello(value))).toEqual([answer]);
  expect(peer.fake.ended).toBe(true);
});

test('a HELLO that does not parse is MALFORMED, and may be sent again', () => {
  const h = harness();
  const peer = h.connect();
  expect(peer.ask(hello({ versions: 'one' }))).toEqual(['ERROR MALFORMED 0#3']);
  expect(peer.ask(hello({ versions: [1] }))).toEqual(['WELCOME']);
});

test.each([
  ['HELLO', hello({ versions: [1] })],
  ['another frame', ping()],
])('HELLO after %s is UNEXPECTED', (_name, first) => {
  const h = harness();
  const peer = h.connect();
  peer.ask(first);
  expect(peer.ask(hello({ versions: [1] }))).toEqual(['ERROR UNEXPECTED 0#3']);
  expect(peer.fake.ended).toBe(true);
});

test('PROOF that was not asked for is UNEXPECTED', () => {
  const h = harness();
  const peer = h.connect();
  expect(peer.ask({ type: codes.TYPE_PROOF, sequence: 9n })).toEqual(['ERROR UNEXPECTED 0#9']);
});

test('an empty token is no reason to refuse where nobody asks for authentication', () => {
  const h = harness();
  const peer = h.connect();
  const auth = { method: 'token', token: '' };
  expect(peer.ask(hello({ versions: [1], auth }))).toEqual(['WELCOME']);
});

// ---- PING ----

test('PING is answered by PONG with its sequence and its payload', () => {
  const h = harness();
  const peer = h.connect();
  const payload = Buffer.alloc(64, 'p');
  expect(peer.ask({ type: codes.TYPE_PING, sequence: 2n ** 64n - 1n, payload })).toEqual([
    `PONG #${2n ** 64n - 1n} ${'p'.repeat(64)}`,
  ]);
  expect(peer.ask({ ...ping(), payload: Buffer.alloc(65) })).toEqual(['ERROR MALFORMED 0#1']);
  expect(peer.ask(ping(5n))).toEqual(['PONG #5']);
});

test('PONG and ACK of a client are taken and not answered', () => {
  const h = harness();
  const peer = h.connect();
  peer.send({ type: codes.TYPE_PONG });
  peer.send({ type: codes.TYPE_ACK, stream: 1, sequence: 4n, payload: new Uint8Array(8) });
  expect(peer.ask(ping())).toEqual(['PONG #1']);
});

// ---- OPEN ----

test('OPEN makes a stream, tells what is in it, and knows it again on every shard', () => {
  const h = harness({ shards: 2 });
  const [first, second] = [h.connect(1), h.connect(2)];
  const stream = first.open('orders.eu');
  first.publish(stream, 'one');
  h.run();
  second.send({ type: codes.TYPE_OPEN, sequence: 8n, payload: json({ subject: 'orders.eu' }) });
  h.run();
  const [opened] = second.take();
  expect([opened!.type, opened!.stream, opened!.sequence]).toEqual([codes.TYPE_OPENED, stream, 8n]);
  expect(JSON.parse(opened!.payload.toString())).toEqual({
    subject: 'orders.eu',
    epoch: '1001',
    first: '1',
    next: '2',
  });
  expect(second.open('orders.eu')).toBe(stream);
  expect(first.open('orders.us')).toBe(stream + 1);
});

test.each([
  ['', 'BAD_SUBJECT'],
  ['a..b', 'BAD_SUBJECT'],
  ['a b', 'BAD_SUBJECT'],
  ['a.*', 'BAD_SUBJECT'],
  ['>', 'BAD_SUBJECT'],
  ['x'.repeat(256), 'BAD_SUBJECT'],
  [5, 'MALFORMED'],
])('OPEN of %j is refused: %s', (subject, code) => {
  const h = harness();
  const peer = h.connect();
  expect(peer.request(codes.TYPE_OPEN, { subject }, 6n)).toEqual([`ERROR ${code} 0#6`]);
  expect(peer.open('good')).toBe(1);
});

test('a subject of 255 bytes goes through OPEN, SUBSCRIBED and OPENED', () => {
  const h = harness();
  const subject = '"'.repeat(255);
  const [publisher, subscriber] = [h.connect(), h.connect()];
  expect(subscriber.subscribe('>')).toEqual(['SUBSCRIBED >']);
  publisher.publish(publisher.open(subject), 'x');
  h.run();
  expect(subscriber.told()).toEqual([`OPENED 1 ${subject} unasked`, 'DATA 1#1 x']);
  expect(subscriber.subscribe(subject)).toEqual([`SUBSCRIBED ${subject} 1@2`]);
  expect(subscriber.unsubscribe(subject)).toEqual([`UNSUBSCRIBED ${subject}`]);
});

test('more streams than a connection, or the broker, may have are LIMIT_EXCEEDED', () => {
  const h = harness({ streams: 3, settings: { publicationsMax: 2 } });
  const [first, second] = [h.connect(), h.connect()];
  first.open('a');
  first.open('b');
  expect(first.request(codes.TYPE_OPEN, { subject: 'c' }, 50n)).toEqual([
    'ERROR LIMIT_EXCEEDED 0#50',
  ]);
  expect(first.open('a')).toBe(1);
  second.open('c');
  expect(second.request(codes.TYPE_OPEN, { subject: 'd' }, 51n)).toEqual([
    'ERROR LIMIT_EXCEEDED 0#51',
  ]);
  expect(second.open('b')).toBe(2);
});

test('OPEN with no row left is LIMIT_EXCEEDED', () => {
  const h = harness();
  const peer = h.connect();
  const restore = h.exhaust(1, 0);
  expect(peer.request(codes.TYPE_OPEN, { subject: 'a' }, 5n)).toEqual(['ERROR LIMIT_EXCEEDED 0#5']);
  restore();
  expect(peer.open('a')).toBe(1);
});

test('what comes behind an OPEN that is under way waits, and is answered in order', () => {
  const h = harness();
  const peer = h.connect();
  h.isControlHeld = true;
  peer.send({ type: codes.TYPE_OPEN, sequence: 1n, payload: json({ subject: 'a' }) });
  peer.publish(1, 'early', 1);
  peer.send(ping());
  h.run();
  expect(peer.told()).toEqual([]);
  h.isControlHeld = false;
  h.run();
  expect(peer.told()).toEqual(expect.arrayContaining(['OPENED 1 a', 'PONG #1', 'ACK 1#1=1']));
});

test('a client that goes while control is asked leaves nothing behind', () => {
  const h = harness();
  for (const type of [codes.TYPE_OPEN, codes.TYPE_SUBSCRIBE]) {
    const peer = h.connect();
    h.isControlHeld = true;
    peer.send({ type, sequence: 1n, payload: json({ subject: 'a' }) });
    h.run();
    peer.fake.reset();
    h.run();
    const next = h.connect(); // takes the slot that is free again
    h.isControlHeld = false;
    h.run();
    expect(next.slot).toBeGreaterThan(0);
    expect(next.told()).toEqual([]);
  }
  h.connect().open('a');
  expect(h.kernels[1]!.findPublication(1, 1)).toBe(0);
});

// ---- SUBSCRIBE, CREDIT ----

test.each([
  [{ subject: 'a..b' }, 'BAD_SUBJECT'],
  [{ subject: 'a.>.b' }, 'BAD_SUBJECT'],
  [{ subject: 'a*' }, 'BAD_SUBJECT'],
  [{ subject: 'a', from: 'then' }, 'MALFORMED'],
  [{ subject: 'a', from: { sequence: 1, last: 2 } }, 'MALFORMED'],
  [{ subject: 'a', credit: -1 }, 'MALFORMED'],
  [{}, 'MALFORMED'],
])('SUBSCRIBE %j is refused: %s', (value, code) => {
  const h = harness();
  const peer = h.connect();
  expect(peer.request(codes.TYPE_SUBSCRIBE, value, 6n)).toEqual([`ERROR ${code} 0#6`]);
  expect(peer.subscribe('a')).toEqual(['SUBSCRIBED a']);
});

test('the identical subject twice on one connection is ALREADY_SUBSCRIBED, on two it is not', () => {
  const h = harness();
  const [first, second] = [h.connect(), h.connect()];
  expect(first.subscribe('a.*')).toEqual(['SUBSCRIBED a.*']);
  expect(first.request(codes.TYPE_SUBSCRIBE, { subject: 'a.*' }, 9n)).toEqual([
    'ERROR ALREADY_SUBSCRIBED 0#9',
  ]);
  expect(second.subscribe('a.*')).toEqual(['SUBSCRIBED a.*']);
  expect(first.unsubscribe('a.*')).toEqual(['UNSUBSCRIBED a.*']);
  expect(first.subscribe('a.*')).toEqual(['SUBSCRIBED a.*']);
});

test('more subscriptions than a connection may have are LIMIT_EXCEEDED', () => {
  const h = harness({ settings: { subscriptionsMax: 2 } });
  const peer = h.connect();
  peer.subscribe('a');
  peer.subscribe('b');
  expect(peer.request(codes.TYPE_SUBSCRIBE, { subject: 'c' }, 9n)).toEqual([
    'ERROR LIMIT_EXCEEDED 0#9',
  ]);
  peer.unsubscribe('a');
  expect(peer.subscribe('c')).toEqual(['SUBSCRIBED c']);
});

test.each([
  ['subscription', 2],
  ['cursor', 1],
])('SUBSCRIBE without a %s row left is LIMIT_EXCEEDED, and leaves nothing', (_name, pool) => {
  const h = harness();
  const peer = h.connect();
  peer.open('a');
  const restore = h.exhaust(1, pool);
  expect(peer.request(codes.TYPE_SUBSCRIBE, { subject: 'a' }, 9n)).toEqual([
    'ERROR LIMIT_EXCEEDED 0#9',
  ]);
  restore();
  expect(peer.subscribe('a')).toEqual(['SUBSCRIBED a 1@1']);
});

test('a stream that is born when no cursor is left is told of as LIMIT_EXCEEDED', () => {
  const h = harness();
  const peer = h.connect();
  peer.subscribe('>');
  const restore = h.exhaust(1, 1);
  expect(h.connect().open('a')).toBe(1);
  expect(peer.told()).toEqual(['ERROR LIMIT_EXCEEDED 1#0']);
  restore();
});

test.each([codes.TYPE_UNSUBSCRIBE, codes.TYPE_CREDIT])(
  'type %i for what is not subscribed is MALFORMED',
  (type) => {
    const h = harness();
    const peer = h.connect();
    expect(peer.request(type, { subject: 'a' }, 4n)).toEqual(['ERROR MALFORMED 0#4']);
    expect(peer.request(type, {}, 5n)).toEqual(['ERROR MALFORMED 0#5']);
  },
);
