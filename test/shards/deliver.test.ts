import { Buffer } from 'node:buffer';
import { expect, test } from 'vitest';
import * as codes from '../../src/frame/codes.js';
import { SMALL_SEGMENT_BYTES, MEDIUM_SEGMENT_BYTES } from '../../src/ring/arena.js';
import { SEGMENT_BYTES, SEGMENT_STREAM } from '../../src/ring/layout.js';
import { CONNECTION_REST_BYTES, POOL_LARGE_STASHES } from '../../src/shards/layout.js';
import { type Harness, harness } from '../support/shard-harness.js';
import { encode, ping, type TestPeer } from '../support/test-peer.js';

/** The stream in whose log the byte lies; 0: in none. */
function streamAt(h: Harness, byteOffset: number): number {
  const { dataByteOffset, endByteOffset, smallCount, mediumCount } = h.geometry;
  if (byteOffset < dataByteOffset || byteOffset >= endByteOffset) return 0;
  const mediumAt = dataByteOffset + smallCount * SMALL_SEGMENT_BYTES;
  const largeAt = mediumAt + mediumCount * MEDIUM_SEGMENT_BYTES;
  let segment = 1 + Math.floor((byteOffset - dataByteOffset) / SMALL_SEGMENT_BYTES);
  if (byteOffset >= largeAt) {
    segment = 1 + smallCount + mediumCount + Math.floor((byteOffset - largeAt) / (256 * 1024));
  } else if (byteOffset >= mediumAt) {
    segment = 1 + smallCount + Math.floor((byteOffset - mediumAt) / MEDIUM_SEGMENT_BYTES);
  }
  const row = h.geometry.segmentsByteOffset + segment * SEGMENT_BYTES;
  return new Uint32Array(h.memory.buffer)[(row + SEGMENT_STREAM) >>> 2]!;
}

/** The bytes that a client was sent out of logs, by the stream whose log it was. */
function sentFromLogs(h: Harness, peer: TestPeer): Map<number, Buffer> {
  const bytes = Buffer.from(h.memory.buffer);
  const sent = new Map<number, Buffer>();
  for (const { fd, byteOffset, byteCount } of h.sys.deliveries) {
    const stream = streamAt(h, byteOffset);
    if (fd !== peer.fd || stream === 0) continue;
    expect(streamAt(h, byteOffset + byteCount - 1)).toBe(stream);
    const span = bytes.subarray(byteOffset, byteOffset + byteCount);
    sent.set(stream, Buffer.concat([sent.get(stream) ?? Buffer.alloc(0), span]));
  }
  return sent;
}

test('one copy: every DATA frame is sent from the log of its stream, wherever it lies', () => {
  const h = harness({ shards: 2, seed: 3, faults: { shortWrite: 0.3 } });
  const [publisher, near, far] = [h.connect(1), h.connect(1), h.connect(2)];
  for (const peer of [near, far]) peer.subscribe('*');
  const streams = ['a', 'b', 'c'].map((subject) => publisher.open(subject));
  for (let i = 1; i <= 120; i++) {
    publisher.publish(streams[i % 3]!, Buffer.alloc((i * 37) % 900), i);
    if (i % 9 === 0) h.run();
  }
  h.run();
  for (const peer of [near, far]) {
    // All the bytes of all DATA frames that it has received came out of the logs, and nothing else did.
    const wire = new Map<number, Buffer[]>(streams.map((stream) => [stream, []]));
    for (const { type, flags, stream, sequence, timestamp, payload } of peer.take()) {
      if (type !== codes.TYPE_DATA) continue;
      wire.get(stream)!.push(encode({ type, flags, stream, sequence, timestamp, payload }));
    }
    const sent = sentFromLogs(h, peer);
    for (const stream of streams) {
      expect(wire.get(stream)).toHaveLength(40);
      expect(sent.get(stream)!.equals(Buffer.concat(wire.get(stream)!))).toBe(true);
    }
    expect(sent.size).toBe(3);
  }
});

test('neighbouring runs are one span, whoever wrote them', () => {
  const h = harness({ shards: 3 });
  const publishers = [h.connect(1), h.connect(2)];
  const subscriber = h.connect(3);
  const stream = publishers[0]!.open('a');
  publishers[1]!.open('a');
  subscriber.subscribe('a');
  const before = h.sys.deliveries.length;
  for (let i = 0; i < 5; i++) {
    for (const [at, publisher] of publishers.entries()) {
      publisher.publish(stream, `${i}`);
      h.turn(at + 1);
    }
  }
  h.run();
  expect(h.sys.deliveries.slice(before)).toMatchObject([{ fd: subscriber.fd, byteCount: 480 }]);
});

test.each(Array.from({ length: 60 }, (_, i) => 30 + i * 3))(
  'through a socket buffer of %i bytes everything comes in order',
  (socketBufferBytes) => {
    const h = harness({ socketBufferBytes, arenaBytes: 8 << 20 });
    const [publisher, peer] = [h.connect(), h.connect()];
    const streams = ['a', 'b'].map((subject) => publisher.open(subject));
    peer.subscribe('*');
    for (let i = 0; i < 12; i++) {
      publisher.publish(streams[i % 2]!, 'x'.repeat(i * 3));
      if (i % 5 === 0) peer.send(ping(BigInt(i)));
      h.round();
      if (i % 3 === 0) h.run();
    }
    h.run();
    const frames = peer.take();
    for (const [parity, stream] of streams.entries()) {
      const own = frames.filter((frame) => frame.stream === stream);
      expect(own[0]!.type).toBe(codes.TYPE_OPENED);
      expect(own.slice(1).map(({ sequence }) => sequence)).toEqual([1n, 2n, 3n, 4n, 5n, 6n]);
      expect(own.slice(1).map(({ payload }) => payload.length)).toEqual(
        [0, 1, 2, 3, 4, 5].map((i) => (2 * i + parity) * 3),
      );
    }
    expect(frames.filter(({ type }) => type === codes.TYPE_PONG)).toHaveLength(3);
  },
);

test('many streams of one client have their turns', () => {
  const h = harness({ socketBufferBytes: 4096, streams: 128 });
  const peer = h.connect();
  peer.subscribe('>');
  const publishers = Array.from({ length: 6 }, () => h.connect());
  const streams = Array.from({ length: 90 }, (_, i) => publishers[i % 6]!.open(`s${i}`));
  peer.isReading = false;
  for (let round = 0; round < 5; round++) {
    for (const [i, stream] of streams.entries()) {
      publishers[i % 6]!.publish(stream, Buffer.alloc(100));
    }
  }
  h.run();
  peer.isReading = true;
  h.run();
  const next = new Map<number, bigint>();
  let firstRoundEnds = 0;
  for (const [at, frame] of peer.take().entries()) {
    if (frame.type !== codes.TYPE_DATA) continue;
    expect(frame.sequence).toBe((next.get(frame.stream) ?? 0n) + 1n);
    next.set(frame.stream, frame.sequence);
    if (next.size === streams.length && firstRoundEnds === 0) firstRoundEnds = at;
  }
  expect([...next.values()]).toEqual(streams.map(() => 5n));
  expect(firstRoundEnds).toBeGreaterThan(0);
});

/** A client that was sent a part of a frame and takes no more for now. */
function halfSent(): { h: Harness; publisher: TestPeer; peer: TestPeer; stream: number } {
  const h = harness({ socketBufferBytes: 1000 });
  const [publisher, peer] = [h.connect(), h.connect()];
  const stream = publisher.open('a');
  peer.subscribe('a');
  peer.subscribe('b');
  peer.isReading = false;
  for (let i = 0; i < 3; i++) publisher.publish(stream, Buffer.alloc(1500, `${i}`));
  h.run();
  expect(h.field(peer, CONNECTION_REST_BYTES)).toBeGreaterThan(0);
  return { h, publisher, peer, stream };
}

test('UNSUBSCRIBE in the midst of a frame: it is ended, and no DATA follows UNSUBSCRIBED', () => {
  const { h, peer } = halfSent();
  peer.send({
    type: codes.TYPE_UNSUBSCRIBE,
    sequence: 1n,
    payload: Buffer.from('{"subject":"a"}'),
  });
  h.run();
  expect(h.poolInUse(1, POOL_LARGE_STASHES)).toBe(1);
  expect(h.pinnedSegments()).toEqual([]);
  peer.isReading = true;
  h.run();
  expect(peer.told()).toEqual(['DATA 1#1 1500 bytes', 'UNSUBSCRIBED a']);
  expect(h.poolInUse(1, POOL_LARGE_STASHES)).toBe(0);
});

test('a fatal ERROR in the midst of a frame comes behind it', () => {
  const { h, peer } = halfSent();
  peer.write(Buffer.from('XX'));
  h.run();
  expect(h.pinnedSegments()).toEqual([]);
  peer.isReading = true;
  h.run();
  expect(peer.told()).toEqual(['DATA 1#1 1500 bytes', 'ERROR BAD_MAGIC 0#0']);
});

test('what would be said behind a half-sent frame that found no stash is not said', () => {
  for (const bytes of [
    Buffer.from('XX'),
    encode({ type: codes.TYPE_UNSUBSCRIBE, sequence: 1n, payload: Buffer.from('{"subject":"a"}') }),
  ]) {
    const { h, peer } = halfSent();
    const restore = h.exhaust(1, POOL_LARGE_STASHES);
    peer.write(bytes);
    h.run();
    expect(h.isOpen(peer)).toBe(false);
    restore();
  }
});

test('UNSUBSCRIBE in the midst of a frame that the next subscription takes over', () => {
  const { h, peer } = halfSent();
  peer.send({ type: codes.TYPE_SUBSCRIBE, sequence: 1n, payload: Buffer.from('{"subject":"*"}') });
  peer.send({
    type: codes.TYPE_UNSUBSCRIBE,
    sequence: 2n,
    payload: Buffer.from('{"subject":"a"}'),
  });
  h.run();
  peer.isReading = true;
  h.run();
  expect(peer.told()).toEqual([
    'DATA 1#1 1500 bytes',
    'SUBSCRIBED *',
    'UNSUBSCRIBED a',
    'DATA 1#2 1500 bytes',
    'DATA 1#3 1500 bytes',
  ]);
});
