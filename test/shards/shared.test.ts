import { expect, test } from 'vitest';
import { sharedBytes } from '../../src/shards/area.js';
import {
  CONNECTION_FREE,
  CONNECTION_HANDED,
  CONNECTION_OWNED,
  CONNECTION_STATE,
  HANDOFF_ENTRIES,
  SHARD_ABSENT,
  SHARD_DEAD,
  SHARD_LIVE,
} from '../../src/shards/layout.js';
import { SharedArea } from '../../src/shards/shared.js';

const AT = 65536;
const SLOTS = 8;

function area(): {
  shared: SharedArea;
  state: (slot: number) => number;
  memory: WebAssembly.Memory;
} {
  const memory = new WebAssembly.Memory({ initial: 8, maximum: 8, shared: true });
  const shared = new SharedArea(memory, AT, SLOTS);
  const words = new Uint32Array(memory.buffer);
  return {
    memory,
    shared,
    state: (slot) => words[(shared.rowAt(slot) + CONNECTION_STATE) >>> 2]!,
  };
}

test('an fd goes from free to handed to owned to free, and has one owner at every step', () => {
  const { shared, state } = area();
  expect([state(3), shared.isFree(3), shared.fd(3)]).toEqual([CONNECTION_FREE, true, -1]);
  shared.hand(3, 0, 2); // 0 is an fd as any other
  expect([state(3), shared.isFree(3), shared.fd(3)]).toEqual([CONNECTION_HANDED, false, 0]);
  expect([shared.shardOf(3), shared.connectionCount(2)]).toEqual([2, 1]);
  expect(shared.own(3, 1)).toBe(false);
  expect(shared.own(3, 2)).toBe(true);
  expect(shared.own(3, 2)).toBe(false);
  expect(state(3)).toBe(CONNECTION_OWNED);
  expect(shared.release(3)).toBe(0);
  expect([state(3), shared.connectionCount(2)]).toEqual([CONNECTION_FREE, 0]);
  expect(shared.release(3)).toBe(-1);
  expect(shared.own(3, 2)).toBe(false);
  expect(shared.connectionCount(2)).toBe(0);
});

test('a handed row that control releases can be owned by nobody', () => {
  const { shared } = area();
  shared.hand(1, 40, 1);
  expect(shared.release(1)).toBe(40);
  expect(shared.own(1, 1)).toBe(false);
});

test('each life of a slot has its generation', () => {
  const { shared } = area();
  const seen = new Set<number>();
  for (let i = 0; i < 100; i++) {
    shared.hand(5, 10 + i, 1);
    seen.add(shared.generation(5));
    shared.release(5);
  }
  expect(seen.size).toBe(100);
});

test('rows, rings and shards do not touch each other', () => {
  const { shared, memory } = area();
  for (let slot = 1; slot <= SLOTS; slot++) shared.hand(slot, 100 + slot, slot);
  for (let shard = 1; shard < 64; shard++) {
    shared.setShardState(shard, SHARD_LIVE);
    shared.noteEpoll(shard, 1000 + shard);
    for (let i = 0; i < HANDOFF_ENTRIES; i++)
      expect(shared.push(shard, shard * 2000 + i)).toBe(true);
  }
  for (let slot = 1; slot <= SLOTS; slot++) {
    expect([shared.fd(slot), shared.shardOf(slot)]).toEqual([100 + slot, slot]);
    expect(shared.rowAt(slot) % 128).toBe(shared.rowAt(1) % 128);
    expect(shared.cookieAt(slot) % 8).toBe(0);
  }
  for (let shard = 1; shard < 64; shard++) {
    expect(shared.takeEpoll(shard)).toBe(1000 + shard);
    expect(shared.takeEpoll(shard)).toBe(-1);
    for (let i = 0; i < HANDOFF_ENTRIES; i++) expect(shared.pop(shard)).toBe(shard * 2000 + i);
    expect(shared.pop(shard)).toBe(0);
  }
  expect(shared.shardState(0)).toBe(SHARD_ABSENT);
  const end = AT + sharedBytes(4);
  expect(shared.rowAt(SLOTS) + 128).toBeLessThanOrEqual(end);
  expect(end).toBeLessThanOrEqual(memory.buffer.byteLength);
});

test('a ring takes as many as it has entries, in order, also around its end and the counters’ end', () => {
  const { shared, memory } = area();
  const words = new Uint32Array(memory.buffer);
  const tailIndex = (AT + 128 + 128 + 64) >>> 2;
  words[tailIndex] = 0xffff_fff0;
  words[tailIndex + 1] = 0xffff_fff0;
  expect(shared.ringIsEmpty(1)).toBe(true);
  let next = 1;
  let expected = 1;
  for (let round = 0; round < 3; round++) {
    while (shared.push(1, next)) next++;
    expect(next - expected).toBe(HANDOFF_ENTRIES);
    expect(shared.ringIsEmpty(1)).toBe(false);
    for (let slot = shared.pop(1); slot !== 0; slot = shared.pop(1)) expect(slot).toBe(expected++);
    expect(next).toBe(expected);
  }
});

test('a dead shard’s ring is emptied, and its next life starts with what comes then', () => {
  const { shared } = area();
  shared.setShardState(1, SHARD_DEAD);
  shared.push(1, 7);
  shared.emptyRing(1);
  expect([shared.ringIsEmpty(1), shared.pop(1)]).toEqual([true, 0]);
  shared.push(1, 8);
  expect(shared.pop(1)).toBe(8);
});
