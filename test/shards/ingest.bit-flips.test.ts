/**
 * Ten thousand frames as they went over the wire between clients and a shard, each with every single bit changed that its
 * checks cover, and ten thousand keyed ones: every change is noticed, none is delivered.
 */
import { expect, test } from 'vitest';
import * as codes from '../../src/frame/codes.js';
import { FrameKernel } from '../../src/frame/frame-kernel.js';
import { frameBytes } from '../../src/frame/codec.js';
import {
  FRAME_BYTES_MAX,
  FRAME_HEADER_BYTES,
  KEY_COUNTER,
  KEY_SECRET_BYTES,
} from '../../src/frame/layout.js';
import { FrameKey } from '../../src/frame/frame-kernel.js';
import { TYPES_FROM_CLIENT, TYPES_FROM_SERVER } from '../../src/frame/names.js';
import {
  CONNECTION_KEYS,
  INGEST_FAULT,
  KEYS_IN,
  KEYS_OUT,
  POOL_KEYS,
  POOL_RECEIVE_BLOCKS,
} from '../../src/shards/layout.js';
import { chooseSeed, Random } from '../support/random.js';
import { harness, type Harness } from '../support/shard-harness.js';
import { data, dataFields, encode, json, ping, type TestPeer } from '../support/test-peer.js';

const FRAMES = 10_000;
const STREAM = 1;

interface Recorded {
  readonly bytes: Buffer;
  readonly from: 'client' | 'server';
}

/** Publishes until enough frames went either way, and keeps the bytes of each as they were sent. */
function record(h: Harness, random: Random): Recorded[] {
  const [publisher, subscriber] = [h.connect(), h.connect()];
  publisher.open('a');
  subscriber.subscribe('a');
  const recorded: Recorded[] = [];
  const openBytes = encode({
    type: codes.TYPE_OPEN,
    sequence: 1n,
    payload: json({ subject: 'a' }),
  });
  recorded.push({ bytes: openBytes, from: 'client' });
  for (let number = 1; recorded.length < FRAMES; number++) {
    const size = random.below(20) === 0 ? random.below(400) : random.below(48);
    const bytes = data(STREAM, random.bytes(size), random.below(2) === 0 ? number : undefined);
    publisher.write(bytes);
    recorded.push({ bytes, from: 'client' });
    h.run();
    for (const frame of [...publisher.take(), ...subscriber.take()]) {
      recorded.push({ bytes: encode(frame), from: 'server' });
    }
  }
  return recorded.slice(0, FRAMES);
}

/** Bits of the header and of the payload; the padding is no part of any check. */
const bitsOf = ({ bytes }: Recorded) => (FRAME_HEADER_BYTES + bytes.readUInt32LE(12)) * 8;

const seed = chooseSeed();

test(`a shard's ingest notices every one (seed ${seed})`, () => {
  const h = harness();
  const recorded = record(h, new Random(seed)).filter(({ from }) => from === 'client');
  const peer = h.connect();
  peer.open('a');
  const kernel = h.kernels[1]!;
  const block = kernel.takeRow(POOL_RECEIVE_BLOCKS);
  const at = kernel.rowAt(POOL_RECEIVE_BLOCKS, block);
  const memory = Buffer.from(h.memory.buffer);
  const framesBefore = kernel.ingestedFrames();
  let [flips, noticed] = [0, 0];
  for (const frame of recorded) {
    const { bytes } = frame;
    bytes.copy(memory, at);
    for (let bit = 0; bit < bitsOf(frame); bit++) {
      const place = at + (bit >>> 3);
      memory[place]! ^= 1 << (bit & 7);
      flips++;
      if (kernel.ingest(peer.slot, at, at + bytes.length) === INGEST_FAULT) noticed++;
      memory[place]! ^= 1 << (bit & 7);
    }
  }
  kernel.giveRow(POOL_RECEIVE_BLOCKS, block);
  console.log(`${recorded.length} frames, ${flips} flips, ${noticed} noticed (ingest)`);
  expect(recorded.length).toBeGreaterThan(2500);
  expect(flips).toBeGreaterThan(1_000_000);
  expect(noticed).toBe(flips);
  expect(kernel.ingestedFrames(), 'none was taken').toBe(framesBefore);
});

test(`the decoder of clients notices every one, in all ${FRAMES} frames (seed ${seed})`, () => {
  const recorded = record(harness(), new Random(seed));
  const kernel = new FrameKernel(2 * 65536);
  const table = kernel.reserve(8);
  const at = kernel.reserve(65536);
  let [flips, fatal, damaged] = [0, 0, 0];
  for (const frame of recorded) {
    const { bytes, from } = frame;
    const [low, high] = from === 'client' ? TYPES_FROM_CLIENT : TYPES_FROM_SERVER;
    const scan = () => kernel.call.scan(at, bytes.length, table, 1, low, high);
    bytes.copy(kernel.bytes, at);
    expect([scan(), kernel.u32[table >>> 2]]).toEqual([1, at]);
    expect(bytes.length).toBe(frameBytes(bytes.readUInt32LE(12)));
    for (let bit = 0; bit < bitsOf(frame); bit++) {
      const place = at + (bit >>> 3);
      kernel.bytes[place]! ^= 1 << (bit & 7);
      flips++;
      if (scan() === 0) fatal += kernel.call.scanStopped() < 0 ? 1 : 0;
      else damaged += kernel.u32[table >>> 2]! & 1;
      kernel.bytes[place]! ^= 1 << (bit & 7);
    }
  }
  console.log(
    `${FRAMES} frames, ${flips} flips: ${fatal} end the connection, ${damaged} drop the frame`,
  );
  expect(recorded).toHaveLength(FRAMES);
  expect(fatal).toBe(FRAMES * FRAME_HEADER_BYTES * 8);
  expect(fatal + damaged).toBe(flips);
});

// ---- Keyed ----

const KEY = {
  method: 'hmac-sha256',
  keyId: 'k',
  secret: Buffer.from('a secret of thirty-two bytes, 1!'),
} as const;

/** Where a connection's keys and counters are. */
function keysAt(h: Harness, peer: TestPeer): number {
  return h.kernels[1]!.rowAt(POOL_KEYS, h.field(peer, CONNECTION_KEYS)) >>> 0;
}

/** One client that publishes and subscribes; all that it sends, or all that it is sent, in order: a frame's place is its counter. */
function recordKeyed(from: Recorded['from'], random: Random) {
  const h = harness({ credentials: [KEY] });
  const peer = h.connect();
  expect(peer.greet(KEY)).toBe('WELCOME siphash-2-4');
  peer.isReading = false;
  const frames: Buffer[] = [];
  let rest = Buffer.alloc(0);
  const send = (fields: Parameters<TestPeer['encode']>[0]): void => {
    const bytes = peer.encode(fields);
    if (from === 'client') frames.push(bytes);
    peer.write(bytes);
  };
  send({ type: codes.TYPE_OPEN, sequence: 1n, payload: json({ subject: 'a' }) });
  send({ type: codes.TYPE_SUBSCRIBE, sequence: 2n, payload: json({ subject: 'a' }) });
  h.run();
  for (let number = 1; frames.length < FRAMES; number++) {
    const size = random.below(20) === 0 ? random.below(400) : random.below(48);
    const wantsAck = random.below(2) === 0;
    send(dataFields(STREAM, random.bytes(size), wantsAck ? number : undefined));
    if (random.below(10) === 0) send(ping(BigInt(number)));
    if (random.below(4) === 0) h.run();
    rest = Buffer.concat([rest, peer.fake.read(Number.MAX_SAFE_INTEGER)]);
    while (from === 'server' && rest.length >= FRAME_HEADER_BYTES) {
      const byteCount = frameBytes(rest.readUInt32LE(12));
      if (rest.length < byteCount) break;
      frames.push(Buffer.from(rest.subarray(0, byteCount)));
      rest = rest.subarray(byteCount);
    }
  }
  expect(frames.every((bytes) => (bytes.readUInt16LE(4) & 0x8000) !== 0)).toBe(true);
  return { h, peer, frames: frames.slice(0, FRAMES) };
}

/** As many bytes as the longest frame, as they might follow: a length that is changed is noticed when all of it is there. */
const following = (frames: readonly Buffer[]) =>
  Buffer.concat(frames.slice(0, 2000)).subarray(0, FRAME_BYTES_MAX);

/** Flips each bit in turn, of the frame at `at`; answers how many, and of how many `isNoticed` says so. */
function flipAll(memory: Buffer, at: number, frame: Buffer, isNoticed: () => boolean) {
  const bits = bitsOf({ bytes: frame, from: 'client' });
  let noticed = 0;
  frame.copy(memory, at);
  for (let bit = 0; bit < bits; bit++) {
    const place = at + (bit >>> 3);
    memory[place]! ^= 1 << (bit & 7);
    if (isNoticed()) noticed++;
    memory[place]! ^= 1 << (bit & 7);
  }
  return { bits, noticed };
}

test(`keyed: a shard's ingest notices every one (seed ${seed})`, () => {
  const { h, peer, frames } = recordKeyed('client', new Random(seed));
  const kernel = h.kernels[1]!;
  const block = kernel.takeRow(POOL_RECEIVE_BLOCKS);
  const at = kernel.rowAt(POOL_RECEIVE_BLOCKS, block) >>> 0;
  const memory = Buffer.from(h.memory.buffer);
  const counter = new BigUint64Array(h.memory.buffer, keysAt(h, peer) + KEYS_IN + KEY_COUNTER, 1);
  const framesBefore = kernel.ingestedFrames();
  const behind = following(frames);
  let [flips, noticed] = [0, 0];
  for (const [i, frame] of frames.entries()) {
    const end = at + frame.length + behind.copy(memory, at + frame.length);
    const found = flipAll(memory, at, frame, () => {
      counter[0] = BigInt(i);
      return kernel.ingest(peer.slot, at, end) === INGEST_FAULT;
    });
    flips += found.bits;
    noticed += found.noticed;
  }
  kernel.giveRow(POOL_RECEIVE_BLOCKS, block);
  console.log(`${FRAMES} keyed frames, ${flips} flips, ${noticed} noticed (ingest)`);
  expect(flips).toBeGreaterThan(4_000_000);
  expect(noticed).toBe(flips);
  expect(kernel.ingestedFrames(), 'none was taken').toBe(framesBefore);
  peer.fake.reset();
}, 120_000);

test(`keyed: the decoder of clients notices every one (seed ${seed})`, () => {
  const { h, peer, frames } = recordKeyed('server', new Random(seed));
  const secretAt = keysAt(h, peer) + KEYS_OUT;
  const secret = Buffer.from(h.memory.buffer).subarray(secretAt, secretAt + KEY_SECRET_BYTES);
  const kernel = new FrameKernel(3 * FRAME_BYTES_MAX + FrameKey.areaBytes);
  const key = new FrameKey(kernel);
  const table = kernel.reserve(8);
  const at = kernel.reserve(2 * FRAME_BYTES_MAX);
  const counter = (key.byteOffset + KEY_COUNTER) >>> 3;
  const [low, high] = TYPES_FROM_SERVER;
  const behind = following(frames);
  let [flips, noticed] = [0, 0];
  key.set(secret);
  for (const [i, frame] of frames.entries()) {
    const byteCount = frame.length + behind.copy(kernel.bytes, at + frame.length);
    const scan = (): number => {
      kernel.u64[counter] = BigInt(i);
      return kernel.call.scanKeyed(at, byteCount, table, 1, low, high, key.byteOffset);
    };
    frame.copy(kernel.bytes, at);
    expect(scan(), 'unchanged it is taken').toBe(1);
    const found = flipAll(kernel.bytes, at, frame, () => {
      return scan() === 0 && kernel.call.scanStopped() < 0;
    });
    flips += found.bits;
    noticed += found.noticed;
  }
  console.log(`${FRAMES} keyed frames, ${flips} flips, ${noticed} noticed (decoder)`);
  expect(flips).toBeGreaterThan(4_000_000);
  expect(noticed).toBe(flips);
  peer.fake.reset();
}, 120_000);

test('through sockets and turns: a changed bit is answered by ERROR, and no subscriber sees the frame', () => {
  const h = harness();
  const subscriber = h.connect();
  subscriber.open('a');
  subscriber.subscribe('a');
  const good = data(STREAM, 'payload!', 1);
  for (let bit = 0; bit < good.length * 8; bit++) {
    const peer = h.connect();
    peer.open('a');
    const bad = Buffer.from(good);
    bad[bit >>> 3]! ^= 1 << (bit & 7);
    peer.write(bad);
    h.run();
    const told = peer.told();
    expect(told, `bit ${bit}`).toHaveLength(1);
    expect(told[0]).toMatch(
      bit < 320 ? /^ERROR (BAD_|UNSUPP|FRAME_T|HEADER_C)/ : /^ERROR PAYLOAD_C/,
    );
    expect(subscriber.take()).toEqual([]);
    peer.fake.end();
    h.advance(50);
  }
});

test('keyed: through sockets and turns, a changed bit ends the connection, and no subscriber sees the frame', () => {
  const h = harness({ credentials: [KEY] });
  const subscriber = h.connect();
  subscriber.open('a');
  subscriber.subscribe('a');
  const byteCount = frameBytes('payload!'.length);
  for (let bit = 0; bit < byteCount * 8; bit++) {
    const peer = h.connect();
    expect(peer.greet(KEY)).toBe('WELCOME siphash-2-4');
    peer.open('a');
    const bad = peer.encode(dataFields(STREAM, 'payload!', 1));
    bad[bit >>> 3]! ^= 1 << (bit & 7);
    // A changed length may want this much before the frame is there.
    peer.write(Buffer.concat([bad, Buffer.alloc(FRAME_BYTES_MAX)]));
    h.run();
    expect(peer.told(), `bit ${bit}`).toEqual([
      expect.stringMatching(/^ERROR (BAD_|UNSUPP|UNKNOWN_TYPE|FRAME_T)/),
    ]);
    expect(subscriber.take()).toEqual([]);
    peer.fake.end();
    h.advance(50);
  }
});
