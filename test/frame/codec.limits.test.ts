/** What encoder and decoder do at the end of their memory. */
import { describe, expect, it } from 'vitest';
import { FrameDecoder, frameBytes } from '../../src/frame/codec.js';
import { TYPE_DATA, TYPE_GAP, TYPE_OPEN } from '../../src/frame/codes.js';
import { FrameKernel } from '../../src/frame/frame-kernel.js';
import { FRAME_BYTES_MAX, PAYLOAD_BYTES_MAX } from '../../src/frame/layout.js';
import { ANY_TYPE, newDecoder, newEncoder } from './support.js';

describe('an area that is too small is refused', () => {
  it('by an encoder that could not hold the largest frame', () => {
    expect(() => newEncoder(FRAME_BYTES_MAX - 8)).toThrow(RangeError);
    expect(newEncoder(FRAME_BYTES_MAX).fits(PAYLOAD_BYTES_MAX)).toBe(true);
  });

  it('by a decoder that could not hold a partial frame and another one behind it', () => {
    expect(() => newDecoder(ANY_TYPE, 2 * FRAME_BYTES_MAX - 8)).toThrow(RangeError);
    expect(newDecoder(ANY_TYPE, 2 * FRAME_BYTES_MAX).space()).toHaveLength(2 * FRAME_BYTES_MAX);
  });

  it('by the kernel, where more is reserved than was planned', () => {
    const kernel = new FrameKernel(8);
    const at = kernel.reserve(8);
    expect(() => kernel.reserve(kernel.bytes.length)).toThrow(RangeError);
    expect(kernel.reserve(1)).toBe(at + 8);
    expect(kernel.reserve(1)).toBe(at + 16);
  });
});

describe('a text that no longer fits', () => {
  it('is not written, and the frames before it stand', () => {
    const encoder = newEncoder(FRAME_BYTES_MAX);
    const payload = new Uint8Array(PAYLOAD_BYTES_MAX - 100);
    expect(encoder.put({ type: TYPE_DATA, payload })).toBe(true);
    const before = Buffer.from(encoder.view());
    expect(encoder.putText(TYPE_OPEN, 0, 1, 2, 'a'.repeat(101), 101)).toBe(false);
    expect(Buffer.from(encoder.view()).equals(before)).toBe(true);
    expect(encoder.usedBytes).toBe(frameBytes(payload.length));
  });
});

describe('a decoder that is given more than it has room for', () => {
  it('takes what fits, and the rest once frames were taken out', () => {
    const encoder = newEncoder(FRAME_BYTES_MAX);
    encoder.put({ type: TYPE_DATA, stream: 1, sequence: 7n, payload: Buffer.alloc(30_000, 'x') });
    const frame = Buffer.from(encoder.view());
    const bytes = Buffer.concat(Array.from({ length: 9 }, () => frame));
    const capacityBytes = 2 * FRAME_BYTES_MAX;
    const decoder = new FrameDecoder(
      new FrameKernel(FrameDecoder.areaBytes(capacityBytes)),
      ANY_TYPE,
      capacityBytes,
    );
    expect(decoder.push(bytes)).toBe(capacityBytes);
    let [taken, frames] = [capacityBytes, 0];
    while (frames < 9) {
      while (decoder.next()) {
        expect([decoder.sequence, decoder.payloadBytes, decoder.damaged]).toEqual([
          7n,
          30_000,
          false,
        ]);
        frames++;
      }
      if (taken < bytes.length) taken += decoder.push(bytes.subarray(taken));
      else break;
    }
    expect([frames, taken]).toEqual([9, bytes.length]);
  });
});

describe('a payload of a u64', () => {
  it.each([
    [8, 0x0807060504030201n],
    [7, undefined],
    [9, undefined],
    [0, undefined],
  ])('of %d bytes', (byteCount, value) => {
    const encoder = newEncoder();
    encoder.put({
      type: TYPE_GAP,
      payload: Uint8Array.from({ length: byteCount }, (_, at) => at + 1),
    });
    const decoder = newDecoder();
    decoder.push(encoder.view());
    expect(decoder.next()).toBe(true);
    expect(decoder.payloadU64()).toBe(value);
  });
});
