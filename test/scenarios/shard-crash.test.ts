// A shard is made to fail under load: its connections end, everybody else's go on, and no stream loses what
// was acknowledged.
import { afterEach, describe, expect, it } from 'vitest';
import { endBrokers, startBroker, type Broker } from '../support/broker.js';
import { settledFds } from '../support/fds.js';
import { closePeers, Peer } from '../support/peer.js';

afterEach(async () => {
  closePeers();
  await endBrokers();
});

const SHARDS = 4;
const ARGS = ['--shards', `${SHARDS}`, '--debug-faults', '--log-level', 'info'];
const BATCH_FRAMES = 64;

/** Publishes numbered batches on one stream, one after the other's ACK, until its connection or the test ends. */
class Load {
  readonly peer: Peer;
  readonly stream: number;
  published: number;
  work: Promise<void>;
  #isStopping = false;

  constructor(peer: Peer, stream: number, published = 0) {
    this.peer = peer;
    this.stream = stream;
    this.published = published;
    this.work = this.#run();
  }

  get acked(): number {
    return this.peer.acked.get(this.stream)?.number ?? 0;
  }

  async #run(): Promise<void> {
    while (!this.#isStopping && !this.peer.isEnded && !this.peer.isClosed) {
      this.peer.publish(this.stream, this.published + 1, messages(this.published, BATCH_FRAMES));
      this.published += BATCH_FRAMES;
      const { published } = this;
      await this.peer.until(
        () => this.acked >= published || this.peer.isEnded || this.peer.isClosed,
        `ACK ${published}`,
      );
    }
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.work;
  }
}

/** Each says its own number. */
function messages(after: number, count: number): Buffer[] {
  return Array.from({ length: count }, (_, index) => {
    const payload = Buffer.alloc(200);
    payload.writeUInt32LE(after + index + 1);
    return payload;
  });
}

/** `count` peers on every shard, in whichever way the broker places them. */
async function onEveryShard(broker: Broker, count: number): Promise<Map<number, Peer[]>> {
  const byShard = new Map<number, Peer[]>();
  for (let shard = 1; shard <= SHARDS; shard++) byShard.set(shard, []);
  const isDone = (): boolean => [...byShard.values()].every((peers) => peers.length === count);
  for (let i = 0; i < 4 * SHARDS * count && !isDone(); i++) {
    const peer = await Peer.greet(broker.port);
    const peers = byShard.get(peer.shard)!;
    if (peers.length < count) peers.push(peer);
    else await peer.leave();
  }
  expect([...byShard].map(([shard, peers]) => [shard, peers.length])).toEqual(
    [1, 2, 3, 4].map((shard) => [shard, count]),
  );
  return byShard;
}

describe('a crash of a shard under load', () => {
  it('ends its connections only, and no stream loses what was acknowledged', async () => {
    const broker = await startBroker(...ARGS);
    const byShard = await onEveryShard(broker, 3);
    const loads: Load[] = [];
    const subscribers: Peer[] = [];
    for (const [shard, [publisher, own, all]] of byShard) {
      const { stream } = await publisher!.open(`load.${shard}`);
      await own!.subscribe(`load.${shard}`);
      await all!.subscribe('load.*');
      subscribers.push(own!, all!);
      loads.push(new Load(publisher!, stream));
    }
    await Promise.all(loads.map(({ peer, stream }) => peer.ackedUpTo(stream, 10 * BATCH_FRAMES)));

    await broker.crashOneShard();
    const dead = Number(broker.linesWith('shard replaced')[0]!['shard']);
    for (const peer of byShard.get(dead)!) await peer.lost();
    const lost = loads.find(({ peer }) => peer.shard === dead)!;
    const alive = loads.filter((load) => load !== lost);
    const ackedAtCrash = alive.map((load) => load.acked);

    // The others go on, past anything that was under way at the crash.
    await Promise.all(
      alive.map((load, index) =>
        load.peer.ackedUpTo(load.stream, ackedAtCrash[index]! + 20 * BATCH_FRAMES),
      ),
    );

    // The stream of the lost publisher goes on under a new connection.
    await lost.work;
    const again = await Peer.greet(broker.port);
    const reopened = await again.open(`load.${dead}`);
    expect(reopened.stream).toBe(lost.stream);
    expect(reopened.next).toBeGreaterThan(lost.acked);
    const resumed = new Load(again, reopened.stream);
    await again.ackedUpTo(reopened.stream, 5 * BATCH_FRAMES);
    await Promise.all([...alive, resumed].map((load) => load.stop()));

    // All that was acknowledged is there, in its order, for whoever reads from the first.
    const reader = await Peer.greet(broker.port);
    const numbers = new Map<number, number[]>();
    reader.onMessage = (stream, _sequence, payload) => {
      const list = numbers.get(stream) ?? [];
      numbers.set(stream, list);
      list.push(payload.readUInt32LE(0));
    };
    await reader.subscribe('load.>', { from: 'first' });
    for (const load of [...alive, resumed]) {
      const { next } = await reader.open(`load.${load === resumed ? dead : load.peer.shard}`);
      await reader.until(() => reader.book(load.stream).next === next, `all of ${load.stream}`);
    }
    expect(reader.faults).toEqual([]);
    for (const load of alive) {
      expect(load.peer.faults).toEqual([]);
      expect(numbers.get(load.stream)).toEqual(upTo(load.published));
      expect(reader.book(load.stream).gaps).toEqual([]);
    }
    const found = numbers.get(lost.stream)!;
    const before = found.slice(0, found.length - resumed.published);
    expect(before.length).toBeGreaterThanOrEqual(lost.acked);
    expect(before).toEqual(upTo(before.length));
    expect(found.slice(before.length)).toEqual(upTo(resumed.published));

    // Subscribers on the other shards saw everything, with GAPs for nothing but what the crash took.
    for (const peer of subscribers.filter((each) => each.shard !== dead)) {
      for (const load of [...alive, resumed]) {
        if (!peer.streams.has(load.stream)) continue;
        const end = reader.book(load.stream).next;
        await peer.until(() => peer.book(load.stream).next === end, `the end of ${load.stream}`);
        expect(peer.book(load.stream).gaps).toEqual(reader.book(load.stream).gaps);
      }
      expect(peer.isClosed).toBe(false);
      expect(peer.faults).toEqual([]);
    }
    await broker.stop();
  });

  it('a dozen in a row leak no file descriptor, and streams keep their frames', async () => {
    const broker = await startBroker(...ARGS);
    const keeper = await Peer.greet(broker.port);
    const { stream } = await keeper.open('kept');
    keeper.publish(stream, 1, messages(0, 1000));
    await keeper.ackedUpTo(stream, 1000);
    await keeper.leave();

    const crash = async (): Promise<void> => {
      const victims = await Promise.all(Array.from({ length: 8 }, () => Peer.greet(broker.port)));
      for (const peer of victims) await peer.subscribe('kept', { from: 'first' });
      for (const peer of victims) await peer.open('kept');
      // Half a frame: something that its shard keeps for it.
      for (const peer of victims) await peer.write(Buffer.from('4d5301', 'hex'));
      const before = broker.linesWith('shard recovered').length;
      await broker.crashOneShard();
      const { shard, connectionsClosed } = broker.linesWith('shard recovered')[before]!;
      const hit = victims.filter((peer) => peer.shard === shard);
      expect(hit.length).toBe(connectionsClosed);
      for (const peer of hit) await peer.lost();
      for (const peer of victims) peer.destroy();
      await Promise.all(victims.map((peer) => peer.closed()));
    };
    const fds = broker.fdCount;
    for (let i = 0; i < 12; i++) await crash();
    expect(await settledFds(broker, fds)).toBeLessThanOrEqual(fds);
    // Each said why, also where its end was told first.
    expect(broker.linesWith('shard failed')).toHaveLength(12);

    const reader = await Peer.greet(broker.port);
    await reader.subscribe('kept', { from: 'first' });
    await reader.until(() => reader.book(stream).frames === 1000, 'what was kept');
    expect(reader.book(stream).gaps).toEqual([]);
    expect(reader.faults).toEqual([]);
    // Every shard that was replaced takes connections again.
    const byShard = await onEveryShard(broker, 1);
    for (const [shard, [peer]] of byShard) {
      const opened = await peer!.open('kept');
      peer!.publish(opened.stream, 1, messages(1000, 10));
      await peer!.ackedUpTo(opened.stream, 10);
      expect([shard, peer!.faults]).toEqual([shard, []]);
    }
    await reader.until(() => reader.book(stream).frames === 1000 + SHARDS * 10, 'the new ones');
    await broker.stop();
  });
});

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}
