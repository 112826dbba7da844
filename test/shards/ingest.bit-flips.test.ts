/**
 * Ten thousand frames as they went over the wire between clients and a shard, each with every single bit
 * changed that its checks cover: every change is noticed, none is delivered.
 */
import { expect, test } from 'vitest';
import * as codes from '../../src/frame/codes.js';
import { FrameKernel } from '../../src/frame/frame-kernel.js';
import { frameBytes } from '../../src/frame/codec.js';
import { FRAME_HEADER_BYTES } from '../../src/frame/layout.js';
import { TYPES_FROM_CLIENT, TYPES_FROM_SERVER } from '../../src/frame/names.js';
import { INGEST_FAULT, POOL_RECEIVE_BLOCKS } from '../../src/shards/layout.js';
import { chooseSeed, Random } from '../support/random.js';
import { harness, type Harness } from '../support/shard-harness.js';
import { data, encode, json } from '../support/test-peer.js';

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
