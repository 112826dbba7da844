import { Buffer } from 'node:buffer';
import { describe, expect, test } from 'vitest';
import * as codes from '../../src/frame/codes.js';
import { CONNECTION_FLAGS, FLAG_HELD_BY_LOG, POOL_LARGE_STASHES } from '../../src/shards/layout.js';
import { type Harness, harness, type HarnessOptions } from '../support/shard-harness.js';
import { data, json, ping, type TestPeer } from '../support/test-peer.js';

const KIB = 1024;

// ---- Heartbeat ----

describe('a silent client', () => {
  const settings = { heartbeatMs: 1000 };

  test('is sent a PING after the heartbeat, and closed after twice that', () => {
    const h = harness({ settings });
    const peer = h.connect();
    h.advance(950);
    expect(peer.told()).toEqual([]);
    h.advance(300);
    expect(peer.told()).toEqual([expect.stringMatching(/^PING/)]);
    h.advance(650);
    expect(peer.told()).toEqual([]);
    h.advance(300);
    expect(peer.told()).toEqual(['ERROR IDLE_TIMEOUT 0#0']);
    expect(peer.fake.ended).toBe(true);
  });

  test('lives as long as it answers', () => {
    const h = harness({ settings });
    const peer = h.connect();
    for (let i = 0; i < 40; i++) {
      h.advance(250);
      for (const frame of peer.take()) {
        expect(frame.type).toBe(codes.TYPE_PING);
        peer.send({ type: codes.TYPE_PONG, sequence: frame.sequence });
      }
    }
    expect(h.isOpen(peer)).toBe(true);
  });

  test('that sends anything else now and then is not asked', () => {
    const h = harness({ settings });
    const peer = h.connect();
    for (let i = 0; i < 10; i++) {
      h.advance(500);
      expect(peer.ask(ping())).toEqual(['PONG #1']);
    }
  });

  test('is asked before it is taken for dead, where the shard itself stood still for long', () => {
    const h = harness({ settings });
    const peer = h.connect();
    expect(peer.ask(ping())).toEqual(['PONG #1']);
    h.nowMs += 60_000;
    h.advance(100);
    expect(peer.told()).toEqual([expect.stringMatching(/^PING/)]);
    h.advance(700);
    expect(h.isOpen(peer)).toBe(true);
    h.advance(500);
    expect(peer.told()).toEqual(['ERROR IDLE_TIMEOUT 0#0']);
  });

  test('is found among many', () => {
    const h = harness({ settings, connections: 200 });
    const peers = Array.from({ length: 150 }, () => h.connect());
    h.advance(2300);
    for (const peer of peers) expect(peer.told().at(-1)).toBe('ERROR IDLE_TIMEOUT 0#0');
  });
});

test('one that has just come, and is held, is not sent a PING before its time', () => {
  const h = harness({ settings: { heartbeatMs: 3000 } });
  h.advance(5000);
  h.isControlHeld = true;
  const peer = h.connect();
  peer.send({ type: codes.TYPE_OPEN, sequence: 1n, payload: json({ subject: 'a' }) });
  h.advance(900);
  expect(peer.told()).toEqual([]);
  h.advance(700);
  expect(peer.told()).toEqual([expect.stringMatching(/^PING/)]);
});

test('a held client is sent a PING at least every half heartbeat, and is not taken for dead', () => {
  const h = harness({
    retentionBytes: 64 * KIB,
    settings: { heartbeatMs: 2000, slowConsumerTimeoutMs: 60_000 },
  });
  const { publisher, subscriber } = holdBack(h);
  const pings: number[] = [];
  for (let ms = 0; ms < 12_000; ms += 50) {
    h.advance(50);
    if (publisher.told().some((line) => line.startsWith('PING'))) pings.push(ms);
    if (ms % 1000 === 0) subscriber.send({ type: codes.TYPE_PONG });
  }
  const gaps = pings.slice(1).map((ms, i) => ms - pings[i]!);
  expect(Math.max(...gaps, pings[0]!)).toBeLessThanOrEqual(1000);
  expect(h.isOpen(publisher)).toBe(true);
});

/** A publisher whose log is full, because a subscriber takes nothing. */
function holdBack(
  h: Harness,
  shard = 1,
): { publisher: TestPeer; subscriber: TestPeer; stream: number } {
  const [publisher, subscriber] = [h.connect(), h.connect(shard)];
  const stream = publisher.open('a');
  subscriber.subscribe('a', 'first', 0);
  for (let i = 1; i <= 100; i++) publisher.publish(stream, Buffer.alloc(1000), i);
  h.run();
  expect(isHeld(h, publisher)).toBe(true);
  publisher.told();
  return { publisher, subscriber, stream };
}

const isHeld = (h: Harness, peer: TestPeer): boolean =>
  (h.field(peer, CONNECTION_FLAGS) & FLAG_HELD_BY_LOG) !== 0;

test('a turn ends when it has received much, and the next one begins with who is due', () => {
  const h = harness({ socketBufferBytes: 512 * KIB });
  const peers = Array.from({ length: 12 }, () => h.connect());
  const streams = peers.map((peer, i) => peer.open(`s${i}`));
  const numbers = peers.map(() => 0);
  const send = (i: number): void => {
    for (let count = 0; count < 5; count++) {
      peers[i]!.publish(streams[i]!, Buffer.alloc(60_000), ++numbers[i]!);
    }
  };
  const takenOf = (i: number): number => Number(h.control.nextSequenceOf(streams[i]!)) - 1;
  const takenByTurn = (): number[] => {
    const before = peers.map((_, i) => takenOf(i));
    h.turn(1);
    return peers.map((_, i) => takenOf(i) - before[i]!);
  };
  peers.forEach((_, i) => send(i));
  const first = takenByTurn();
  const served = first.filter((frames) => frames > 0).length;
  // 1 MiB in reads of at most 256 KiB.
  expect(served).toBeGreaterThanOrEqual(4);
  expect(served).toBeLessThanOrEqual(5);
  // Those that had their turn send more at once: the others come before them all the same.
  first.forEach((frames, i) => frames > 0 && send(i));
  const second = takenByTurn();
  expect(second.slice(0, served)).toEqual(Array.from({ length: served }, () => 0));
  expect(second.slice(served, 2 * served - 1).every((frames) => frames > 0)).toBe(true);
  h.run();
  expect(peers.map((_, i) => takenOf(i))).toEqual(numbers);
});

/** Checks that the DATA of one stream is dense but for its GAPs; answers what was delivered and what was told missing. */
function dense(peer: TestPeer, from = 1n): { delivered: number; missing: number } {
  let next = from;
  let delivered = 0;
  let missing = 0;
  for (const frame of peer.take()) {
    if (frame.type === codes.TYPE_GAP) {
      expect(frame.sequence).toBe(next);
      const then = frame.payload.readBigUInt64LE();
      expect(then).toBeGreaterThan(next);
      missing += Number(then - next);
      next = then;
    } else if (frame.type === codes.TYPE_DATA) {
      expect(frame.sequence).toBe(next);
      next++;
      delivered++;
    }
  }
  return { delivered, missing };
}

// ---- Slow subscribers ----

describe('a subscriber that does not keep up', () => {
  const options: HarnessOptions = {
    retentionBytes: 64 * KIB,
    socketBufferBytes: 4 * KIB,
    settings: { slowConsumerTimeoutMs: 1000 },
  };

  test.each([1, 2])(
    'holds the publisher until the timeout, is moved on with GAP, and holds nobody then (shard %i)',
    (shard) => {
      const h = harness({ ...options, shards: shard });
      const [publisher, slow, quick] = [h.connect(), h.connect(shard), h.connect(shard)];
      const stream = publisher.open('a');
      slow.subscribe('a');
      quick.subscribe('a');
      slow.isReading = false;
      for (let i = 1; i <= 400; i++) publisher.publish(stream, Buffer.alloc(1000, `${i},`), i);
      h.advance(900);
      expect(isHeld(h, publisher)).toBe(true);
      const taken = Number(h.control.nextSequenceOf(stream));
      h.advance(300);
      expect(isHeld(h, publisher)).toBe(false);
      expect(Number(h.control.nextSequenceOf(stream))).toBe(401);
      expect(taken).toBeLessThan(100);
      expect(dense(quick)).toEqual({ delivered: 400, missing: 0 });
      slow.isReading = true;
      h.run();
      const { delivered, missing } = dense(slow);
      expect(delivered + missing).toBe(400);
      expect(missing).toBeGreaterThan(200);
      expect(h.kernels[shard]!.movedOnCount()).toBe(1);
    },
  );

  test('that moves within the timeout loses nothing', () => {
    const h = harness(options);
    const [publisher, slow] = [h.connect(), h.connect()];
    const stream = publisher.open('a');
    slow.subscribe('a');
    slow.readMax = 2000;
    slow.isReading = false;
    for (let i = 1; i <= 200; i++) publisher.publish(stream, Buffer.alloc(1000), i);
    for (let i = 0; i < 300; i++) {
      slow.isReading = true;
      slow.pump();
      slow.isReading = false;
      h.advance(50);
    }
    slow.isReading = true;
    slow.readMax = Number.MAX_SAFE_INTEGER;
    h.run();
    expect(dense(slow)).toEqual({ delivered: 200, missing: 0 });
  });

  test('without credit is moved on too, and told so with the next credit', () => {
    const h = harness(options);
    const { publisher, subscriber, stream } = holdBack(h);
    h.advance(1200);
    expect(isHeld(h, publisher)).toBe(false);
    expect(subscriber.told()).toEqual([]);
    const told = subscriber.request(codes.TYPE_CREDIT, { subject: 'a' }, 1n);
    const first = h.control.firstSequenceOf(stream);
    expect(told).toEqual([`GAP 1#1=${first}`, `DATA 1#${first} 1000 bytes`]);
  });

  test('is moved on at once where the stream evicts', () => {
    const h = harness({ ...options, onFull: 'evict' });
    const [publisher, slow] = [h.connect(), h.connect()];
    const stream = publisher.open('a');
    slow.subscribe('a');
    slow.isReading = false;
    for (let i = 1; i <= 400; i++) publisher.publish(stream, Buffer.alloc(1000), i);
    h.run();
    expect(Number(h.control.nextSequenceOf(stream))).toBe(401);
    slow.isReading = true;
    h.run();
    const { delivered, missing } = dense(slow);
    expect([delivered + missing, missing > 0]).toEqual([400, true]);
  });

  test.each([1, 2, 3, 4, 5, 6])(
    'has its half-sent frame ended, wherever it was cut, seed %i',
    (seed) => {
      const h = harness({ ...options, seed, socketBufferBytes: 3000 + 111 * seed });
      const [publisher, slow] = [h.connect(), h.connect()];
      const stream = publisher.open('a');
      slow.subscribe('a');
      slow.isReading = false;
      for (let i = 1; i <= 300; i++) publisher.publish(stream, Buffer.alloc(1000, `${i},`), i);
      h.run();
      expect(h.poolInUse(1, POOL_LARGE_STASHES)).toBeLessThanOrEqual(1);
      h.advance(3000);
      slow.isReading = true;
      h.run();
      for (const frame of slow.frames) {
        if (frame.type !== codes.TYPE_DATA) continue;
        expect(frame.payload.equals(Buffer.alloc(1000, `${frame.sequence},`))).toBe(true);
      }
      const { delivered, missing } = dense(slow);
      expect([delivered + missing, missing > 0]).toEqual([300, true]);
    },
  );

  test('whose half-sent frame finds no stash is closed, also where there are several', () => {
    const h = harness({ ...options, socketBufferBytes: 3100 });
    const publisher = h.connect();
    const stream = publisher.open('a');
    const slow = [h.connect(), h.connect(), h.connect()];
    for (const peer of slow) {
      peer.subscribe('a');
      peer.isReading = false;
    }
    for (let i = 1; i <= 60; i++) publisher.publish(stream, Buffer.alloc(1000), i);
    h.run();
    const restore = h.exhaust(1, POOL_LARGE_STASHES);
    for (let i = 61; i <= 90; i++) publisher.publish(stream, Buffer.alloc(1000), i);
    h.advance(1500);
    for (const peer of slow) peer.isReading = true;
    h.run();
    for (const peer of slow) {
      expect(h.isOpen(peer)).toBe(false);
      dense(peer);
    }
    restore();
    h.advance(100);
    expect(Number(h.control.nextSequenceOf(stream))).toBe(91);
  });

  test('holds no other stream', () => {
    const h = harness(options);
    holdBack(h);
    const [publisher, subscriber] = [h.connect(), h.connect()];
    const stream = publisher.open('b');
    subscriber.subscribe('b');
    for (let i = 1; i <= 200; i++) publisher.publish(stream, Buffer.alloc(1000), i);
    h.run();
    expect(dense(subscriber)).toEqual({ delivered: 200, missing: 0 });
  });
});

test('a pool that streams below their limits exhaust is taken back: idle logs first', () => {
  const h = harness({ arenaBytes: 8 << 20, streams: 32, retentionBytes: 64 << 20 });
  const publisher = h.connect();
  const streams = Array.from({ length: 16 }, (_, i) => publisher.open(`s${i}`));
  for (let i = 0; i < 100; i++) {
    for (const stream of streams) publisher.publish(stream, Buffer.alloc(10_000));
    h.run();
  }
  expect(publisher.ask(ping())).toEqual(['PONG #1']);
  for (const stream of streams) expect(h.control.nextSequenceOf(stream)).toBe(101n);
  h.assertSound();
});

test('a pool that subscribers hold is taken back from them after the timeout, with GAP', () => {
  const h = harness({
    arenaBytes: 8 << 20,
    streams: 32,
    retentionBytes: 64 << 20,
    socketBufferBytes: 4 * KIB,
    settings: { slowConsumerTimeoutMs: 1000 },
    shards: 2,
  });
  const publisher = h.connect(1);
  const slow = [h.connect(1), h.connect(2)];
  const streams = Array.from({ length: 8 }, (_, i) => publisher.open(`s${i}`));
  for (const peer of slow) {
    peer.subscribe('*');
    peer.isReading = false;
  }
  for (let i = 1; i <= 100; i++) {
    for (const stream of streams) publisher.publish(stream, Buffer.alloc(10_000), i);
  }
  h.run();
  expect(isHeld(h, publisher)).toBe(true);
  h.advance(20_000);
  expect(isHeld(h, publisher)).toBe(false);
  for (const stream of streams) expect(h.control.nextSequenceOf(stream)).toBe(101n);
  for (const peer of slow) {
    peer.isReading = true;
    h.run();
    const frames = peer.frames.filter(({ stream }) => stream === streams[0]);
    peer.frames = frames;
    const { delivered, missing } = dense(peer);
    expect(delivered + missing).toBe(100);
  }
  h.assertSound();
});

// ---- Waking ----

test('a shard that blocks is signalled when another one has news for it', () => {
  const h = harness({ shards: 2 });
  const [publisher, subscriber] = [h.connect(1), h.connect(2)];
  const stream = publisher.open('a');
  subscriber.subscribe('a');
  let isDone = false;
  h.sys.signalled.length = 0;
  h.sys.onBlock = () => {
    if (isDone) return;
    isDone = true;
    publisher.publish(stream, 'wake up');
    h.turn(1);
    h.turn(1);
  };
  h.turn(2); // it blocks; meanwhile shard 1 appends; it must be woken by its eventfd
  expect(isDone).toBe(true);
  expect(h.sys.signalled).toEqual([h.eventfds[2]]);
  expect(subscriber.told()).toEqual(['DATA 1#1 wake up']);
});

test('a publisher that blocks on a full log is signalled when a subscriber elsewhere makes room', () => {
  const h = harness({ shards: 2, retentionBytes: 64 * KIB });
  const { publisher, subscriber } = holdBack(h, 2);
  let isDone = false;
  h.sys.signalled.length = 0;
  h.sys.onBlock = () => {
    if (isDone) return;
    isDone = true;
    subscriber.send({ type: codes.TYPE_CREDIT, sequence: 500n, payload: json({ subject: 'a' }) });
    for (let i = 0; i < 5; i++) h.turn(2);
  };
  h.turn(1);
  expect(isDone).toBe(true);
  expect(h.sys.signalled).toContain(h.eventfds[1]);
  expect(isHeld(h, publisher)).toBe(false);
});

// ---- The end ----

describe('shutdown', () => {
  const late = 'ERROR SHUTTING_DOWN 1#9';

  test('says GOODBYE to everybody after what they sent, delivers the rest, and closes', () => {
    const h = harness({ shards: 2 });
    const [publisher, subscriber, idle] = [h.connect(1), h.connect(2), h.connect(2)];
    const stream = publisher.open('a');
    subscriber.subscribe('a');
    h.run();
    publisher.write(Buffer.concat([data(stream, 'x', 1), data(stream, 'y', 2)]));
    h.orderAll('drain');
    h.run();
    expect(publisher.told()).toEqual(['ACK 1#2=2', 'GOODBYE']);
    expect(idle.told()).toEqual(['GOODBYE']);
    expect(subscriber.told().sort()).toEqual(['DATA 1#1 x', 'DATA 1#2 y', 'GOODBYE']);
    expect(h.heard.sort()).toEqual(['1 quiesced', '2 quiesced']);
    expect(h.peers.map((peer) => peer.fake.ended)).toEqual([false, false, false]);
    h.orderAll('finish');
    h.run();
    expect(h.peers.map((peer) => peer.fake.ended)).toEqual([true, true, true]);
    for (const peer of h.peers) peer.fake.end();
    h.run();
    expect(h.heard.sort()).toEqual(['1 ended', '1 quiesced', '2 ended', '2 quiesced']);
  });

  test('what comes after GOODBYE is SHUTTING_DOWN, once all is delivered', () => {
    const h = harness();
    const peer = h.connect();
    const stream = peer.open('a');
    peer.subscribe('a');
    h.orderAll('drain');
    h.run();
    expect(peer.told()).toEqual(['GOODBYE']);
    peer.send(ping());
    peer.publish(stream, 'late', 9);
    peer.publish(stream, 'later', 10);
    h.run();
    expect(peer.told()).toEqual([]);
    h.orderAll('finish');
    h.run();
    expect(peer.told()).toEqual([late]);
    expect(h.control.nextSequenceOf(stream)).toBe(1n);
    expect(peer.fake.ended).toBe(true);
  });

  test('a late frame whose payload is damaged is no less late', () => {
    const h = harness();
    const peer = h.connect();
    const stream = peer.open('a');
    h.orderAll('drain');
    h.run();
    peer.told();
    const bad = data(stream, 'late', 9);
    bad[40]! ^= 1;
    const half = data(stream, 'later', 10);
    peer.write(Buffer.concat([bad, half.subarray(0, 41)]));
    h.run();
    peer.write(half.subarray(41));
    h.run();
    h.orderAll('finish');
    h.run();
    expect(peer.told()).toEqual([late]);
  });

  test('a client that says GOODBYE, too, is closed without an ERROR', () => {
    const h = harness();
    const peer = h.connect();
    h.orderAll('drain');
    h.run();
    peer.ask({ type: codes.TYPE_GOODBYE });
    h.orderAll('finish');
    h.run();
    expect(peer.fake.ended).toBe(true);
    expect(peer.told()).toEqual([]);
  });

  test('credit still counts for what is delivered last', () => {
    const h = harness();
    const [publisher, subscriber] = [h.connect(), h.connect()];
    const stream = publisher.open('a');
    subscriber.subscribe('a', 'new', 1);
    for (let i = 0; i < 3; i++) publisher.publish(stream, 'x');
    h.orderAll('drain');
    h.run();
    expect(subscriber.told().sort()).toEqual(['DATA 1#1 x', 'GOODBYE']);
    subscriber.send({ type: codes.TYPE_CREDIT, sequence: 1n, payload: json({ subject: 'a' }) });
    h.run();
    expect(subscriber.told()).toEqual(['DATA 1#2 x']);
    h.orderAll('finish');
    h.run();
    expect(subscriber.fake.ended).toBe(true);
  });

  test('a held client is said GOODBYE once its frames are in the log', () => {
    const h = harness({ retentionBytes: 64 * KIB, settings: { slowConsumerTimeoutMs: 2000 } });
    const { publisher } = holdBack(h);
    h.orderAll('drain');
    h.advance(1000);
    expect(h.heard).toEqual([]);
    h.advance(1500);
    expect(h.heard).toEqual(['1 quiesced']);
    expect(publisher.told().filter((line) => !line.startsWith('PING'))).toEqual([
      'ACK 1#100=100',
      'GOODBYE',
    ]);
  });

  test('a client that has sent very much is told what was too much, without a reset', () => {
    const h = harness({ socketBufferBytes: 4 << 20, retentionBytes: 3 << 20 });
    const peer = h.connect();
    const stream = peer.open('a');
    const frames = Array.from({ length: 60 }, (_, i) => data(stream, Buffer.alloc(60_000), i + 1));
    peer.write(Buffer.concat(frames));
    h.orderAll('drain');
    h.run();
    h.orderAll('finish');
    h.run();
    const taken = Number(h.control.nextSequenceOf(stream)) - 1;
    expect(taken).toBeGreaterThan(10);
    expect(peer.told()).toEqual([
      `ACK 1#${taken}=${taken}`,
      'GOODBYE',
      `ERROR SHUTTING_DOWN 1#${taken + 1}`,
    ]);
    expect([peer.fake.ended, peer.fake.broken]).toEqual([true, false]);
  });

  test('a connection that comes during it is said GOODBYE, then none is taken', () => {
    const h = harness();
    const stays = h.connect();
    h.orderAll('drain');
    h.run();
    const late = h.connect();
    h.run();
    expect(late.told()).toEqual(['GOODBYE']);
    stays.isReading = false;
    h.orderAll('finish');
    h.round();
    const tooLate = h.connect();
    h.run();
    expect([h.isOpen(tooLate), tooLate.told()]).toEqual([false, []]);
  });

  test('abort closes everything at once', () => {
    const h = harness({ retentionBytes: 64 * KIB });
    const { publisher, subscriber } = holdBack(h);
    h.orderAll('drain');
    h.run();
    h.orderAll('abort');
    h.run();
    expect([h.isOpen(publisher), h.isOpen(subscriber)]).toEqual([false, false]);
    expect(h.heard).toEqual(['1 ended']);
  });
});

test('a fault that was asked for is thrown by the next turn', () => {
  const h = harness();
  h.run();
  h.order(1, { type: 'fault' });
  expect(() => h.run()).toThrow('a fault was asked for');
  h.kill(1);
});
