import { expect, test } from 'vitest';
import { FRAME_BYTES_MAX } from '../../src/frame/layout.js';
import { bucketCount } from '../../src/histogram.js';
import { CURSOR_BYTES, THREADS_MAX } from '../../src/ring/layout.js';
import * as layout from '../../src/shards/layout.js';

test('the parts of the shared area lie one behind another', () => {
  expect(layout.SHARD_ROWS).toBe(THREADS_MAX);
  const rows = layout.SHARED_HEADER_BYTES + layout.SHARD_ROWS * layout.SHARD_ROW_BYTES;
  expect(layout.SHARED_RINGS_BYTE_OFFSET).toBe(rows);
  expect(layout.HANDOFF_RING_BYTES).toBe(layout.HANDOFF_ENTRIES * 4);
  expect(layout.HANDOFF_ENTRIES & (layout.HANDOFF_ENTRIES - 1)).toBe(0);
  expect(layout.SHARED_TABLE_BYTE_OFFSET).toBe(
    rows + layout.SHARD_ROWS * layout.HANDOFF_RING_BYTES,
  );
  expect(layout.SHARED_TABLE_BYTE_OFFSET % 8).toBe(0);
});

/** Fields `[byte offset, bytes]` must not overlap, and must end within the row. */
function disjoint(fields: [number, number][], rowBytes: number): void {
  const sorted = [...fields].sort(([a], [b]) => a - b);
  for (const [i, [at, bytes]] of sorted.entries()) {
    expect(at % bytes).toBe(0);
    expect(at + bytes).toBeLessThanOrEqual(sorted[i + 1]?.[0] ?? rowBytes);
  }
}

const constants = layout as unknown as Record<string, number>;

function fields(prefix: string, without: string[], longs: string[] = []): [number, number][] {
  return Object.entries(constants)
    .filter(([name]) => name.startsWith(prefix) && !without.includes(name.slice(prefix.length)))
    .map(([name, at]) => [at, longs.includes(name.slice(prefix.length)) ? 8 : 4]);
}

test('the fields of each row are disjoint and aligned', () => {
  const states = ['BYTES', 'FREE', 'HANDED', 'OWNED', 'PRIVATE'];
  disjoint(fields('CONNECTION_', states, ['COOKIE']), layout.CONNECTION_BYTES);
  const numbers = ['NUMBER', 'ACK_NUMBER', 'ACK_SEQUENCE'];
  disjoint(fields('PUBLICATION_', ['BYTES'], numbers), layout.PUBLICATION_BYTES);
  const flags = ['ROW_BYTES', 'FLAG_READY', 'FLAG_ANNOUNCE'];
  const cursor = fields('CURSOR_', flags, ['LIVE_FROM']);
  disjoint(cursor, layout.CURSOR_ROW_BYTES);
  expect(Math.min(...cursor.map(([at]) => at))).toBeGreaterThanOrEqual(CURSOR_BYTES);
});

test('each flag of a connection is a bit of its own', () => {
  const flags = Object.entries(constants).filter(([name]) => name.startsWith('FLAG_'));
  const bits = flags.map(([, flag]) => flag);
  expect(bits.reduce((sum, bit) => sum + bit, 0)).toBe(bits.reduce((all, bit) => all | bit, 0));
  for (const bit of bits) expect(bit & (bit - 1)).toBe(0);
});

test('the scratch of an area holds what is written there', () => {
  expect(layout.AREA_POOLS + layout.POOL_COUNT * layout.POOL_BYTES).toBeLessThanOrEqual(
    layout.AREA_CLOCK,
  );
  expect(layout.AREA_SPANS + layout.SPANS_MAX * 8).toBeLessThanOrEqual(layout.AREA_SPAN_REFS);
  expect(layout.AREA_SPAN_REFS + layout.SPANS_MAX * 4).toBeLessThanOrEqual(layout.AREA_NEWS);
  expect(layout.AREA_NEWS + layout.AREA_NEWS_MAX * 4).toBeLessThanOrEqual(layout.AREA_HEADER_BYTES);
});

test('a stash holds the largest frame, an output block its largest frame, a send all output blocks', () => {
  expect(layout.LARGE_STASH_BYTES).toBeGreaterThanOrEqual(FRAME_BYTES_MAX);
  expect(layout.OUT_HEADER_BYTES + layout.OUT_FRAME_BYTES_MAX).toBe(layout.OUT_BLOCK_BYTES);
  expect(layout.OUT_BLOCKS_MAX + 1).toBeLessThan(layout.SPANS_MAX);
  expect(layout.OUT_BLOCKS_HELD).toBeLessThan(layout.OUT_BLOCKS_MAX);
});

test('what one send to a keyed connection is made of fits its place, and the kernel’s limit', () => {
  // Before the frames of logs the rest of a half-sent one, in two, and all output blocks.
  const framesMax = layout.KEYED_SEND_BYTES_MAX / layout.KEYED_COPY_BYTES_MAX;
  expect(2 + layout.OUT_BLOCKS_MAX + 2 * framesMax).toBeLessThanOrEqual(layout.KEYED_SPANS_MAX);
  expect(layout.KEYED_SPANS_MAX).toBeLessThanOrEqual(1024);
  const spansEnd = layout.AREA_KEYED_SPANS + layout.KEYED_SPANS_MAX * 8;
  expect(spansEnd).toBeLessThanOrEqual(layout.AREA_KEYED_SCRATCH);
  const scratchEnd = layout.AREA_KEYED_SCRATCH + layout.KEYED_SEND_BYTES_MAX;
  expect(scratchEnd + 8).toBeLessThanOrEqual(layout.AREA_METERS);
  const countsEnd = layout.AREA_ERROR_COUNTS + layout.ERROR_COUNTS * 4;
  expect(layout.AREA_NEWS + layout.AREA_NEWS_MAX * 4).toBeLessThanOrEqual(layout.AREA_ERROR_COUNTS);
  expect(countsEnd).toBeLessThanOrEqual(layout.AREA_KEYED_SPANS);
  expect(layout.KEYS_REST_HEADER + 40).toBeLessThanOrEqual(layout.KEYS_BYTES);
});

test('meters have a bucket for every value, and pages of their own', () => {
  expect(layout.METERED).toBe(true);
  const shape = {
    subBucketBits: layout.METER_SUB_BUCKET_BITS,
    valueBits: layout.METER_VALUE_BITS,
  };
  expect(layout.METER_BUCKETS).toBe(bucketCount(shape));
  expect(layout.METER_MAX).toBeGreaterThanOrEqual(layout.METER_SUM + 8);
  expect(layout.METER_FIRST_BUCKET).toBeGreaterThanOrEqual(layout.METER_MAX + 8);
  expect(layout.METER_FIRST_BUCKET + layout.METER_BUCKETS * 8).toBe(layout.METER_BYTES);
  expect([layout.AREA_METERS % 4096, layout.METER_BYTES % 8]).toEqual([0, 0]);
  const meters = ['TURN', 'DELAY', 'RECEIVED', 'SENT'].map((name) => constants[`METER_${name}`]);
  expect(meters).toEqual(Array.from({ length: layout.METER_COUNT }, (_, meter) => meter));
  expect(layout.AREA_LONGEST_TURN).toBe(
    layout.AREA_METERS + layout.METER_COUNT * layout.METER_BYTES,
  );
  expect(layout.AREA_METERED_SENDS).toBeGreaterThanOrEqual(layout.AREA_LONGEST_TURN + 8);
  expect(layout.AREA_METERED_SENDS % 8).toBe(0);
  expect(layout.METERED_SENDS_MAX).toBe(16 * 4 * layout.SPANS_MAX);
  const sendsEnd = layout.AREA_METERED_SENDS + layout.METERED_SENDS_MAX * 8;
  expect(layout.AREA_HEADER_BYTES).toBeGreaterThanOrEqual(sendsEnd);
  expect(layout.AREA_HEADER_BYTES % 4096).toBe(0);
});
