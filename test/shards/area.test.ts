import fc from 'fast-check';
import { expect, test } from 'vitest';
import { connectionSlots, planArea, sharedBytes, writeArea } from '../../src/shards/area.js';
import * as layout from '../../src/shards/layout.js';

const MIB = 1024 * 1024;

test('the parts of an area are disjoint, in order, aligned, and end within it', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 4, max: 4095 }),
      fc.integer({ min: 1, max: 63 }),
      fc.integer({ min: 1, max: 65535 }),
      (mebibytes, shards, streams) => {
        const plan = planArea({ arenaBytes: mebibytes * MIB, shards, connections: 100, streams });
        expect(plan.streamListsAt).toBeGreaterThanOrEqual(layout.AREA_HEADER_BYTES);
        expect(plan.streamFlagsAt).toBeGreaterThanOrEqual(plan.streamListsAt + 4 * (streams + 1));
        expect(plan.bucketsAt).toBeGreaterThan(plan.streamFlagsAt + streams);
        const buckets = plan.bucketMask + 1;
        expect(buckets & plan.bucketMask).toBe(0);
        expect(buckets).toBeGreaterThanOrEqual(plan.poolRows[layout.POOL_PUBLICATIONS]!);
        let end = plan.bucketsAt + 4 * buckets;
        for (let pool = 0; pool < layout.POOL_COUNT; pool++) {
          expect(plan.poolAt[pool]).toBeGreaterThanOrEqual(end);
          expect(plan.poolAt[pool]! % 4096).toBe(0);
          end = plan.poolAt[pool]! + plan.poolRows[pool]! * plan.poolRowBytes[pool]!;
        }
        expect(plan.bytes).toBeGreaterThanOrEqual(end);
      },
    ),
  );
});

test('a small arena still has what one connection at a time needs', () => {
  const { poolRows } = planArea({ arenaBytes: 4 * MIB, shards: 63, connections: 1, streams: 1 });
  expect(poolRows[layout.POOL_RECEIVE_BLOCKS]).toBeGreaterThanOrEqual(3);
  expect(poolRows[layout.POOL_LARGE_STASHES]).toBeGreaterThanOrEqual(8);
  expect(poolRows[layout.POOL_OUT_BLOCKS]).toBeGreaterThanOrEqual(64);
});

test('the tables take at most a quarter of a large arena, all shards together', () => {
  for (const shards of [1, 4, 16]) {
    const plan = planArea({ arenaBytes: 4095 * MIB, shards, connections: 10_000, streams: 1000 });
    expect(plan.bytes * shards).toBeLessThanOrEqual((4095 * MIB) / 4);
  }
});

test('the header of an area says where all of it lies', () => {
  const memory = new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true });
  const plan = planArea({ arenaBytes: 16 * MIB, shards: 1, connections: 10, streams: 10 });
  writeArea(memory, 65536, 777, 10, plan);
  const word = (offset: number): number => new Uint32Array(memory.buffer)[(65536 + offset) >>> 2]!;
  expect(word(layout.AREA_STREAM_LISTS)).toBe(65536 + plan.streamListsAt);
  expect(word(layout.AREA_STREAM_FLAGS)).toBe(65536 + plan.streamFlagsAt);
  expect(word(layout.AREA_BUCKETS)).toBe(65536 + plan.bucketsAt);
  expect(word(layout.AREA_BUCKET_MASK)).toBe(plan.bucketMask);
  expect([word(layout.AREA_SHARED), word(layout.AREA_STREAMS_MAX)]).toEqual([777, 10]);
  for (let pool = 0; pool < layout.POOL_COUNT; pool++) {
    const at = layout.AREA_POOLS + pool * layout.POOL_BYTES;
    expect(word(at + layout.POOL_BASE)).toBe(65536 + plan.poolAt[pool]!);
    expect(word(at + layout.POOL_ROW_BYTES)).toBe(plan.poolRowBytes[pool]);
    expect(word(at + layout.POOL_ROWS)).toBe(plan.poolRows[pool]);
  }
});

test('there are more slots than connections, and the shared area holds them all', () => {
  for (const connections of [1, 3, 100, 10_000]) {
    expect(connectionSlots(connections)).toBeGreaterThan(connections);
    expect(sharedBytes(connections)).toBeGreaterThanOrEqual(
      layout.SHARED_TABLE_BYTE_OFFSET +
        (connectionSlots(connections) + 1) * layout.CONNECTION_BYTES,
    );
  }
});

test('a receive block is as large as the memory of its shard allows', () => {
  const blockBytes = (mebibytes: number, shards: number): number => {
    const size = { arenaBytes: mebibytes * MIB, shards, connections: 10, streams: 10 };
    return planArea(size).poolRowBytes[layout.POOL_RECEIVE_BLOCKS]!;
  };
  expect(blockBytes(1024, 1)).toBe(layout.RECEIVE_BLOCK_BYTES_MAX);
  expect(blockBytes(1024, 4)).toBe(layout.RECEIVE_BLOCK_BYTES_MAX);
  expect(blockBytes(1024, 8)).toBe(layout.RECEIVE_BLOCK_BYTES_MAX / 2);
  expect(blockBytes(16, 1)).toBe(layout.RECEIVE_BLOCK_BYTES_MIN);
  expect(blockBytes(4, 63)).toBe(layout.RECEIVE_BLOCK_BYTES_MIN);
});
