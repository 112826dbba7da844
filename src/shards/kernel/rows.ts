// A shard's own tables: pools of rows, connection rows, and where they lie.
import {
  AREA_BUCKETS,
  AREA_BUCKET_MASK,
  AREA_POOLS,
  AREA_SHARED,
  AREA_STREAM_FLAGS,
  AREA_STREAM_LISTS,
  AREA_STREAMS_MAX,
  CONNECTION_BYTES,
  POOL_BASE,
  POOL_BYTES,
  POOL_COUNT,
  POOL_FREE,
  POOL_IN_USE,
  POOL_ROWS,
  POOL_ROW_BYTES,
  POOL_TOUCHED,
  SHARED_TABLE_BYTE_OFFSET,
} from '../layout';

/** This shard's area. */
export let area: usize = 0;
let connectionsAt: usize = 0;
let listsAt: usize = 0;
let flagsAt: usize = 0;
export let bucketsAt: usize = 0;
export let bucketMask: u32 = 0;

/** Begins a life of a shard on its area: every pool is empty, every list too. */
export function openArea(at: usize): void {
  area = at;
  connectionsAt = load<u32>(at, AREA_SHARED) + SHARED_TABLE_BYTE_OFFSET;
  listsAt = load<u32>(at, AREA_STREAM_LISTS);
  flagsAt = load<u32>(at, AREA_STREAM_FLAGS);
  bucketsAt = load<u32>(at, AREA_BUCKETS);
  bucketMask = load<u32>(at, AREA_BUCKET_MASK);
  const streams = <usize>load<u32>(at, AREA_STREAMS_MAX) + 1;
  memory.fill(listsAt, 0, streams << 2);
  memory.fill(flagsAt, 0, streams);
  memory.fill(bucketsAt, 0, (<usize>bucketMask + 1) << 2);
  for (let i: u32 = 0; i < <u32>POOL_COUNT; i++) {
    const pool = poolAt(i);
    store<u32>(pool, 0, POOL_FREE);
    store<u32>(pool, 0, POOL_TOUCHED);
    store<u32>(pool, 0, POOL_IN_USE);
  }
}

// @ts-ignore: decorator
@inline function poolAt(pool: u32): usize {
  return area + AREA_POOLS + <usize>pool * POOL_BYTES;
}

// @ts-ignore: decorator
@inline export function rowAt(pool: u32, row: u32): usize {
  const at = poolAt(pool);
  return <usize>load<u32>(at, POOL_BASE) + <usize>(row - 1) * load<u32>(at, POOL_ROW_BYTES);
}

/** A row of the pool (1 … rows), its content undefined; 0 = none is free. Rows never used are not touched. */
export function takeRow(pool: u32): u32 {
  const at = poolAt(pool);
  const free = load<u32>(at, POOL_FREE);
  let row: u32;
  if (free) {
    row = free;
    store<u32>(at, load<u32>(rowAt(pool, row)), POOL_FREE);
  } else {
    row = load<u32>(at, POOL_TOUCHED);
    if (row == load<u32>(at, POOL_ROWS)) return 0;
    store<u32>(at, ++row, POOL_TOUCHED);
  }
  store<u32>(at, load<u32>(at, POOL_IN_USE) + 1, POOL_IN_USE);
  return row;
}

export function giveRow(pool: u32, row: u32): void {
  const at = poolAt(pool);
  store<u32>(rowAt(pool, row), load<u32>(at, POOL_FREE));
  store<u32>(at, row, POOL_FREE);
  store<u32>(at, load<u32>(at, POOL_IN_USE) - 1, POOL_IN_USE);
}

/** Rows that `takeRow` can still give. */
export function freeRows(pool: u32): u32 {
  return load<u32>(poolAt(pool), POOL_ROWS) - load<u32>(poolAt(pool), POOL_IN_USE);
}

/** Rows 1 … this were used at some time. */
export function touchedRows(pool: u32): u32 {
  return load<u32>(poolAt(pool), POOL_TOUCHED);
}

// @ts-ignore: decorator
@inline export function connectionAt(slot: u32): usize {
  return connectionsAt + <usize>slot * CONNECTION_BYTES;
}

/** u32: the first cursor of this shard on `stream`. */
// @ts-ignore: decorator
@inline export function streamListAt(stream: u32): usize {
  return listsAt + (<usize>stream << 2);
}

/** u8: not 0 when JavaScript wants to hear of this stream's news (connections wait for its log). */
// @ts-ignore: decorator
@inline export function streamFlagAt(stream: u32): usize {
  return flagsAt + stream;
}

export function setStreamFlag(stream: u32, value: u32): void {
  store<u8>(streamFlagAt(stream), value);
}

/** Copies within the arena, outside of any atomic: for bytes that belong to this thread alone. */
export function copyBytes(to: usize, from: usize, bytes: u32): void {
  memory.copy(to, from, bytes);
}
