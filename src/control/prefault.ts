/**
 * The part of the arena that is taken from the system before the broker is ready, and kept (`memory.prefault`): the
 * large segments that the log takes first, or all.
 *
 * Invariant: no byte is in the parts of two shards, and a segment's shard is of the NUMA node whose threads take the
 * segment first: the kernel places a page where it is touched first.
 */
import {
  LARGE_SEGMENT_BYTES,
  MEDIUM_SEGMENT_BYTES,
  SMALL_SEGMENT_BYTES,
  type Geometry,
} from '../ring/arena.js';
import type { MemoryRange } from '../shards/task.js';

export type PrefaultGeometry = Pick<
  Geometry,
  | 'nodes'
  | 'smallCount'
  | 'mediumCount'
  | 'largeCount'
  | 'shardsByteOffset'
  | 'shardBytes'
  | 'dataByteOffset'
  | 'endByteOffset'
>;

/**
 * By thread; control, thread 0, has none. `nodeOfShard` is by thread, too. `bytes` is rounded up to whole segments of
 * each node; as much as the arena or more is all of it, but for the tables.
 */
export function prefaultRanges(
  geometry: PrefaultGeometry,
  nodeOfShard: readonly number[],
  bytes: number,
): MemoryRange[][] {
  const { nodes, smallCount, mediumCount, largeCount, endByteOffset } = geometry;
  const ranges: MemoryRange[][] = nodeOfShard.map(() => []);
  const isAll = bytes >= endByteOffset;
  const most = isAll ? Infinity : Math.ceil(bytes / nodes / LARGE_SEGMENT_BYTES);
  let classAt = geometry.dataByteOffset;
  for (const [count, segmentBytes, isWanted] of [
    [smallCount, SMALL_SEGMENT_BYTES, isAll],
    [mediumCount, MEDIUM_SEGMENT_BYTES, isAll],
    [largeCount, LARGE_SEGMENT_BYTES, true],
  ] as const) {
    for (let node = 0; node < nodes && isWanted; node++) {
      const [from, to] = placesOf(node, nodes, count);
      share(Math.min(to - from, most), shardsOf(nodeOfShard, node), (shard, first, end) =>
        ranges[shard]!.push({
          byteOffset: classAt + (from + first) * segmentBytes,
          byteCount: (end - first) * segmentBytes,
        }),
      );
    }
    classAt += count * segmentBytes;
  }
  if (isAll) takeAreas(geometry, ranges);
  return ranges;
}

/** Whether the byte is of somebody's part. */
export function isPrefault(ranges: readonly (readonly MemoryRange[])[], at: number): boolean {
  return ranges.some((own) =>
    own.some(({ byteOffset, byteCount }) => at >= byteOffset && at < byteOffset + byteCount),
  );
}

/** The segments of a class that are a node's, as the kernel of the log shares them out. */
function placesOf(node: number, nodes: number, count: number): [from: number, to: number] {
  const perNode = Math.floor(count / nodes);
  if (perNode === 0) return node === 0 ? [0, count] : [count, count];
  return [node * perNode, node === nodes - 1 ? count : (node + 1) * perNode];
}

function shardsOf(nodeOfShard: readonly number[], node: number): number[] {
  return nodeOfShard.flatMap((of, thread) => (of === node ? [thread] : []));
}

/** As evenly as it goes; who gets none is not told. */
function share(
  count: number,
  shards: readonly number[],
  give: (shard: number, first: number, end: number) => void,
): void {
  for (const [index, shard] of shards.entries()) {
    const first = Math.floor((count * index) / shards.length);
    const end = Math.floor((count * (index + 1)) / shards.length);
    if (end > first) give(shard, first, end);
  }
}

/** What each shard has for itself: where it receives, and what it remembers of its connections. */
function takeAreas(
  { shardsByteOffset, shardBytes }: PrefaultGeometry,
  ranges: MemoryRange[][],
): void {
  for (let shard = 1; shard < ranges.length; shard++) {
    const byteOffset = shardsByteOffset + (shard - 1) * shardBytes;
    ranges[shard]!.push({ byteOffset, byteCount: shardBytes });
  }
}
