/** A valid sequence means the same however the network cuts it, keyed or not: at the broker, and at the client. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TransportMemory } from '../../src/client/transport.js';
import { frameBytes, FrameEncoder, type FrameFields } from '../../src/frame/codec.js';
import * as codes from '../../src/frame/codes.js';
import { FrameKernel, FrameKey } from '../../src/frame/frame-kernel.js';
import { takeFrames, type Decoded } from '../frame/support.js';
import { harness, type Harness } from '../support/shard-harness.js';
import { dataFields, inWords, json, ping, type TestPeer } from '../support/test-peer.js';

const KEY = {
  method: 'hmac-sha256',
  keyId: 'k',
  secret: Buffer.from('a secret of thirty-two bytes, 1!'),
} as const;
const KINDS = [
  ['checked', false],
  ['keyed', true],
] as const;

/** Every type that a client may send while it is served, and payloads on either side of a word's end. */
function clientFrames(stream: number): FrameFields[] {
  const u64 = Buffer.alloc(8);
  return [
    dataFields(stream, '', 1),
    ping(7n),
    dataFields(stream, 'seven..'),
    dataFields(stream, 'eight...', 2),
    { type: codes.TYPE_PONG },
    { type: codes.TYPE_OPEN, sequence: 90n, payload: json({ subject: 'a' }) },
    dataFields(stream, 'nine.....', 3),
    dataFields(stream, 'x'.repeat(100), 4),
    { type: codes.TYPE_ACK, stream, sequence: 1n, payload: u64 },
    { type: codes.TYPE_CREDIT, sequence: 9n, payload: json({ subject: 'a' }) },
    { ...ping(8n), payload: Buffer.from('end') },
  ];
}

/** Bytes of those frames, keyed or not. */
const BYTE_COUNT = clientFrames(1).reduce(
  (sum, { payload }) => sum + frameBytes(payload?.length ?? 0),
  0,
);

/** What publisher and subscriber are told; sequences count from the first of this run. ACKs may stand for many. */
class Told {
  readonly #h: Harness;
  readonly #subscriber: TestPeer;
  readonly #stream: number;
  readonly #isKeyed: boolean;

  constructor(isKeyed: boolean) {
    const h = harness({ connections: 64, credentials: [KEY] });
    this.#isKeyed = isKeyed;
    this.#h = h;
    this.#subscriber = h.connect();
    this.#stream = this.#subscriber.open('a');
    this.#subscriber.subscribe('a');
  }

  by(cut: (bytes: Buffer) => readonly Buffer[]): { answers: string[]; delivered: string[] } {
    const h = this.#h;
    const base = h.control.nextSequenceOf(this.#stream);
    const peer = h.connect();
    if (this.#isKeyed) expect(peer.greet(KEY)).toBe('WELCOME siphash-2-4');
    peer.open('a');
    const frames = clientFrames(this.#stream).map((fields) => peer.encode(fields));
    for (const piece of cut(Buffer.concat(frames))) {
      peer.write(piece);
      h.run();
    }
    const answers = peer.take();
    const acks = answers.filter(({ type }) => type === codes.TYPE_ACK);
    const last = acks.at(-1)!;
    const delivered = this.#subscriber.take().map((frame) => {
      return inWords({ ...frame, sequence: frame.sequence - base });
    });
    expect(delivered.every((line) => line.startsWith('DATA'))).toBe(true);
    peer.fake.end();
    h.run();
    return {
      answers: [
        ...answers.filter(({ type }) => type !== codes.TYPE_ACK).map(inWords),
        `${last.sequence} = ${last.payload.readBigUInt64LE() - base}`,
      ],
      delivered,
    };
  }
}

const EXPECTED = {
  answers: ['PONG #7', 'OPENED 1 a', 'ERROR MALFORMED 0#9', 'PONG #8 end', '4 = 4'],
  delivered: [
    'DATA 1#0 ',
    'DATA 1#1 seven..',
    'DATA 1#2 eight...',
    'DATA 1#3 nine.....',
    'DATA 1#4 100 bytes',
  ],
};

test.each(KINDS)('a shard, %s: in two at every byte', (_what, isKeyed) => {
  const told = new Told(isKeyed);
  for (let at = 0; at <= BYTE_COUNT; at++) {
    const found = told.by((bytes) => [bytes.subarray(0, at), bytes.subarray(at)]);
    expect(found, `cut at ${at}`).toEqual(EXPECTED);
  }
});

test.each(KINDS)('a shard, %s: byte by byte', (_what, isKeyed) => {
  const told = new Told(isKeyed);
  expect(told.by((bytes) => Array.from(bytes, (byte) => Buffer.of(byte)))).toEqual(EXPECTED);
});

test.each(KINDS)('a shard, %s: in any pieces', (_what, isKeyed) => {
  const told = new Told(isKeyed);
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 120 }), { minLength: 1, maxLength: 30 }),
      (steps) => {
        expect(told.by((bytes) => pieces(bytes, steps))).toEqual(EXPECTED);
      },
    ),
    { numRuns: 150 },
  );
});

function pieces(bytes: Buffer, steps: readonly number[]): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const step = steps[i % steps.length]!;
    found.push(bytes.subarray(at, at + step));
    at += step;
  }
  return found;
}

/** What a server sends, read as the client's socket does it: into the decoder's own memory. */
class Receiver {
  readonly #memory = new TransportMemory(1);
  readonly #decoder = this.#memory.decoder;
  readonly #isKeyed: boolean;

  constructor(isKeyed: boolean) {
    this.#isKeyed = isKeyed;
  }

  frames(pieces: readonly Buffer[]): Decoded[] {
    this.#memory.reset();
    if (this.#isKeyed) this.#memory.receiveKey.set(KEY.secret.subarray(0, 16));
    const found: Decoded[] = [];
    for (const piece of pieces) {
      for (let at = 0; at < piece.length && this.#decoder.fault === 0;) {
        const space = this.#decoder.space();
        const count = piece.copy(space, 0, at);
        this.#decoder.received(count);
        found.push(...takeFrames(this.#decoder));
        at += count;
      }
    }
    expect(this.#decoder.fault === 0).toBe(true);
    return found;
  }
}

/** What a server sends so often, one after another; keyed, if it is. */
function serverFrames(isKeyed: boolean, times = 1, ...more: FrameFields[]): Buffer[] {
  const sizes = [0, 1, 7, 8, 9, 100];
  const u64 = Buffer.alloc(8, 3);
  const frames: FrameFields[] = [
    { type: codes.TYPE_WELCOME, sequence: 1n, payload: json({ version: 1 }) },
    ...sizes.map((size) => {
      const payload = Buffer.alloc(size, size);
      return { type: codes.TYPE_DATA, stream: 1, sequence: 5n, payload };
    }),
    { type: codes.TYPE_GAP, stream: 1, sequence: 9n, payload: u64 },
    { type: codes.TYPE_ACK, stream: 1, sequence: 9n, payload: u64 },
    { type: codes.TYPE_ERROR, code: 9, payload: Buffer.from('no') },
    ...more,
  ];
  const kernel = new FrameKernel(FrameEncoder.areaBytes(131_072) + FrameKey.areaBytes);
  const key = new FrameKey(kernel);
  const encoder = new FrameEncoder(kernel, 131_072, key);
  if (isKeyed) key.set(KEY.secret.subarray(0, 16));
  return Array.from({ length: times }, () => {
    encoder.clear();
    for (const fields of frames) expect(encoder.put(fields)).toBe(true);
    return Buffer.from(encoder.view());
  });
}

test.each(KINDS)('the client, %s: in two at every byte, and byte by byte', (_what, isKeyed) => {
  const receiver = new Receiver(isKeyed);
  const [bytes] = serverFrames(isKeyed);
  const expected = receiver.frames([bytes!]);
  expect(expected).toHaveLength(10);
  for (let at = 0; at <= bytes!.length; at++) {
    const found = receiver.frames([bytes!.subarray(0, at), bytes!.subarray(at)]);
    expect(found, `cut at ${at}`).toEqual(expected);
  }
  expect(receiver.frames(Array.from(bytes!, (byte) => Buffer.of(byte)))).toEqual(expected);
});

test.each(KINDS)(
  'the client, %s: in any pieces, over several times its memory',
  (_what, isKeyed) => {
    const receiver = new Receiver(isKeyed);
    const largest = { type: codes.TYPE_DATA, stream: 1, payload: Buffer.alloc(65496, 7) };
    const blocks = serverFrames(isKeyed, 12, largest);
    const expected = receiver.frames(blocks);
    expect(expected).toHaveLength(12 * 11);
    const bytes = Buffer.concat(blocks);
    const step = fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 300_000 }));
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 30 }), (steps) => {
        expect(receiver.frames(pieces(bytes, [...steps, 65_536]))).toEqual(expected);
      }),
      { numRuns: 60 },
    );
  },
);
