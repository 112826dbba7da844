import { describe, expect, it } from 'vitest';
import { reserve } from '../../src/ring/arena.js';

describe('reserving memory', () => {
  it('gives shared memory of so many pages, zeroed', () => {
    const memory = reserve(2);
    expect(memory.buffer).toBeInstanceOf(SharedArrayBuffer);
    expect(memory.buffer.byteLength).toBe(2 * 65_536);
    expect(new Uint8Array(memory.buffer).every((byte) => byte === 0)).toBe(true);
  });

  it('of more than there can be is told with the size, a way out and the cause', () => {
    let refusal: unknown;
    try {
      reserve(65_537);
    } catch (error) {
      refusal = error;
    }
    expect(refusal).toMatchObject({ code: 'MS_ERR_MEMORY', cause: expect.any(Error) as Error });
    expect(String(refusal)).toContain(`${65_537 * 65_536} bytes`);
    expect(String(refusal)).toContain('lower memory.arena');
  });
});
