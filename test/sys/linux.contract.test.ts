import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createLinuxSys } from '../../src/sys/linux.js';
import { ARENA_BYTES, type Client, describeContract } from './contract.js';

const pages = ARENA_BYTES / 65536;

describeContract('linux', () => {
  const arena = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const sockets: Socket[] = [];
  return {
    sys: createLinuxSys(arena),
    bytes: new Uint8Array(arena.buffer),
    connect: async (port) => {
      const socket = connect({ host: '127.0.0.1', port, noDelay: true, allowHalfOpen: true });
      sockets.push(socket);
      await once(socket, 'connect');
      return clientOver(socket);
    },
    finish: () => {
      for (const socket of sockets) socket.destroy();
    },
  };
});

function clientOver(socket: Socket): Client {
  let received = Buffer.alloc(0);
  socket.on('data', (bytes) => (received = Buffer.concat([received, bytes])));
  socket.on('error', () => undefined);
  return {
    write: (bytes) => socket.write(bytes),
    read: () => {
      const taken = received;
      received = Buffer.alloc(0);
      return taken;
    },
    end: () => socket.end(),
    reset: () => socket.resetAndDestroy(),
  };
}
