import { Buffer } from 'node:buffer';
import { describe, expect, test } from 'vitest';
import * as codes from '../../src/frame/codes.js';
import { type Harness, harness } from '../support/shard-harness.js';
import type { TestPeer } from '../support/test-peer.js';

const KIB = 1024;

interface Stage {
  h: Harness;
  publisher: TestPeer;
  subscriber: TestPeer;
  stream: number;
}

/** A stream `a` with five frames, one a millisecond. */
function five(options = {}): Stage {
  const h = harness(options);
  const [publisher, subscriber] = [h.connect(), h.connect()];
  const stream = publisher.open('a');
  for (let i = 1; i <= 5; i++) {
    publisher.publish(stream, `m${i}`);
    h.run();
    h.sys.advanceClockMs(1);
  }
  return { h, publisher, subscriber, stream };
}

function publish({ h, publisher, stream }: Stage, text: string): void {
  publisher.publish(stream, text);
  h.run();
}

const messages = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, i) => `DATA 1#${from + i} m${from + i}`);

describe('from', () => {
  test.each([
    ['new', undefined, 6],
    ['new, said', 'new', 6],
    ['first', 'first', 1],
    ['last', 'last', 5],
    ['last 2', { last: 2 }, 4],
    ['last 0', { last: 0 }, 6],
    ['last 5', { last: '5' }, 1],
    ['last 99', { last: 99 }, 1],
    ['sequence 1', { sequence: 1 }, 1],
    ['sequence 0', { sequence: 0 }, 1],
    ['sequence 3', { sequence: '3' }, 3],
    ['the next sequence', { sequence: 6 }, 6],
    ['sequence and epoch', { sequence: 3, epoch: '1001' }, 3],
    ['time 0', { time: 0 }, 1],
    ['a time to come', { time: '9000000000000000000' }, 6],
  ])('%s', (_name, from, next) => {
    const stage = five();
    expect(stage.subscriber.subscribe('a', from)).toEqual([
      `SUBSCRIBED a 1@${next}`,
      ...messages(next, 5),
    ]);
    publish(stage, 'm6');
    expect(stage.subscriber.told()).toEqual(messages(6, 6));
  });

  test('a time is the first frame that arrived then or later', () => {
    const { subscriber, h } = five();
    const probe = h.connect();
    probe.subscribe('a', 'first');
    const replay = h.connect();
    replay.send({
      type: codes.TYPE_SUBSCRIBE,
      sequence: 1n,
      payload: Buffer.from('{"subject":"a","from":"first"}'),
    });
    h.run();
    const times = replay
      .take()
      .filter(({ type }) => type === codes.TYPE_DATA)
      .map(({ timestamp }) => timestamp);
    expect(new Set(times).size).toBe(5);
    expect(subscriber.subscribe('a', { time: String(times[2]!) })).toEqual([
      'SUBSCRIBED a 1@3',
      ...messages(3, 5),
    ]);
    expect(h.connect().subscribe('a', { time: String(times[2]! + 1n) })).toEqual([
      'SUBSCRIBED a 1@4',
      ...messages(4, 5),
    ]);
  });

  test.each([
    ['a sequence beyond the next', { sequence: 7 }],
    ['another epoch', { sequence: 3, epoch: 5 }],
    ['another epoch, a sequence beyond', { sequence: 300, epoch: '5' }],
  ])('%s starts at the oldest, and says so', (_name, from) => {
    const { subscriber } = five();
    expect(subscriber.subscribe('a', from)).toEqual(['SUBSCRIBED a 1@1 reset', ...messages(1, 5)]);
  });

  test('what is no longer retained starts at the oldest, after a GAP', () => {
    const stage = five({ retentionBytes: 64 * KIB });
    const { h, publisher, stream } = stage;
    for (let i = 0; i < 200; i++) publisher.publish(stream, Buffer.alloc(1000));
    h.run();
    const first = h.control.firstSequenceOf(stream);
    expect(first).toBeGreaterThan(5n);
    const told = stage.subscriber.subscribe('a', { sequence: 3 });
    expect(told.slice(0, 3)).toEqual([
      `SUBSCRIBED a 1@${first}`,
      `GAP 1#3=${first}`,
      `DATA 1#${first} 1000 bytes`,
    ]);
    expect(h.connect().subscribe('a', 'first').slice(0, 2)).toEqual([
      `SUBSCRIBED a 1@${first}`,
      `DATA 1#${first} 1000 bytes`,
    ]);
    expect(h.connect().subscribe('a', { last: 10_000 })[0]).toBe(`SUBSCRIBED a 1@${first}`);
    expect(h.connect().subscribe('a', { time: 1 })[0]).toBe(`SUBSCRIBED a 1@${first}`);
    expect(h.connect().subscribe('a', { last: 20 })[1]).toBe('DATA 1#186 1000 bytes');
    expect(h.connect().subscribe('a', { sequence: 190 })[1]).toBe('DATA 1#190 1000 bytes');
  });

  test('everything is 1 on a stream without frames', () => {
    const h = harness();
    const peer = h.connect();
    peer.open('a');
    const places = ['new', 'first', 'last', { last: 3 }, { sequence: 1 }, { time: 5 }];
    for (const from of places) {
      expect(h.connect().subscribe('a', from)).toEqual(['SUBSCRIBED a 1@1']);
    }
    expect(h.connect().subscribe('a', { sequence: 2 })).toEqual(['SUBSCRIBED a 1@1 reset']);
  });
});

describe('wildcards and streams that are born later', () => {
  test('a stream that exists is announced before its first DATA, and not listed', () => {
    const stage = five();
    expect(stage.subscriber.subscribe('*', { last: 1 })).toEqual([
      'SUBSCRIBED *',
      'OPENED 1 a unasked',
      'DATA 1#5 m5',
    ]);
    publish(stage, 'm6');
    expect(stage.subscriber.told()).toEqual(['DATA 1#6 m6']);
  });

  test('a stream that says nothing is not announced', () => {
    const { h, subscriber } = five();
    expect(subscriber.subscribe('>')).toEqual(['SUBSCRIBED >']);
    h.connect().open('b');
    expect(subscriber.told()).toEqual([]);
  });

  test('the first frame of a new stream is missed by nobody, on any shard', () => {
    const h = harness({ shards: 3 });
    const subscribers = ['>', 'x.*', 'x.y', '*.y', 'x.>', 'a', '*'].flatMap((pattern) =>
      [1, 2, 3].map((shard) => ({ pattern, peer: h.connect(shard) })),
    );
    for (const { pattern, peer } of subscribers) {
      expect(peer.subscribe(pattern)).toEqual([`SUBSCRIBED ${pattern}`]);
    }
    const publisher = h.connect(2);
    publisher.publish(publisher.open('x.y'), 'first');
    h.run();
    for (const { pattern, peer } of subscribers) {
      const isCovered = pattern !== 'a' && pattern !== '*';
      expect(peer.told(), pattern).toEqual(
        isCovered ? ['OPENED 1 x.y unasked', 'DATA 1#1 first'] : [],
      );
    }
  });

  test('a literal subscription before its stream exists starts at the first frame, whatever its `from`', () => {
    const h = harness({ shards: 2 });
    const peer = h.connect(1);
    for (const from of ['new', 'last', { sequence: 50, epoch: 3 }]) {
      const literal = h.connect(1);
      expect(literal.subscribe('a', from)).toEqual(['SUBSCRIBED a']);
    }
    peer.subscribe('a');
    const publisher = h.connect(2);
    const stream = publisher.open('a');
    publisher.publish(stream, 'm1');
    publisher.publish(stream, 'm2');
    h.run();
    for (const each of h.peers.slice(0, 4)) {
      expect(each.told()).toEqual(['OPENED 1 a unasked', ...messages(1, 2)]);
    }
  });

  test('one who subscribes while the stream is being born gets its first frame', () => {
    const h = harness({ shards: 2 });
    const [publisher, early, late] = [h.connect(1), h.connect(2), h.connect(1)];
    early.subscribe('>');
    h.isControlHeld = true;
    publisher.request(codes.TYPE_OPEN, { subject: 'a' });
    late.request(codes.TYPE_SUBSCRIBE, { subject: 'a' });
    h.isControlHeld = false;
    h.run();
    publisher.told();
    expect(late.told()).toEqual(['SUBSCRIBED a 1@1']);
    publisher.publish(1, 'm1');
    h.run();
    expect(late.told()).toEqual(messages(1, 1));
    expect(early.told()).toEqual(['OPENED 1 a unasked', ...messages(1, 1)]);
  });

  test('nobody is told the id before every shard has its cursors', () => {
    const h = harness({ shards: 2 });
    const [publisher, subscriber, second] = [h.connect(1), h.connect(2), h.connect(1)];
    subscriber.subscribe('a');
    publisher.send({
      type: codes.TYPE_OPEN,
      sequence: 1n,
      payload: Buffer.from('{"subject":"a"}'),
    });
    for (let i = 0; i < 10; i++) {
      h.turn(1);
      if (i === 3) h.round(); // control hears of it; shard 2 has not turned since
    }
    second.send({ type: codes.TYPE_OPEN, sequence: 1n, payload: Buffer.from('{"subject":"a"}') });
    for (let i = 0; i < 10; i++) h.turn(1);
    publisher.pump();
    expect(publisher.frames).toEqual([]);
    h.run();
    expect(publisher.told()).toEqual(['OPENED 1 a']);
    expect(second.told()).toEqual(['OPENED 1 a']);
  });
});

describe('overlapping subscriptions', () => {
  test('deliver once, by the earliest; a later one changes nothing', () => {
    const stage = five();
    const { subscriber } = stage;
    subscriber.subscribe('*', 'new');
    expect(subscriber.subscribe('a', 'first')).toEqual(['SUBSCRIBED a 1@6']);
    subscriber.subscribe('>', 'first');
    publish(stage, 'm6');
    expect(subscriber.told()).toEqual(['OPENED 1 a unasked', ...messages(6, 6)]);
  });

  test('two that cover a stream born later deliver it once', () => {
    const h = harness();
    const [publisher, subscriber] = [h.connect(), h.connect()];
    for (const pattern of ['a.b', 'a.*', '>']) subscriber.subscribe(pattern);
    publisher.publish(publisher.open('a.b'), 'm1');
    h.run();
    expect(subscriber.told()).toEqual(['OPENED 1 a.b unasked', ...messages(1, 1)]);
  });

  test('a stream born later is under the earliest, literal or not: its credit counts', () => {
    const h = harness();
    const [publisher, ...subscribers] = [h.connect(), h.connect(), h.connect()];
    for (const [i, patterns] of [
      ['>', 'a'],
      ['a', '>'],
    ].entries()) {
      subscribers[i]!.subscribe(patterns[0]!, 'new', 1);
      subscribers[i]!.subscribe(patterns[1]!, 'new');
    }
    const stream = publisher.open('a');
    for (let i = 1; i <= 3; i++) publisher.publish(stream, `m${i}`);
    h.run();
    for (const peer of subscribers) {
      expect(peer.told()).toEqual(['OPENED 1 a unasked', ...messages(1, 1)]);
    }
  });

  test('UNSUBSCRIBE hands the stream over to the next that covers it, without a hole or a repetition', () => {
    const stage = five();
    const { subscriber } = stage;
    subscriber.subscribe('a', 'first', 2);
    subscriber.subscribe('*', 'new', 2);
    subscriber.subscribe('>', 'new');
    expect(subscriber.unsubscribe('a')).toEqual(['UNSUBSCRIBED a', ...messages(3, 4)]);
    expect(subscriber.unsubscribe('*')).toEqual(['UNSUBSCRIBED *', ...messages(5, 5)]);
    publish(stage, 'm6');
    expect(subscriber.told()).toEqual(messages(6, 6));
    expect(subscriber.unsubscribe('>')).toEqual(['UNSUBSCRIBED >']);
    publish(stage, 'm7');
    expect(subscriber.told()).toEqual([]);
    expect(stage.h.pinnedSegments()).toEqual([]);
  });

  test('a later subscription that ends leaves the earlier one alone', () => {
    const stage = five();
    stage.subscriber.subscribe('a');
    stage.subscriber.subscribe('*');
    stage.subscriber.unsubscribe('*');
    publish(stage, 'm6');
    expect(stage.subscriber.told()).toEqual(messages(6, 6));
  });

  test('what is unsubscribed is not brought back by a stream born later', () => {
    const h = harness();
    const [publisher, subscriber] = [h.connect(), h.connect()];
    subscriber.subscribe('>');
    subscriber.unsubscribe('>');
    publisher.publish(publisher.open('a'), 'x');
    h.run();
    expect(subscriber.told()).toEqual([]);
  });
});

describe('credit', () => {
  const grant = (peer: TestPeer, subject: string, frames: number | bigint): string[] =>
    peer.request(codes.TYPE_CREDIT, { subject }, BigInt(frames));

  test('is the exact count of frames, over all streams of the subscription', () => {
    const h = harness();
    const [publisher, subscriber] = [h.connect(), h.connect()];
    const streams = ['a', 'b', 'c'].map((subject) => publisher.open(subject));
    subscriber.subscribe('*', 'first', 4);
    for (let i = 0; i < 5; i++) for (const stream of streams) publisher.publish(stream, 'x');
    h.run();
    const count = (): number => subscriber.told().filter((line) => line.startsWith('DATA')).length;
    expect(count()).toBe(4);
    expect(grant(subscriber, '*', 0)).toEqual([]);
    grant(subscriber, '*', 1).forEach((line) => expect(line).toMatch(/^(DATA|OPENED)/));
    expect(grant(subscriber, '*', 7).filter((line) => line.startsWith('DATA'))).toHaveLength(7);
    expect(grant(subscriber, '*', 100).filter((line) => line.startsWith('DATA'))).toHaveLength(3);
    for (const stream of streams) publisher.publish(stream, 'y');
    h.run();
    expect(count()).toBe(3);
  });

  test('0 sends nothing until some is granted', () => {
    const { subscriber } = five();
    expect(subscriber.subscribe('a', 'first', 0)).toEqual(['SUBSCRIBED a 1@1']);
    expect(grant(subscriber, 'a', 2)).toEqual(messages(1, 2));
    expect(grant(subscriber, 'a', 2n ** 64n - 1n)).toEqual(messages(3, 5));
    expect(grant(subscriber, 'a', 2n ** 64n - 1n)).toEqual([]);
  });

  test('absent is no limit, and a grant to it changes nothing', () => {
    const stage = five();
    stage.subscriber.subscribe('a');
    expect(grant(stage.subscriber, 'a', 1)).toEqual([]);
    publish(stage, 'm6');
    publish(stage, 'm7');
    expect(stage.subscriber.told()).toEqual(messages(6, 7));
  });

  test.each([1, 2, 3])('is exact also when sends end within frames, seed %i', (seed) => {
    const h = harness({
      seed,
      faults: { shortWrite: 0.8, writeWouldBlock: 0.2 },
      socketBufferBytes: 500,
    });
    const [publisher, subscriber] = [h.connect(), h.connect()];
    const streams = ['a', 'b'].map((subject) => publisher.open(subject));
    for (let i = 0; i < 40; i++) publisher.publish(streams[i % 2]!, 'x'.repeat(i));
    h.run();
    subscriber.subscribe('*', 'first', 7);
    let total = 7;
    for (const more of [0, 1, 5, 2, 9]) {
      grant(subscriber, '*', more);
      total += more;
    }
    // Every answer above was taken: what counts is what is left to come.
    const rest = grant(subscriber, '*', 100).filter((line) => line.startsWith('DATA'));
    expect(rest).toHaveLength(40 - total);
  });
});
