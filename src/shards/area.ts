/**
 * How the shared area and each shard's own area are carved. By control, before the threads start.
 *
 * Invariant: the parts of an area are disjoint, in order, and end within it.
 */
import { STREAMS_MAX } from '../ring/layout.js';
import * as layout from './layout.js';

export interface AreaOptions {
  /** Bytes of the whole arena: the tables take at most a quarter of it, all shards together. */
  arenaBytes: number;
  shards: number;
  connections: number;
  streams: number;
}

export interface AreaPlan {
  readonly bytes: number;
  readonly streamListsAt: number;
  readonly streamFlagsAt: number;
  readonly bucketsAt: number;
  readonly bucketMask: number;
  /** By pool: where its rows begin within the area, how many there are, and the bytes of one. */
  readonly poolAt: readonly number[];
  readonly poolRows: readonly number[];
  readonly poolRowBytes: readonly number[];
}

/** A receive block takes so small a part of a shard's budget, unless that were less than the smallest block. */
const RECEIVE_BLOCK_PART = 1 / 64;

/** Bytes of a row, by pool. `budget` is what all tables of a shard may take. */
function rowBytesOf(budget: number): number[] {
  const bytes: number[] = [];
  bytes[layout.POOL_PUBLICATIONS] = layout.PUBLICATION_BYTES;
  bytes[layout.POOL_CURSORS] = layout.CURSOR_ROW_BYTES;
  bytes[layout.POOL_SUBSCRIPTIONS] = layout.SUBSCRIPTION_BYTES;
  bytes[layout.POOL_OUT_BLOCKS] = layout.OUT_BLOCK_BYTES;
  bytes[layout.POOL_SMALL_STASHES] = layout.SMALL_STASH_BYTES;
  bytes[layout.POOL_LARGE_STASHES] = layout.LARGE_STASH_BYTES;
  bytes[layout.POOL_KEYS] = layout.KEYS_BYTES;
  let block = layout.RECEIVE_BLOCK_BYTES_MAX;
  while (block > layout.RECEIVE_BLOCK_BYTES_MIN && block > budget * RECEIVE_BLOCK_PART) block /= 2;
  bytes[layout.POOL_RECEIVE_BLOCKS] = block;
  return bytes;
}

const align = (bytes: number, to: number): number => Math.ceil(bytes / to) * to;
const clamp = (value: number, low: number, high: number): number =>
  Math.max(low, Math.min(high, Math.floor(value)));

/** How many rows each pool gets. Rows that are never used cost address space only. */
export function planArea(options: AreaOptions): AreaPlan {
  const budget = options.arenaBytes / 4 / options.shards;
  const share = (part: number, rowBytes: number): number => (budget * part) / rowBytes;
  const poolRowBytes = rowBytesOf(budget);
  const poolRows: number[] = [];
  poolRows[layout.POOL_PUBLICATIONS] = clamp(share(1 / 16, layout.PUBLICATION_BYTES), 1024, 262144);
  poolRows[layout.POOL_CURSORS] = clamp(share(1 / 8, layout.CURSOR_ROW_BYTES), 1024, 262144);
  poolRows[layout.POOL_SUBSCRIPTIONS] = poolRows[layout.POOL_CURSORS]!;
  poolRows[layout.POOL_OUT_BLOCKS] = clamp(share(1 / 8, layout.OUT_BLOCK_BYTES), 64, 8192);
  poolRows[layout.POOL_SMALL_STASHES] = clamp(share(1 / 16, layout.SMALL_STASH_BYTES), 64, 16384);
  poolRows[layout.POOL_LARGE_STASHES] = clamp(share(1 / 8, layout.LARGE_STASH_BYTES), 8, 512);
  const blockBytes = poolRowBytes[layout.POOL_RECEIVE_BLOCKS]!;
  poolRows[layout.POOL_RECEIVE_BLOCKS] = clamp(share(1 / 8, blockBytes), 3, 64);
  poolRows[layout.POOL_KEYS] = clamp(share(1 / 64, layout.KEYS_BYTES), 1024, 65536);

  const streamListsAt = layout.AREA_HEADER_BYTES;
  const streamFlagsAt = streamListsAt + (options.streams + 1) * 4;
  const bucketsAt = align(streamFlagsAt + options.streams + 1, 128);
  let buckets = 1024;
  while (buckets < poolRows[layout.POOL_PUBLICATIONS]) buckets *= 2;
  let at = align(bucketsAt + buckets * 4, 4096);
  const poolAt: number[] = [];
  for (let pool = 0; pool < layout.POOL_COUNT; pool++) {
    poolAt[pool] = at;
    at = align(at + poolRows[pool]! * poolRowBytes[pool]!, 4096);
  }
  return {
    bytes: at,
    streamListsAt,
    streamFlagsAt,
    bucketsAt,
    bucketMask: buckets - 1,
    poolAt,
    poolRows,
    poolRowBytes,
  };
}

/** Slots of the connection table: more than connections, so that a free one is found in a few steps. */
export function connectionSlots(connections: number): number {
  return connections + (connections >>> 2) + 16;
}

/** Bytes of the area that the acceptor, the shards and control share. */
export function sharedBytes(connections: number): number {
  return (
    layout.SHARED_TABLE_BYTE_OFFSET + (connectionSlots(connections) + 1) * layout.CONNECTION_BYTES
  );
}

/** Writes a shard's area header. `areaAt` and `sharedAt` are byte offsets in the arena. */
export function writeArea(
  memory: WebAssembly.Memory,
  areaAt: number,
  sharedAt: number,
  streams: number,
  plan: AreaPlan,
): void {
  const words = new Uint32Array(memory.buffer);
  const write = (offset: number, value: number): void => {
    words[(areaAt + offset) >>> 2] = value;
  };
  write(layout.AREA_STREAM_LISTS, areaAt + plan.streamListsAt);
  write(layout.AREA_STREAM_FLAGS, areaAt + plan.streamFlagsAt);
  write(layout.AREA_BUCKETS, areaAt + plan.bucketsAt);
  write(layout.AREA_BUCKET_MASK, plan.bucketMask);
  write(layout.AREA_SHARED, sharedAt);
  write(layout.AREA_STREAMS_MAX, Math.min(streams, STREAMS_MAX));
  for (let pool = 0; pool < layout.POOL_COUNT; pool++) {
    const at = layout.AREA_POOLS + pool * layout.POOL_BYTES;
    write(at + layout.POOL_BASE, areaAt + plan.poolAt[pool]!);
    write(at + layout.POOL_ROW_BYTES, plan.poolRowBytes[pool]!);
    write(at + layout.POOL_ROWS, plan.poolRows[pool]!);
  }
}
