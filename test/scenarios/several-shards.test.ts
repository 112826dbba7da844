// Many publishers and subscribers of the same streams, spread over four shards: one order for all.
import { createHash } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { endBrokers, startBroker } from '../support/broker.js';
import { closePeers, Peer } from '../support/peer.js';

afterEach(async () => {
  closePeers();
  await endBrokers();
});

const SHARDS = 4;

/** Says who sent it, and the how manieth it is. */
function message(publisher: number, number: number): Buffer {
  const payload = Buffer.alloc(8 + (number % 120));
  payload.writeUInt32LE(publisher, 0);
  payload.writeUInt32LE(number, 4);
  return payload;
}

/** Notes where a publisher's own order is broken. */
function ordersOf(peer: Peer): string[] {
  const last = new Map<string, number>();
  const broken: string[] = [];
  peer.onMessage = (stream, _sequence, payload) => {
    const publisher = payload.readUInt32LE(0);
    const number = payload.readUInt32LE(4);
    const key = `${stream} by ${publisher}`;
    if (number !== (last.get(key) ?? 0) + 1)
      broken.push(`${key}: ${number} after ${last.get(key)}`);
    last.set(key, number);
  };
  return broken;
}

const digest = (peer: Peer, stream: number): string =>
  peer.book(stream).digest.copy().digest('hex');

async function publishAll(
  publisher: Peer,
  who: number,
  stream: number,
  count: number,
  frames: number,
): Promise<void> {
  for (let done = 0; done < count; done += frames) {
    const payloads = Array.from({ length: frames }, (_, index) => message(who, done + index + 1));
    publisher.publish(stream, done + 1, payloads);
    await publisher.ackedUpTo(stream, done + frames);
  }
}

describe('four shards', () => {
  it('all subscribers of a stream see the same order, and each publisher its own', async () => {
    const broker = await startBroker('--shards', `${SHARDS}`);
    const subscribers = await Promise.all(Array.from({ length: 8 }, () => Peer.greet(broker.port)));
    const publishers = await Promise.all(Array.from({ length: 8 }, () => Peer.greet(broker.port)));
    expect(new Set(subscribers.map(({ shard }) => shard)).size).toBe(SHARDS);
    expect(new Set(publishers.map(({ shard }) => shard)).size).toBe(SHARDS);
    const broken = subscribers.map(ordersOf);
    for (const [index, peer] of subscribers.entries()) {
      await peer.subscribe(index % 2 === 0 ? 'one.stream' : 'one.*');
    }
    const opened = await Promise.all(publishers.map((peer) => peer.open('one.stream')));
    const { stream } = opened[0]!;
    // Single frames and large runs, so that claims of all lengths meet.
    await Promise.all(
      publishers.map((peer, who) => publishAll(peer, who, stream, 3000, who % 2 === 0 ? 10 : 500)),
    );
    const end = publishers.length * 3000 + 1;
    for (const peer of subscribers) {
      await peer.until(() => peer.book(stream).next === end, 'everything');
      expect([peer.faults, peer.book(stream).gaps]).toEqual([[], []]);
    }
    expect(broken.flat()).toEqual([]);
    expect(new Set(subscribers.map((peer) => digest(peer, stream))).size).toBe(1);

    // Whoever reads it later reads the same.
    const late = await Peer.greet(broker.port);
    await late.subscribe('one.stream', { from: 'first' });
    await late.until(() => late.book(stream).next === end, 'the replay');
    expect(digest(late, stream)).toBe(digest(subscribers[0]!, stream));
  });

  it('wildcards cover streams that are born later, from their first frame', async () => {
    const broker = await startBroker('--shards', `${SHARDS}`);
    const subscribers = await Promise.all(Array.from({ length: 8 }, () => Peer.greet(broker.port)));
    const patterns = ['born.>', 'born.*', '>', '*.*', 'born.>', '*.>', 'born.*', '>'];
    for (const [index, peer] of subscribers.entries()) await peer.subscribe(patterns[index]!);
    const publishers = await Promise.all(Array.from({ length: 4 }, () => Peer.greet(broker.port)));
    const STREAMS = 100;
    // Every publisher opens every stream at once: one of them gives it birth.
    const ids = await Promise.all(
      publishers.map(async (peer, who) => {
        const streams: number[] = [];
        for (let i = 0; i < STREAMS; i++) {
          const { stream } = await peer.open(`born.${i}`);
          streams.push(stream);
          peer.publish(stream, 1, [message(who, 1), message(who, 2)]);
        }
        for (const stream of streams) await peer.ackedUpTo(stream, 2);
        return streams;
      }),
    );
    for (const streams of ids) expect(streams).toEqual(ids[0]);
    const perStream = publishers.length * 2;
    for (const peer of subscribers) {
      const isAll = (): boolean => ids[0]!.every((id) => peer.book(id).next === perStream + 1);
      await peer.until(isAll, 'every stream');
      expect(peer.faults).toEqual([]);
      for (const [index, id] of ids[0]!.entries()) {
        const book = peer.book(id);
        expect([book.subject, book.frames]).toEqual([`born.${index}`, perStream]);
        expect(digest(peer, id)).toBe(digest(subscribers[0]!, id));
      }
    }
  });

  it('subscriptions that begin in the middle of it all miss nothing after it', async () => {
    const broker = await startBroker('--shards', `${SHARDS}`);
    const publishers = await Promise.all(Array.from({ length: 4 }, () => Peer.greet(broker.port)));
    const opened = await Promise.all(publishers.map((peer) => peer.open('middle')));
    const { stream } = opened[0]!;
    const work = Promise.all(
      publishers.map((peer, who) => publishAll(peer, who, stream, 4000, 100)),
    );
    const joined: Peer[] = [];
    const froms = ['new', 'first', 'last', { last: 10 }, { sequence: 100 }, { time: '1' }];
    for (let i = 0; i < 18; i++) {
      const peer = await Peer.greet(broker.port);
      await peer.subscribe('middle', { from: froms[i % froms.length] });
      joined.push(peer);
    }
    await work;
    const end = 16_001;
    const all = new Map<number, string>();
    const reader = await Peer.greet(broker.port);
    reader.onMessage = (_stream, sequence, payload) => {
      all.set(sequence, createHash('sha256').update(payload).digest('hex'));
    };
    await reader.subscribe('middle', { from: 'first' });
    await reader.until(() => reader.book(stream).next === end, 'the replay');
    expect(all.size).toBe(end - 1);
    for (const peer of joined) {
      await peer.until(() => peer.book(stream).next === end, 'the end');
      expect([peer.faults, peer.book(stream).gaps]).toEqual([[], []]);
    }
    for (const peer of [1, 5, 7, 11, 13, 17].map((index) => joined[index]!)) {
      expect(digest(peer, stream)).toBe(digest(reader, stream));
    }
  });

  it('a connection that several of its subscriptions cover gets a frame once', async () => {
    const broker = await startBroker('--shards', '2');
    const peer = await Peer.greet(broker.port);
    for (const pattern of ['a.b', 'a.*', '>', 'a.>']) await peer.subscribe(pattern);
    const publisher = await Peer.greet(broker.port);
    const { stream } = await publisher.open('a.b');
    await publishAll(publisher, 1, stream, 100, 10);
    await peer.until(() => peer.book(stream).next === 101, 'all');
    // Its heirs carry on, one after the other, without a hole.
    let next = 100;
    for (const pattern of ['a.b', 'a.*', '>']) {
      await peer.request(0x14, { subject: pattern });
      publisher.publish(stream, next + 1, [message(1, next + 1)]);
      next++;
      await peer.until(() => peer.book(stream).next === next + 1, `${next} after ${pattern}`);
    }
    await peer.request(0x14, { subject: 'a.>' });
    publisher.publish(stream, next + 1, [message(1, next + 1)]);
    await publisher.ackedUpTo(stream, next + 1);
    await peer.request(0x12, { subject: 'z' });
    expect([peer.book(stream).frames, peer.faults]).toEqual([next, []]);
  });
});
