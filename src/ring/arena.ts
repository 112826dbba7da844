/**
 * The arena: one shared memory, carved once by control, before any other thread starts.
 *
 * Invariant: the regions are disjoint, in order, and end within the memory.
 */
import { MemoryStreamerError } from '../errors.js';
import * as layout from './layout.js';

export const SMALL_SEGMENT_BYTES = 4096;
export const MEDIUM_SEGMENT_BYTES = 32768;
export const LARGE_SEGMENT_BYTES = 262144;
const RELEASE_PAGE_BYTES = 4096;

export interface ArenaOptions {
  /** Whole size in bytes: 4 MiB … 4 GiB less one page; rounded down to pages of 64 KiB. */
  bytes: number;
  /** Threads that use the rings: control and the shards, 2 … 64. */
  threads: number;
  /** Streams that can ever be, 1 … 65,535. */
  streams: number;
  /** Bytes that each thread but control has for itself (connections, cursors, blocks). */
  shardBytes: number;
  /** Bytes of the area that the acceptor and the shards share (connection table, hand-off rings). */
  sharedBytes: number;
  /** NUMA nodes that the segments are spread over. */
  nodes: number;
}

/** Where the regions begin, in bytes. */
export interface Geometry {
  readonly threads: number;
  readonly streams: number;
  readonly nodes: number;
  readonly smallCount: number;
  readonly mediumCount: number;
  readonly largeCount: number;
  readonly threadsByteOffset: number;
  readonly streamsByteOffset: number;
  readonly statesByteOffset: number;
  readonly segmentsByteOffset: number;
  readonly pinCountsByteOffset: number;
  readonly sharedByteOffset: number;
  readonly shardsByteOffset: number;
  readonly shardBytes: number;
  readonly dataByteOffset: number;
  readonly endByteOffset: number;
}

const align = (bytes: number, to: number): number => Math.ceil(bytes / to) * to;

/** Chooses how many segments of each class fit. Throws MS_ERR_MEMORY when the arena is too small. */
export function planArena(options: ArenaOptions): Geometry {
  const fixed = planFixed(options);
  const dataBytes = options.bytes - fixed.tablesEnd;
  // Each segment also costs a state, a row, and a pin count per thread.
  const overhead = 4 + layout.SEGMENT_BYTES + 2 * options.threads;
  const usable = Math.max(0, dataBytes - RELEASE_PAGE_BYTES * 8);
  const smallCount = Math.min(
    options.streams,
    Math.floor(usable / 8 / (SMALL_SEGMENT_BYTES + overhead)),
  );
  const mediumCount = Math.floor(usable / 8 / (MEDIUM_SEGMENT_BYTES + overhead));
  const left =
    usable -
    smallCount * (SMALL_SEGMENT_BYTES + overhead) -
    mediumCount * (MEDIUM_SEGMENT_BYTES + overhead);
  const largeCount = Math.floor(left / (LARGE_SEGMENT_BYTES + overhead));
  if (largeCount < 4) {
    throw new MemoryStreamerError(
      'MS_ERR_MEMORY',
      `an arena of ${options.bytes} bytes has no room for streams: ` +
        `${fixed.tablesEnd} bytes are taken by the tables of ${options.threads - 1} shards; ` +
        'raise memory.arena or lower shards, limits.connections or limits.streams',
    );
  }
  return place(options, fixed, smallCount, mediumCount, largeCount);
}

interface Fixed {
  threadsByteOffset: number;
  streamsByteOffset: number;
  sharedByteOffset: number;
  shardsByteOffset: number;
  shardBytes: number;
  tablesEnd: number;
}

function planFixed(options: ArenaOptions): Fixed {
  const threadsByteOffset = layout.ARENA_PAGE_BYTES;
  const streamsByteOffset = align(
    threadsByteOffset + options.threads * layout.THREAD_BYTES,
    layout.STREAM_BYTES,
  );
  const sharedByteOffset = align(
    streamsByteOffset + (options.streams + 1) * layout.STREAM_BYTES,
    RELEASE_PAGE_BYTES,
  );
  const shardsByteOffset = align(sharedByteOffset + options.sharedBytes, RELEASE_PAGE_BYTES);
  const shardBytes = align(options.shardBytes, RELEASE_PAGE_BYTES);
  const tablesEnd = shardsByteOffset + (options.threads - 1) * shardBytes;
  return {
    threadsByteOffset,
    streamsByteOffset,
    sharedByteOffset,
    shardsByteOffset,
    shardBytes,
    tablesEnd,
  };
}

function place(
  options: ArenaOptions,
  fixed: Fixed,
  smallCount: number,
  mediumCount: number,
  largeCount: number,
): Geometry {
  const segments = smallCount + mediumCount + largeCount;
  const statesByteOffset = align(fixed.tablesEnd, layout.CACHE_LINE_BYTES);
  const segmentsByteOffset = align(statesByteOffset + (segments + 1) * 4, layout.CACHE_LINE_BYTES);
  const pinCountsByteOffset = align(
    segmentsByteOffset + (segments + 1) * layout.SEGMENT_BYTES,
    layout.CACHE_LINE_BYTES,
  );
  const dataByteOffset = align(
    pinCountsByteOffset + options.threads * (segments + 1) * 2,
    RELEASE_PAGE_BYTES,
  );
  const endByteOffset =
    dataByteOffset +
    smallCount * SMALL_SEGMENT_BYTES +
    mediumCount * MEDIUM_SEGMENT_BYTES +
    largeCount * LARGE_SEGMENT_BYTES;
  return {
    threads: options.threads,
    streams: options.streams,
    nodes: options.nodes,
    smallCount,
    mediumCount,
    largeCount,
    threadsByteOffset: fixed.threadsByteOffset,
    streamsByteOffset: fixed.streamsByteOffset,
    statesByteOffset,
    segmentsByteOffset,
    pinCountsByteOffset,
    sharedByteOffset: fixed.sharedByteOffset,
    shardsByteOffset: fixed.shardsByteOffset,
    shardBytes: fixed.shardBytes,
    dataByteOffset,
    endByteOffset,
  };
}

/** Makes the memory and writes its geometry. Throws MS_ERR_MEMORY when the system refuses it. */
export function createArena(options: ArenaOptions): {
  memory: WebAssembly.Memory;
  geometry: Geometry;
} {
  const pages = Math.min(65535, Math.floor(options.bytes / layout.ARENA_PAGE_BYTES));
  const geometry = planArena({ ...options, bytes: pages * layout.ARENA_PAGE_BYTES });
  const memory = reserve(pages);
  const words = new Uint32Array(memory.buffer);
  const write = (byteOffset: number, value: number): void => {
    words[byteOffset >>> 2] = value;
  };
  write(layout.GEOMETRY_THREAD_COUNT, geometry.threads);
  write(layout.GEOMETRY_STREAM_COUNT_MAX, geometry.streams);
  write(layout.GEOMETRY_SMALL_COUNT, geometry.smallCount);
  write(layout.GEOMETRY_MEDIUM_COUNT, geometry.mediumCount);
  write(layout.GEOMETRY_LARGE_COUNT, geometry.largeCount);
  write(layout.GEOMETRY_NODE_COUNT, geometry.nodes);
  write(layout.GEOMETRY_THREADS_BYTE_OFFSET, geometry.threadsByteOffset);
  write(layout.GEOMETRY_STREAMS_BYTE_OFFSET, geometry.streamsByteOffset);
  write(layout.GEOMETRY_STATES_BYTE_OFFSET, geometry.statesByteOffset);
  write(layout.GEOMETRY_SEGMENTS_BYTE_OFFSET, geometry.segmentsByteOffset);
  write(layout.GEOMETRY_PIN_COUNTS_BYTE_OFFSET, geometry.pinCountsByteOffset);
  write(layout.GEOMETRY_DATA_BYTE_OFFSET, geometry.dataByteOffset);
  write(layout.GEOMETRY_SMALL_BYTES, SMALL_SEGMENT_BYTES);
  write(layout.GEOMETRY_MEDIUM_BYTES, MEDIUM_SEGMENT_BYTES);
  write(layout.GEOMETRY_LARGE_BYTES, LARGE_SEGMENT_BYTES);
  return { memory, geometry };
}

/** A shared memory of so many pages. Throws MS_ERR_MEMORY when the system refuses it. */
export function reserve(pages: number): WebAssembly.Memory {
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  } catch (cause) {
    throw new MemoryStreamerError(
      'MS_ERR_MEMORY',
      `the system refused an arena of ${pages * layout.ARENA_PAGE_BYTES} bytes of address space; ` +
        'V8 also reserves guard regions around it, so that "ulimit -v" must be unlimited or far larger; ' +
        'lower memory.arena or raise the limit',
      { cause },
    );
  }
}

/** The NUMA node of each thread; written before the thread starts. */
export function writeThreadNode(
  memory: WebAssembly.Memory,
  geometry: Geometry,
  thread: number,
  node: number,
): void {
  const byteOffset = geometry.threadsByteOffset + thread * layout.THREAD_BYTES + layout.THREAD_NODE;
  new Uint32Array(memory.buffer)[byteOffset >>> 2] = node;
}
