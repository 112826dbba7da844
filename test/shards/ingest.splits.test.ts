/** A valid sequence means the same however the network cuts it: at the broker, and at the client. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TransportMemory } from '../../src/client/transport.js';
import * as codes from '../../src/frame/codes.js';
import { takeFrames, type Decoded } from '../frame/support.js';
import { harness, type Harness } from '../support/shard-harness.js';
import { data, encode, inWords, json, ping, type TestPeer } from '../support/test-peer.js';

/** Every type that a client may send while it is served, and payloads on either side of a word's end. */
function clientFrames(stream: number): Buffer[] {
  return [
    data(stream, '', 1),
    encode(ping(7n)),
    data(stream, 'seven..'),
    data(stream, 'eight...', 2),
    encode({ type: codes.TYPE_PONG }),
    encode({ type: codes.TYPE_OPEN, sequence: 90n, payload: json({ subject: 'a' }) }),
    data(stream, 'nine.....', 3),
    data(stream, 'x'.repeat(100), 4),
    encode({ type: codes.TYPE_ACK, stream, sequence: 1n }),
    encode({ type: codes.TYPE_CREDIT, sequence: 9n, payload: json({ subject: 'a' }) }),
    encode({ ...ping(8n), payload: Buffer.from('end') }),
  ];
}

/** What publisher and subscriber are told; sequences count from the first of this run. ACKs may stand for many. */
class Told {
  readonly #h: Harness;
  readonly #subscriber: TestPeer;
  readonly #stream: number;

  constructor(h: Harness) {
    this.#h = h;
    this.#subscriber = h.connect();
    this.#stream = this.#subscriber.open('a');
    this.#subscriber.subscribe('a');
  }

  by(cut: (bytes: Buffer) => readonly Buffer[]): { answers: string[]; delivered: string[] } {
    const h = this.#h;
    const base = h.control.nextSequenceOf(this.#stream);
    const peer = h.connect();
    peer.open('a');
    for (const piece of cut(Buffer.concat(clientFrames(this.#stream)))) {
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

test('a shard: in two at every byte', () => {
  const told = new Told(harness({ connections: 64 }));
  const byteCount = Buffer.concat(clientFrames(1)).length;
  for (let at = 0; at <= byteCount; at++) {
    const found = told.by((bytes) => [bytes.subarray(0, at), bytes.subarray(at)]);
    expect(found, `cut at ${at}`).toEqual(EXPECTED);
  }
});

test('a shard: byte by byte', () => {
  const told = new Told(harness());
  expect(told.by((bytes) => Array.from(bytes, (byte) => Buffer.of(byte)))).toEqual(EXPECTED);
});

test('a shard: in any pieces', () => {
  const told = new Told(harness());
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
  readonly #decoder = new TransportMemory(1).decoder;

  frames(pieces: readonly Buffer[]): Decoded[] {
    this.#decoder.reset();
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

function serverFrames(): Buffer {
  const sizes = [0, 1, 7, 8, 9, 100];
  const u64 = Buffer.alloc(8, 3);
  return Buffer.concat([
    encode({ type: codes.TYPE_WELCOME, sequence: 1n, payload: json({ version: 1 }) }),
    ...sizes.map((size) =>
      encode({ type: codes.TYPE_DATA, stream: 1, sequence: 5n, payload: Buffer.alloc(size, size) }),
    ),
    encode({ type: codes.TYPE_GAP, stream: 1, sequence: 9n, payload: u64 }),
    encode({ type: codes.TYPE_ACK, stream: 1, sequence: 9n, payload: u64 }),
    encode({ type: codes.TYPE_ERROR, code: 9, payload: Buffer.from('no') }),
  ]);
}

test('the client: in two at every byte, and byte by byte', () => {
  const receiver = new Receiver();
  const bytes = serverFrames();
  const expected = receiver.frames([bytes]);
  expect(expected).toHaveLength(10);
  for (let at = 0; at <= bytes.length; at++) {
    const found = receiver.frames([bytes.subarray(0, at), bytes.subarray(at)]);
    expect(found, `cut at ${at}`).toEqual(expected);
  }
  expect(receiver.frames(Array.from(bytes, (byte) => Buffer.of(byte)))).toEqual(expected);
});

test('the client: in any pieces, over several times its memory', () => {
  const receiver = new Receiver();
  const largest = encode({ type: codes.TYPE_DATA, stream: 1, payload: Buffer.alloc(65496, 7) });
  const once = Buffer.concat([serverFrames(), largest]);
  const bytes = Buffer.concat(Array.from({ length: 12 }, () => once));
  const expected = Array.from({ length: 12 }, () => receiver.frames([once])).flat();
  const step = fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 300_000 }));
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 30 }), (steps) => {
      expect(receiver.frames(pieces(bytes, [...steps, 65_536]))).toEqual(expected);
    }),
    { numRuns: 60 },
  );
});
