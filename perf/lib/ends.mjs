// Both ends of a stream in this process, over the package's own codec: for what the C generator does not speak.
import { once } from 'node:events';
import { connect } from 'node:net';
import { FrameDecoder, FrameEncoder } from '../../dist/frame/codec.js';
import { FrameKernel, FrameKey } from '../../dist/frame/frame-kernel.js';
import { ClientHandshake, isFault } from '../../dist/frame/handshake.js';
import { TYPES_FROM_SERVER } from '../../dist/frame/names.js';
import { encodePayload } from '../../dist/frame/payloads.js';
import { randomBytes } from 'node:crypto';

export const TYPE = {
  hello: 1,
  welcome: 2,
  challenge: 3,
  proof: 4,
  ping: 5,
  pong: 6,
  error: 7,
  open: 0x10,
  opened: 0x11,
  subscribe: 0x12,
  subscribed: 0x13,
  data: 0x20,
};
const RECEIVE_BYTES = 512 * 1024;
const SEND_BYTES = 128 * 1024;

/** A connection with a codec that may be keyed; `onFrame` is called with the decoder on each frame. */
export class End {
  onFrame = () => {};
  #handshake;
  #nextId = 1n;

  constructor(port, credential, isKeyingRequired) {
    const kernel = new FrameKernel(
      FrameDecoder.areaBytes(RECEIVE_BYTES) + SEND_BYTES + 2 * FrameKey.areaBytes,
    );
    this.sendKey = new FrameKey(kernel);
    this.receiveKey = new FrameKey(kernel);
    this.encoder = new FrameEncoder(kernel, SEND_BYTES, this.sendKey);
    this.decoder = new FrameDecoder(kernel, TYPES_FROM_SERVER, RECEIVE_BYTES, this.receiveKey);
    this.decoder.oneByOne = true;
    this.#handshake = new ClientHandshake({
      versions: [1],
      name: 'perf/1',
      credential,
      isKeyingRequired,
      random: randomBytes,
    });
    const onread = {
      buffer: () => this.decoder.space(),
      callback: (byteCount) => this.#received(byteCount),
    };
    this.socket = connect({ port, host: '127.0.0.1', noDelay: true, onread });
    this.socket.on('error', () => {});
    this.socket.resume();
  }

  #received(byteCount) {
    this.decoder.received(byteCount);
    while (this.decoder.next()) {
      if (this.decoder.type === TYPE.ping)
        this.send({ type: TYPE.pong, sequence: this.decoder.sequence });
      else this.onFrame(this.decoder);
    }
    if (this.decoder.fault !== 0) throw new Error(`what came is no frame: ${this.decoder.fault}`);
    return true;
  }

  send(frame) {
    this.encoder.clear();
    this.encoder.put(frame);
    this.socket.write(Buffer.from(this.encoder.view()));
  }

  /** Sends a payload that is JSON already; answers type, stream and payload of what comes back. */
  exchange(type, payload) {
    return new Promise((resolve) => {
      this.onFrame = (frame) => {
        this.onFrame = () => {};
        resolve({ type: frame.type, stream: frame.stream, payload: Buffer.from(frame.payload) });
      };
      this.send({ type, sequence: this.#nextId++, payload });
    });
  }

  async ask(type, value) {
    const answer = await this.exchange(type, encodePayload(value));
    if (answer.type === TYPE.error) throw new Error(answer.payload.toString());
    return answer;
  }

  /** From the connection to WELCOME; answers the type of what ended it. */
  async greet() {
    if (this.socket.connecting) await once(this.socket, 'connect');
    let answer = await this.exchange(TYPE.hello, this.#handshake.hello());
    if (answer.type === TYPE.challenge) {
      const proof = this.#handshake.challenged(answer.payload);
      answer = await this.exchange(TYPE.proof, proof);
    }
    if (answer.type !== TYPE.welcome) return answer.type;
    const greeted = this.#handshake.welcomed(answer.payload);
    if (isFault(greeted)) throw new Error(greeted.fault);
    if (greeted.keys) {
      this.sendKey.set(greeted.keys.clientToServer);
      this.receiveKey.set(greeted.keys.serverToClient);
    }
    this.decoder.oneByOne = false;
    return answer.type;
  }
}
