import { Buffer } from 'node:buffer';
import { describe, expect, test } from 'vitest';
import * as codes from '../../src/frame/codes.js';
import {
  CONNECTION_FLAGS,
  CONNECTION_INPUT_POOL,
  FLAG_HELD_BY_LOG,
  FLAG_HELD_BY_OUTPUT,
  POOL_LARGE_STASHES,
  POOL_RECEIVE_BLOCKS,
  POOL_SMALL_STASHES,
} from '../../src/shards/layout.js';
import { type Harness, harness } from '../support/shard-harness.js';
import { data, encode, json, ping, type TestPeer } from '../support/test-peer.js';

const KIB = 1024;

/** Payloads of all kinds of lengths, each known by its number. */
function payloads(count: number): Buffer[] {
  return Array.from({ length: count }, (_, i) => {
    const length = [0, 1, 7, 8, 9, 24, 100, 1000, 5000][i % 9]!;
    return Buffer.alloc(length, `${i},`);
  });
}

function received(peer: TestPeer): Buffer[] {
  return peer
    .take()
    .filter(({ type }) => type === codes.TYPE_DATA)
    .map(({ payload }) => payload);
}

const isHeld = (h: Harness, peer: TestPeer, flag: number): boolean =>
  (h.field(peer, CONNECTION_FLAGS) & flag) !== 0;

// ---- In pieces ----

test('a conversation that comes byte by byte is the same conversation', () => {
  const h = harness();
  const peer = h.connect();
  const whole = Buffer.concat([
    encode({ type: codes.TYPE_HELLO, sequence: 1n, payload: json({ versions: [1] }) }),
    encode({ type: codes.TYPE_OPEN, sequence: 2n, payload: json({ subject: 'a' }) }),
    encode({ type: codes.TYPE_SUBSCRIBE, sequence: 3n, payload: json({ subject: 'a' }) }),
    data(1, 'first', 1),
    data(1, 'second', 2),
    encode(ping(9n)),
  ]);
  for (const byte of whole) {
    peer.write(Uint8Array.of(byte));
    h.run();
  }
  expect(peer.told()).toEqual([
    'WELCOME',
    'OPENED 1 a',
    'SUBSCRIBED a 1@1',
    'ACK 1#1=1',
    'DATA 1#1 first',
    'ACK 1#2=2',
    'DATA 1#2 second',
    'PONG #9',
  ]);
});

test('frames cut at every byte arrive whole', () => {
  const h = harness();
  const peer = h.connect();
  const stream = peer.open('a');
  peer.subscribe('a');
  const frames = Buffer.concat([data(stream, 'one'), data(stream, 'three')]);
  for (let cut = 1; cut < frames.length; cut++) {
    peer.write(frames.subarray(0, cut));
    h.run();
    peer.write(frames.subarray(cut));
    h.run();
    expect(received(peer).map(String)).toEqual(['one', 'three']);
  }
});

test.each([1, 2, 3, 4, 5, 6, 7, 8])(
  'short reads, short writes and refusals change nothing, seed %i',
  (seed) => {
    const faults = {
      shortRead: 0.5,
      shortWrite: 0.5,
      readWouldBlock: 0.2,
      writeWouldBlock: 0.2,
      spuriousWakeup: 0.1,
      interruptedWait: 0.1,
    };
    const h = harness({ seed, faults, shards: 2, socketBufferBytes: 4000 + seed * 3777 });
    const [publisher, near, far] = [h.connect(1), h.connect(1), h.connect(2)];
    const stream = publisher.open('a');
    near.subscribe('a');
    far.subscribe('>');
    const sent = payloads(200);
    for (const [i, payload] of sent.entries()) {
      publisher.publish(stream, payload, i + 1);
      if (i % 17 === 0) h.round();
    }
    h.run();
    const acks = publisher.take().filter(({ type }) => type === codes.TYPE_ACK);
    expect(acks.at(-1)!.sequence).toBe(200n);
    for (const peer of [near, far]) {
      const frames = peer.take().filter(({ type }) => type === codes.TYPE_DATA);
      expect(frames.map(({ sequence }) => sequence)).toEqual(sent.map((_, i) => BigInt(i + 1)));
      expect(Buffer.concat(frames.map(({ payload }) => payload)).equals(Buffer.concat(sent))).toBe(
        true,
      );
    }
    h.assertSound();
  },
);

test('an idle connection owns no buffer, one in the midst of a frame a stash', () => {
  const h = harness();
  const peer = h.connect();
  const stream = peer.open('a');
  const frame = data(stream, Buffer.alloc(3000));
  const stashes = (): number[] =>
    [POOL_SMALL_STASHES, POOL_LARGE_STASHES, POOL_RECEIVE_BLOCKS].map((p) => h.poolInUse(1, p));
  expect(stashes()).toEqual([0, 0, 1]);
  peer.write(frame.subarray(0, 500));
  h.run();
  expect(stashes()).toEqual([1, 0, 1]);
  peer.write(frame.subarray(500, 2500));
  h.run();
  expect(stashes()).toEqual([0, 1, 1]);
  peer.write(frame.subarray(2500));
  h.run();
  expect(stashes()).toEqual([0, 0, 1]);
  expect(h.control.nextSequenceOf(stream)).toBe(2n);
});

test('a client that is gone in the midst of a frame leaves the whole ones', () => {
  const h = harness();
  for (const end of ['end', 'reset'] as const) {
    const peer = h.connect();
    const stream = peer.open(end);
    peer.write(data(stream, 'whole', 1));
    peer.write(data(stream, 'half', 2).subarray(0, 41));
    h.run();
    peer.fake[end]();
    h.run();
    expect(h.isOpen(peer)).toBe(false);
    expect(h.control.nextSequenceOf(stream)).toBe(2n);
  }
});

// ---- Held ----

describe('a connection whose log is full', () => {
  /** A log of 64 KiB that a subscriber without credit holds in place, and a publisher that has filled it. */
  function fill(options = {}): {
    h: Harness;
    publisher: TestPeer;
    subscriber: TestPeer;
    stream: number;
    sent: Buffer[];
  } {
    const h = harness({ retentionBytes: 64 * KIB, socketBufferBytes: 1 << 20, ...options });
    const [publisher, subscriber] = [h.connect(), h.connect()];
    const stream = publisher.open('a');
    subscriber.subscribe('a', 'first', 0);
    const sent: Buffer[] = [];
    for (let i = 0; i < 100; i++) {
      const payload = Buffer.alloc(1000, `${i},`);
      sent.push(payload);
      publisher.publish(stream, payload, i + 1);
    }
    publisher.send(ping(5n));
    h.run();
    return { h, publisher, subscriber, stream, sent };
  }

  test('is held; its frames wait in order, its PING too', () => {
    const { h, publisher, subscriber, stream, sent } = fill();
    expect(isHeld(h, publisher, FLAG_HELD_BY_LOG)).toBe(true);
    const taken = Number(h.control.nextSequenceOf(stream)) - 1;
    expect(taken).toBeGreaterThan(10);
    expect(taken).toBeLessThan(100);
    expect(publisher.told()).toEqual([`ACK 1#${taken}=${taken}`]);
    subscriber.request(codes.TYPE_CREDIT, { subject: 'a' }, 1000n);
    h.run();
    expect(publisher.told()).toEqual(expect.arrayContaining(['ACK 1#100=100', 'PONG #5']));
    expect(subscriber.frames).toEqual([]);
    expect(sent).toHaveLength(100);
  });

  test('gives all of it to the subscriber, once each', () => {
    const { h, subscriber, sent } = fill();
    subscriber.send({ type: codes.TYPE_CREDIT, sequence: 1000n, payload: json({ subject: 'a' }) });
    h.run();
    expect(Buffer.concat(received(subscriber)).equals(Buffer.concat(sent))).toBe(true);
  });

  test('has its own block while it waits with much, and gives it back', () => {
    const { h, publisher } = fill();
    expect(h.field(publisher, CONNECTION_INPUT_POOL)).toBe(POOL_LARGE_STASHES);
    publisher.fake.reset();
    h.run();
    expect(h.poolInUse(1, POOL_LARGE_STASHES)).toBe(0);
  });

  test('can go while it is held', () => {
    const { h, publisher, subscriber } = fill();
    publisher.fake.end();
    h.run();
    expect(h.isOpen(publisher)).toBe(true);
    subscriber.fake.reset();
    h.run();
    expect(h.isOpen(publisher)).toBe(false);
    expect(h.control.nextSequenceOf(1)).toBe(101n);
  });
});

test('several held connections go on in the order in which they came', () => {
  const h = harness({ retentionBytes: 64 * KIB });
  const subscriber = h.connect();
  const publishers = [h.connect(), h.connect(), h.connect()];
  const streams = publishers.map((publisher) => publisher.open('a'));
  subscriber.subscribe('a', 'first', 0);
  for (const [i, publisher] of publishers.entries()) {
    for (let n = 1; n <= 100; n++) publisher.publish(streams[i]!, Buffer.alloc(1000), n);
    h.run();
  }
  subscriber.request(codes.TYPE_CREDIT, { subject: 'a' }, 1000n);
  expect(h.control.nextSequenceOf(1)).toBe(301n);
  for (const publisher of publishers) expect(publisher.told().at(-1)).toMatch(/^ACK 1#100=/);
});

test('a client that asks and does not read is not heard until it reads', () => {
  const h = harness({ socketBufferBytes: 8 * KIB });
  const peer = h.connect();
  peer.isReading = false;
  const count = 2000;
  for (let i = 1; i <= count; i++) peer.send(ping(BigInt(i)));
  h.run();
  expect(isHeld(h, peer, FLAG_HELD_BY_OUTPUT)).toBe(true);
  expect(peer.fake.unsentBytes).toBeGreaterThan(0);
  expect(h.poolInUse(1, 3)).toBeLessThanOrEqual(5);
  peer.isReading = true;
  h.run();
  expect(peer.told()).toEqual(Array.from({ length: count }, (_, i) => `PONG #${i + 1}`));
});

test('a client that reads is heard again though there is always more to read', () => {
  const h = harness({ socketBufferBytes: 16 * KIB });
  const [publisher, peer] = [h.connect(), h.connect()];
  const stream = publisher.open('a');
  for (let i = 0; i < 2000; i++) publisher.publish(stream, Buffer.alloc(1000));
  h.run();
  peer.isReading = false;
  peer.send({
    type: codes.TYPE_SUBSCRIBE,
    sequence: 1n,
    payload: json({ subject: 'a', from: 'first' }),
  });
  for (let i = 1; i <= 2000; i++) peer.send(ping(BigInt(i)));
  h.run();
  expect(isHeld(h, peer, FLAG_HELD_BY_OUTPUT)).toBe(true);
  for (let i = 0; i < 50; i++) {
    peer.isReading = true;
    peer.pump();
    peer.isReading = false;
    h.run();
  }
  expect(peer.take().filter(({ type }) => type === codes.TYPE_PONG)).toHaveLength(2000);
  expect(isHeld(h, peer, FLAG_HELD_BY_OUTPUT)).toBe(false);
  expect(h.kernels[1]!.deliveredFrames()).toBeLessThan(1000);
});

// ---- Scarce memory: bytes stay in the kernel ----

describe('with no stash and no block to spare', () => {
  function scarce(options = {}): {
    h: Harness;
    peer: TestPeer;
    stream: number;
    restore: () => void;
  } {
    const h = harness({ socketBufferBytes: 128 * KIB, ...options });
    const peer = h.connect();
    const stream = peer.open('a');
    peer.subscribe('a');
    const give = [POOL_SMALL_STASHES, POOL_LARGE_STASHES, POOL_RECEIVE_BLOCKS].map((pool) =>
      h.exhaust(1, pool),
    );
    return { h, peer, stream, restore: () => give.forEach((back) => back()) };
  }

  test('whole frames are handled, and part of one stays where it is', () => {
    const { h, peer, stream, restore } = scarce();
    const frames = payloads(30).map((payload) => data(stream, payload));
    const whole = Buffer.concat(frames);
    for (let at = 0; at < whole.length; at += 777) {
      peer.write(whole.subarray(at, at + 777));
      h.run();
    }
    expect(Buffer.concat(received(peer)).equals(Buffer.concat(payloads(30)))).toBe(true);
    restore();
  });

  test('what was handled leaves the kernel, also where that takes several calls', () => {
    const { h, peer, stream, restore } = scarce({ seed: 5 });
    h.sys.faults.shortRead = 0.5;
    for (const payload of payloads(60)) {
      peer.write(data(stream, payload));
      h.run();
    }
    expect(Buffer.concat(received(peer)).equals(Buffer.concat(payloads(60)))).toBe(true);
    expect(h.control.nextSequenceOf(stream)).toBe(61n);
    restore();
  });

  test('a frame in two parts is told of when it is whole, and small ones after it too', () => {
    const { h, peer, stream, restore } = scarce();
    const frame = data(stream, Buffer.alloc(20_000, 'x'));
    peer.write(frame.subarray(0, 10_000));
    h.run();
    peer.write(frame.subarray(10_000));
    h.run();
    expect(peer.told()).toEqual(['DATA 1#1 20000 bytes']);
    expect(peer.ask(ping(4n))).toEqual(['PONG #4']);
    restore();
  });

  test('a connection that waited for a large frame hears small ones once there is memory again', () => {
    const { h, peer, stream, restore } = scarce();
    const frame = data(stream, Buffer.alloc(20_000, 'x'));
    peer.write(frame.subarray(0, 10_000));
    h.run();
    restore();
    peer.write(frame.subarray(10_000));
    h.run();
    expect(peer.told()).toEqual(['DATA 1#1 20000 bytes']);
    expect(peer.ask(ping(4n))).toEqual(['PONG #4']);
  });

  test('an OPEN under way leaves what comes behind it in the kernel', () => {
    const { h, peer, restore } = scarce();
    h.isControlHeld = true;
    peer.send({ type: codes.TYPE_OPEN, sequence: 70n, payload: json({ subject: 'b' }) });
    peer.send(ping(6n));
    h.run();
    expect(peer.told()).toEqual([]);
    h.isControlHeld = false;
    h.run();
    expect(peer.told()).toEqual(['OPENED 2 b', 'PONG #6']);
    restore();
  });

  test('a fault ends the connection', () => {
    const { h, peer, stream, restore } = scarce();
    peer.write(Buffer.concat([data(stream, 'x', 1), Buffer.from('XX')]));
    h.run();
    expect(peer.told().sort()).toEqual(['ACK 1#1=1', 'ERROR BAD_MAGIC 0#0']);
    restore();
  });

  test.each(['end', 'reset'] as const)('a client gone in mid-frame is noticed: %s', (end) => {
    const { h, peer, stream, restore } = scarce();
    peer.write(data(stream, Buffer.alloc(20_000)).subarray(0, 500));
    h.run();
    peer.fake[end]();
    h.run();
    expect(h.isOpen(peer)).toBe(false);
    restore();
  });

  test('a connection with part of a frame stashed receives the rest of it', () => {
    const h = harness();
    const [peer, other] = [h.connect(), h.connect()];
    const stream = peer.open('a');
    peer.subscribe('a');
    const frame = data(stream, Buffer.alloc(20_000, 'x'));
    peer.write(frame.subarray(0, 10_000));
    h.run();
    const restore = h.exhaust(1, POOL_LARGE_STASHES);
    peer.write(frame.subarray(10_000, 15_000));
    h.run();
    peer.write(Buffer.concat([frame.subarray(15_000), encode(ping(2n))]));
    h.run();
    expect(peer.told()).toEqual(expect.arrayContaining(['DATA 1#1 20000 bytes', 'PONG #2']));
    expect(other.ask(ping())).toEqual(['PONG #1']);
    restore();
  });
});

test('part of a frame that found no stash is kept in its block when nothing more comes yet', () => {
  const h = harness({ retentionBytes: 64 * KIB, socketBufferBytes: 1 << 20 });
  const [publisher, subscriber] = [h.connect(), h.connect()];
  const stream = publisher.open('a');
  subscriber.subscribe('a', 'first', 0);
  const frames: Buffer[] = [];
  for (let i = 1; i <= 220; i++) frames.push(data(stream, Buffer.alloc(1000, `${i}`), i));
  const last = data(stream, Buffer.alloc(9000, 'l'), 221);
  publisher.write(Buffer.concat([...frames, last.subarray(0, 5000)]));
  h.run();
  expect(h.field(publisher, CONNECTION_INPUT_POOL)).toBe(POOL_RECEIVE_BLOCKS);
  const restore = h.exhaust(1, POOL_LARGE_STASHES);
  subscriber.request(codes.TYPE_CREDIT, { subject: 'a' }, 1000n);
  h.sys.failNext('receive', 11);
  publisher.write(last.subarray(5000));
  h.run();
  expect(publisher.told().at(-1)).toBe('ACK 1#221=221');
  restore();
});
