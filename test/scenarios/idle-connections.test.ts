// Thousands of connections that say nothing: they cost next to nothing, and slow nobody down.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { encode, closePeers } from '../support/peer.js';
import { Bystander, undisturbed } from '../support/bystander.js';
import { endBrokers, startBroker } from '../support/broker.js';
import { settledFds } from '../support/fds.js';
import { TYPE_PING } from '../../src/frame/codes.js';

afterEach(async () => {
  closePeers();
  await endBrokers();
});

const IDLE = 2000;
/** Beside what the kernel keeps for a socket, which is no part of a process. */
const KIB_PER_CONNECTION_MAX = 16;
const PONG_BYTES = 40;

it(
  '2,000 are held, all of them live, and what they cost is given back',
  { timeout: 60_000 },
  async () => {
    const broker = await startBroker('--shards', '2', '--limits-connections', '3000');
    const bystander = await Bystander.start(broker.port, 'bystander');
    const fds = broker.fdCount;
    const residentMib = broker.residentMib;
    const sockets: Socket[] = [];
    for (let done = 0; done < IDLE; done += 100) {
      const some = Array.from({ length: 100 }, () => connect(broker.port, '127.0.0.1'));
      await Promise.all(some.map((socket) => once(socket, 'connect')));
      sockets.push(...some);
    }
    const ping = encode({ type: TYPE_PING, sequence: 1n });
    const pong = async (socket: Socket): Promise<number> => {
      const answered = once(socket, 'data') as Promise<[Buffer]>;
      socket.write(ping);
      return (await answered)[0].length;
    };
    for (let round = 0; round < 2; round++) {
      const answers = await Promise.all(sockets.map(pong));
      expect(new Set(answers)).toEqual(new Set([PONG_BYTES]));
    }
    expect(broker.fdCount).toBeGreaterThanOrEqual(fds + IDLE);
    const kibEach = ((broker.residentMib - residentMib) * 1024) / IDLE;
    expect(kibEach).toBeLessThan(KIB_PER_CONNECTION_MAX);

    for (const socket of sockets) socket.end();
    await Promise.all(
      sockets.filter((socket) => !socket.closed).map((socket) => once(socket, 'close')),
    );
    expect(await settledFds(broker, fds)).toBeLessThanOrEqual(fds);
    const account = await bystander.stop();
    expect(account).toEqual(undisturbed(account));
    await broker.stop();
  },
);
