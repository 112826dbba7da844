import { Buffer } from 'node:buffer';
import { expect, test } from 'vitest';
import * as codes from '../../src/frame/codes.js';
import { CONNECTION_OUT_BLOCKS, POOL_OUT_BLOCKS } from '../../src/shards/layout.js';
import { harness } from '../support/shard-harness.js';
import { data, encode, ping } from '../support/test-peer.js';

test('GOODBYE of a client: what came before is appended and acknowledged, then it is answered', () => {
  const h = harness();
  const peer = h.connect();
  const stream = peer.open('a');
  const goodbye = encode({ type: codes.TYPE_GOODBYE, payload: Buffer.from('done') });
  peer.write(Buffer.concat([data(stream, 'x', 1), data(stream, 'y', 2), goodbye, encode(ping())]));
  h.run();
  expect(peer.told()).toEqual(['ACK 1#2=2', 'GOODBYE']);
  expect(peer.fake.ended).toBe(true);
  expect(peer.fake.broken).toBe(false);
  expect(h.control.nextSequenceOf(stream)).toBe(3n);
});

test('after GOODBYE no DATA follows', () => {
  const h = harness();
  const [publisher, peer] = [h.connect(), h.connect()];
  const stream = publisher.open('a');
  peer.subscribe('a');
  peer.send({ type: codes.TYPE_GOODBYE });
  h.round();
  publisher.publish(stream, 'late');
  h.run();
  expect(peer.told()).toEqual(['GOODBYE']);
});

test('a client that ends its side after GOODBYE is closed at once, another after a second', () => {
  const h = harness();
  const [polite, silent] = [h.connect(), h.connect()];
  for (const peer of [polite, silent]) peer.ask({ type: codes.TYPE_GOODBYE });
  polite.fake.end();
  h.run();
  expect([h.isOpen(polite), h.isOpen(silent)]).toEqual([false, true]);
  h.advance(900);
  expect(h.isOpen(silent)).toBe(true);
  h.advance(200);
  expect(h.isOpen(silent)).toBe(false);
});

test('after a fatal ERROR input is discarded, so that no reset swallows it', () => {
  const h = harness({ socketBufferBytes: 4096 });
  const peer = h.connect();
  peer.isReading = false;
  peer.write(Buffer.alloc(100_000, 'X'));
  h.run();
  expect(peer.fake.unsentBytes).toBe(0);
  expect(peer.fake.broken).toBe(false);
  h.advance(1200);
  expect([h.isOpen(peer), peer.fake.broken]).toEqual([false, false]);
  peer.isReading = true;
  expect(peer.told()).toEqual(['ERROR BAD_MAGIC 0#0']);
});

test('a fatal ERROR that can’t be sent within a second is not waited for', () => {
  const h = harness({ socketBufferBytes: 512 });
  const peer = h.connect();
  peer.isReading = false;
  for (let i = 0; i < 40; i++) peer.send(ping());
  peer.write(Buffer.alloc(64, 'X'));
  h.run();
  expect(h.isOpen(peer)).toBe(true);
  h.advance(900);
  expect(h.isOpen(peer)).toBe(true);
  h.advance(200);
  expect(h.isOpen(peer)).toBe(false);
});

test('a client that goes on sending for ever is closed after a second', () => {
  const h = harness();
  const peer = h.connect();
  peer.write(Buffer.from('XX'));
  for (let i = 0; i < 30; i++) {
    peer.write(Buffer.alloc(1000));
    h.advance(50);
  }
  expect(h.isOpen(peer)).toBe(false);
  expect(peer.told()).toEqual(['ERROR BAD_MAGIC 0#0']);
});

test('half-close: what the client sent is answered, what is due is sent, and then it is closed', () => {
  const h = harness();
  const [publisher, peer] = [h.connect(), h.connect()];
  const stream = publisher.open('a');
  peer.open('a');
  for (let i = 0; i < 10; i++) publisher.publish(stream, Buffer.alloc(1000));
  h.run();
  peer.send({
    type: codes.TYPE_SUBSCRIBE,
    sequence: 1n,
    payload: Buffer.from('{"subject":"a","from":"first"}'),
  });
  peer.publish(stream, 'mine', 1);
  peer.send(ping());
  peer.fake.end();
  h.run();
  const told = peer.told();
  expect(told).toEqual(expect.arrayContaining(['ACK 1#1=11', 'PONG #1', 'DATA 1#11 mine']));
  expect(told.filter((line) => line.startsWith('DATA'))).toHaveLength(11);
  expect([h.isOpen(peer), peer.fake.ended, peer.fake.broken]).toEqual([false, true, false]);
});

test('half-close by a client that does not read ends with its silence', () => {
  const h = harness({ socketBufferBytes: 1000, settings: { heartbeatMs: 1000 } });
  const [publisher, peer] = [h.connect(), h.connect()];
  const stream = publisher.open('a');
  peer.subscribe('a');
  peer.isReading = false;
  publisher.publish(stream, Buffer.alloc(5000));
  h.run();
  peer.fake.end();
  h.run();
  expect(h.isOpen(peer)).toBe(true);
  for (let i = 0; i < 8; i++) {
    publisher.send({ type: codes.TYPE_PONG });
    h.advance(500);
  }
  expect(h.isOpen(peer)).toBe(false);
  expect(h.isOpen(publisher)).toBe(true);
});

test('a reset ends the connection at once, whatever waits', () => {
  const h = harness({ socketBufferBytes: 1000 });
  const [publisher, peer] = [h.connect(), h.connect()];
  const stream = publisher.open('a');
  peer.subscribe('a');
  peer.isReading = false;
  for (let i = 0; i < 10; i++) publisher.publish(stream, Buffer.alloc(1000));
  h.run();
  for (let i = 0; i < 10; i++) peer.send(ping());
  h.run();
  expect(h.field(peer, CONNECTION_OUT_BLOCKS)).toBeGreaterThan(0);
  peer.fake.reset();
  h.run();
  expect(h.isOpen(peer)).toBe(false);
  expect(h.pinnedSegments()).toEqual([]);
});

test.each(['readReset', 'writeBroken'] as const)(
  '%s at any call leaves nothing behind',
  (fault) => {
    for (let seed = 1; seed <= 30; seed++) {
      const h = harness({ seed, shards: 2, socketBufferBytes: 3000, arenaBytes: 12 << 20 });
      const peers = [h.connect(1), h.connect(2), h.connect(1)];
      const stream = peers[0]!.open('a');
      for (const peer of peers) peer.subscribe('>');
      h.sys.faults[fault] = 0.05;
      h.sys.faults.shortRead = 0.3;
      h.sys.faults.shortWrite = 0.3;
      for (let i = 1; i <= 50; i++) {
        peers[0]!.publish(stream, Buffer.alloc(i * 20), i);
        for (const peer of peers) peer.send(ping());
        if (i % 10 === 0) h.round();
      }
      h.run();
      h.sys.faults[fault] = 0;
    }
  },
);

test('answers that find no block close the connection instead of losing one', () => {
  const h = harness();
  const [peer, other] = [h.connect(), h.connect()];
  h.run();
  const restore = h.exhaust(1, POOL_OUT_BLOCKS);
  peer.send(ping());
  h.run();
  expect(h.isOpen(peer)).toBe(false);
  restore();
  expect(other.ask(ping())).toEqual(['PONG #1']);
});

test('ACKs that find no block wait for one', () => {
  const h = harness();
  const peer = h.connect();
  const stream = peer.open('a');
  const restore = h.exhaust(1, POOL_OUT_BLOCKS);
  peer.publish(stream, 'x', 1);
  h.run();
  expect(peer.told()).toEqual([]);
  restore();
  h.advance(50);
  expect(peer.told()).toEqual(['ACK 1#1=1']);
});

test('a connection that epoll does not take is closed', () => {
  const h = harness();
  const peer = h.connect();
  h.sys.failNext('epollAdd', 12);
  h.run();
  expect([h.isOpen(peer), peer.fake.closed]).toEqual([false, true]);
});
