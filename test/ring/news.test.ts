import { beforeEach, describe, expect, it } from 'vitest';
import * as layout from '../../src/ring/layout.js';
import { World } from './support/world.js';

const THREADS = 64;
const world = new World({
  threads: THREADS,
  streams: 65,
  plannedStreams: 100,
  limitBytes: 65536,
  areaBytes: 8192 * 4,
  arenaBytes: 8 * 1024 * 1024,
});

function allNews(thread: number): number[] {
  const streams: number[] = [];
  for (let stream; (stream = world.kernel(thread).nextNews()) >= 0;) streams.push(stream);
  return streams;
}

function wakes(thread: number): number[] {
  const owed: number[] = [];
  for (const high of [0, 1]) {
    const mask = world.kernel(thread).takeWakes(high) >>> 0;
    for (let bit = 0; bit < 32; bit++) if ((mask >>> bit) & 1) owed.push(bit + 32 * high);
  }
  return owed;
}

beforeEach(() => world.reset());

describe('news', () => {
  it('reach every stream number, in order, once', () => {
    const words = new Uint32Array(world.memory.buffer);
    const at = layout.STREAM_COUNT_BYTE_OFFSET >>> 2;
    words[at] = layout.STREAMS_MAX;
    world.kernel(0).tellAll();
    expect(allNews(1)).toEqual(Array.from({ length: layout.STREAMS_MAX + 1 }, (_, i) => i));
    expect(allNews(1)).toEqual([]);
  });

  it('are owed a signal by whoever finds the thread asleep, in both halves of the mask, once', () => {
    for (const thread of [1, 31, 32, 63]) {
      world.kernel(thread).subscribeThread(1);
      expect(world.kernel(thread).prepareToSleep()).toBe(1);
    }
    world.append(2, 1, 1, 10);
    expect(wakes(2)).toEqual([1, 31, 32, 63]);
    expect(wakes(2)).toEqual([]);
    world.append(2, 1, 1, 10);
    expect(wakes(2)).toEqual([]);
    for (const thread of [1, 31, 32, 63]) expect(allNews(thread)).toEqual([1]);
  });

  it('keep a thread from sleeping, also when it has taken only part of them', () => {
    world.kernel(1).subscribeThread(1);
    world.kernel(1).subscribeThread(2);
    world.append(2, 1, 1, 10);
    world.append(2, 2, 1, 10);
    expect(world.kernel(1).nextNews()).toBe(1);
    expect(world.kernel(1).prepareToSleep()).toBe(0);
    expect(world.kernel(0).isSleeping(1)).toBe(0);
    expect(world.kernel(1).nextNews()).toBe(2);
    expect(world.kernel(1).nextNews()).toBe(-1);
    expect(world.kernel(1).prepareToSleep()).toBe(1);
    world.kernel(1).wokenUp();
    expect(world.kernel(0).isSleeping(1)).toBe(0);
  });

  it('are not told to who has unsubscribed', () => {
    world.kernel(1).subscribeThread(1);
    world.kernel(1).unsubscribeThread(1);
    world.append(2, 1, 1, 10);
    expect(allNews(1)).toEqual([]);
  });

  it('are not lost when they are told while others are being taken', () => {
    const streams = [1, 2, 65];
    for (const first of streams) {
      for (const later of streams) {
        for (let when = 0; when < 4; when++) {
          world.reset();
          for (const stream of streams) world.kernel(1).subscribeThread(stream);
          world.append(2, first, 1, 10);
          let point = 0;
          world.hook = (thread) => {
            if (thread === 1 && point++ === when) world.append(2, later, 1, 10);
          };
          const seen = new Map<number, bigint>();
          for (let stream; (stream = world.kernel(1).nextNews()) >= 0;) {
            seen.set(stream, world.kernel(0).nextSequenceOf(stream));
          }
          world.hook = null;
          for (const stream of streams) {
            expect(seen.get(stream) ?? 1n).toBe(world.kernel(0).nextSequenceOf(stream));
          }
        }
      }
    }
  });

  it('are forgotten when a thread begins a new life', () => {
    world.kernel(1).subscribeThread(1);
    world.append(2, 1, 1, 10);
    world.revive(1);
    expect(allNews(1)).toEqual([]);
  });
});
