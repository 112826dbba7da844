// A subscriber that takes nothing: under `block` it holds the publishers for `slowConsumer.timeout` and no longer,
// under `evict` never; it is told what it has missed, and nobody else misses anything.
import { afterEach, describe, expect, it } from 'vitest';
import * as codes from '../../src/frame/codes.js';
import { endBrokers, startBroker } from '../support/broker.js';
import { closePeers, json, Peer } from '../support/peer.js';

afterEach(async () => {
  closePeers();
  await endBrokers();
});

const FRAME_BYTES = 20_000;
/** Many times what the log and the buffers of all sockets hold. */
const FRAMES = 1200;
const RETENTION = ['--streams-default-retention-bytes', '2MiB'];
/** Frames of 400 KB: a fifth of what the log holds. */
const PORTION = 20;

const batch = (after: number, count: number): Buffer[] =>
  Array.from({ length: count }, (_, index) => {
    const payload = Buffer.alloc(FRAME_BYTES);
    payload.writeUInt32LE(after + index + 1);
    return payload;
  });

/** What came, and what a GAP said will not, is everything up to the end. */
function addsUp(peer: Peer, stream: number, end: number): void {
  const book = peer.book(stream);
  expect(peer.faults).toEqual([]);
  expect(book.next).toBe(end);
  expect(book.frames + book.lost).toBe(end - book.begin!);
}

async function caughtUp(peer: Peer, stream: number, end: number): Promise<void> {
  await peer.until(() => peer.book(stream).next === end, `everything up to ${end}`);
}

/**
 * Publishes the frames after `after` up to `end` in portions of a few segments, each once `readers` have the one before
 * it: however long this process stands still, no reader is ever behind by as much as the log holds.
 */
async function publishInStep(
  publisher: Peer,
  stream: number,
  [after, end]: [number, number],
  readers: readonly Peer[],
): Promise<void> {
  for (let published = after; published < end;) {
    const count = Math.min(PORTION, end - published);
    publisher.publish(stream, published + 1, batch(published, count));
    published += count;
    for (const reader of readers) await caughtUp(reader, stream, published + 1);
  }
}

describe('under "block"', () => {
  it('a stuck subscriber is moved on after the timeout; the others get everything', async () => {
    const broker = await startBroker(
      '--shards',
      '2',
      '--slow-consumer-timeout',
      '300ms',
      ...RETENTION,
    );
    const stuck = await Peer.connect(broker.port);
    await stuck.subscribe('s');
    const readers = [await Peer.connect(broker.port), await Peer.connect(broker.port)];
    for (const reader of readers) await reader.subscribe('s');
    const publisher = await Peer.connect(broker.port);
    const { stream } = await publisher.open('s');
    const other = await Peer.connect(broker.port);
    await other.subscribe('t');
    const otherPublisher = await Peer.connect(broker.port);
    const { stream: otherStream } = await otherPublisher.open('t');

    stuck.socket.pause();
    const published = publishInStep(publisher, stream, [0, FRAMES], readers);
    // A stream of its own is not held up by this one, on either shard.
    for (let number = 1; number <= 50; number++) {
      otherPublisher.publish(otherStream, number, batch(number, 1));
      await otherPublisher.ackedUpTo(otherStream, number, 5000);
    }
    await published;
    await publisher.ackedUpTo(stream, FRAMES);
    for (const reader of readers) {
      expect([reader.book(stream).frames, reader.faults]).toEqual([FRAMES, []]);
    }
    await caughtUp(other, otherStream, 51);
    stuck.socket.resume();
    await caughtUp(stuck, stream, FRAMES + 1);
    expect(stuck.book(stream).gaps.length).toBeGreaterThan(0);
    addsUp(stuck, stream, FRAMES + 1);

    // It moves again: from now on it gets everything, as everybody.
    const { gaps } = stuck.book(stream);
    const gapsBefore = gaps.length;
    publisher.publish(stream, FRAMES + 1, batch(FRAMES, 50));
    await caughtUp(stuck, stream, FRAMES + 51);
    expect(gaps.length).toBe(gapsBefore);
  });

  it('a subscriber that only lags holds the publishers, and nothing is lost', async () => {
    const broker = await startBroker(
      '--shards',
      '2',
      '--slow-consumer-timeout',
      '30s',
      ...RETENTION,
    );
    const lagging = await Peer.connect(broker.port);
    await lagging.subscribe('s', { credit: 10 });
    lagging.onMessage = (_stream, sequence) => {
      if (sequence % 10 !== 0) return;
      lagging.send({ type: codes.TYPE_CREDIT, sequence: 10n, payload: json({ subject: 's' }) });
    };
    const publisher = await Peer.connect(broker.port);
    const { stream } = await publisher.open('s');
    publisher.publish(stream, 1, batch(0, FRAMES));
    await caughtUp(lagging, stream, FRAMES + 1);
    await publisher.ackedUpTo(stream, FRAMES);
    expect(lagging.book(stream).gaps).toEqual([]);
    addsUp(lagging, stream, FRAMES + 1);
  });

  it('stuck subscribers that join one after the other hold a publisher once each at most', async () => {
    const broker = await startBroker(
      '--shards',
      '2',
      '--slow-consumer-timeout',
      '100ms',
      ...RETENTION,
    );
    const publisher = await Peer.connect(broker.port);
    const { stream } = await publisher.open('s');
    const stuck: Peer[] = [];
    let published = 0;
    for (let i = 0; i < 6; i++) {
      const peer = await Peer.connect(broker.port);
      await peer.subscribe('s', { from: 'first', credit: i % 2 === 0 ? 0 : 5 });
      stuck.push(peer);
      publisher.publish(stream, published + 1, batch(published, 300));
      published += 300;
      await publisher.ackedUpTo(stream, published, 5000);
    }
    for (const peer of stuck) {
      peer.send({ type: codes.TYPE_CREDIT, sequence: 1_000_000n, payload: json({ subject: 's' }) });
      await caughtUp(peer, stream, published + 1);
      addsUp(peer, stream, published + 1);
    }
  });

  it('a stuck subscriber that also publishes does not starve itself', async () => {
    const broker = await startBroker(
      '--shards',
      '1',
      '--slow-consumer-timeout',
      '30s',
      ...RETENTION,
    );
    const both = await Peer.connect(broker.port);
    await both.subscribe('s');
    const { stream } = await both.open('s');
    both.publish(stream, 1, batch(0, FRAMES));
    await caughtUp(both, stream, FRAMES + 1);
    await both.ackedUpTo(stream, FRAMES);
    addsUp(both, stream, FRAMES + 1);
    expect(both.book(stream).gaps).toEqual([]);
  });
});

describe('under "evict"', () => {
  it.each([
    ['for all streams', ['--streams-default-on-full', 'evict']],
    ['for some streams', ['--streams-overrides', '[{"subject": "*", "onFull": "evict"}]']],
  ])('%s nobody waits, and the stuck one is told its gap', async (_, flags) => {
    const broker = await startBroker(
      ...['--shards', '2', '--slow-consumer-timeout', '1h', ...flags],
      ...RETENTION,
    );
    const stuck = await Peer.connect(broker.port);
    await stuck.subscribe('s');
    stuck.socket.pause();
    const publisher = await Peer.connect(broker.port);
    const { stream } = await publisher.open('s');
    publisher.publish(stream, 1, batch(0, FRAMES));
    await publisher.ackedUpTo(stream, FRAMES, 5000);
    stuck.socket.resume();
    await caughtUp(stuck, stream, FRAMES + 1);
    expect(stuck.book(stream).lost).toBeGreaterThan(0);
    addsUp(stuck, stream, FRAMES + 1);
  });
});

describe('memory that all streams share', () => {
  it('is given from stream to stream when it runs out, and no one waits for ever', async () => {
    const broker = await startBroker(
      ...['--shards', '2', '--memory-arena', '32MiB', '--slow-consumer-timeout', '200ms'],
      ...['--streams-default-retention-bytes', '8MiB'],
    );
    const stuck = await Peer.connect(broker.port);
    await stuck.subscribe('pool.*');
    stuck.socket.pause();
    const publisher = await Peer.connect(broker.port);
    const second = await Peer.connect(broker.port);
    const streams: number[] = [];
    for (let i = 0; i < 12; i++) {
      streams.push((await publisher.open(`pool.${i}`)).stream);
      await second.open(`pool.${i}`);
    }
    // 12 streams of 8 MiB want three times what there is.
    for (let round = 0; round < 8; round++) {
      for (const [index, stream] of streams.entries()) {
        const peer = index % 2 === 0 ? publisher : second;
        peer.publish(stream, round * 50 + 1, batch(round * 50, 50));
      }
      for (const [index, stream] of streams.entries()) {
        const peer = index % 2 === 0 ? publisher : second;
        await peer.ackedUpTo(stream, (round + 1) * 50);
      }
    }
    stuck.socket.resume();
    for (const stream of streams) {
      await caughtUp(stuck, stream, 401);
      addsUp(stuck, stream, 401);
    }
  });
});
