// What WELCOME says of a shard, on connections that end at once: by this one sees from outside what a shard runs with.
import { once } from 'node:events';
import { connect } from 'node:net';

const HEADER_BYTES = 40;
const TYPE_BYTE_OFFSET = 3;
const TYPE_WELCOME = 2;
const LENGTH_BYTE_OFFSET = 12;
const FRAME_BYTES_MAX = 65_536;
/** The broker gives a connection to the shard with the fewest, so that a few more than there are shards reach all. */
const CONNECTIONS_PER_SHARD_MAX = 16;

let hello;

/** Made with the first greeting: the build comes before it. */
async function helloFrame() {
  const { FrameEncoder } = await import('../../dist/frame/codec.js');
  const { FrameKernel } = await import('../../dist/frame/frame-kernel.js');
  const { encodePayload } = await import('../../dist/frame/payloads.js');
  const { TYPE_HELLO: type } = await import('../../dist/frame/codes.js');
  const kernel = new FrameKernel(FrameEncoder.areaBytes(FRAME_BYTES_MAX));
  const encoder = new FrameEncoder(kernel, FRAME_BYTES_MAX);
  encoder.put({
    type,
    sequence: 1n,
    payload: encodePayload({ versions: [1], client: 'perf/1' }),
  });
  return Buffer.from(encoder.view());
}

/** Connects and says HELLO; answers the socket, and what WELCOME holds. */
async function greet(port) {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  socket.write((hello ??= await helloFrame()));
  let bytes = Buffer.alloc(0);
  const isWhole = () =>
    bytes.length >= HEADER_BYTES &&
    bytes.length >= HEADER_BYTES + bytes.readUInt32LE(LENGTH_BYTE_OFFSET);
  while (!isWhole()) {
    const [chunk] = await once(socket, 'data');
    bytes = Buffer.concat([bytes, chunk]);
  }
  const payload = bytes.subarray(
    HEADER_BYTES,
    HEADER_BYTES + bytes.readUInt32LE(LENGTH_BYTE_OFFSET),
  );
  if (bytes[TYPE_BYTE_OFFSET] !== TYPE_WELCOME) throw new Error(`no WELCOME: ${payload}`);
  return { socket, welcome: JSON.parse(payload) };
}

/** By the number of each shard: what its WELCOME says. Throws where not all could be reached. */
export async function welcomesOf(port, shards) {
  const found = new Map();
  const sockets = [];
  try {
    while (found.size < shards) {
      if (sockets.length >= shards * CONNECTIONS_PER_SHARD_MAX) {
        throw new Error(`of ${shards} shards ${found.size} could be reached`);
      }
      const { socket, welcome } = await greet(port);
      sockets.push(socket);
      found.set(Number.parseInt(welcome.connection, 10), welcome);
    }
  } finally {
    for (const socket of sockets) socket.destroy();
  }
  return found;
}
