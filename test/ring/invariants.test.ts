/** The walk over an arena finds each kind of damage, and says where it is. */
import { beforeEach, describe, expect, it } from 'vitest';
import { SMALL_SEGMENT_BYTES } from '../../src/ring/arena.js';
import * as layout from '../../src/ring/layout.js';
import { World } from './support/world.js';

const THREAD = 1;
const STREAM = 1;
const world = new World({
  threads: 3,
  streams: 2,
  limitBytes: 8 * SMALL_SEGMENT_BYTES,
  smallSegments: 16,
});
const { geometry } = world;
const u16 = new Uint16Array(world.memory.buffer);
const u32 = new Uint32Array(world.memory.buffer);
const u64 = new BigUint64Array(world.memory.buffer);

beforeEach(() => {
  world.reset();
  while (chainOf(STREAM) < 3) world.append(THREAD, STREAM, 1, 1000);
});

function chainOf(stream: number): number {
  return world.assertInvariants().chains.get(stream)!;
}

const stateAt = (segment: number) => (geometry.statesByteOffset + segment * 4) / 4;
const segmentRow = (segment: number) =>
  geometry.segmentsByteOffset + segment * layout.SEGMENT_BYTES;
const streamRow = (stream: number) => geometry.streamsByteOffset + stream * layout.STREAM_BYTES;
const segmentEnd = (segment: number) => geometry.dataByteOffset + segment * SMALL_SEGMENT_BYTES;
const recordAt = (segment: number, record: number) =>
  (segmentEnd(segment) - layout.RECORD_BYTES * (record + 1)) / 8;
const headOf = (stream: number) => u32[(streamRow(stream) + layout.STREAM_HEAD) / 4]!;
const tailAt = (stream: number) => (streamRow(stream) + layout.STREAM_TAIL) / 8;
const tailSegment = (stream: number) => Number(u64[tailAt(stream)]! >> 44n);
const aFree = () => {
  for (let segment = 1; ; segment++) {
    if (u32[stateAt(segment)] === layout.STATE_FREE) return segment;
  }
};
const pinCountAt = (thread: number, segment: number) =>
  geometry.pinCountsByteOffset / 2 + thread * (geometry.smallCount + 1) + segment;

const damages: [name: string, damage: () => void, told: RegExp][] = [
  [
    'a lock that is held',
    () => (u32[(streamRow(STREAM) + layout.STREAM_LOCK) / 4] = 3),
    /locked by thread 2/,
  ],
  [
    'a segment of no chain',
    () => (u32[stateAt(aFree())] = layout.STATE_CHAIN + STREAM),
    /is in no chain/,
  ],
  [
    'a segment of another stream',
    () => (u32[stateAt(headOf(STREAM))] = layout.STATE_CHAIN + 2),
    /has the state/,
  ],
  [
    'a segment in two chains',
    () => {
      u32[(streamRow(2) + layout.STREAM_HEAD) / 4] = headOf(STREAM);
      u64[tailAt(2)] = u64[tailAt(STREAM)]!;
    },
    /is also in the chain of stream 1/,
  ],
  [
    'a record that is not written',
    () => (u64[recordAt(headOf(STREAM), 0)] = 0n),
    /record 0 .* is not written/,
  ],
  [
    'a record behind the tail',
    () => {
      const record = Number((u64[tailAt(STREAM)]! >> 31n) & 0x1fffn);
      u64[recordAt(tailSegment(STREAM), record)] = 1n;
    },
    /is written, behind the tail/,
  ],
  [
    'a record that starts elsewhere',
    () => (u64[recordAt(headOf(STREAM), 0)]! += 8n << 44n),
    /starts at 8, not at 0/,
  ],
  [
    'a record of other frames',
    () => (u64[recordAt(headOf(STREAM), 0)]! += 1n << 13n),
    /starts with frame 1, not 0/,
  ],
  [
    'a tail with other bytes',
    () => (u64[tailAt(STREAM)]! += 8n << 13n),
    /ends at \d+, the tail says/,
  ],
  ['a tail with other frames', () => (u64[tailAt(STREAM)]! += 1n), /frames, the tail says/],
  [
    'a seal where the tail stands',
    () => sealEverything(tailSegment(STREAM)),
    /is a seal, but the tail stands here/,
  ],
  ['no end', () => repeatGaps(headOf(STREAM)), /reaches into the directory|has no end/],
  [
    'a frame with another sequence',
    () => (u64[(segmentEnd(headOf(STREAM)) - SMALL_SEGMENT_BYTES + 16) / 8]! += 1n),
    /frame 0 of .* has the sequence/,
  ],
  [
    'a break in the sequences',
    () => (u64[(segmentRow(headOf(STREAM)) + layout.SEGMENT_CAPACITY_BEFORE) / 8]! += 8n),
    /bytes break after/,
  ],
  [
    'a break in the ordinals',
    () => (u32[(segmentRow(headOf(STREAM)) + layout.SEGMENT_ORDINAL) / 4]! += 1),
    /ordinals break after/,
  ],
  [
    'a segment that does not point back',
    () => (u32[(segmentRow(tailSegment(STREAM)) + layout.SEGMENT_PREVIOUS_FRAMES) / 4]! += 1),
    /does not point back/,
  ],
  [
    'a free segment with old records',
    () => (u64[recordAt(aFree(), 3)] = 1n),
    /directory of free segment \d+ is not zeros/,
  ],
  [
    'a pin that is counted and has no bit',
    () => (u16[pinCountAt(THREAD, headOf(STREAM))] = 1),
    /thread 1 counts 1 pins of segment \d+, its bit is 0/,
  ],
  [
    'a pin of a free segment',
    () => {
      const segment = aFree();
      u16[pinCountAt(THREAD, segment)] = 1;
      u64[(segmentRow(segment) + layout.SEGMENT_PINS) / 8] = 1n << BigInt(THREAD);
    },
    /thread 1 pins segment \d+, which is free/,
  ],
];

/** Every record of a segment becomes a seal, the tail's own excepted. */
function sealEverything(segment: number): void {
  u64[recordAt(segment, 0)]! |= 3n << 62n;
}

/** The chain's first segment is gaps of nothing from its first record to its last. */
function repeatGaps(segment: number): void {
  for (let record = 0; record < SMALL_SEGMENT_BYTES / layout.SEGMENT_BYTES_PER_RECORD; record++) {
    u64[recordAt(segment, record)] = 2n << 62n;
  }
}

describe('an arena', () => {
  it('that nobody damaged has its segments free, or in a chain', () => {
    const { free, chains } = world.assertInvariants();
    expect(chains.get(STREAM)).toBe(3);
    expect(free + [...chains.values()].reduce((sum, length) => sum + length, 0)).toBe(16);
  });

  it.each(damages)('with %s is told to be damaged', (_name, damage, told) => {
    damage();
    expect(() => world.assertInvariants()).toThrow(told);
  });
});
