import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { frameBytes, type FrameFields } from '../../src/frame/codec.js';
import {
  CODE_FRAME_TOO_LARGE,
  CODE_HEADER_CORRUPT,
  CODE_UNKNOWN_TYPE,
  TYPE_DATA,
  TYPE_PING,
} from '../../src/frame/codes.js';
import { FrameKernel } from '../../src/frame/frame-kernel.js';
import { FRAME_TYPES, TYPES_FROM_CLIENT, errorName, isFatal } from '../../src/frame/names.js';
import {
  decodeAll,
  newDecoder,
  newEncoder,
  pattern,
  readVectors,
  takeFrames,
  type Decoded,
  type ValidVector,
} from './support.js';

const vectors = readVectors();
const codeOf = (name: string) => FRAME_TYPES.find((entry) => entry.name === name)!.type;

function expected(vector: ValidVector): Decoded {
  return {
    type: codeOf(vector.type),
    flags: vector.flags ?? 0,
    code: vector.code ?? 0,
    stream: vector.stream,
    sequence: BigInt(vector.sequence),
    timestamp: BigInt(vector.timestamp),
    payload: vector.payload,
    damaged: false,
  };
}

describe('XXH64', () => {
  const kernel = new FrameKernel(65536);
  const at = kernel.reserve(65504);
  it.each(vectors.xxh64)('of $length bytes', ({ length, hash }) => {
    kernel.bytes.set(pattern(length), at);
    expect(kernel.xxh64(at, length)).toBe(BigInt(`0x${hash}`));
  });
  it('of the protocol document', () => {
    kernel.bytes.write('abc', at);
    expect(kernel.xxh64(at, 3)).toBe(0x44bc2cf5ad770999n);
  });
});

describe('valid frames', () => {
  it.each(vectors.valid)('$name: decodes to its fields', (vector) => {
    const bytes = Buffer.from(vector.hex, 'hex');
    expect(decodeAll(newDecoder(), [bytes])).toEqual([expected(vector)]);
  });

  it.each(vectors.valid)('$name: encodes to the same bytes, padding zeroed', (vector) => {
    const encoder = newEncoder();
    const payload = Buffer.from(vector.payload, 'hex');
    const { type, flags, code, stream, sequence, timestamp } = expected(vector);
    expect(encoder.put({ type, flags, code, stream, sequence, timestamp, payload: payload })).toBe(
      true,
    );
    const whole = Buffer.from(vector.hex, 'hex');
    whole.fill(0, 40 + payload.length);
    expect(encoder.view().toString('hex')).toBe(whole.toString('hex'));
  });

  it('the largest frame, both ways', () => {
    const payload = pattern(65496);
    const encoder = newEncoder();
    encoder.put({ type: TYPE_DATA, stream: 1, sequence: 3n, payload });
    const bytes = Buffer.from(encoder.view());
    expect(bytes.subarray(0, 40).toString('hex')).toBe(vectors.largest.header);
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(vectors.largest.sha256);
    const [frame] = decodeAll(newDecoder(), [bytes]);
    expect(frame?.payload).toBe(Buffer.from(payload).toString('hex'));
  });

  it('the padding left by an earlier batch is not sent', () => {
    const encoder = newEncoder();
    encoder.put({ type: TYPE_DATA, stream: 1, payload: new Uint8Array(64).fill(0xff) });
    encoder.clear();
    encoder.putBytes(TYPE_DATA, 0, 1, 0, Buffer.from('abc'), 0, 3);
    expect(encoder.view().subarray(43).toString('hex')).toBe('0000000000');
  });
});

describe('any split', () => {
  const all = Buffer.concat(vectors.valid.map(({ hex }) => Buffer.from(hex, 'hex')));
  const frames = vectors.valid.map(expected);

  it('in two at every point', () => {
    for (let at = 0; at <= all.length; at++) {
      expect(decodeAll(newDecoder(), [all.subarray(0, at), all.subarray(at)])).toEqual(frames);
    }
  });

  it('one byte at a time: each frame comes with its own last byte', () => {
    const decoder = newDecoder();
    const trail: number[] = [];
    for (let at = 0; at < all.length; at++) {
      decoder.push(all.subarray(at, at + 1));
      if (takeFrames(decoder).length > 0) trail.push(at + 1);
    }
    let end = 0;
    const ends = vectors.valid.map(({ payload }) => (end += frameBytes(payload.length / 2)));
    expect(trail).toEqual(ends);
  });

  const payloadBytes = fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: 0, max: 200 }) },
    { weight: 1, arbitrary: fc.constantFrom(4096, 65488, 65495, 65496) },
  );
  const fields: fc.Arbitrary<FrameFields> = fc.record({
    type: fc.constantFrom(...FRAME_TYPES.map(({ type }) => type)),
    flags: fc.integer({ min: 0, max: 0x7fff }),
    code: fc.integer({ min: 0, max: 0xffff }),
    stream: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    sequence: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    timestamp: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    payload: payloadBytes.map(pattern),
  });

  it('of any valid sequence gives the same frames, however often memory is gone round', () => {
    fc.assert(
      fc.property(
        fc.array(fields, { minLength: 1, maxLength: 12 }),
        fc.array(fc.integer({ min: 1, max: 100_000 }), { minLength: 1, maxLength: 20 }),
        (wanted, cuts) => {
          const encoder = newEncoder(16 * 65536);
          for (const frame of wanted) expect(encoder.put(frame)).toBe(true);
          const bytes = Buffer.from(encoder.view());
          const chunks: Buffer[] = [];
          for (let at = 0, cut = 0; at < bytes.length; at += cuts[cut++ % cuts.length]!) {
            chunks.push(bytes.subarray(at, at + cuts[cut % cuts.length]!));
          }
          const found = decodeAll(newDecoder(), chunks);
          expect(found).toEqual(
            wanted.map((frame) => ({
              ...frame,
              payload: Buffer.from(frame.payload!).toString('hex'),
              damaged: false,
            })),
          );
        },
      ),
      { numRuns: 150 },
    );
  });

  it('of more frames than one scan takes', () => {
    const encoder = newEncoder(5000 * 48);
    for (let i = 1; i <= 5000; i++) {
      expect(encoder.putText(TYPE_DATA, 0, 1, i, 'x', 1)).toBe(true);
    }
    const decoder = newDecoder(undefined, 4 * 65536);
    const found = decodeAll(decoder, [encoder.view()]);
    expect(found.map(({ sequence }) => Number(sequence))).toEqual(
      Array.from({ length: 5000 }, (_, i) => i + 1),
    );
  });
});

describe('invalid frames', () => {
  const pure = new Set([
    'BAD_MAGIC',
    'UNSUPPORTED_VERSION',
    'UNKNOWN_TYPE',
    'FRAME_TOO_LARGE',
    'HEADER_CORRUPT',
    'BAD_TAG',
  ]);
  const fatal = vectors.invalid.filter(({ error }) => pure.has(error));

  it('are all in the table of errors, with their fatality', () => {
    const known = new Set(Array.from({ length: 22 }, (_, code) => errorName(code)));
    for (const { error, note } of vectors.invalid) {
      expect(known).toContain(error);
      const code = [...known].indexOf(error);
      expect(isFatal(code), error).toBe(!note.startsWith('not fatal'));
    }
    expect(fatal).toHaveLength(12);
  });

  it.each(fatal)('$name: $error ends the decoder, after the frame before it', (vector) => {
    const good = Buffer.from(vectors.valid[5]!.hex, 'hex');
    const bad = Buffer.from(vector.hex, 'hex');
    for (const step of [1, 7, 1000]) {
      const decoder = newDecoder(TYPES_FROM_CLIENT);
      const bytes = Buffer.concat([good, bad, good]);
      const chunks = Array.from({ length: Math.ceil(bytes.length / step) }, (_, i) =>
        bytes.subarray(i * step, (i + 1) * step),
      );
      expect(decodeAll(decoder, chunks)).toHaveLength(1);
      expect(errorName(decoder.fault)).toBe(vector.error);
    }
  });

  it('a damaged payload is marked, and the frames around it come', () => {
    const vector = vectors.invalid.find(({ error }) => error === 'PAYLOAD_CORRUPT')!;
    const good = Buffer.from(vectors.valid[0]!.hex, 'hex');
    const decoder = newDecoder();
    const frames = decodeAll(decoder, [good, Buffer.from(vector.hex, 'hex'), good]);
    expect(frames.map(({ damaged }) => damaged)).toEqual([false, true, false]);
    expect(frames[1]).toMatchObject({ stream: 7, sequence: 42n });
    expect(decoder.fault).toBe(0);
  });

  it('too large a frame and an unknown type are refused before their payload arrives', () => {
    for (const [error, code] of [
      ['FRAME_TOO_LARGE', CODE_FRAME_TOO_LARGE],
      ['UNKNOWN_TYPE', CODE_UNKNOWN_TYPE],
    ] as const) {
      const vector = vectors.invalid.findLast((entry) => entry.error === error)!;
      const decoder = newDecoder(TYPES_FROM_CLIENT);
      decodeAll(decoder, [Buffer.from(vector.hex, 'hex').subarray(0, 40)]);
      expect(decoder.fault).toBe(code);
    }
  });

  it('any one bit changed in a header is found, and never delivered', () => {
    const good = Buffer.from(vectors.valid[3]!.hex, 'hex');
    for (let bit = 0; bit < 320; bit++) {
      const bad = Buffer.from(good);
      bad[bit >> 3] = bad[bit >> 3]! ^ (1 << (bit & 7));
      const decoder = newDecoder();
      expect(decodeAll(decoder, [bad])).toEqual([]);
      expect(decoder.fault, `bit ${bit}`).toBeGreaterThan(0);
      if (bit >= 128) expect(decoder.fault).toBe(CODE_HEADER_CORRUPT);
    }
  });
});

describe('the encoder', () => {
  it('refuses what does not fit now, and takes it once cleared', () => {
    const encoder = newEncoder(65536);
    const payload = new Uint8Array(65496 - 48);
    expect(encoder.put({ type: TYPE_DATA, payload })).toBe(true);
    expect(encoder.put({ type: TYPE_PING, payload: new Uint8Array(9) })).toBe(false);
    expect(encoder.put({ type: TYPE_PING, payload: new Uint8Array(8) })).toBe(true);
    expect(encoder.putBytes(TYPE_DATA, 0, 1, 1, payload, 0, 0)).toBe(false);
    expect(encoder.usedBytes).toBe(65536);
    encoder.clear();
    expect(encoder.put({ type: TYPE_DATA, payload })).toBe(true);
  });

  it('refuses a payload that no frame holds', () => {
    const payload = new Uint8Array(65497);
    expect(() => newEncoder().put({ type: TYPE_DATA, payload })).toThrow(RangeError);
  });

  it('putBytes and putText make the frames that put makes', () => {
    const text = 'grüße, 世界 and a tail longer than the loop copies';
    const bytes = Buffer.from(text);
    for (const sequence of [0, 1, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1]) {
      for (const [start, end] of [
        [0, 0],
        [1, 8],
        [3, bytes.length],
        [0, bytes.length],
      ] as const) {
        const one = newEncoder();
        const two = newEncoder();
        const payload = bytes.subarray(start, end);
        one.put({ type: TYPE_DATA, flags: 1, stream: 9, sequence: BigInt(sequence), payload });
        two.putBytes(TYPE_DATA, 1, 9, sequence, bytes, start, end);
        expect(two.view().toString('hex')).toBe(one.view().toString('hex'));
        const three = newEncoder();
        three.putText(TYPE_DATA, 1, 9, sequence, text, bytes.length);
        if (end - start === bytes.length) expect(three.view()).toEqual(one.view());
      }
    }
  });
});
