/** What a keyed connection is sent. Every frame is judged by the peer's own decoder, which knows the key and the counter. */
import { Buffer } from 'node:buffer';
import { expect, test } from 'vitest';
import * as codes from '../../src/frame/codes.js';
import { frameBytes } from '../../src/frame/codec.js';
import * as layout from '../../src/shards/layout.js';
import { FaultSource } from '../../src/sys/fake-faults.js';
import { type Harness, harness, type HarnessOptions } from '../support/shard-harness.js';
import type { TestPeer } from '../support/test-peer.js';

const SECRET = Buffer.from('a secret of thirty-two bytes, 1!');
const KEY = { method: 'hmac-sha256', keyId: 'k', secret: SECRET } as const;
const COPIED = layout.KEYED_COPY_BYTES_MAX - 40;

interface World {
  readonly h: Harness;
  readonly publisher: TestPeer;
  readonly subscriber: TestPeer;
  readonly stream: number;
}

/** A plain publisher and a keyed subscriber of one stream. */
function world(options: HarnessOptions = {}): World {
  const h = harness({ credentials: [KEY], socketBufferBytes: 4 * 1024 * 1024, ...options });
  const [publisher, subscriber] = [h.connect(), h.connect()];
  expect(subscriber.greet(KEY)).toBe('WELCOME siphash-2-4');
  const stream = publisher.open('a');
  // So that the log has come to a large segment, and the next frames are in one.
  for (let i = 0; i < FRAMES_BEFORE; i++) publisher.publish(stream, Buffer.alloc(8000));
  h.run();
  subscriber.subscribe('a');
  h.sys.deliveries.length = 0;
  return { h, publisher, subscriber, stream };
}

const FRAMES_BEFORE = 10;

const payloadOf = (index: number, bytes: number): Buffer => Buffer.alloc(bytes, index + 1);

/** The payloads that have come, in the order of the stream; that their tags fit is the decoder's to say. */
function received(subscriber: TestPeer): Buffer[] {
  const frames = subscriber.take();
  expect(frames.every(({ type }) => type === codes.TYPE_DATA)).toBe(true);
  const first = frames[0]?.sequence ?? 0n;
  expect(frames.map(({ sequence }) => sequence)).toEqual(frames.map((_, i) => first + BigInt(i)));
  return frames.map(({ payload }) => payload);
}

function publishAll({ publisher, stream }: World, payloads: readonly Buffer[]): void {
  for (const payload of payloads) publisher.publish(stream, payload);
}

/** Where what the subscriber was sent lay. */
function spansTo({ h, subscriber }: World): { isScratch: boolean; byteCount: number }[] {
  const from = h.areaAt(1) + layout.AREA_KEYED_SCRATCH;
  return h.sys.deliveries
    .filter(({ fd }) => fd === subscriber.fd)
    .map(({ byteOffset, byteCount }) => ({
      isScratch: byteOffset >= from && byteOffset < from + layout.KEYED_SEND_BYTES_MAX,
      byteCount,
    }));
}

/** Collects how many bytes each send to the subscriber takes from now on. */
function sizesOfSends({ h, subscriber }: World): number[] {
  const sizes: number[] = [];
  const note = (fd: number, taken: number): number => {
    if (fd === subscriber.fd) sizes.push(taken);
    return taken;
  };
  const { sys } = h;
  const [send, sendSpans] = [sys.send.bind(sys), sys.sendSpans.bind(sys)];
  sys.send = (fd, ...span) => note(fd, send(fd, ...span));
  sys.sendSpans = (fd, ...table) => note(fd, sendSpans(fd, ...table));
  return sizes;
}

test('small frames are one span, whatever their lengths and wherever they lie in the log', () => {
  const one = world();
  const payloads = Array.from({ length: 100 }, (_, i) => payloadOf(i, (i * 37) % 300));
  publishAll(one, payloads);
  one.h.run();
  expect(received(one.subscriber)).toEqual(payloads);
  const byteCount = payloads.reduce((sum, { length }) => sum + frameBytes(length), 0);
  expect(spansTo(one)).toEqual([{ isScratch: true, byteCount }]);
});

test('a large payload is sent from the log, between small ones that are copied', () => {
  const one = world();
  const sizes = [COPIED, COPIED + 1, 10, 60_000, 20, 30];
  const payloads = sizes.map((bytes, i) => payloadOf(i, bytes));
  publishAll(one, payloads);
  one.h.run();
  expect(received(one.subscriber)).toEqual(payloads);
  expect(spansTo(one)).toEqual([
    { isScratch: true, byteCount: frameBytes(COPIED) + 40 },
    { isScratch: false, byteCount: frameBytes(COPIED + 1) - 40 },
    { isScratch: true, byteCount: frameBytes(10) + 40 },
    { isScratch: false, byteCount: 60_000 },
    { isScratch: true, byteCount: frameBytes(20) + frameBytes(30) },
  ]);
});

test.each([
  ['small ones', 3000, 100],
  ['large ones', 400, COPIED + 1],
  ['empty ones', 10_000, 0],
])('more %s than one send takes: the others go with the next one', (_what, count, bytes) => {
  const one = world({ arenaBytes: 64 * 1024 * 1024, retentionBytes: 32 * 1024 * 1024 });
  // All are in the log before the first is sent.
  one.h.sys.faults.writeWouldBlock = 1;
  const payloads = Array.from({ length: count }, (_, i) => payloadOf(i, bytes));
  publishAll(one, payloads);
  for (let i = 0; i < 50; i++) one.h.round();
  one.h.sys.faults.writeWouldBlock = 0;
  const sends = sizesOfSends(one);
  one.h.run();
  expect(received(one.subscriber)).toEqual(payloads);
  expect(Math.max(...sends)).toBeLessThanOrEqual(layout.KEYED_SEND_BYTES_MAX);
  expect(Math.max(...sends)).toBeGreaterThan(layout.KEYED_SEND_BYTES_MAX / 2);
});

test('a frame that is cut by the socket goes on where it was cut, at every byte', () => {
  const sizes = [24, 0, COPIED + 8];
  const payloads = sizes.map((bytes, i) => payloadOf(i, bytes));
  const total = sizes.reduce((sum, bytes) => sum + frameBytes(bytes), 0);
  // The socket holds so many bytes, and no more until they are read.
  const one = world({ socketBufferBytes: 8192 });
  const { h, publisher, subscriber, stream } = one;
  for (let cut = 1; cut < total; cut = cut < 130 ? cut + 1 : cut + 97) {
    subscriber.isReading = false;
    const filler = payloadOf(7, 8192 - cut - 40 - ((8192 - cut) % 8));
    publisher.publish(stream, filler);
    publishAll(one, payloads);
    for (let i = 0; i < 20; i++) h.round();
    expect(h.field(subscriber, layout.CONNECTION_FLAGS) & layout.FLAG_SEND_BLOCKED).not.toBe(0);
    subscriber.isReading = true;
    h.run();
    expect(received(subscriber), `cut at ${cut}`).toEqual([filler, ...payloads]);
  }
});

test('with short writes, credit and two streams the tags stay in step', () => {
  const chance = new FaultSource(11);
  const one = world({ seed: 5, faults: { shortWrite: 0.6, writeWouldBlock: 0.2 } });
  const { h, publisher, subscriber, stream } = one;
  const other = publisher.open('b');
  subscriber.subscribe('b', 'new', 50);
  const sent = new Map<number, Buffer[]>([stream, other].map((id) => [id, []]));
  for (let i = 0; i < 400; i++) {
    const id = i % 3 === 0 ? other : stream;
    const payload = payloadOf(i, chance.between(0, i % 7 === 0 ? 5000 : 200));
    sent.get(id)!.push(payload);
    publisher.publish(id, payload);
    if (i % 25 === 0) h.run();
  }
  h.run();
  const frames = subscriber.take();
  const of = (id: number) =>
    frames.filter(({ stream: at }) => at === id).map(({ payload }) => payload);
  expect(of(stream)).toEqual(sent.get(stream));
  expect(of(other)).toEqual(sent.get(other)!.slice(0, 50));
});
