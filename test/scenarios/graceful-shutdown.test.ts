// SIGTERM with data under way, a second one, a subscriber that is stuck, a port that is taken.
import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import * as codes from '../../src/frame/codes.js';
import { errorName } from '../../src/frame/names.js';
import { Broker, endBrokers, startBroker } from '../support/broker.js';
import { closePeers, Peer } from '../support/peer.js';

afterEach(async () => {
  closePeers();
  await endBrokers();
});

/** Says its own number. */
function message(number: number, bytes: number): Buffer {
  const payload = Buffer.alloc(bytes);
  payload.writeUInt32LE(number);
  return payload;
}

const batch = (after: number, count: number, bytes: number): Buffer[] =>
  Array.from({ length: count }, (_, index) => message(after + index + 1, bytes));

/** How often a broker has given up waiting, when it has ended. */
const gaveUp = (broker: Broker): number =>
  broker.linesWith('shutdown.grace is over: what is not delivered is lost').length;

describe('SIGTERM', () => {
  it('delivers all that was acknowledged, says GOODBYE to everybody and ends with 0', async () => {
    const broker = await startBroker('--shards', '2');
    const publishers = await Promise.all(Array.from({ length: 3 }, () => Peer.greet(broker.port)));
    const subscribers = await Promise.all(Array.from({ length: 3 }, () => Peer.greet(broker.port)));
    const idle = await Peer.connect(broker.port);
    const { stream } = await publishers[0]!.open('under.way');
    for (const peer of publishers) await peer.open('under.way');
    for (const peer of subscribers) await peer.subscribe('under.*');
    // One of them reads nothing until the broker is about to end.
    subscribers[2]!.socket.pause();

    let published = 0;
    let isStopping = false;
    const work = publishers.map(async (peer) => {
      for (let number = 0; !isStopping && !peer.seen.has(codes.TYPE_GOODBYE); number += 100) {
        peer.publish(stream, number + 1, batch(number, 100, 1000));
        published += 100;
        const isNext = (): boolean =>
          (peer.acked.get(stream)?.number ?? 0) >= number + 100 ||
          peer.seen.has(codes.TYPE_GOODBYE) ||
          peer.isEnded;
        await peer.until(isNext, 'ACK or GOODBYE');
      }
    });
    await publishers[0]!.ackedUpTo(stream, 1000);
    broker.signal('SIGTERM');
    await broker.logged('stopping');
    subscribers[2]!.socket.resume();
    await Promise.all(work);
    isStopping = true;

    for (const peer of [...publishers, ...subscribers, idle]) {
      await peer.lost();
      expect(peer.seen.get(codes.TYPE_GOODBYE)).toBe(1);
      expect(peer.faults).toEqual([]);
      peer.end();
    }
    const highest = Math.max(...publishers.map((peer) => peer.acked.get(stream)!.sequence));
    for (const peer of subscribers) {
      const book = peer.book(stream);
      expect(book.next).toBeGreaterThan(highest);
      expect(book.next).toBeLessThanOrEqual(published + 1);
      expect(book.frames).toBe(book.next! - 1);
      expect(book.gaps).toEqual([]);
    }
    expect(await broker.ended()).toEqual({ code: 0, signal: null });
    expect(broker.linesWith('shutdown.grace is over: what is not delivered is lost')).toEqual([]);
    expect(broker.complaints).toEqual([]);
  });

  it('acknowledges what lay in its sockets before it says GOODBYE', async () => {
    const broker = await startBroker('--shards', '1');
    const peer = await Peer.greet(broker.port);
    const { stream } = await peer.open('late');
    peer.publish(stream, 1, batch(0, 2000, 100));
    broker.signal('SIGTERM');
    await peer.takeType(codes.TYPE_GOODBYE);
    const acked = peer.acked.get(stream)?.number ?? 0;
    await peer.lost();
    // No ACK after GOODBYE: what comes later is not taken.
    expect(peer.acked.get(stream)?.number ?? 0).toBe(acked);
    peer.end();
    expect((await broker.ended()).code).toBe(0);
  });

  it('answers DATA that comes after GOODBYE with SHUTTING_DOWN, which quotes it', async () => {
    const broker = await startBroker('--shards', '1', '--shutdown-grace', '10s');
    const holder = await Peer.greet(broker.port);
    const late = await Peer.greet(broker.port);
    const { stream } = await holder.open('late');
    await late.open('late');
    // It has much to get and takes nothing of it yet: so the broker can't end it before its frame has come.
    await late.subscribe('late');
    late.socket.pause();
    holder.publish(stream, 1, batch(0, 1000, 60_000));
    await holder.ackedUpTo(stream, 1000);

    broker.signal('SIGTERM');
    // A shard says it to all in one turn.
    await holder.takeType(codes.TYPE_GOODBYE);
    late.publish(stream, 77, [message(1, 100)]);
    late.socket.resume();
    const error = await late.takeError();
    expect([errorName(error.code), error.stream, error.sequence]).toEqual([
      'SHUTTING_DOWN',
      stream,
      77n,
    ]);
    await late.takeType(codes.TYPE_GOODBYE);
    await late.lost();
    expect(late.book(stream).frames).toBe(1000);
    expect(late.faults).toEqual([]);
    late.end();
    holder.end();
    expect((await broker.ended()).code).toBe(0);
  });

  it('ends within its grace where a subscriber takes nothing', async () => {
    const broker = await startBroker('--shards', '2', '--shutdown-grace', '500ms');
    const publisher = await Peer.greet(broker.port);
    const { stream } = await publisher.open('stuck');
    const stuck = await Peer.greet(broker.port);
    await stuck.subscribe('stuck');
    stuck.socket.pause();
    publisher.publish(stream, 1, batch(0, 500, 60_000));
    await publisher.ackedUpTo(stream, 500);
    broker.signal('SIGTERM');
    const began = performance.now();
    expect(await broker.ended()).toEqual({ code: 0, signal: null });
    expect(performance.now() - began).toBeGreaterThan(400);
    expect(gaveUp(broker)).toBe(1);
  });

  it('ends within its grace where publishers are held back', async () => {
    const args = ['--shutdown-grace', '500ms', '--slow-consumer-timeout', '1h'];
    const retention = ['--streams-default-retention-bytes', '1MiB'];
    const broker = await startBroker('--shards', '2', ...args, ...retention);
    const publisher = await Peer.greet(broker.port);
    const { stream } = await publisher.open('full');
    const stuck = await Peer.greet(broker.port);
    await stuck.subscribe('full');
    stuck.socket.pause();
    // More than the log and all socket buffers on the way hold.
    publisher.publish(stream, 1, batch(0, 1000, 60_000));
    broker.signal('SIGTERM');
    expect(await broker.ended()).toEqual({ code: 0, signal: null });
    expect(gaveUp(broker)).toBe(1);
  });

  it('twice ends at once', async () => {
    const broker = await startBroker('--shards', '2', '--shutdown-grace', '1m');
    const publisher = await Peer.greet(broker.port);
    const { stream } = await publisher.open('stuck');
    const stuck = await Peer.greet(broker.port);
    await stuck.subscribe('stuck');
    stuck.socket.pause();
    publisher.publish(stream, 1, batch(0, 500, 60_000));
    await publisher.ackedUpTo(stream, 500);
    broker.signal('SIGTERM');
    await publisher.takeType(codes.TYPE_GOODBYE);
    broker.signal('SIGTERM');
    expect(await broker.ended()).toEqual({ code: 1, signal: null });
    expect(gaveUp(broker)).toBe(0);
  });

  it('with nobody there ends without waiting', async () => {
    const broker = await startBroker('--shards', '4');
    broker.signal('SIGINT');
    expect(await broker.ended()).toEqual({ code: 0, signal: null });
    expect(gaveUp(broker)).toBe(0);
  });

  it('while a shard is being replaced ends before the grace is over', async () => {
    const broker = await startBroker('--shards', '2', '--debug-faults', '--shutdown-grace', '15s');
    const peer = await Peer.greet(broker.port);
    broker.signal('SIGUSR2');
    await broker.logged('shard lost');
    broker.signal('SIGTERM');
    expect(await broker.ended()).toEqual({ code: 0, signal: null });
    expect(gaveUp(broker)).toBe(0);
    await peer.lost();
  });

  it('and a shard that crashes after it do not keep each other waiting', async () => {
    const broker = await startBroker('--shards', '2', '--debug-faults', '--shutdown-grace', '15s');
    const peers = [await Peer.greet(broker.port), await Peer.greet(broker.port)];
    for (const peer of peers) await peer.subscribe('any');
    broker.signal('SIGUSR2');
    broker.signal('SIGTERM');
    expect(await broker.ended()).toEqual({ code: 0, signal: null });
    expect(gaveUp(broker)).toBe(0);
    for (const peer of peers) await peer.lost();
  });
});

describe('a port that is taken', () => {
  it('ends the start with 4, and is named', async () => {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const broker = new Broker([], port);
    expect(await broker.ended()).toEqual({ code: 4, signal: null });
    expect(broker.complaints.join('\n')).toContain(`127.0.0.1:${port}`);
    expect(broker.output).toBe('');
    server.close();
  });

  it('is free again right after the broker has ended', async () => {
    const first = await startBroker('--shards', '1');
    const peer = await Peer.greet(first.port);
    const stopped = first.stop();
    await peer.lost();
    peer.end();
    await stopped;
    const second = new Broker(['--shards', '1'], first.port);
    await second.ready();
    expect(second.port).toBe(first.port);
    await second.stop();
  });
});
