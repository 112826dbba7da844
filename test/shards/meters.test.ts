import { expect, test } from 'vitest';
import { bucketEnd, bucketOf, type Histogram } from '../../src/histogram.js';
import * as layout from '../../src/shards/layout.js';
import { takeMeters, type ShardMeters } from '../../src/shards/meters.js';
import { harness, type Harness } from '../support/shard-harness.js';
import { data, ping } from '../support/test-peer.js';

const NS_PER_MS = 1e6;
const SHAPE = {
  subBucketBits: layout.METER_SUB_BUCKET_BITS,
  valueBits: layout.METER_VALUE_BITS,
};

const take = (h: Harness, shard = 1): ShardMeters => takeMeters(h.memory, shard, h.areaAt(shard));

/** What a histogram may show of `ms`: the end of its bucket. */
const shown = (ms: number) => bucketEnd(bucketOf(ms * NS_PER_MS, SHAPE), SHAPE);

function pass(h: Harness, ms: number): void {
  h.nowMs += ms;
  h.sys.advanceClockMs(ms);
}

/** How many values of a histogram lie in `from` … `to`. */
function between(histogram: Histogram, from: number, to: number): number {
  const inside = [...histogram.entries()].filter(([end]) => end >= from && end <= to);
  return inside.reduce((sum, [, count]) => sum + count, 0);
}

/** Each receive takes so long from now on. */
function slowReceives(h: Harness, ms: number): void {
  const { sys } = h;
  const receive = sys.receive.bind(sys);
  sys.receive = (...given) => {
    pass(h, ms);
    return receive(...given);
  };
}

test('the kernel puts each value into the bucket that is read for it', () => {
  const h = harness();
  const kernel = h.kernels[1]!;
  const before = take(h).turnNs.count;
  const values = [0, 1, 15, 16, 17, 31, 32, 33, 1000, 2 ** 32 - 1, 2 ** 32, 2 ** 39, 2 ** 40 - 1];
  for (let bucket = 0; bucket < layout.METER_BUCKETS; bucket++) {
    values.push(bucketEnd(bucket, SHAPE), bucketEnd(bucket, SHAPE) + 1);
  }
  for (const value of [...values, 2 ** 40, 2 ** 50, -1]) kernel.turnTook(value, true);
  const { turnNs } = take(h);
  expect(turnNs.count - before).toBe(values.length + 3);
  expect(turnNs.max).toBe(2 ** 50);
  for (let bucket = 2; bucket < layout.METER_BUCKETS; bucket++) {
    const [from, to] = [bucketEnd(bucket - 1, SHAPE) + 1, bucketEnd(bucket, SHAPE)];
    const inside = values.filter((value) => value >= from && value <= to).length;
    const beyond = bucket === layout.METER_BUCKETS - 1 ? 3 : 0;
    expect(between(turnNs, from, to), `bucket ${bucket}`).toBe(inside + beyond);
  }
});

test('a turn lasts from one wait to the next, and sleep is no part of it', () => {
  const h = harness();
  const peer = h.connect();
  h.run();
  slowReceives(h, 3);
  // Asleep for longer than any turn takes.
  h.sys.onBlock = () => pass(h, 50);
  const before = take(h).turnNs;
  peer.send(ping());
  h.run();
  h.sys.onBlock = undefined;
  const { turnNs, longestTurnNs } = take(h);
  expect(turnNs.count).toBeGreaterThan(before.count);
  expect(turnNs.max).toBe(3 * NS_PER_MS);
  expect(longestTurnNs).toBe(3 * NS_PER_MS);
});

test('what else the thread does between two turns belongs to the turn before', () => {
  const h = harness();
  h.run();
  take(h);
  pass(h, 7);
  h.shards[1]!.awakeMs = h.nowMs;
  h.run();
  expect(take(h).longestTurnNs).toBe(7 * NS_PER_MS);
});

test('a shard that looks and never sleeps counts the turns that had work, and no others', () => {
  const h = harness({ settings: { idleStrategy: 'spin' } });
  const peer = h.connect();
  const stream = peer.open('a');
  const subscriber = h.connect();
  subscriber.subscribe('a');
  h.run();
  const before = take(h).turnNs.count;
  for (let i = 0; i < 100; i++) h.turn(1);
  expect(take(h).turnNs.count).toBe(before);
  peer.publish(stream, 'x');
  // One turn takes it and sends it, how long it took is known in the next one, and counted when a third one begins.
  for (let i = 0; i < 3; i++) h.turn(1);
  expect(take(h).turnNs.count).toBe(before + 1);
  expect(subscriber.told()).toEqual([`DATA ${stream}#1 x`]);
});

test('the longest turn begins again when it is taken, the histograms do not', () => {
  const h = harness();
  const kernel = h.kernels[1]!;
  kernel.turnTook(5000, false);
  kernel.turnTook(4000, true);
  const first = take(h);
  expect(first.longestTurnNs).toBe(5000);
  kernel.turnTook(300, true);
  const second = take(h);
  expect(second.longestTurnNs).toBe(300);
  expect(second.turnNs.count).toBe(first.turnNs.count + 1);
  expect(second.turnNs.max).toBe(4000);
  expect(take(h).longestTurnNs).toBe(0);
});

test('batches are what one receive brought and what one send carried', () => {
  const h = harness({ shards: 2 });
  const publisher = h.connect(1);
  const stream = publisher.open('a');
  const subscribers = [h.connect(2), h.connect(2)];
  for (const subscriber of subscribers) subscriber.subscribe('a');
  publisher.write(Buffer.concat(Array.from({ length: 7 }, () => data(stream, 'x'))));
  h.run();
  publisher.publish(stream, 'y');
  h.run();
  const [first, second] = [take(h, 1), take(h, 2)];
  expect([first.framesPerReceive.count, first.framesPerReceive.sum]).toEqual([2, 8]);
  expect(first.framesPerReceive.max).toBe(7);
  expect(first.framesPerSend.count).toBe(0);
  expect([second.framesPerSend.count, second.framesPerSend.sum]).toEqual([4, 16]);
  expect(second.framesPerSend.max).toBe(7);
  expect(second.framesPerReceive.count).toBe(0);
});

test('append to send is from the turn in which the oldest frame of a run came to the end of the one that sent it', () => {
  const h = harness({ shards: 2, settings: { idleStrategy: 'spin' } });
  const publisher = h.connect(1);
  const stream = publisher.open('a');
  h.connect(2).subscribe('a');
  publisher.publish(stream, 'old');
  h.turn(1);
  pass(h, 40);
  publisher.publish(stream, 'new');
  h.turn(1);
  pass(h, 2);
  h.turn(2);
  // The next turn closes the account of this one; what passes until then is no delay.
  pass(h, 9);
  h.turn(2);
  const { appendToSendNs } = take(h, 2);
  expect(appendToSendNs.count).toBe(1);
  expect(appendToSendNs.max).toBe(42 * NS_PER_MS);
});

test('within one turn it is the time that the turn has taken', () => {
  const h = harness();
  const [publisher, subscriber] = [h.connect(), h.connect()];
  const stream = publisher.open('a');
  subscriber.subscribe('a');
  slowReceives(h, 2);
  publisher.publish(stream, 'x');
  h.run();
  const { appendToSendNs } = take(h);
  expect([appendToSendNs.count, appendToSendNs.max]).toEqual([1, 2 * NS_PER_MS]);
});

test('a clock that was set back makes no delay', () => {
  const h = harness({ shards: 2 });
  const publisher = h.connect(1);
  const stream = publisher.open('a');
  h.connect(2).subscribe('a');
  publisher.publish(stream, 'x');
  h.turn(1);
  h.sys.advanceClockMs(-1000);
  h.turn(2);
  // The next turn closes the account of this one.
  h.turn(2);
  const { appendToSendNs } = take(h, 2);
  expect([appendToSendNs.count, appendToSendNs.max]).toEqual([1, 0]);
});

test('frames that were there before the subscription are no delay, those behind them are', () => {
  const h = harness();
  const publisher = h.connect();
  const stream = publisher.open('a');
  for (let i = 0; i < 10; i++) publisher.publish(stream, 'old');
  h.run();
  pass(h, 60_000);
  const subscriber = h.connect();
  const told = subscriber.subscribe('a', 'first');
  expect(told.filter((frame) => frame.startsWith('DATA'))).toHaveLength(10);
  expect(take(h).appendToSendNs.count).toBe(0);
  expect(take(h).framesPerSend.sum).toBe(10);
  publisher.publish(stream, 'new');
  h.run();
  const { appendToSendNs } = take(h);
  expect([appendToSendNs.count, appendToSendNs.max]).toEqual([1, 0]);
});

test('a stream that is born under a wildcard is measured from its first frame on', () => {
  const h = harness();
  const [publisher, subscriber] = [h.connect(), h.connect()];
  subscriber.subscribe('*');
  const stream = publisher.open('late');
  publisher.publish(stream, 'x');
  h.run();
  expect(take(h).appendToSendNs.count).toBe(1);
});

test('a slow subscriber’s delay shows', () => {
  const h = harness({ socketBufferBytes: 4096 });
  const [publisher, subscriber] = [h.connect(), h.connect()];
  const stream = publisher.open('a');
  subscriber.subscribe('a');
  subscriber.isReading = false;
  for (let i = 0; i < 100; i++) publisher.publish(stream, Buffer.alloc(500));
  h.run();
  pass(h, 5000);
  subscriber.isReading = true;
  h.run();
  const { appendToSendNs, framesPerSend } = take(h);
  expect(framesPerSend.sum).toBe(100);
  expect(appendToSendNs.max).toBe(5000 * NS_PER_MS);
  expect(appendToSendNs.valueAt(0)).toBe(0);
});

test('after every sixteenth connection the clock is read again', () => {
  const h = harness();
  const publisher = h.connect();
  const stream = publisher.open('a');
  for (let i = 0; i < 33; i++) h.connect().subscribe('a');
  const { sys } = h;
  const send = sys.send.bind(sys);
  sys.send = (...given) => {
    pass(h, 1);
    return send(...given);
  };
  publisher.publish(stream, 'x');
  h.run();
  const { appendToSendNs } = take(h);
  expect(appendToSendNs.count).toBe(33);
  const counts = [16, 32, 33].map((ms) => between(appendToSendNs, shown(ms), shown(ms)));
  expect(counts).toEqual([16, 16, 1]);
});

test('a thread that takes a number over goes on counting', () => {
  const h = harness();
  h.kernels[1]!.turnTook(1000, true);
  const { count } = take(h).turnNs;
  const inUse = h.poolInUse(1, layout.POOL_RECEIVE_BLOCKS);
  h.kernels[1]!.openArea(h.areaAt(1));
  expect(take(h).turnNs.count).toBe(count);
  // The shard of this test still has its block.
  for (let i = 0; i < inUse; i++) h.kernels[1]!.takeRow(layout.POOL_RECEIVE_BLOCKS);
});
