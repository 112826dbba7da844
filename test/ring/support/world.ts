/**
 * A small arena and its threads, all played by one: each thread is an instance of the kernel that calls back
 * at every point where another thread may come in between (build/kernel-steps.wasm), so that interleavings
 * and deaths can be enumerated. It keeps count of what must come out.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Geometry } from '../../../src/ring/arena.js';
import { createArena, SMALL_SEGMENT_BYTES } from '../../../src/ring/arena.js';
import type { ArenaCensus } from '../../../src/ring/invariants.js';
import { assertInvariants } from '../../../src/ring/invariants.js';
import type { RingKernel } from '../../../src/ring/kernel.js';
import * as layout from '../../../src/ring/layout.js';
import type { Recovered } from '../../../src/ring/recovery.js';
import { recoverDeadThread } from '../../../src/ring/recovery.js';

export interface TestKernel extends RingKernel {
  encode(
    frameByteOffset: number,
    type: number,
    flags: number,
    code: number,
    stream: number,
    payloadBytes: number,
    sequenceLow: number,
    sequenceHigh: number,
    timestampLow: number,
    timestampHigh: number,
  ): number;
  check(frameByteOffset: number, byteCount: number): number;
}

const AREA_BYTES = 65536;
const CURSORS_BYTE_OFFSET = 4096;
const SOURCE_BYTE_OFFSET = 8192;
const TYPE_DATA = 0x20;
export const ANY = 0x7fffffff;

const modules = new Map<string, WebAssembly.Module>();

function compile(name: string): WebAssembly.Module {
  let module = modules.get(name);
  if (module === undefined) {
    const path = fileURLToPath(new URL(`../../../${name}`, import.meta.url));
    module = new WebAssembly.Module(readFileSync(path));
    modules.set(name, module);
  }
  return module;
}

export interface WorldOptions {
  threads: number;
  streams: number;
  limitBytes: number;
  /** Only small segments, this many; else the classes as the arena plans them. */
  smallSegments?: number;
  arenaBytes?: number;
  /** What each thread has for its cursors and the runs that it appends. */
  areaBytes?: number;
  /** Streams that the plan is for: it bounds the number of small segments. */
  plannedStreams?: number;
}

/** Thrown by the hook: the thread's instance is gone, wherever it was. */
export class Death extends Error {}

export interface Frame {
  number: number;
  sequence: bigint;
  bytes: number;
  timestamp: bigint;
}

interface Reader {
  thread: number;
  stream: number;
  cursor: number;
  /** 0 = it does not know yet. */
  expected: bigint;
  sawNone: boolean;
}

export class World {
  readonly memory: WebAssembly.Memory;
  readonly geometry: Geometry;
  readonly threads: number;
  readonly #kernels: TestKernel[] = [];
  readonly #alive = new Set<number>();
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #controlPage: Uint8Array;
  readonly #usedBytes: number;
  readonly #options: WorldOptions;
  /** What happens at the next points of each thread; null = nothing. */
  hook: ((thread: number) => void) | null = null;
  /** By stream: numbers acknowledged, in order of acknowledgement; and tried by a thread that died. */
  acknowledged: number[][] = [];
  doubtful: Set<number>[] = [];
  readers = new Map<string, Reader>();
  #number = 0;
  /** Threads whose last append found no room, and what they still have to append. */
  waiting = new Map<number, { stream: number; frames: number[]; payloadBytes: number }>();

  constructor(options: WorldOptions) {
    this.#options = options;
    this.threads = options.threads;
    const { memory, geometry } = createArena({
      bytes: options.arenaBytes ?? 4 * 1024 * 1024,
      threads: options.threads,
      streams: options.plannedStreams ?? 32,
      shardBytes: options.areaBytes ?? AREA_BYTES,
      sharedBytes: 4096,
      nodes: 1,
    });
    this.memory = memory;
    this.#bytes = new Uint8Array(memory.buffer);
    this.#view = new DataView(memory.buffer);
    this.geometry = geometry;
    if (options.smallSegments !== undefined) {
      const smallCount = options.smallSegments;
      this.geometry = { ...geometry, smallCount, mediumCount: 0, largeCount: 0 };
      this.#view.setUint32(layout.GEOMETRY_SMALL_COUNT, smallCount, true);
      this.#view.setUint32(layout.GEOMETRY_MEDIUM_COUNT, 0, true);
      this.#view.setUint32(layout.GEOMETRY_LARGE_COUNT, 0, true);
    }
    this.#usedBytes =
      options.smallSegments === undefined
        ? geometry.endByteOffset
        : geometry.dataByteOffset + options.smallSegments * SMALL_SEGMENT_BYTES;
    this.#controlPage = this.#bytes.slice(0, layout.ARENA_PAGE_BYTES);
    this.reset();
  }

  /** Everything as at the start. */
  reset(): void {
    this.#bytes.fill(0, 0, this.#usedBytes);
    this.#bytes.set(this.#controlPage);
    this.hook = null;
    this.readers.clear();
    this.waiting.clear();
    this.#alive.clear();
    this.#number = 0;
    this.acknowledged = [];
    this.doubtful = [];
    for (let thread = 0; thread < this.threads; thread++) this.revive(thread);
    for (let stream = 1; stream <= this.#options.streams; stream++) {
      this.acknowledged[stream] = [];
      this.doubtful[stream] = new Set();
      const { limitBytes } = this.#options;
      if (!this.kernel(0).createStream(stream, limitBytes, layout.ON_FULL_BLOCK, 1n)) {
        throw new Error('no room for the streams');
      }
    }
  }

  revive(thread: number): void {
    const instance = new WebAssembly.Instance(compile('build/kernel-steps.wasm'), {
      env: {
        memory: this.memory,
        abort: (): never => {
          throw new Error('a kernel aborted');
        },
        step: (): void => this.hook?.(thread),
      },
    });
    const kernel = instance.exports as unknown as TestKernel;
    this.#kernels[thread] = kernel;
    kernel.attach(thread);
    if (thread !== 0) this.kernel(0).setAlive(thread, true);
    this.#alive.add(thread);
    kernel.beginTurn();
  }

  kernel(thread: number): TestKernel {
    return this.#kernels[thread]!;
  }

  #area(thread: number): number {
    return this.geometry.shardsByteOffset + (thread - 1) * this.geometry.shardBytes;
  }

  /** The stream's tail, as it stands in memory. */
  tail(stream: number): bigint {
    const row = this.geometry.streamsByteOffset + stream * layout.STREAM_BYTES;
    return this.#view.getBigUint64(row + layout.STREAM_TAIL, true);
  }

  // ---- What threads do ----

  /** Appends `count` frames; what finds no room is kept, and `retry` goes on with it. */
  append(thread: number, stream: number, count: number, payloadBytes = 1000, time = 0n): number {
    const numbers = Array.from({ length: count }, () => this.#number++);
    return this.#appendNumbers(thread, stream, numbers, payloadBytes, time);
  }

  retry(thread: number): number {
    const wait = this.waiting.get(thread);
    if (wait === undefined) return 0;
    return this.#appendNumbers(thread, wait.stream, wait.frames, wait.payloadBytes, 0n);
  }

  #appendNumbers(
    thread: number,
    stream: number,
    numbers: number[],
    payloadBytes: number,
    time: bigint,
  ): number {
    const kernel = this.kernel(thread);
    const source = this.#area(thread) + SOURCE_BYTE_OFFSET;
    let at = source;
    for (const number of numbers) {
      this.#bytes.fill(number & 0xff, at + 40, at + 40 + payloadBytes);
      at += kernel.encode(at, TYPE_DATA, 3, 7, number, payloadBytes, 9, 9, 9, 9);
    }
    for (const number of numbers) this.doubtful[stream]!.add(number);
    const taken = kernel.append(stream, source, numbers.length, at - source, time);
    for (const number of numbers) this.doubtful[stream]!.delete(number);
    this.acknowledged[stream]!.push(...numbers.slice(0, taken));
    const left = numbers.slice(taken);
    if (left.length !== 0) this.waiting.set(thread, { stream, frames: left, payloadBytes });
    else this.waiting.delete(thread);
    return taken;
  }

  cursorAt(thread: number, index: number): number {
    return this.#area(thread) + CURSORS_BYTE_OFFSET + index * layout.CURSOR_BYTES;
  }

  open(thread: number, stream: number, from: number, argument = 0n): string {
    const key = `${thread}/${this.readers.size}`;
    const cursor = this.cursorAt(thread, this.readers.size);
    const kernel = this.kernel(thread);
    kernel.subscribeThread(stream);
    kernel.seek(cursor, stream, from, argument);
    if (
      from === layout.FROM_FIRST &&
      kernel.cursorSequence(cursor) !== kernel.firstSequenceOf(stream)
    ) {
      throw new Error('a cursor that was to begin with the oldest frame stands elsewhere');
    }
    this.readers.set(key, { thread, stream, cursor, expected: 0n, sawNone: false });
    return key;
  }

  close(key: string): void {
    const reader = this.readers.get(key)!;
    this.readers.delete(key);
    this.kernel(reader.thread).closeCursor(reader.cursor);
  }

  detach(key: string): void {
    const reader = this.readers.get(key)!;
    this.kernel(reader.thread).detach(reader.cursor);
  }

  /** Reads all there is; throws when it is not what is due. */
  read(key: string, framesMax = ANY): Frame[] {
    const reader = this.readers.get(key)!;
    const { cursor, thread } = reader;
    const kernel = this.kernel(thread);
    const frames: Frame[] = [];
    reader.sawNone = false;
    while (true) {
      const kind = kernel.peek(cursor, ANY, true, framesMax);
      if (kind === layout.SPAN_NONE) break;
      if (kind === layout.SPAN_GAP) {
        const first = kernel.takeGap(cursor);
        const next = kernel.cursorSequence(cursor);
        if (reader.expected !== 0n && first !== reader.expected) {
          throw new Error(`a gap begins at ${first}, due was ${reader.expected}`);
        }
        if (next <= first) throw new Error(`a gap from ${first} to ${next}`);
        reader.expected = next;
        continue;
      }
      const span = this.spanOf(reader.cursor);
      frames.push(...this.#take(reader, span.at, span.bytes));
      if (kernel.advance(cursor, span.bytes) !== 0) throw new Error('advance left something');
    }
    reader.sawNone = true;
    return frames;
  }

  spanOf(cursor: number): { at: number; bytes: number } {
    return {
      at: this.#view.getUint32(cursor + layout.CURSOR_SPAN_ADDRESS, true),
      bytes: this.#view.getUint32(cursor + layout.CURSOR_SPAN_BYTES, true),
    };
  }

  #take(reader: Reader, at: number, bytes: number): Frame[] {
    const frames = this.framesAt(at, bytes);
    for (const frame of frames) {
      if (reader.expected !== 0n && frame.sequence !== reader.expected) {
        throw new Error(`sequence ${frame.sequence} came, due was ${reader.expected}`);
      }
      reader.expected = frame.sequence + 1n;
    }
    return frames;
  }

  /** Whole frames in memory; throws when one is damaged. */
  framesAt(at: number, bytes: number): Frame[] {
    const frames: Frame[] = [];
    for (let reached = 0; reached < bytes;) {
      const whole = this.kernel(0).check(at + reached, bytes - reached);
      if (whole <= 0) throw new Error(`a damaged frame: ${whole}`);
      frames.push({
        number: this.#view.getUint32(at + reached + 8, true),
        sequence: this.#view.getBigUint64(at + reached + 16, true),
        timestamp: this.#view.getBigUint64(at + reached + 24, true),
        bytes: whole,
      });
      reached += whole;
    }
    return frames;
  }

  /** Takes all news; true when there was some. */
  takeNews(thread: number): boolean {
    let any = false;
    while (this.kernel(thread).nextNews() >= 0) any = true;
    return any;
  }

  // ---- Deaths ----

  /** The thread is gone: control mends the arena, and the thread begins a new life. */
  async recover(thread: number): Promise<Recovered> {
    this.hook = null;
    this.#alive.delete(thread);
    this.waiting.delete(thread);
    for (const [key, reader] of this.readers) {
      if (reader.thread === thread) this.readers.delete(key);
    }
    const recovered = await recoverDeadThread({
      kernel: this.kernel(0),
      dead: thread,
      threads: this.threads,
      signal: () => undefined,
      pause: () => {
        for (const live of this.#alive) if (live !== 0) this.kernel(live).beginTurn();
        return Promise.resolve();
      },
    });
    this.revive(thread);
    return recovered;
  }

  // ---- What must hold ----

  assertInvariants(): ArenaCensus {
    return assertInvariants({ memory: this.memory, geometry: this.geometry });
  }

  /** Everything acknowledged and retained is there once, and nothing else but what is in doubt. */
  assertContents(): void {
    for (let stream = 1; stream <= this.#options.streams; stream++) {
      const key = this.open(this.threads - 1, stream, layout.FROM_FIRST);
      const numbers = this.read(key).map((frame) => frame.number);
      this.close(key);
      const known = new Set([...this.acknowledged[stream]!, ...this.doubtful[stream]!]);
      const seen = new Set(numbers);
      if (seen.size !== numbers.length) throw new Error(`a frame of stream ${stream} came twice`);
      for (const number of numbers) {
        if (!known.has(number)) throw new Error(`frame ${number} was never taken`);
      }
      // What was taken back is the oldest: from the first acknowledged one that is seen, all are.
      const due = this.acknowledged[stream]!;
      const first = due.findIndex((number) => seen.has(number));
      const missing = first < 0 ? [] : due.slice(first).filter((number) => !seen.has(number));
      if (missing.length !== 0 && !this.#mayBeOlder(stream, missing)) {
        throw new Error(`frames ${missing.join()} of stream ${stream} are lost`);
      }
      if (first < 0 && !this.#mayBeOlder(stream, due))
        throw new Error(`stream ${stream} lost all its frames`);
    }
  }

  /** Two threads' runs lie in the log in another order than they were acknowledged in. */
  #mayBeOlder(stream: number, missing: number[]): boolean {
    const taken = this.kernel(0).firstSequenceOf(stream) - 1n;
    return BigInt(missing.length) <= taken;
  }

  /** Who waits without news waits with reason: another try must fail. */
  assertNoLostWakeUps(): void {
    for (const thread of [...this.waiting.keys()]) {
      if (this.takeNews(thread)) continue;
      if (this.retry(thread) !== 0) throw new Error(`thread ${thread} was not told of room`);
    }
    for (const [key, reader] of this.readers) {
      if (!reader.sawNone || this.takeNews(reader.thread)) continue;
      if (this.read(key).length !== 0) throw new Error(`reader ${key} was not told of frames`);
    }
  }
}

export const SMALL = SMALL_SEGMENT_BYTES;
