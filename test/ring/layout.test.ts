import { describe, expect, it } from 'vitest';
import { FRAME_BYTES_MAX, FRAME_HEADER_BYTES } from '../../src/frame/layout.js';
import type { ArenaOptions } from '../../src/ring/arena.js';
import {
  LARGE_SEGMENT_BYTES,
  MEDIUM_SEGMENT_BYTES,
  SMALL_SEGMENT_BYTES,
  planArena,
} from '../../src/ring/arena.js';
import * as layout from '../../src/ring/layout.js';

/** Fields as [name, offset, bytes]: disjoint, aligned to their size, within the row. */
function expectFields(rowBytes: number, fields: [string, number, number][]): void {
  const sorted = [...fields].sort((a, b) => a[1] - b[1]);
  let end = 0;
  for (const [name, offset, bytes] of sorted) {
    expect(offset, `${name} overlaps what is before it`).toBeGreaterThanOrEqual(end);
    expect(offset % Math.min(bytes, 8), `${name} is not aligned`).toBe(0);
    end = offset + bytes;
  }
  expect(end).toBeLessThanOrEqual(rowBytes);
}

/** Constants of the layout whose name begins so, with the size that the given ones have (others: 4). */
function fieldsOf(prefix: string, sizes: Record<string, number>, not: string[] = []) {
  return Object.entries(layout as unknown as Record<string, number>)
    .filter(([name]) => name.startsWith(prefix) && !not.includes(name))
    .map(([name, offset]): [string, number, number] => [name, offset, sizes[name] ?? 4]);
}

describe('rows', () => {
  it('the thread row has room for its fields', () => {
    const sizes = { THREAD_SUMMARY: 8 * layout.SUMMARY_WORDS, THREAD_NEWS: 8 * layout.NEWS_WORDS };
    expectFields(layout.THREAD_BYTES, fieldsOf('THREAD_', sizes, ['THREAD_BYTES']));
    expect(layout.THREAD_BYTES % layout.CACHE_LINE_BYTES).toBe(0);
  });

  it('the stream row has room for its fields', () => {
    const sizes = {
      STREAM_TAIL: 8,
      STREAM_SUBSCRIBERS: 8,
      STREAM_WAITERS: 8,
      STREAM_EPOCH: 8,
      STREAM_SUBJECT: 255,
    };
    const not = ['STREAM_BYTES', 'STREAM_COUNT_BYTE_OFFSET'];
    expectFields(layout.STREAM_BYTES, fieldsOf('STREAM_', sizes, not));
  });

  it('the segment row has room for its fields', () => {
    const sizes = {
      SEGMENT_PINS: 8,
      SEGMENT_BASE_SEQUENCE: 8,
      SEGMENT_CAPACITY_BEFORE: 8,
      SEGMENT_FIRST_TIMESTAMP: 8,
    };
    const not = ['SEGMENT_BYTES', 'SEGMENT_BYTES_PER_RECORD'];
    expectFields(layout.SEGMENT_BYTES, fieldsOf('SEGMENT_', sizes, not));
  });

  it('the cursor has room for its fields', () => {
    const sizes = { CURSOR_GAP_FIRST: 8, CURSOR_NEXT_SEQUENCE: 8 };
    expectFields(layout.CURSOR_BYTES, fieldsOf('CURSOR_', sizes, ['CURSOR_BYTES']));
  });

  it('the control page has room for its words, apart from each other', () => {
    const geometry = fieldsOf('GEOMETRY_', {});
    const shared: [string, number, number][] = [
      ['hints', layout.POOL_HINTS_BYTE_OFFSET, 8 * 3 * 4],
      ['waiters', layout.POOL_WAITERS_BYTE_OFFSET, 8],
      ['stream count', layout.STREAM_COUNT_BYTE_OFFSET, 4],
      ['alive', layout.ALIVE_MASK_BYTE_OFFSET, 8],
    ];
    expectFields(layout.ARENA_PAGE_BYTES, [...geometry, ...shared]);
    const lines = shared.map(([, offset]) => Math.floor(offset / layout.CACHE_LINE_BYTES));
    expect(new Set(lines).size).toBe(shared.length);
  });

  it('words that many threads write lie on lines of their own', () => {
    const line = (offset: number) => Math.floor(offset / layout.CACHE_LINE_BYTES);
    const { THREAD_TURN, THREAD_SLEEPING, THREAD_SUMMARY, THREAD_NEWS } = layout;
    expect(
      new Set([THREAD_TURN, THREAD_SLEEPING, THREAD_SUMMARY, THREAD_NEWS].map(line)).size,
    ).toBe(4);
    expect(line(layout.STREAM_TAIL)).not.toBe(line(layout.STREAM_SUBSCRIBERS));
  });
});

describe('packed words', () => {
  it('have room for what a segment can hold', () => {
    for (const bytes of [SMALL_SEGMENT_BYTES, MEDIUM_SEGMENT_BYTES, LARGE_SEGMENT_BYTES]) {
      expect(bytes & (bytes - 1)).toBe(0);
      expect(bytes / layout.SEGMENT_BYTES_PER_RECORD).toBeLessThan(2 ** 13);
      expect(bytes / FRAME_HEADER_BYTES).toBeLessThan(2 ** 13);
      // Two records at least are kept, so that an offset never reaches the capacity.
      expect(bytes - 2 * layout.RECORD_BYTES).toBeLessThan(2 ** 18);
    }
    expect(FRAME_BYTES_MAX + 2 * layout.RECORD_BYTES).toBeLessThanOrEqual(LARGE_SEGMENT_BYTES);
    expect(layout.SEGMENTS_MAX).toBeLessThan(2 ** 20);
    expect(layout.STREAMS_MAX).toBeLessThan(layout.NEWS_WORDS * 64);
    expect(layout.NEWS_WORDS).toBe(layout.SUMMARY_WORDS * 64);
    expect(layout.STREAMS_MAX).toBeLessThan(2 ** 24);
  });
});

describe('the plan of an arena', () => {
  const options: ArenaOptions = {
    bytes: 64 * 1024 * 1024,
    threads: 3,
    streams: 1000,
    shardBytes: 3_000_001,
    sharedBytes: 70_001,
    nodes: 2,
  };

  it.each([
    ['an ordinary one', {}],
    ['the least', { bytes: 4 * 1024 * 1024, threads: 2, streams: 10, shardBytes: 4096 }],
    ['the most', { bytes: 65535 * 65536, threads: 64, streams: 65535, shardBytes: 8_000_000 }],
  ])('%s has disjoint regions, in order', (_, changes) => {
    const wanted = { ...options, ...changes };
    const plan = planArena(wanted);
    const segments = plan.smallCount + plan.mediumCount + plan.largeCount;
    const regions = [
      [layout.CONTROL_BYTE_OFFSET, layout.ARENA_PAGE_BYTES],
      [plan.threadsByteOffset, plan.threadsByteOffset + plan.threads * layout.THREAD_BYTES],
      [plan.streamsByteOffset, plan.streamsByteOffset + (plan.streams + 1) * layout.STREAM_BYTES],
      [plan.sharedByteOffset, plan.sharedByteOffset + wanted.sharedBytes],
      [plan.shardsByteOffset, plan.shardsByteOffset + (plan.threads - 1) * plan.shardBytes],
      [plan.statesByteOffset, plan.statesByteOffset + 4 * (segments + 1)],
      [plan.segmentsByteOffset, plan.segmentsByteOffset + layout.SEGMENT_BYTES * (segments + 1)],
      [plan.pinCountsByteOffset, plan.pinCountsByteOffset + 2 * plan.threads * (segments + 1)],
      [plan.dataByteOffset, plan.endByteOffset],
    ] as const;
    let end = 0;
    for (const [from, to] of regions) {
      expect(from).toBeGreaterThanOrEqual(end);
      expect(from % 8).toBe(0);
      end = to;
    }
    expect(end).toBeLessThanOrEqual(wanted.bytes);
    expect(plan.shardBytes).toBeGreaterThanOrEqual(wanted.shardBytes);
    expect(plan.dataByteOffset % 4096).toBe(0);
    expect(plan.largeCount).toBeGreaterThanOrEqual(4);
    expect(segments).toBeLessThanOrEqual(layout.SEGMENTS_MAX);
    // What is left over is less than one large segment and its rows.
    expect(wanted.bytes - end).toBeLessThan(2 * LARGE_SEGMENT_BYTES);
  });

  it('says what to change when the arena is too small', () => {
    expect(() => planArena({ ...options, bytes: 8 * 1024 * 1024, threads: 64 })).toThrow(
      expect.objectContaining({
        code: 'MS_ERR_MEMORY',
        message: expect.stringContaining('raise') as unknown,
      }),
    );
  });
});
