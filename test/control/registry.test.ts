import { expect, test } from 'vitest';
import { Registry, type RegistryOptions, type StreamDefaults } from '../../src/control/registry.js';
import { createArena } from '../../src/ring/arena.js';
import * as ring from '../../src/ring/layout.js';
import { loadKernel } from '../../src/shards/kernel.js';
import type { ConnectionRef, ControlMessage } from '../../src/shards/messages.js';
import { KERNEL_FILE } from '../support/shard-harness.js';

const ref = (slot: number): ConnectionRef => ({ slot, generation: 1 });

const DEFAULTS: StreamDefaults = { retentionBytes: 1 << 20, onFull: 'block', overrides: [] };

function registry(options: Partial<RegistryOptions> = {}): {
  registry: Registry;
  said: () => string[];
  field: (stream: number, at: number) => number;
  epochOf: (stream: number) => bigint;
  subjectOf: (stream: number) => string;
} {
  const { memory, geometry } = createArena({
    bytes: 4 << 20,
    threads: 4,
    streams: 8,
    shardBytes: 4096,
    sharedBytes: 4096,
    nodes: 1,
  });
  const messages: string[] = [];
  let epoch = 70n;
  const made = new Registry({
    memory,
    kernel: loadKernel(memory, 0, KERNEL_FILE),
    streamsAt: geometry.streamsByteOffset,
    streamsMax: 8,
    defaults: DEFAULTS,
    epoch: () => ++epoch,
    send: (shard, message) => messages.push(`${shard}: ${inWords(message)}`),
    ...options,
  });
  const rowAt = (stream: number): number => geometry.streamsByteOffset + stream * ring.STREAM_BYTES;
  return {
    registry: made,
    said: () => messages.splice(0),
    field: (stream, at) => new Uint32Array(memory.buffer)[(rowAt(stream) + at) >>> 2]!,
    epochOf: (stream) =>
      new BigUint64Array(memory.buffer)[(rowAt(stream) + ring.STREAM_EPOCH) / 8]!,
    subjectOf: (stream) => {
      const at = rowAt(stream) + ring.STREAM_SUBJECT;
      const bytes = new Uint32Array(memory.buffer)[
        (rowAt(stream) + ring.STREAM_SUBJECT_BYTES) >>> 2
      ]!;
      return new TextDecoder().decode(new Uint8Array(memory.buffer).slice(at, at + bytes));
    },
  };
}

function inWords(message: ControlMessage): string {
  switch (message.type) {
    case 'opened':
      return `opened ${message.ref.slot} ${message.subject} ${message.stream}`;
    case 'refused':
      return `refused ${message.ref.slot} ${message.code}`;
    case 'subscribed':
      return `subscribed ${message.ref.slot} ${message.pattern} [${message.streams.join()}]`;
    case 'born':
      return `born ${message.stream} ${message.subject}`;
    default:
      return message.type;
  }
}

test('what new streams have may be changed; those that are there keep what they had', () => {
  const r = registry({});
  r.registry.open(1, ref(1), 'a');
  r.registry.setDefaults({
    retentionBytes: 2 << 20,
    onFull: 'evict',
    overrides: [{ subject: 'c.>', onFull: 'block' }],
  });
  for (const subject of ['b', 'c.d']) r.registry.open(1, ref(1), subject);
  const policies = [1, 2, 3].map((stream) => r.field(stream, ring.STREAM_ON_FULL));
  expect(policies).toEqual([ring.ON_FULL_BLOCK, ring.ON_FULL_EVICT, ring.ON_FULL_BLOCK]);
  const limits = [1, 2, 3].map((stream) => r.field(stream, ring.STREAM_LIMIT_BYTES));
  expect(limits).toEqual([1 << 20, 2 << 20, 2 << 20]);
});

test('a stream that nobody waits for is told at once, and known again', () => {
  const r = registry({ defaults: { ...DEFAULTS, onFull: 'evict', retentionBytes: 2 ** 40 } });
  r.registry.open(1, ref(5), 'straße.ü');
  r.registry.open(2, ref(6), 'straße.ü');
  r.registry.open(2, ref(6), 'b');
  expect(r.said()).toEqual(['1: opened 5 straße.ü 1', '2: opened 6 straße.ü 1', '2: opened 6 b 2']);
  expect([r.subjectOf(1), r.subjectOf(2)]).toEqual(['straße.ü', 'b']);
  expect([r.epochOf(1), r.epochOf(2)]).toEqual([71n, 72n]);
  expect(r.field(1, ring.STREAM_ON_FULL)).toBe(ring.ON_FULL_EVICT);
  expect(r.field(1, ring.STREAM_LIMIT_BYTES)).toBe(0xffff_ffff);
  expect(r.registry.streamCount).toBe(2);
});

test('the first override that covers a stream has a say over what is set for all', () => {
  const overrides = [
    { subject: 'a.*', retention: { bytes: 1 << 17 } },
    { subject: 'a.>', onFull: 'evict' as const },
    { subject: 'a.x', retention: { bytes: 1 << 18 }, onFull: 'evict' as const },
  ];
  const r = registry({ defaults: { ...DEFAULTS, overrides } });
  for (const subject of ['a.x', 'a.x.y', 'b']) r.registry.open(1, ref(1), subject);
  const settings = [1, 2, 3].map((stream) => [
    r.field(stream, ring.STREAM_LIMIT_BYTES),
    r.field(stream, ring.STREAM_ON_FULL),
  ]);
  expect(settings).toEqual([
    [1 << 17, ring.ON_FULL_BLOCK],
    [1 << 20, ring.ON_FULL_EVICT],
    [1 << 20, ring.ON_FULL_BLOCK],
  ]);
});

test('a new stream’s id is told only when every interested shard has its cursors', () => {
  const r = registry();
  r.registry.subscribe(1, ref(1), 'a.*');
  r.registry.subscribe(2, ref(2), '>');
  r.registry.subscribe(3, ref(3), 'b');
  r.said();
  r.registry.open(3, ref(9), 'a.x');
  expect(r.said().sort()).toEqual(['1: born 1 a.x', '2: born 1 a.x']);
  r.registry.open(1, ref(8), 'a.x');
  r.registry.attached(2, 1);
  r.registry.attached(2, 1);
  r.registry.attached(3, 1);
  expect(r.said()).toEqual([]);
  r.registry.attached(1, 1);
  expect(r.said()).toEqual(['3: opened 9 a.x 1', '1: opened 8 a.x 1']);
  r.registry.attached(1, 1);
  expect(r.said()).toEqual([]);
});

test('a subscription is answered with all streams that it covers, those being born too', () => {
  const r = registry();
  r.registry.open(1, ref(1), 'a.x');
  r.registry.open(1, ref(1), 'b');
  r.registry.subscribe(1, ref(1), '>');
  r.registry.open(1, ref(1), 'a.y');
  r.said();
  r.registry.subscribe(2, ref(2), 'a.*');
  r.registry.subscribe(2, ref(2), 'b');
  r.registry.subscribe(2, ref(2), 'nothing');
  expect(r.said()).toEqual([
    '2: subscribed 2 a.* [1,3]',
    '2: subscribed 2 b [2]',
    '2: subscribed 2 nothing []',
  ]);
});

test('a shard is interested as long as one of its subscriptions of the pattern is left', () => {
  const r = registry();
  r.registry.subscribe(1, ref(1), 'a');
  r.registry.subscribe(1, ref(2), 'a');
  r.registry.unsubscribe(1, 'a');
  r.said();
  r.registry.open(2, ref(3), 'a');
  expect(r.said()).toEqual(['1: born 1 a']);
  r.registry.attached(1, 1);
  r.registry.subscribe(1, ref(1), '>');
  r.registry.unsubscribe(1, '>');
  r.registry.unsubscribe(1, '>');
  r.registry.unsubscribe(3, 'never');
  r.said();
  r.registry.open(2, ref(3), 'b');
  expect(r.said()).toEqual(['2: opened 3 b 2']);
});

test('nobody waits for a dead shard, and it is interested in nothing', () => {
  const r = registry();
  r.registry.subscribe(1, ref(1), '>');
  r.registry.subscribe(2, ref(1), '>');
  r.registry.open(3, ref(3), 'a');
  r.registry.attached(2, 1);
  r.said();
  r.registry.forgetShard(1);
  expect(r.said()).toEqual(['3: opened 3 a 1']);
  r.registry.open(3, ref(3), 'b');
  expect(r.said()).toEqual(['2: born 2 b']);
});

test('one stream too many is refused, and costs nothing', () => {
  const r = registry({ streamsMax: 2 });
  for (const subject of ['a', 'b', 'c', 'c', 'b']) r.registry.open(1, ref(1), subject);
  expect(r.said()).toEqual([
    '1: opened 1 a 1',
    '1: opened 1 b 2',
    '1: refused 1 15',
    '1: refused 1 15',
    '1: opened 1 b 2',
  ]);
});

test('a stream for which there is no memory is refused, and can be made later', () => {
  let isFull = true;
  const r = registry({ kernel: { createStream: () => (isFull ? 0 : 1) } });
  r.registry.open(1, ref(1), 'a');
  isFull = false;
  r.registry.open(1, ref(1), 'a');
  expect(r.said()).toEqual(['1: refused 1 15', '1: opened 1 a 1']);
});
