/**
 * Small interleavings, enumerated whole: at every point of one thread's operation where another may come in
 * between, another thread does a whole operation, and in that one a third; and at every such point the
 * thread dies, and is recovered from.
 */
import { describe, expect, it } from 'vitest';
import {
  FROM_FIRST,
  FROM_NEW,
  FROM_SEQUENCE,
  SEGMENT_BYTES_PER_RECORD,
} from '../../src/ring/layout.js';
import { ANY, Death, SMALL, World } from './support/world.js';

/** Three frames of 1,040 bytes fill a small segment. */
const PER_SEGMENT = 3;

interface Operation {
  name: string;
  /** It goes round the log, and passes no points that another operation does not pass. */
  isLong?: boolean;
  run: (world: World, thread: number) => void;
}

interface Scenario {
  name: string;
  world: World;
  /** Its tail can look again as it did, after a round of the log. */
  isRound?: boolean;
  prepare: (world: World) => void;
}

const roomy = new World({ threads: 6, streams: 2, limitBytes: 3 * SMALL, smallSegments: 9 });
const scarce = new World({ threads: 6, streams: 2, limitBytes: 8 * SMALL, smallSegments: 5 });

const narrow = new World({ threads: 6, streams: 2, limitBytes: 2 * SMALL, smallSegments: 9 });
const tight = new World({ threads: 6, streams: 2, limitBytes: 3 * SMALL, smallSegments: 5 });

/** Thread 4 reads stream 1 slowly, thread 5 is kept for the judgement. */
const scenarios: Scenario[] = [
  { name: 'an empty log', world: roomy, prepare: () => undefined },
  {
    name: 'a segment with room for one frame',
    world: roomy,
    prepare: (world) => world.append(3, 1, PER_SEGMENT - 1),
  },
  {
    name: 'a full segment',
    world: roomy,
    prepare: (world) => world.append(3, 1, PER_SEGMENT),
  },
  {
    name: 'a full segment of single frames',
    isRound: true,
    world: roomy,
    prepare: (world) => {
      for (let i = 0; i < PER_SEGMENT; i++) world.append(3, 1, 1);
    },
  },
  {
    name: 'a segment with one record left, which is the seal',
    world: roomy,
    prepare: (world) => {
      for (let i = 0; i < SMALL / SEGMENT_BYTES_PER_RECORD - 1; i++) world.append(3, 1, 1, 0);
    },
  },
  {
    name: 'a full segment of a log of two',
    world: narrow,
    prepare: (world) => world.append(3, 1, PER_SEGMENT),
  },
  {
    name: 'a full log that nobody reads',
    world: roomy,
    prepare: (world) => world.append(3, 1, 3 * PER_SEGMENT),
  },
  {
    name: 'a full log whose reader has read nothing',
    world: roomy,
    prepare: (world) => {
      world.open(4, 1, FROM_FIRST);
      world.append(3, 1, 3 * PER_SEGMENT);
    },
  },
  {
    name: 'a full log for which two threads wait',
    world: roomy,
    prepare: (world) => {
      world.open(4, 1, FROM_FIRST);
      world.append(3, 1, 3 * PER_SEGMENT + 1);
      world.append(2, 1, 1);
      for (const thread of [1, 2, 3]) world.takeNews(thread);
    },
  },
  {
    name: 'an empty pool that one stream holds',
    world: scarce,
    prepare: (world) => world.append(3, 1, 4 * PER_SEGMENT, 1000, 5n),
  },
  {
    name: 'an empty pool, and a reader on the stream that holds it',
    world: scarce,
    prepare: (world) => {
      world.open(4, 1, FROM_FIRST);
      world.append(3, 1, 4 * PER_SEGMENT, 1000, 5n);
      world.append(3, 2, PER_SEGMENT + 1);
      for (const thread of [1, 2, 3]) world.takeNews(thread);
    },
  },
  {
    name: 'a full log in an empty pool, of which the other log has the rest',
    world: tight,
    prepare: (world) => {
      world.append(3, 1, 3 * PER_SEGMENT);
      world.append(3, 2, 2 * PER_SEGMENT);
    },
  },
];

const operations: Operation[] = [
  {
    name: 'appends one frame',
    run: (world, thread) => {
      if (!world.waiting.has(thread)) world.append(thread, 1, 1);
      else world.retry(thread);
    },
  },
  {
    name: 'appends two segments',
    run: (world, thread) => {
      if (!world.waiting.has(thread)) world.append(thread, 1, 2 * PER_SEGMENT);
      else world.retry(thread);
    },
  },
  {
    name: 'appends two segments to the other stream',
    run: (world, thread) => {
      if (!world.waiting.has(thread)) world.append(thread, 2, 2 * PER_SEGMENT);
      else world.retry(thread);
    },
  },
  {
    name: 'goes round the log until its tail looks as before',
    isLong: true,
    run: (world, thread) => {
      const tail = world.tail(1);
      for (let i = 0; i < 20 && !world.waiting.has(thread); i++) {
        world.append(thread, 1, 1);
        if (world.tail(1) === tail) break;
      }
    },
  },
  {
    name: 'reads from the oldest',
    run: (world, thread) => {
      const key = world.open(thread, 1, FROM_FIRST);
      world.read(key);
      world.close(key);
    },
  },
  {
    name: 'subscribes to the oldest',
    run: (world, thread) => void world.open(thread, 1, FROM_FIRST),
  },
  {
    name: 'subscribes to the newest, and reads',
    run: (world, thread) => void world.read(world.open(thread, 1, FROM_NEW)),
  },
  {
    name: 'subscribes to the fourth, and reads',
    run: (world, thread) => {
      const key = world.open(thread, 1, FROM_SEQUENCE, 4n);
      world.read(key);
    },
  },
  {
    name: 'lets the slow reader read',
    run: (world) => {
      for (const [key, reader] of world.readers) if (reader.thread === 4) world.read(key);
    },
  },
  {
    name: 'lets the slow reader let go, and read later',
    run: (world) => {
      for (const [key, reader] of world.readers) if (reader.thread === 4) world.detach(key);
    },
  },
];

/** How many points the operation passes when nobody disturbs it. */
function countPoints(scenario: Scenario, operation: Operation, thread: number): number {
  const { world } = scenario;
  world.reset();
  scenario.prepare(world);
  let points = 0;
  world.hook = () => points++;
  operation.run(world, thread);
  return points;
}

function judge(world: World): void {
  world.hook = null;
  world.assertNoLostWakeUps();
  for (const key of world.readers.keys()) world.read(key);
  world.assertInvariants();
  world.assertContents();
  // The arena still works: everybody lets go, and a log's worth goes through each stream.
  for (const key of [...world.readers.keys()]) world.close(key);
  for (const thread of [...world.waiting.keys()]) world.retry(thread);
  for (const stream of [1, 2]) expect(world.append(1, stream, 4 * PER_SEGMENT)).toBeGreaterThan(0);
  const census = world.assertInvariants();
  const chained = [...census.chains.values()].reduce((sum, length) => sum + length, 0);
  expect(census.free + chained).toBe(world.geometry.smallCount);
}

function told(error: unknown, what: string): Error {
  const message = error instanceof Error ? error.message : String(error);
  return new Error(`${what}: ${message}`, { cause: error });
}

describe('two threads that wait for one full log', () => {
  it('do not wake each other', () => {
    roomy.reset();
    roomy.open(4, 1, FROM_FIRST);
    roomy.append(1, 1, 3 * PER_SEGMENT + 1);
    roomy.append(2, 1, 1);
    for (let i = 0; i < 3; i++) {
      for (const thread of [1, 2]) {
        expect(roomy.retry(thread)).toBe(0);
        expect(roomy.takeNews(3 - thread)).toBe(false);
      }
    }
  });
});

describe('a thread that waits for the pool', () => {
  it('is told when control gives a segment back', () => {
    scarce.reset();
    scarce.append(3, 1, 4 * PER_SEGMENT);
    // Takes back more of stream 1 than it needs.
    scarce.append(3, 2, PER_SEGMENT + 1);
    const control = scarce.kernel(0);
    const claimed: number[] = [];
    for (let one; (one = control.claimIdle(1, 0)) !== 0;) claimed.push(one);
    expect(claimed.length).toBeGreaterThan(0);
    for (const stream of [1, 2]) scarce.open(4, stream, FROM_FIRST);
    expect(scarce.append(1, 2, 2 * PER_SEGMENT)).toBeLessThan(2 * PER_SEGMENT);
    scarce.takeNews(1);
    expect(scarce.retry(1)).toBe(0);
    scarce.takeNews(1);
    control.freeSegment(claimed[0]!);
    expect(scarce.takeNews(1)).toBe(true);
    expect(scarce.retry(1)).toBeGreaterThan(0);
  });

  it('gets a segment of another stream where a frame in the oldest one is not written yet', () => {
    const world = new World({ threads: 4, streams: 3, limitBytes: 8 * SMALL, smallSegments: 6 });
    const before = (point: number): number => {
      world.reset();
      let seen = 0;
      let taken = 0;
      world.hook = (at) => {
        if (at !== 1 || seen++ !== point) return;
        world.append(2, 1, PER_SEGMENT, 1000, 1n);
        world.append(2, 2, 2 * PER_SEGMENT, 1000, 2n);
        taken = world.append(2, 3, 3 * PER_SEGMENT, 1000, 3n);
      };
      world.append(1, 1, 1, 1000, 1n);
      expect(taken).toBe(seen > point ? 3 * PER_SEGMENT : 0);
      world.hook = null;
      world.assertInvariants();
      return seen;
    };
    const points = before(ANY);
    expect(points).toBeGreaterThan(2);
    for (let point = 0; point < points; point++) before(point);
  });
});

describe.each(scenarios)('$name', (scenario) => {
  const { world } = scenario;

  it('survives the death of a thread at every point of every operation', async () => {
    let deaths = 0;
    for (const operation of operations.filter(({ isLong }) => !isLong)) {
      const thread = operation.name.includes('slow reader') ? 4 : 1;
      const points = countPoints(scenario, operation, thread);
      for (let fatal = 0; fatal < points; fatal++) {
        world.reset();
        scenario.prepare(world);
        let point = 0;
        world.hook = (at) => {
          if (at === thread && point++ === fatal) throw new Death();
        };
        try {
          try {
            operation.run(world, thread);
            throw new Error('it did not die');
          } catch (error) {
            if (!(error instanceof Death)) throw error;
          }
          await world.recover(thread);
          deaths++;
          judge(world);
        } catch (error) {
          throw told(error, `a thread that ${operation.name} died at point ${fatal}`);
        }
      }
    }
    expect(deaths).toBeGreaterThan(20);
  });

  it('lets any operation happen at every point of any other', () => {
    let cases = 0;
    for (const outer of operations.filter(({ isLong }) => !isLong)) {
      const points = countPoints(scenario, outer, 1);
      for (const inner of operations.filter(({ isLong }) => !isLong || scenario.isRound)) {
        for (let when = 0; when < points; when++) {
          world.reset();
          scenario.prepare(world);
          let point = 0;
          world.hook = (at) => {
            if (at !== 1 || point++ !== when) return;
            world.hook = null;
            inner.run(world, 2);
          };
          try {
            outer.run(world, 1);
            judge(world);
          } catch (error) {
            throw told(error, `thread 1 ${outer.name}, at point ${when} thread 2 ${inner.name}`);
          }
          cases++;
        }
      }
    }
    expect(cases).toBeGreaterThan(100);
  });
});
