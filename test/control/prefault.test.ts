import { describe, expect, test } from 'vitest';
import { isPrefault, prefaultRanges } from '../../src/control/prefault.js';
import { createArena, planArena, writeThreadNode } from '../../src/ring/arena.js';
import { ON_FULL_BLOCK, STATE_FREE } from '../../src/ring/layout.js';
import { loadKernel } from '../../src/shards/kernel.js';
import type { MemoryRange } from '../../src/shards/task.js';
import { KERNEL_FILE } from '../support/shard-harness.js';

const MIB = 1 << 20;
const OPTIONS = { bytes: 64 * MIB, streams: 16, shardBytes: 65536, sharedBytes: 4096 };

function plan(nodeOfShard: readonly number[]) {
  const nodes = Math.max(...nodeOfShard) + 1;
  return planArena({ ...OPTIONS, threads: nodeOfShard.length, nodes });
}

const inOrder = (ranges: readonly MemoryRange[][]): MemoryRange[] =>
  ranges.flat().sort((a, b) => a.byteOffset - b.byteOffset);

const sum = (ranges: readonly MemoryRange[]): number =>
  ranges.reduce((bytes, { byteCount }) => bytes + byteCount, 0);

describe.each([
  ['one shard', [-1, 0]],
  ['three of one node', [-1, 0, 0, 0]],
  ['one of each of two nodes', [-1, 0, 1]],
  ['five of three nodes', [-1, 0, 0, 1, 1, 2]],
  ['more shards than the node has large segments', [-1, ...Array.from({ length: 60 }, () => 0)]],
])('%s', (_name, nodeOfShard) => {
  const geometry = plan(nodeOfShard);

  test('take all of the arena but its tables, each byte once, and control none', () => {
    const ranges = prefaultRanges(geometry, nodeOfShard, OPTIONS.bytes);
    expect(ranges[0]).toEqual([]);
    let at = geometry.shardsByteOffset;
    for (const { byteOffset, byteCount } of inOrder(ranges)) {
      if (at < geometry.dataByteOffset && byteOffset >= geometry.dataByteOffset) {
        // Between the areas of the shards and the segments there may be tables.
        expect(geometry.dataByteOffset - at).toBeLessThan(262144);
        at = geometry.dataByteOffset;
      }
      expect(byteOffset).toBe(at);
      expect(byteCount).toBeGreaterThan(0);
      at += byteCount;
    }
    expect(at).toBe(geometry.endByteOffset);
  });

  test('take a part of it in the order in which a node’s log does, and about as much each', () => {
    const ranges = prefaultRanges(geometry, nodeOfShard, 6 * MIB);
    const { nodes, endByteOffset, largeCount } = geometry;
    expect(sum(ranges.flat())).toBeGreaterThanOrEqual(6 * MIB);
    expect(sum(ranges.flat())).toBeLessThan(6 * MIB + nodes * 262144);
    const largeAt = endByteOffset - largeCount * 262144;
    for (let node = 0; node < nodes; node++) {
      const own = inOrder(ranges.filter((_, thread) => nodeOfShard[thread] === node));
      let at = largeAt + node * Math.floor(largeCount / nodes) * 262144;
      for (const { byteOffset, byteCount } of own) {
        expect(byteOffset).toBe(at);
        at += byteCount;
      }
    }
    const bytes = ranges.slice(1).map(sum);
    expect(Math.max(...bytes) - Math.min(...bytes)).toBeLessThanOrEqual(2 * MIB);
  });

  test('take nothing where nothing is asked', () => {
    expect(prefaultRanges(geometry, nodeOfShard, 0).flat()).toEqual([]);
  });
});

test('what is somebody’s part is told to its last byte', () => {
  const ranges = [[], [{ byteOffset: 100, byteCount: 10 }], [{ byteOffset: 300, byteCount: 1 }]];
  const told = [99, 100, 109, 110, 299, 300, 301].map((at) => isPrefault(ranges, at));
  expect(told).toEqual([false, true, true, false, false, true, false]);
});

test('a shard takes what its node’s threads are given first', () => {
  const nodeOfShard = [-1, 0, 1];
  const { memory, geometry } = createArena({ ...OPTIONS, threads: 3, nodes: 2 });
  const ranges = prefaultRanges(geometry, nodeOfShard, OPTIONS.bytes);
  const states = new Uint32Array(memory.buffer, geometry.statesByteOffset, 1000);
  const taken = new Set<number>();
  for (const shard of [1, 2]) {
    writeThreadNode(memory, geometry, shard, nodeOfShard[shard]!);
    const kernel = loadKernel(memory, shard, KERNEL_FILE);
    expect(kernel.createStream(shard, MIB, ON_FULL_BLOCK, 1n)).not.toBe(0);
    const segment = states.findIndex((state, at) => state !== STATE_FREE && !taken.has(at));
    taken.add(segment);
    const at = kernel.segmentAt(segment) >>> 0;
    expect([shard, isPrefault([ranges[shard]!], at)]).toEqual([shard, true]);
  }
});
