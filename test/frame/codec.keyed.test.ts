/** Keyed frames: SipHash-2-4 against the contract's vectors and against a slow one of the test's own, and what a receiver must notice. */
import { describe, expect, it } from 'vitest';
import { FrameDecoder, FrameEncoder, frameBytes } from '../../src/frame/codec.js';
import { CODE_BAD_TAG, TYPE_DATA, TYPE_OPEN, TYPE_PING } from '../../src/frame/codes.js';
import { FrameKernel, FrameKey } from '../../src/frame/frame-kernel.js';
import { ANY_TYPE, CAPACITY_BYTES, pattern, readVectors, takeFrames } from './support.js';
import { chooseSeed, Random } from '../support/random.js';

const vectors = readVectors();
const MASK = 2n ** 64n - 1n;
const rotl = (x: bigint, by: bigint) => ((x << by) | (x >> (64n - by))) & MASK;

/** SipHash-2-4 as the paper has it, in BigInt: nothing of it is shared with the kernel. */
function slowSiphash(key: Uint8Array, message: Uint8Array): bigint {
  const view = Buffer.from(key);
  const [k0, k1] = [view.readBigUInt64LE(0), view.readBigUInt64LE(8)];
  const v = [
    k0 ^ 0x736f6d6570736575n,
    k1 ^ 0x646f72616e646f6dn,
    k0 ^ 0x6c7967656e657261n,
    k1 ^ 0x7465646279746573n,
  ] as [bigint, bigint, bigint, bigint];
  const round = () => {
    v[0] = (v[0] + v[1]) & MASK;
    v[1] = rotl(v[1], 13n) ^ v[0];
    v[0] = rotl(v[0], 32n);
    v[2] = (v[2] + v[3]) & MASK;
    v[3] = rotl(v[3], 16n) ^ v[2];
    v[0] = (v[0] + v[3]) & MASK;
    v[3] = rotl(v[3], 21n) ^ v[0];
    v[2] = (v[2] + v[1]) & MASK;
    v[1] = rotl(v[1], 17n) ^ v[2];
    v[2] = rotl(v[2], 32n);
  };
  const padded = Buffer.alloc((message.length + 8) & ~7);
  padded.set(message);
  padded[padded.length - 1] = message.length & 0xff;
  for (let at = 0; at < padded.length; at += 8) {
    const word = padded.readBigUInt64LE(at);
    v[3] ^= word;
    round();
    round();
    v[0] ^= word;
  }
  v[2] ^= 0xffn;
  for (let i = 0; i < 4; i++) round();
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}

function le64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}

function slowTag(key: Uint8Array, counter: bigint, frame: Uint8Array): string {
  const payloadBytes = Buffer.from(frame).readUInt32LE(12);
  const message = [le64(counter), frame.subarray(0, 32), frame.subarray(40, 40 + payloadBytes)];
  return le64(slowSiphash(key, Buffer.concat(message))).toString('hex');
}

const TABLE_BYTES = 64;
const RUN_BYTES = 16_384;

function keyedEnds(secret: Uint8Array) {
  const kernel = new FrameKernel(
    FrameEncoder.areaBytes(CAPACITY_BYTES) +
      FrameDecoder.areaBytes(CAPACITY_BYTES) +
      2 * FrameKey.areaBytes +
      TABLE_BYTES +
      RUN_BYTES,
  );
  const [sendKey, receiveKey] = [new FrameKey(kernel), new FrameKey(kernel)];
  sendKey.set(secret);
  receiveKey.set(secret);
  return {
    kernel,
    sendKey,
    receiveKey,
    encoder: new FrameEncoder(kernel, CAPACITY_BYTES, sendKey),
    decoder: new FrameDecoder(kernel, ANY_TYPE, CAPACITY_BYTES, receiveKey),
  };
}

const SECRET = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex');
const hex = (value: Uint8Array) => Buffer.from(value).toString('hex');

/** A key that has already counted so many frames. */
function advance(kernel: FrameKernel, key: FrameKey, counter: number): void {
  kernel.u64[(key.byteOffset + 16) / 8] = BigInt(counter);
}

describe('SipHash-2-4', () => {
  it.each(vectors.siphash24)('of $length bytes', ({ key, length, tag }) => {
    const { kernel, sendKey } = keyedEnds(Buffer.from(key, 'hex'));
    const at = kernel.bytes.length - 1024;
    // What lies behind the message has no part in it.
    kernel.bytes.fill(0xee, at);
    for (let i = 0; i < length; i++) kernel.bytes[at + i] = i;
    // The vectors give the tag as a number.
    expect(kernel.siphash(sendKey.byteOffset, at, length)).toBe(BigInt(`0x${tag}`));
    const message = Uint8Array.from({ length }, (_, i) => i);
    expect(slowSiphash(Buffer.from(key, 'hex'), message)).toBe(BigInt(`0x${tag}`));
  });
});

describe('keyed frames', () => {
  it.each(vectors.keyed)('$name: judged as the contract says', ({ key, counter, hex, ok }) => {
    const { kernel, decoder, receiveKey } = keyedEnds(Buffer.from(key, 'hex'));
    advance(kernel, receiveKey, counter);
    decoder.push(Buffer.from(hex, 'hex'));
    expect(decoder.next()).toBe(ok);
    expect(decoder.fault).toBe(ok ? 0 : CODE_BAD_TAG);
  });

  it.each(vectors.keyed.filter(({ ok }) => ok))('$name: encoded to the same bytes', (vector) => {
    const { kernel, sendKey, encoder } = keyedEnds(Buffer.from(vector.key, 'hex'));
    const whole = Buffer.from(vector.hex, 'hex');
    advance(kernel, sendKey, vector.counter);
    encoder.put({
      type: whole[3]!,
      flags: whole.readUInt16LE(4),
      stream: whole.readUInt32LE(8),
      sequence: whole.readBigUInt64LE(16),
      payload: whole.subarray(40, 40 + whole.readUInt32LE(12)),
    });
    expect(hex(encoder.view())).toBe(vector.hex);
  });

  const lengths = [...Array.from({ length: 41 }, (_, i) => i), 127, 128, 1024, 65_495, 65_496];

  it('of every length bear the tag of a slow SipHash, and are taken in any split', () => {
    const { kernel, encoder, decoder, sendKey } = keyedEnds(SECRET);
    let counter = 0n;
    for (const length of lengths) {
      encoder.clear();
      const payload = pattern(length);
      encoder.put({ type: TYPE_DATA, stream: 3, sequence: 9n, timestamp: 77n, payload });
      const bytes = Buffer.from(encoder.view());
      expect(bytes).toHaveLength(frameBytes(length));
      expect(bytes.readUInt16LE(4)).toBe(0x8000);
      expect(hex(bytes.subarray(32, 40))).toBe(slowTag(SECRET, counter++, bytes));
      const at = 1 + ((length * 7) % (bytes.length - 1));
      decoder.push(bytes.subarray(0, at));
      expect(decoder.next()).toBe(false);
      decoder.push(bytes.subarray(at));
      expect(takeFrames(decoder)).toMatchObject([{ payload: hex(payload), damaged: false }]);
    }
    expect(kernel.u64[(sendKey.byteOffset + 16) / 8]).toBe(counter);
  });

  /** Lengths of frames side by side: all alike, and each with others before and behind it. */
  const runs = (): number[][] => {
    const some = [0, 1, 7, 8, 9, 16, 130];
    const alike = [0, 3, 8, 40, 128, 1000].map((length) => Array<number>(7).fill(length));
    const mixed = some.flatMap((a) => some.flatMap((b) => some.map((c) => [a, b, c, 5])));
    return [...alike, ...mixed];
  };

  it('side by side, whatever their lengths, are judged as each would be alone', () => {
    const { kernel, encoder, receiveKey } = keyedEnds(SECRET);
    const table = kernel.reserve(TABLE_BYTES);
    const at = kernel.reserve(RUN_BYTES);
    let counter = 0n;
    for (const lengths of runs()) {
      const frames = lengths.map((length, i) => {
        encoder.clear();
        encoder.put({ type: TYPE_DATA, stream: 3, payload: pattern(length + i).subarray(i) });
        const bytes = Buffer.from(encoder.view());
        expect(hex(bytes.subarray(32, 40))).toBe(slowTag(SECRET, counter++, bytes));
        return bytes;
      });
      // By one call: a decoder would call again for what the first one has not taken, and judge it anew.
      const bytes = Buffer.concat(frames);
      kernel.bytes.set(bytes, at);
      const key = receiveKey.byteOffset;
      const taken = kernel.call.scanKeyed(at, bytes.length, table, 16, ...ANY_TYPE, key);
      expect(taken, lengths.join()).toBe(frames.length);
    }
  });

  it.each([0, 1, 2, 3, 4, 5])(
    'side by side: a bit that is changed in frame %i of six ends it there, whatever follows',
    (spoiled) => {
      for (const lengths of [
        [13, 13, 13, 13, 13, 13],
        [13, 50, 9, 0, 13, 8],
      ]) {
        for (const place of [16, 33]) {
          const { encoder, decoder } = keyedEnds(SECRET);
          const frames = lengths.map((length) => {
            encoder.clear();
            encoder.put({ type: TYPE_DATA, stream: 3, sequence: 1n, payload: pattern(length) });
            return Buffer.from(encoder.view());
          });
          frames[spoiled]![place]! ^= 1;
          decoder.push(Buffer.concat(frames));
          expect(takeFrames(decoder), `${lengths.join()}, byte ${place}`).toHaveLength(spoiled);
          expect(decoder.fault).toBe(CODE_BAD_TAG);
        }
      }
    },
  );

  const sequence = () => {
    const ends = keyedEnds(SECRET);
    const frames = [TYPE_OPEN, TYPE_DATA, TYPE_DATA, TYPE_PING].map((type, index) => {
      ends.encoder.clear();
      ends.encoder.put({ type, stream: 1, sequence: BigInt(index), payload: pattern(13) });
      return Buffer.from(ends.encoder.view());
    });
    return { ...ends, frames };
  };

  it.each([
    ['dropped', [0, 2], 1],
    ['repeated', [0, 1, 1], 2],
    ['reordered', [0, 2, 1], 1],
    ['sent again from the start', [0, 1, 0], 2],
  ])('a frame that is %s is BAD_TAG', (_what, order, good) => {
    const { decoder, frames } = sequence();
    for (const index of order) decoder.push(frames[index]!);
    expect(takeFrames(decoder)).toHaveLength(good);
    expect(decoder.fault).toBe(CODE_BAD_TAG);
  });

  it('any flipped bit is noticed: in the header, the tag, the payload; not in the padding', () => {
    const seed = chooseSeed();
    const payloadBytes = 1 + new Random(seed).below(60);
    const { kernel, encoder, decoder, receiveKey } = keyedEnds(SECRET);
    encoder.put({ type: TYPE_DATA, stream: 1, sequence: 5n, payload: pattern(payloadBytes) });
    const good = Buffer.from(encoder.view());
    for (let bit = 0; bit < good.length * 8; bit++) {
      decoder.reset();
      advance(kernel, receiveKey, 0);
      const bytes = Buffer.from(good);
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      decoder.push(bytes);
      const taken = decoder.next();
      const isPadding = bit >> 3 >= 40 + payloadBytes;
      expect({ seed, bit, taken }).toEqual({ seed, bit, taken: isPadding });
    }
  });

  it('an unkeyed frame where it must be keyed is BAD_TAG, and a keyed one where there is no key', () => {
    const { decoder, encoder, sendKey, receiveKey, frames } = sequence();
    sendKey.clear();
    encoder.clear();
    encoder.put({ type: TYPE_PING });
    decoder.push(encoder.view());
    expect(decoder.next()).toBe(false);
    expect(decoder.fault).toBe(CODE_BAD_TAG);
    decoder.reset();
    receiveKey.clear();
    decoder.push(frames[0]!);
    expect(decoder.next()).toBe(false);
    expect(decoder.fault).toBe(CODE_BAD_TAG);
  });

  it('a key that is cleared is wiped', () => {
    const { kernel, sendKey } = keyedEnds(SECRET);
    sendKey.clear();
    const at = sendKey.byteOffset;
    expect(kernel.bytes.subarray(at, at + 24).every((byte) => byte === 0)).toBe(true);
  });

  it('one by one: what follows in the same bytes is judged only once the key is set', () => {
    const { decoder, encoder, sendKey, receiveKey } = keyedEnds(SECRET);
    sendKey.clear();
    receiveKey.clear();
    decoder.oneByOne = true;
    encoder.put({ type: TYPE_PING, sequence: 1n });
    sendKey.set(SECRET);
    encoder.put({ type: TYPE_PING, sequence: 2n });
    decoder.push(encoder.view());
    expect(decoder.next()).toBe(true);
    receiveKey.set(SECRET);
    decoder.oneByOne = false;
    expect(decoder.next()).toBe(true);
    expect(decoder.sequence).toBe(2n);
  });
});

it('a key of another length is refused', () => {
  const key = new FrameKey(new FrameKernel(FrameKey.areaBytes));
  expect(() => key.set(new Uint8Array(15))).toThrow(RangeError);
  expect(key.isSet).toBe(false);
});
