// Connections that end in every way there is, and those that do not behave.
import { once } from 'node:events';
import { connect as connectSocket, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import * as codes from '../../src/frame/codes.js';
import { errorName } from '../../src/frame/names.js';
import { Bystander, undisturbed } from '../support/bystander.js';
import { endBrokers, startBroker } from '../support/broker.js';
import { settledFds } from '../support/fds.js';
import { closePeers, encode, json, Peer } from '../support/peer.js';

afterEach(async () => {
  closePeers();
  await endBrokers();
});

const ACK_REQUESTED = 1;

const batch = (after: number, count: number, bytes: number): Buffer[] =>
  Array.from({ length: count }, (_, index) => {
    const payload = Buffer.alloc(bytes);
    payload.writeUInt32LE(after + index + 1);
    return payload;
  });

describe('a peer that ends its sending side', () => {
  it('still gets the ACKs of all that it published, then the end', async () => {
    const broker = await startBroker('--shards', '2');
    const peer = await Peer.connect(broker.port);
    const { stream } = await peer.open('half');
    peer.publish(stream, 1, batch(0, 5000, 500));
    peer.end();
    await peer.lost();
    expect(peer.acked.get(stream)).toEqual({ number: 5000, sequence: 5000 });
    expect(peer.faults).toEqual([]);
    await peer.closed();
    expect(peer.error).toBeUndefined();
  });

  it('while its stream is full, gets its ACKs once there is room', async () => {
    const retention = ['--streams-default-retention-bytes', '1MiB'];
    const broker = await startBroker(
      '--shards',
      '2',
      '--slow-consumer-timeout',
      '30s',
      ...retention,
    );
    const slow = await Peer.connect(broker.port);
    await slow.subscribe('full');
    const peer = await Peer.connect(broker.port);
    const { stream } = await peer.open('full');
    slow.socket.pause();
    peer.publish(stream, 1, batch(0, 600, 60_000));
    peer.end();
    // Whoever else asks something is answered: the broker has received what it takes for now.
    await (await Peer.connect(broker.port)).open('other');
    expect(peer.isEnded).toBe(false);
    slow.socket.resume();
    await peer.lost();
    expect(peer.acked.get(stream)).toEqual({ number: 600, sequence: 600 });
    await slow.until(() => slow.book(stream).frames === 600, 'all of it');
    expect([...slow.faults, ...peer.faults]).toEqual([]);
  });

  it('as a subscriber gets what is there, then the end', async () => {
    const broker = await startBroker('--shards', '2');
    const publisher = await Peer.connect(broker.port);
    const { stream } = await publisher.open('there');
    publisher.publish(stream, 1, batch(0, 300, 60_000));
    await publisher.ackedUpTo(stream, 300);
    const peer = await Peer.connect(broker.port);
    peer.send({
      type: codes.TYPE_SUBSCRIBE,
      sequence: 1n,
      payload: json({ subject: 'there', from: 'first' }),
    });
    peer.end();
    await peer.closed();
    expect(peer.book(stream).frames).toBe(300);
    expect(peer.faults).toEqual([]);
    expect(peer.error).toBeUndefined();
  });

  it('in mid-frame is closed, and the part of a frame is nothing', async () => {
    const broker = await startBroker('--shards', '1');
    const peer = await Peer.connect(broker.port);
    const { stream } = await peer.open('torn');
    const whole = encode({
      type: codes.TYPE_DATA,
      flags: ACK_REQUESTED,
      stream,
      sequence: 1n,
      payload: Buffer.alloc(5000),
    });
    for (const bytes of [1, 39, 40, 41, 5039, whole.length - 1]) {
      const torn = await Peer.connect(broker.port);
      await torn.open('torn');
      await torn.write(whole.subarray(0, bytes));
      torn.end();
      await torn.closed();
      expect([bytes, torn.error, torn.acked.size]).toEqual([bytes, undefined, 0]);
    }
    expect((await peer.open('torn')).next).toBe(1);
  });
});

describe('GOODBYE', () => {
  it('comes after the ACKs of what was sent before it', async () => {
    const broker = await startBroker('--shards', '1');
    const peer = await Peer.connect(broker.port);
    const { stream } = await peer.open('bye');
    const frames = batch(0, 3000, 100).map((payload, index) => ({
      type: codes.TYPE_DATA,
      flags: ACK_REQUESTED,
      stream,
      sequence: BigInt(index + 1),
      payload,
    }));
    peer.send(...frames, { type: codes.TYPE_GOODBYE }, { ...frames[0]!, sequence: 9999n });
    await peer.takeType(codes.TYPE_GOODBYE);
    expect(peer.acked.get(stream)).toEqual({ number: 3000, sequence: 3000 });
    await peer.lost();
    expect(peer.frames).toEqual([]);
    peer.end();
    await peer.closed();
    expect(peer.error).toBeUndefined();
    // What came behind it was not taken.
    expect((await (await Peer.connect(broker.port)).open('bye')).next).toBe(3001);
  });

  it('after a burst on thousands of streams leaves none of them without its ACK', async () => {
    const broker = await startBroker('--shards', '1');
    const peer = await Peer.connect(broker.port);
    const streams: number[] = [];
    for (let i = 0; i < 3000; i++) streams.push((await peer.open(`many.${i}`)).stream);
    const frames = streams.map((stream) => ({
      type: codes.TYPE_DATA,
      flags: ACK_REQUESTED,
      stream,
      sequence: 1n,
      payload: Buffer.from('x'),
    }));
    peer.send(...frames, { type: codes.TYPE_GOODBYE });
    await peer.lost();
    expect(peer.acked.size).toBe(3000);
    expect(peer.seen.get(codes.TYPE_GOODBYE)).toBe(1);
  });
});

describe('resets and disappearances', () => {
  it('under load take nothing from anybody else, and leave no file descriptor', async () => {
    const broker = await startBroker('--shards', '2');
    const bystander = await Bystander.start(broker.port, 'bystander');
    const warm = await Peer.greet(broker.port);
    await warm.leave();
    const fds = broker.fdCount;
    for (let round = 0; round < 60; round++) {
      const peer = await Peer.connect(broker.port);
      await peer.subscribe('noise.>', { from: 'first' });
      const { stream } = await peer.open(`noise.${round % 5}`);
      peer.publish(stream, 1, batch(0, 200, 1000));
      if (round % 3 === 0) peer.socket.pause();
      else await peer.ackedUpTo(stream, 1 + (round % 200));
      if (round % 2 === 0) peer.socket.resetAndDestroy();
      else peer.destroy();
      await peer.closed();
    }
    expect(await settledFds(broker, fds)).toBeLessThanOrEqual(fds);
    const account = await bystander.stop();
    expect(account).toEqual(undisturbed(account));
    expect(broker.linesWith('shard lost')).toEqual([]);
  });

  it('2,000 connections made and ended at once, in every way', async () => {
    const broker = await startBroker('--shards', '2');
    const bystander = await Bystander.start(broker.port, 'bystander');
    const warm = await Peer.greet(broker.port);
    await warm.leave();
    const fds = broker.fdCount;
    const hello = encode({
      type: codes.TYPE_HELLO,
      sequence: 1n,
      payload: json({ versions: [1] }),
    });
    const makeOne = async (number: number): Promise<void> => {
      const socket = connectSocket(broker.port, '127.0.0.1');
      socket.on('error', () => undefined);
      await once(socket, 'connect');
      if (number % 4 === 1) socket.write(hello);
      if (number % 4 === 2) socket.write(hello.subarray(0, 17));
      if (number % 8 === 3) socket.resetAndDestroy();
      else if (number % 8 === 7) socket.destroy();
      else socket.end().resume();
      if (!socket.closed) await once(socket, 'close');
    };
    for (let done = 0; done < 2000; done += 50) {
      await Promise.all(Array.from({ length: 50 }, (_, index) => makeOne(done + index)));
    }
    expect(await settledFds(broker, fds)).toBeLessThanOrEqual(fds);
    const account = await bystander.stop();
    expect(account).toEqual(undisturbed(account));
    await broker.stop();
  });
});

describe('the connection limit', () => {
  it('answers the one too many with SERVER_FULL, and takes another once one has left', async () => {
    const broker = await startBroker('--shards', '2', '--limits-connections', '10');
    const peers = await Promise.all(Array.from({ length: 10 }, () => Peer.greet(broker.port)));
    for (let i = 0; i < 5; i++) {
      const refused = await Peer.connect(broker.port);
      // What it has sent already must not turn the answer into a reset.
      refused.send({ type: codes.TYPE_PING, sequence: 1n });
      expect(errorName((await refused.takeError()).code)).toBe('SERVER_FULL');
      await refused.lost();
      refused.end();
      await refused.closed();
      expect(refused.error).toBeUndefined();
    }
    await peers[0]!.leave();
    let served: Peer | undefined;
    // The broker notices the end a moment after we do.
    for (let i = 0; i < 200 && !served; i++) {
      const peer = await Peer.connect(broker.port);
      peer.send({ type: codes.TYPE_PING, sequence: 1n });
      const answer = await peer.take(() => true, 'an answer');
      if (answer.type === codes.TYPE_PONG) served = peer;
      else peer.destroy();
    }
    expect(served).toBeDefined();
    for (const peer of peers.slice(1)) {
      peer.send({ type: codes.TYPE_PING, sequence: 2n });
      await peer.takeType(codes.TYPE_PONG);
    }
  });
});

describe('heartbeats', () => {
  const ARGS = ['--shards', '2', '--heartbeat-interval', '200ms'];

  it('end a connection that says nothing, not even when asked, after twice the interval', async () => {
    const broker = await startBroker(...ARGS);
    const peer = await Peer.connect(broker.port, { answersPing: false });
    const began = performance.now();
    expect(errorName((await peer.takeError()).code)).toBe('IDLE_TIMEOUT');
    expect(performance.now() - began).toBeGreaterThan(350);
    expect(peer.seen.get(codes.TYPE_PING)).toBeGreaterThan(0);
    await peer.lost();
  });

  it('keep a connection that answers, and one that only speaks', async () => {
    const broker = await startBroker(...ARGS);
    const answering = await Peer.connect(broker.port);
    const silent = await Peer.connect(broker.port, { answersPing: false });
    const { stream } = await silent.open('alive');
    let number = 0;
    // Both outlive one that is silent from now on, twice.
    for (let i = 0; i < 2; i++) {
      const clock = await Peer.connect(broker.port, { answersPing: false });
      while (!clock.isEnded) {
        silent.publish(stream, ++number, [Buffer.from('x')]);
        await silent.ackedUpTo(stream, number);
        const pings = clock.seen.get(codes.TYPE_PING) ?? 0;
        const isOn = (): boolean => clock.isEnded || (clock.seen.get(codes.TYPE_PING) ?? 0) > pings;
        await clock.until(isOn, 'PING or the end');
      }
    }
    expect([answering.isEnded, silent.isEnded]).toEqual([false, false]);
    expect(answering.seen.get(codes.TYPE_PING)).toBeGreaterThan(1);
  });

  it('are told to a publisher that is held back, who is not taken for dead', async () => {
    const args = ['--slow-consumer-timeout', '1h', '--streams-default-retention-bytes', '1MiB'];
    const broker = await startBroker(...ARGS, ...args);
    // A subscriber that lives, but grants nothing.
    const slow = await Peer.connect(broker.port);
    await slow.subscribe('held', { credit: 0 });
    const publisher = await Peer.connect(broker.port, { answersPing: false });
    const { stream } = await publisher.open('held');
    publisher.publish(stream, 1, batch(0, 200, 60_000));
    await publisher.until(() => (publisher.seen.get(codes.TYPE_PING) ?? 0) >= 8, 'PINGs');
    expect(publisher.isEnded).toBe(false);
    const granted = {
      type: codes.TYPE_CREDIT,
      sequence: 1000n,
      payload: json({ subject: 'held' }),
    };
    slow.send(granted);
    await publisher.ackedUpTo(stream, 200);
    await slow.until(() => slow.book(stream).frames === 200, 'all of it');
    expect([...slow.faults, ...publisher.faults]).toEqual([]);
  });
});

describe('a client that never reads', () => {
  it('and asks without end is not kept for ever, and costs no one else anything', async () => {
    const broker = await startBroker(
      ...['--shards', '1', '--heartbeat-interval', '1s', '--log-level', 'debug'],
    );
    const bystander = await Bystander.start(broker.port, 'bystander');
    const sockets: Socket[] = [];
    const ends: Promise<unknown>[] = [];
    for (let i = 0; i < 8; i++) {
      const socket = connectSocket(broker.port, '127.0.0.1');
      socket.on('error', () => undefined);
      await once(socket, 'connect');
      socket.pause();
      ends.push(new Promise<void>((resolve) => socket.once('close', () => resolve())));
      sockets.push(socket);
    }
    const pings = encode(
      ...Array.from({ length: 500 }, (_, index) => ({
        type: codes.TYPE_PING,
        sequence: BigInt(index + 1),
        payload: Buffer.alloc(64),
      })),
    );
    // The kernel buffers some MiB in each direction before anything is held back.
    for (const socket of sockets) {
      // Piece by piece, so that this process has time to answer what its other clients are asked.
      const pump = (): void => {
        if (socket.writable) socket.write(pings, () => setImmediate(pump));
      };
      pump();
    }
    // A line a second at most, which says how many it stands for.
    const refusedCount = (): number =>
      broker
        .linesWith('connection refused further service')
        .reduce((sum, { count }) => sum + Number(count), 0);
    await broker.until(() => refusedCount() === sockets.length, 'each is refused');
    const codesSeen = broker
      .linesWith('connection refused further service')
      .map(({ code }) => code);
    expect(new Set(codesSeen)).toEqual(new Set(['SLOW_CONSUMER']));
    for (const socket of sockets) socket.resume();
    await Promise.all(ends);
    const account = await bystander.stop();
    expect(account).toEqual(undisturbed(account));
    await broker.stop();
  });

  it('and subscribes to everything is ended as dead, while others get all of it', async () => {
    const args = ['--heartbeat-interval', '700ms', '--slow-consumer-timeout', '100ms'];
    const debug = ['--log-level', 'debug'];
    const retention = ['--streams-default-retention-bytes', '4MiB'];
    const broker = await startBroker('--shards', '2', ...args, ...retention, ...debug);
    const stuck = await Peer.connect(broker.port);
    await stuck.subscribe('>');
    stuck.socket.pause();
    const reader = await Peer.connect(broker.port);
    await reader.subscribe('much');
    const publisher = await Peer.connect(broker.port);
    const { stream } = await publisher.open('much');
    // In parts, which the stream holds until the reader has them, however late this process comes to read.
    for (let number = 0; number < 1000; number += 25) {
      publisher.publish(stream, number + 1, batch(number, 25, 60_000));
      await publisher.ackedUpTo(stream, number + 25);
      await reader.until(() => reader.book(stream).frames === number + 25, 'all of it');
    }
    expect(reader.book(stream).gaps).toEqual([]);
    await broker.logged('connection refused further service');
    expect(broker.linesWith('connection refused further service')[0]).toMatchObject({
      code: 'IDLE_TIMEOUT',
    });
    stuck.socket.resume();
    await stuck.lost();
    expect(stuck.faults).toEqual([]);
  });
});
