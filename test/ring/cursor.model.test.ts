/**
 * Random sequences of everything that one thread may do to a log, against a model that is a plain list; with
 * deaths of another thread between them, so that there are gaps. The invariants are checked after each step.
 */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as layout from '../../src/ring/layout.js';
import type { Frame } from './support/world.js';
import { ANY, Death, World } from './support/world.js';

const STREAMS = 2;
const CURSORS = 4;
const READER = 1;
const VICTIM = 2;

interface ModelFrame {
  number: number;
  bytes: number;
  timestamp: bigint;
  run: number;
}

/** Frames by sequence, from 1; null = lost. */
class ModelStream {
  readonly frames: (ModelFrame | null)[] = [null];

  get next(): number {
    return this.frames.length;
  }

  /** The next sequence from `position` on that is not lost. */
  existing(position: number): number {
    while (position < this.next && this.frames[position] === null) position++;
    return position;
  }
}

interface ModelCursor {
  stream: number;
  attached: boolean;
  position: number;
  gapFirst: number;
}

type Step =
  | { kind: 'append'; stream: number; count: number; payload: number; elapsed: number }
  | { kind: 'die'; stream: number; count: number; payload: number; point: number }
  | { kind: 'seek'; cursor: number; stream: number; from: number; share: number; beyond: boolean }
  | {
      kind: 'peek';
      cursor: number;
      bytesMax: number;
      framesMax: number;
      crosses: boolean;
      /** How much of what is shown is sent. */
      share: number;
    }
  | { kind: 'detach' | 'close'; cursor: number };

const stream = fc.integer({ min: 1, max: STREAMS });
const cursor = fc.integer({ min: 0, max: CURSORS - 1 });
const payload = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 0, max: 300 }) },
  { weight: 4, arbitrary: fc.integer({ min: 300, max: 3000 }) },
  { weight: 1, arbitrary: fc.constantFrom(65496, 65495, 32000, 4040) },
);
const count = fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 60 }));

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      stream,
      count,
      payload,
      elapsed: fc.constantFrom(0, 1, 1000, 3_000_000_000),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('die' as const),
      stream,
      count,
      payload,
      point: fc.integer({ min: 0, max: 40 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('seek' as const),
      cursor,
      stream,
      from: fc.constantFrom(
        layout.FROM_NEW,
        layout.FROM_FIRST,
        layout.FROM_LAST,
        layout.FROM_SEQUENCE,
        layout.FROM_TIME,
      ),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
      beyond: fc.boolean(),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('peek' as const),
      cursor,
      bytesMax: fc.constantFrom(1, 100, 5000, ANY),
      framesMax: fc.constantFrom(0, 1, 2, 7, ANY, ANY),
      crosses: fc.constantFrom(true, true, true, false),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('detach' as const, 'close' as const),
      cursor,
    }),
  },
);

const START = 1_700_000_000_000_000_000n;

class Check {
  readonly streams = [new ModelStream(), new ModelStream(), new ModelStream()];
  readonly cursors: (ModelCursor | null)[] = Array.from({ length: CURSORS }, () => null);
  now = START;
  runs = 0;

  readonly world: World;

  constructor(world: World) {
    this.world = world;
    world.reset();
  }

  get kernel() {
    return this.world.kernel(READER);
  }

  first(id: number): number {
    return Number(this.kernel.firstSequenceOf(id));
  }

  async run(one: Step): Promise<void> {
    if (one.kind === 'append') this.append(one);
    else if (one.kind === 'die') await this.die(one);
    else if (one.kind === 'seek') this.seek(one);
    else if (one.kind === 'peek') this.peek(one);
    else if (one.kind === 'detach') this.detach(one.cursor);
    else this.close(one.cursor);
  }

  append({ stream: id, count, payload, elapsed }: Step & { kind: 'append' }): void {
    this.now += BigInt(elapsed);
    const before = this.world.acknowledged[id]!.length;
    const frames = Math.min(count, Math.floor(700_000 / (payload + 48)));
    const taken = this.world.append(READER, id, frames, payload, this.now);
    const run = this.runs++;
    for (const number of this.world.acknowledged[id]!.slice(before)) {
      const bytes = (payload + 40 + 7) & ~7;
      this.streams[id]!.frames.push({ number, bytes, timestamp: this.now, run });
    }
    if (taken < frames) {
      const holds = this.cursors.some((c) => c?.attached);
      expect(holds, 'a log is full that nobody holds').toBe(true);
    }
    this.world.waiting.clear();
  }

  async die({ stream: id, count, payload, point }: Step & { kind: 'die' }): Promise<void> {
    const { world } = this;
    const model = this.streams[id]!;
    const before = model.next;
    let passed = 0;
    world.hook = (thread) => {
      if (thread === VICTIM && passed++ === point) throw new Death();
    };
    const frames = Math.min(count, Math.floor(700_000 / (payload + 48)));
    try {
      world.append(VICTIM, id, frames, payload, this.now);
    } catch (error) {
      if (!(error instanceof Death)) throw error;
    }
    world.hook = null;
    await world.recover(VICTIM);
    const after = Number(this.kernel.nextSequenceOf(id));
    while (model.next < after) model.frames.push(null);
    const run = this.runs++;
    for (const frame of this.readAll(id, before)) {
      const { number, bytes, timestamp } = frame;
      expect(timestamp).toBe(this.now);
      model.frames[Number(frame.sequence)] = { number, bytes, timestamp, run };
    }
    world.waiting.clear();
  }

  readAll(id: number, from: number): Frame[] {
    const key = this.world.open(3, id, layout.FROM_SEQUENCE, BigInt(from));
    const frames = this.world.read(key);
    this.world.close(key);
    return frames;
  }

  seek({ cursor: index, stream: id, from, share, beyond }: Step & { kind: 'seek' }): void {
    this.close(index);
    const { frames, next } = this.streams[id]!;
    const retained = this.first(id);
    let argument = BigInt(Math.floor(share * (next + 1)));
    let position = retained;
    let gapFirst = 0;
    let answer: number = layout.SEEK_OK;
    if (from === layout.FROM_NEW) position = next;
    if (from === layout.FROM_LAST) position = Math.max(retained, next - Number(argument), 1);
    if (from === layout.FROM_SEQUENCE) {
      if (beyond) argument = BigInt(next + 1);
      const wanted = Math.max(1, Number(argument));
      if (wanted > next) answer = layout.SEEK_RESET;
      else if (wanted < retained) gapFirst = wanted;
      else position = wanted;
    }
    if (from === layout.FROM_TIME) {
      argument = START + BigInt(Math.floor(share * Number(this.now - START)));
      const isLater = (f: ModelFrame | null) => f !== null && f.timestamp >= argument;
      const found = frames.findIndex((frame, at) => at >= retained && isLater(frame));
      position = found < 0 ? next : found;
    }
    const at = this.world.cursorAt(READER, index);
    expect(this.kernel.seek(at, id, from, argument)).toBe(answer);
    this.cursors[index] = { stream: id, attached: true, position, gapFirst };
    if (from !== layout.FROM_TIME) {
      expect(Number(this.kernel.cursorSequence(at))).toBe(position);
    } else {
      // Behind lost frames or before them is the same place.
      const stands = Number(this.kernel.cursorSequence(at));
      expect(this.streams[id]!.existing(stands)).toBe(position);
      this.cursors[index].position = stands;
    }
  }

  /** What a peek comes upon: a cursor that let go may find that the log has moved on. */
  settle(model: ModelCursor): void {
    if (!model.attached) {
      const retained = this.first(model.stream);
      if (retained > model.position) {
        if (model.gapFirst === 0) model.gapFirst = model.position;
        model.position = retained;
      }
      model.attached = true;
    }
  }

  peek(one: Step & { kind: 'peek' }): void {
    const { cursor: index, bytesMax, framesMax, crosses } = one;
    const model = this.cursors[index];
    if (!model) return;
    const at = this.world.cursorAt(READER, index);
    const log = this.streams[model.stream]!;
    this.settle(model);
    const kind = this.kernel.peek(at, bytesMax, crosses, framesMax);
    const stands = Number(this.kernel.cursorSequence(at));
    const existing = log.existing(model.position);
    const gapFirst = model.gapFirst !== 0 ? model.gapFirst : model.position;
    // Without leaving its segment it may not get as far.
    if (crosses) expect(stands).toBe(existing);
    else expect(stands).toBeLessThanOrEqual(existing);
    if (stands > model.position || model.gapFirst !== 0) model.gapFirst = gapFirst;
    model.position = stands;
    if (model.gapFirst !== 0) {
      expect(kind).toBe(layout.SPAN_GAP);
      // Looking again shows the same.
      expect(this.kernel.peek(at, bytesMax, crosses, framesMax)).toBe(layout.SPAN_GAP);
      expect(Number(this.kernel.takeGap(at))).toBe(model.gapFirst);
      model.gapFirst = 0;
      return;
    }
    if (kind === layout.SPAN_NONE) {
      if (crosses && framesMax > 0) expect(stands).toBe(log.next);
      return;
    }
    expect(kind).toBe(layout.SPAN_DATA);
    this.take(model, at, one);
  }

  take(model: ModelCursor, at: number, one: Step & { kind: 'peek' }): void {
    const { bytesMax, framesMax, share } = one;
    const log = this.streams[model.stream]!;
    const span = this.world.spanOf(at);
    const shown = this.world.framesAt(span.at, span.bytes);
    expect(shown.length).toBeGreaterThan(0);
    expect(shown.length).toBeLessThanOrEqual(framesMax);
    const due = shown.map((_, i) => log.frames[model.position + i]!);
    shown.forEach(({ number, bytes, timestamp, sequence }, i) => {
      const { run, ...frame } = due[i]!;
      expect({ number, bytes, timestamp }).toEqual(frame);
      expect(Number(sequence)).toBe(model.position + i);
      expect(run).toBeLessThan(this.runs);
    });
    if (span.bytes > bytesMax) expect(new Set(due.map(({ run }) => run)).size).toBe(1);
    // An arbitrary part of it is sent; the cursor stands behind each frame of which a byte is.
    const sent = Math.max(1, Math.ceil(span.bytes * Math.min(1, share * 1.5)));
    let covered = 0;
    let reached = 0;
    while (reached < sent) reached += shown[covered++]!.bytes;
    expect(this.kernel.advance(at, sent)).toBe(reached - sent);
    model.position += covered;
    expect(Number(this.kernel.cursorSequence(at))).toBe(model.position);
  }

  detach(index: number): void {
    const model = this.cursors[index];
    if (!model) return;
    this.kernel.detach(this.world.cursorAt(READER, index));
    model.attached = false;
    expect(Number(this.kernel.cursorSequence(this.world.cursorAt(READER, index)))).toBe(
      model.position,
    );
  }

  close(index: number): void {
    if (!this.cursors[index]) return;
    this.kernel.closeCursor(this.world.cursorAt(READER, index));
    this.cursors[index] = null;
  }

  /** No attached cursor's place is taken back, and the numbers agree. */
  assertAgreement(): void {
    this.world.assertInvariants();
    for (const model of this.cursors) {
      if (model?.attached) {
        expect(this.first(model.stream)).toBeLessThanOrEqual(model.position);
      }
    }
    for (let id = 1; id <= STREAMS; id++) {
      expect(Number(this.kernel.nextSequenceOf(id))).toBe(this.streams[id]!.next);
    }
  }
}

async function hold(world: World, steps: Step[]): Promise<void> {
  const check = new Check(world);
  for (const one of steps) {
    await check.run(one);
    check.assertAgreement();
  }
  for (let index = 0; index < CURSORS; index++) check.close(index);
  check.assertAgreement();
}

describe('a log against its model', () => {
  const shapes: [string, World][] = [
    [
      'segments of every class',
      new World({
        threads: 4,
        streams: 2,
        limitBytes: 600_000,
        areaBytes: 1048576,
        arenaBytes: 9e6,
      }),
    ],
    [
      'a log of a few small segments',
      new World({ threads: 4, streams: 2, limitBytes: 16384, areaBytes: 1048576, arenaBytes: 9e6 }),
    ],
  ];
  it.each(shapes)('agrees with it, in %s', async (_, world) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 60 }), (steps) =>
        hold(world, steps),
      ),
      { numRuns: 150 },
    );
  });
});
