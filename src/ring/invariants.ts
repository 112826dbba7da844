/**
 * Walks a whole arena and throws at the first thing that is not as the kernels leave it. For tests, and
 * for a broker that suspects its memory. Call it while no thread is at work.
 *
 * What must hold: every segment is FREE, or in exactly one log's chain; a chain goes from its head over
 * seals to its tail, with dense ordinals, sequences and bytes; records are dense from 0 and none is left
 * unwritten; a free segment has no pins and a directory of zeros; the bits of the pins and the counts agree.
 */
import { FRAME_HEADER_BYTES } from '../frame/layout.js';
import type { Geometry } from './arena.js';
import { LARGE_SEGMENT_BYTES, MEDIUM_SEGMENT_BYTES, SMALL_SEGMENT_BYTES } from './arena.js';
import * as layout from './layout.js';

export interface Invariants {
  memory: WebAssembly.Memory;
  geometry: Geometry;
  /** Threads whose private pin counts mean something (they live, and are still); all by default. */
  threads?: readonly number[];
}

export interface ArenaCensus {
  free: number;
  /** Segments of each log, by its stream id. */
  chains: Map<number, number>;
}

const KIND_DATA = 1;
const KIND_GAP = 2;
const KIND_SEAL = 3;

interface Tail {
  segment: number;
  record: number;
  offset: number;
  frames: number;
}

/** Throws an Error that says what is wrong and where; answers what it counted. */
export function assertInvariants({ memory, geometry, threads }: Invariants): ArenaCensus {
  const arena = new Arena(memory, geometry);
  const seen = new Map<number, number>();
  const chains = new Map<number, number>();
  const streams = arena.u32(layout.STREAM_COUNT_BYTE_OFFSET);
  for (let stream = 1; stream <= streams; stream++) {
    chains.set(stream, walkChain(arena, stream, seen));
  }
  let free = 0;
  for (let segment = 1; segment <= arena.segmentCount; segment++) {
    if (arena.state(segment) === layout.STATE_FREE) {
      free++;
      assertFree(arena, segment);
    } else if (!seen.has(segment)) {
      fail(`segment ${segment} is in no chain, state 0x${arena.state(segment).toString(16)}`);
    }
    assertPins(arena, segment, threads ?? arena.allThreads());
  }
  return { free, chains };
}

function fail(what: string): never {
  throw new Error(`the arena is damaged: ${what}`);
}

function expect(holds: boolean, what: string): void {
  if (!holds) fail(what);
}

function walkChain(arena: Arena, stream: number, seen: Map<number, number>): number {
  const row = arena.streamRow(stream);
  const tail = arena.tail(stream);
  const lock = arena.u32(row + layout.STREAM_LOCK);
  expect(lock === 0, `stream ${stream} is locked by thread ${lock - 1}`);
  let segment = arena.u32(row + layout.STREAM_HEAD);
  for (let length = 1; ; length++) {
    const where = `segment ${segment} of stream ${stream}`;
    expect(!seen.has(segment), `${where} is also in the chain of stream ${seen.get(segment)}`);
    seen.set(segment, stream);
    const state = arena.state(segment);
    expect(state === layout.STATE_CHAIN + stream, `${where} has the state 0x${state.toString(16)}`);
    if (segment === tail.segment) {
      walkRecords(arena, segment, tail, where);
      return length;
    }
    const next = walkRecords(arena, segment, null, where);
    assertJoint(arena, segment, next, where);
    segment = next.segment;
  }
}

/** Answers the place where the segment ends, and in `segment` the one behind it. */
function walkRecords(arena: Arena, segment: number, tail: Tail | null, where: string): Tail {
  const records = arena.capacity(segment) / layout.SEGMENT_BYTES_PER_RECORD;
  let offset = 0;
  let frames = 0;
  for (let record = 0; record < records; record++) {
    const here = `record ${record} of ${where}`;
    const word = arena.record(segment, record);
    if (tail !== null && record === tail.record) {
      expect(word === 0n, `${here} is written, behind the tail`);
      expect(offset === tail.offset, `${where} ends at ${offset}, the tail says ${tail.offset}`);
      expect(frames === tail.frames, `${where} has ${frames} frames, the tail says ${tail.frames}`);
      return tail;
    }
    expect(word !== 0n, `${here} is not written`);
    const kind = Number(word >> 62n);
    if (kind === KIND_SEAL) {
      expect(tail === null, `${here} is a seal, but the tail stands here`);
      return { segment: Number(word & 0xfffffn), record, offset, frames };
    }
    const start = Number((word >> 44n) & 0x3ffffn);
    const firstFrame = Number((word >> 13n) & 0x1fffn);
    expect(kind === KIND_DATA || kind === KIND_GAP, `${here} is of kind ${kind}`);
    expect(start === offset, `${here} starts at ${start}, not at ${offset}`);
    expect(firstFrame === frames, `${here} starts with frame ${firstFrame}, not ${frames}`);
    offset = Number((word >> 26n) & 0x3ffffn);
    frames = Number(word & 0x1fffn);
    expect(offset >= start && frames >= firstFrame, `${here} ends before it starts`);
    const directory = (record + 2) * layout.RECORD_BYTES;
    expect(offset <= arena.capacity(segment) - directory, `${here} reaches into the directory`);
    if (kind === KIND_DATA) assertFrames(arena, segment, word, here);
  }
  return fail(`${where} has no end`);
}

function assertFrames(arena: Arena, segment: number, word: bigint, here: string): void {
  const end = Number((word >> 26n) & 0x3ffffn);
  let at = Number((word >> 44n) & 0x3ffffn);
  let frame = Number((word >> 13n) & 0x1fffn);
  const base = arena.u64(arena.segmentRow(segment) + layout.SEGMENT_BASE_SEQUENCE);
  while (at < end) {
    const byteOffset = arena.segmentAt(segment) + at;
    const sequence = arena.u64(byteOffset + 16);
    expect(
      sequence === base + BigInt(frame),
      `frame ${frame} of ${here} has the sequence ${sequence}`,
    );
    at += (FRAME_HEADER_BYTES + arena.u32(byteOffset + 12) + 7) & ~7;
    frame++;
  }
  expect(at === end, `the frames of ${here} end at ${at}`);
  expect(frame === Number(word & 0x1fffn), `${here} holds ${frame} frames`);
}

function assertJoint(arena: Arena, segment: number, next: Tail, where: string): void {
  const old = arena.segmentRow(segment);
  const row = arena.segmentRow(next.segment);
  const base = arena.u64(old + layout.SEGMENT_BASE_SEQUENCE) + BigInt(next.frames);
  const capacity =
    arena.u64(old + layout.SEGMENT_CAPACITY_BEFORE) + BigInt(arena.capacity(segment));
  expect(arena.u64(row + layout.SEGMENT_BASE_SEQUENCE) === base, `sequences break after ${where}`);
  expect(
    arena.u64(row + layout.SEGMENT_CAPACITY_BEFORE) === capacity,
    `bytes break after ${where}`,
  );
  expect(
    arena.u32(row + layout.SEGMENT_ORDINAL) === arena.u32(old + layout.SEGMENT_ORDINAL) + 1,
    `ordinals break after ${where}`,
  );
  expect(
    arena.u32(row + layout.SEGMENT_PREVIOUS) === segment &&
      arena.u32(row + layout.SEGMENT_PREVIOUS_RECORD) === next.record &&
      arena.u32(row + layout.SEGMENT_PREVIOUS_OFFSET) === next.offset &&
      arena.u32(row + layout.SEGMENT_PREVIOUS_FRAMES) === next.frames,
    `the segment behind ${where} does not point back to its end`,
  );
}

function assertFree(arena: Arena, segment: number): void {
  const capacity = arena.capacity(segment);
  const end = arena.segmentAt(segment) + capacity;
  for (let at = end - capacity / 8; at < end; at += 8) {
    if (arena.u64(at) !== 0n) fail(`the directory of free segment ${segment} is not zeros`);
  }
}

function assertPins(arena: Arena, segment: number, threads: readonly number[]): void {
  const pins = arena.u64(arena.segmentRow(segment) + layout.SEGMENT_PINS);
  for (const thread of threads) {
    const count = arena.pinCount(thread, segment);
    const bit = (pins >> BigInt(thread)) & 1n;
    expect(
      (count !== 0) === (bit === 1n),
      `thread ${thread} counts ${count} pins of segment ${segment}, its bit is ${bit}`,
    );
    expect(
      count === 0 || arena.state(segment) !== layout.STATE_FREE,
      `thread ${thread} pins segment ${segment}, which is free`,
    );
  }
}

/** The arena's words by name. */
class Arena {
  readonly segmentCount: number;
  readonly #geometry: Geometry;
  readonly #u16: Uint16Array;
  readonly #u32: Uint32Array;
  readonly #u64: BigUint64Array;

  constructor(memory: WebAssembly.Memory, geometry: Geometry) {
    this.#geometry = geometry;
    this.segmentCount = geometry.smallCount + geometry.mediumCount + geometry.largeCount;
    this.#u16 = new Uint16Array(memory.buffer);
    this.#u32 = new Uint32Array(memory.buffer);
    this.#u64 = new BigUint64Array(memory.buffer);
  }

  u32(byteOffset: number): number {
    return Atomics.load(this.#u32, byteOffset >>> 2);
  }

  u64(byteOffset: number): bigint {
    return Atomics.load(this.#u64, byteOffset / 8);
  }

  allThreads(): number[] {
    return Array.from({ length: this.#geometry.threads }, (_, thread) => thread);
  }

  streamRow(stream: number): number {
    return this.#geometry.streamsByteOffset + stream * layout.STREAM_BYTES;
  }

  segmentRow(segment: number): number {
    return this.#geometry.segmentsByteOffset + segment * layout.SEGMENT_BYTES;
  }

  state(segment: number): number {
    return this.u32(this.#geometry.statesByteOffset + segment * 4);
  }

  pinCount(thread: number, segment: number): number {
    const at =
      this.#geometry.pinCountsByteOffset + (thread * (this.segmentCount + 1) + segment) * 2;
    return this.#u16[at >>> 1]!;
  }

  capacity(segment: number): number {
    const { smallCount, mediumCount } = this.#geometry;
    if (segment <= smallCount) return SMALL_SEGMENT_BYTES;
    return segment <= smallCount + mediumCount ? MEDIUM_SEGMENT_BYTES : LARGE_SEGMENT_BYTES;
  }

  segmentAt(segment: number): number {
    const { smallCount, mediumCount, dataByteOffset } = this.#geometry;
    if (segment <= smallCount) return dataByteOffset + (segment - 1) * SMALL_SEGMENT_BYTES;
    const mediumAt = dataByteOffset + smallCount * SMALL_SEGMENT_BYTES;
    if (segment <= smallCount + mediumCount) {
      return mediumAt + (segment - smallCount - 1) * MEDIUM_SEGMENT_BYTES;
    }
    const largeAt = mediumAt + mediumCount * MEDIUM_SEGMENT_BYTES;
    return largeAt + (segment - smallCount - mediumCount - 1) * LARGE_SEGMENT_BYTES;
  }

  record(segment: number, record: number): bigint {
    const end = this.segmentAt(segment) + this.capacity(segment);
    return this.u64(end - layout.RECORD_BYTES * (record + 1));
  }

  tail(stream: number): Tail {
    const word = this.u64(this.streamRow(stream) + layout.STREAM_TAIL);
    return {
      segment: Number(word >> 44n),
      record: Number((word >> 31n) & 0x1fffn),
      offset: Number((word >> 13n) & 0x3ffffn),
      frames: Number(word & 0x1fffn),
    };
  }
}
