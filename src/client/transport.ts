/**
 * One connection: the socket, the two directions of frames on it, HELLO, requests and their answers, and
 * the heartbeat. It is made once and lost once; making it again is the client's business.
 *
 *   connecting ──connected──> greeting ──WELCOME──────────────> live ──GOODBYE──> leaving
 *        │                       └──CHALLENGE──> proving ──────^ │                   │
 *        └───────────────────────┴──────────────────┴─────────────┴───────────────────┴──> lost
 */
import { connect as connectSocket, type Socket } from 'node:net';
import { MemoryStreamerError } from '../errors.js';
import { FrameDecoder, type FrameEncoder, type FrameFields } from '../frame/codec.js';
import {
  TYPE_CHALLENGE,
  TYPE_ERROR,
  TYPE_GOODBYE,
  TYPE_HELLO,
  TYPE_OPENED,
  TYPE_PING,
  TYPE_PONG,
  TYPE_PROOF,
  TYPE_SUBSCRIBED,
  TYPE_UNSUBSCRIBED,
  TYPE_WELCOME,
} from '../frame/codes.js';
import { FrameKernel, FrameKey } from '../frame/frame-kernel.js';
import { ClientHandshake, isFault, type HandshakeFault } from '../frame/handshake.js';
import { PROTOCOL_VERSION } from '../frame/layout.js';
import { TYPES_FROM_SERVER, errorName, isFatal, typeName } from '../frame/names.js';
import { encodePayload, type Welcome } from '../frame/payloads.js';
import type { Settings } from './options.js';
import { BLOCK_BYTES, Outbox } from './outbox.js';

/** One read of the socket at most; twice the largest frame is the least that the decoder works with. */
const RECEIVE_BYTES = 256 * 1024;
/** The heartbeat's clock ticks this many times in each `heartbeatMs`. */
const TICKS_PER_HEARTBEAT = 4;

type State = 'connecting' | 'greeting' | 'proving' | 'live' | 'leaving' | 'lost';

/** Takes the answer to a request (the decoder stands on it), or why there is none. */
export type Answered = (frame: FrameDecoder | undefined, error?: MemoryStreamerError) => void;

export interface TransportHandlers {
  /** WELCOME is in. */
  live(welcome: Welcome): void;
  /** A frame that is not the transport's own business; the decoder stands on it, until this returns. */
  frame(frame: FrameDecoder): void;
  /** After the frames of one read. */
  batch(): void;
  /** There is room in the outbox again. */
  room(): void;
  /** GOODBYE: nothing may be published any more, what was sent before still comes. */
  leaving(): void;
  /** The end, told once, and after it nothing. */
  lost(error: MemoryStreamerError): void;
}

/** What a connection needs of memory; one connection at a time may use it. */
export class TransportMemory {
  readonly decoder: FrameDecoder;
  readonly blocks: FrameEncoder[];
  /** Of what is sent, and of what is received. */
  readonly sendKey: FrameKey;
  readonly receiveKey: FrameKey;

  constructor(sendBufferBytes: number) {
    // Two at least: one fills while the socket takes the other.
    const blockCount = Math.max(2, Math.ceil(sendBufferBytes / BLOCK_BYTES));
    const kernel = new FrameKernel(
      FrameDecoder.areaBytes(RECEIVE_BYTES) + blockCount * BLOCK_BYTES + 2 * FrameKey.areaBytes,
    );
    this.sendKey = new FrameKey(kernel);
    this.receiveKey = new FrameKey(kernel);
    this.decoder = new FrameDecoder(kernel, TYPES_FROM_SERVER, RECEIVE_BYTES, this.receiveKey);
    this.blocks = Outbox.blocks(kernel, blockCount, this.sendKey);
  }

  /** Of a connection that is no more; its keys are wiped. */
  reset(): void {
    this.sendKey.clear();
    this.receiveKey.clear();
    this.decoder.reset();
  }
}

export class Transport {
  readonly outbox: Outbox;
  readonly #settings: Settings;
  readonly #handlers: TransportHandlers;
  readonly #memory: TransportMemory;
  readonly #decoder: FrameDecoder;
  readonly #handshake: ClientHandshake;
  readonly #socket: Socket;
  readonly #requests = new Map<number, Answered>();
  #state: State = 'connecting';
  #reason: MemoryStreamerError | undefined;
  #nextRequest = 1;
  #paused = false;
  #heartbeatMs = 0;
  #heardMs: number;
  #pingedMs = 0;
  #cancelTimer: () => void;

  constructor(settings: Settings, memory: TransportMemory, handlers: TransportHandlers) {
    this.#settings = settings;
    this.#handlers = handlers;
    this.#memory = memory;
    this.#decoder = memory.decoder;
    memory.reset();
    // WELCOME may say that what follows it is keyed.
    this.#decoder.oneByOne = true;
    this.#handshake = new ClientHandshake({
      versions: [PROTOCOL_VERSION],
      name: settings.name,
      credential: settings.credential,
      isKeyingRequired: settings.isKeyingRequired,
      random: settings.randomBytes,
    });
    this.#heardMs = settings.clock.monotonicMs();
    const { host, port } = settings;
    this.#socket = connectSocket({
      host,
      port,
      noDelay: true,
      onread: {
        // The socket reads into the decoder's memory: no copy, no buffer per read.
        buffer: () => this.#decoder.space(),
        callback: (byteCount) => this.#received(byteCount),
      },
    });
    this.#socket.on('connect', () => this.#greet());
    this.#socket.on('error', (error) => this.#blame(this.#socketError(error)));
    this.#socket.on('close', () => this.#closed());
    // With a function as read buffer the end of the stream is noticed only by one who reads on.
    this.#socket.on('end', () => this.#socket.destroy());
    this.#socket.resume();
    this.outbox = new Outbox(memory.blocks, {
      write: (bytes, done) => {
        this.#socket.write(bytes, (error) => {
          if (!error) done();
        });
      },
      room: () => handlers.room(),
    });
    this.#cancelTimer = settings.clock.schedule(() => {
      this.fail(
        new MemoryStreamerError(
          'MS_ERR_UNREACHABLE',
          `${settings.url} did not answer within ${settings.connectTimeoutMs} ms; is it a MemoryStreamer broker?`,
        ),
      );
    }, settings.connectTimeoutMs);
  }

  /** Whether requests and DATA may be sent. */
  get live(): boolean {
    return this.#state === 'live';
  }

  /** How many requests wait for their answers. */
  get requestCount(): number {
    return this.#requests.size;
  }

  /** Sends a request, whose answer or failure `answered` is told exactly once. Only while live. */
  request(type: number, payload: object, answered: Answered): void {
    const id = this.#nextRequest++;
    this.#requests.set(id, answered);
    this.outbox.control({ type, sequence: BigInt(id), payload: encodePayload(payload) });
  }

  control(frame: FrameFields): void {
    this.outbox.control(frame);
  }

  /** Stops or goes on reading from the socket. While it stands still the heartbeat is kept up by PINGs. */
  setPaused(paused: boolean): void {
    if (paused === this.#paused || this.#state === 'lost') return;
    this.#paused = paused;
    if (paused) {
      this.#socket.pause();
    } else {
      this.#heardMs = this.#settings.clock.monotonicMs();
      this.#socket.resume();
    }
  }

  /** Ends the connection; `lost` is told `error` once the socket is closed. */
  fail(error: MemoryStreamerError): void {
    this.#blame(error);
    this.#socket.destroy();
  }

  #greet(): void {
    this.#state = 'greeting';
    this.#ask(TYPE_HELLO, this.#handshake.hello(), (frame) => {
      if (frame.type === TYPE_CHALLENGE) this.#prove(frame.payload);
      else this.#welcomed(frame);
    });
  }

  #prove(challenge: Uint8Array): void {
    const proof = this.#handshake.challenged(challenge);
    if (isFault(proof)) {
      this.#distrust(proof);
      return;
    }
    this.#state = 'proving';
    this.#ask(TYPE_PROOF, proof, (frame) => this.#welcomed(frame));
  }

  #welcomed(frame: FrameDecoder): void {
    if (frame.type !== TYPE_WELCOME) {
      this.#broken(`${typeName(frame.type)} is no answer to HELLO`);
      return;
    }
    const greeted = this.#handshake.welcomed(frame.payload);
    if (isFault(greeted)) {
      this.#distrust(greeted);
      return;
    }
    const { welcome, keys } = greeted;
    if (keys) {
      this.#memory.sendKey.set(keys.clientToServer);
      this.#memory.receiveKey.set(keys.serverToClient);
      keys.clientToServer.fill(0);
      keys.serverToClient.fill(0);
    }
    this.#decoder.oneByOne = false;
    this.#state = 'live';
    this.#heartbeatMs = welcome.heartbeatMs;
    this.#cancelTimer();
    this.#tickLater();
    this.#handlers.live(welcome);
  }

  #distrust({ fault, isUntrusted }: HandshakeFault): void {
    if (isUntrusted) {
      const text = `${this.#settings.url} is not trusted: ${fault}`;
      this.fail(new MemoryStreamerError('MS_ERR_UNTRUSTED', text));
    } else {
      this.#broken(fault);
    }
  }

  /** A request of the handshake. */
  #ask(type: number, payload: Uint8Array, answered: (frame: FrameDecoder) => void): void {
    const id = this.#nextRequest++;
    this.#requests.set(id, (frame, error) => {
      if (frame !== undefined) answered(frame);
      else if (error !== undefined) this.fail(error);
    });
    this.outbox.control({ type, sequence: BigInt(id), payload });
  }

  #received(byteCount: number): boolean {
    const decoder = this.#decoder;
    this.#heardMs = this.#settings.clock.monotonicMs();
    decoder.received(byteCount);
    while (this.#reason === undefined && decoder.next()) this.#frame(decoder);
    if (decoder.fault !== 0) this.#broken(`${errorName(decoder.fault)} in what it sent`);
    if (this.#reason === undefined) this.#handlers.batch();
    return !this.#paused;
  }

  #frame(frame: FrameDecoder): void {
    switch (frame.type) {
      case TYPE_WELCOME:
      case TYPE_CHALLENGE:
      case TYPE_SUBSCRIBED:
      case TYPE_UNSUBSCRIBED:
        this.#answer(frame);
        break;
      case TYPE_OPENED:
        // With sequence 0 nobody asked.
        if (!this.#answer(frame)) this.#handlers.frame(frame);
        break;
      case TYPE_PING:
        // Between PROOF and WELCOME nothing is sent: the broker may count on keyed frames already.
        if (this.#state === 'proving') break;
        this.control({
          type: TYPE_PONG,
          sequence: frame.sequence,
          payload: Uint8Array.from(frame.payload),
        });
        break;
      case TYPE_PONG:
        // That of a heartbeat answers nothing: it bears HELLO's number, which has had its answer.
        this.#answer(frame);
        break;
      case TYPE_ERROR:
        this.#error(frame);
        break;
      case TYPE_GOODBYE:
        if (this.#state === 'live') this.#state = 'leaving';
        this.#handlers.leaving();
        break;
      default:
        this.#handlers.frame(frame);
    }
  }

  #answer(frame: FrameDecoder, error?: MemoryStreamerError): boolean {
    const id = frame.sequenceNumber;
    const answered = this.#requests.get(id);
    if (answered === undefined) return false;
    this.#requests.delete(id);
    if (error !== undefined) answered(undefined, error);
    else if (frame.damaged) this.#broken('an answer was damaged on the way');
    else answered(frame);
    return true;
  }

  #error(frame: FrameDecoder): void {
    const fatal = isFatal(frame.code);
    const error = refusal(frame);
    // Streams count from 1, so that an error of stream 0 speaks of a request or of the connection.
    const answered = frame.stream === 0 && this.#answer(frame, error);
    // Nothing follows a fatal one.
    if (fatal) this.fail(error);
    else if (!answered) this.#handlers.frame(frame);
  }

  #tickLater(): void {
    const tickMs = this.#heartbeatMs / TICKS_PER_HEARTBEAT;
    this.#cancelTimer = this.#settings.clock.schedule(() => this.#tick(), tickMs);
  }

  #tick(): void {
    const nowMs = this.#settings.clock.monotonicMs();
    // Who does not read cannot hear: a PING at least every half of it says that this side lives.
    const silentMs = this.#paused ? 0 : nowMs - this.#heardMs;
    if (silentMs >= 2 * this.#heartbeatMs) {
      this.fail(
        new MemoryStreamerError(
          'MS_ERR_CONNECTION_LOST',
          `${this.#settings.url} was silent for ${Math.round(silentMs)} ms`,
        ),
      );
      return;
    }
    const dueMs = this.#paused ? this.#heartbeatMs / 2 : this.#heartbeatMs;
    const sinceMs = Math.min(this.#paused ? Infinity : silentMs, nowMs - this.#pingedMs);
    if (sinceMs >= dueMs) {
      this.#pingedMs = nowMs;
      this.control({ type: TYPE_PING, sequence: 1n });
    }
    this.#tickLater();
  }

  #broken(what: string): void {
    this.fail(
      new MemoryStreamerError(
        'MS_ERR_PROTOCOL',
        `${this.#settings.url} broke the protocol: ${what}`,
      ),
    );
  }

  #socketError(error: Error): MemoryStreamerError {
    const { url } = this.#settings;
    const [code, what] =
      this.#state === 'connecting'
        ? (['MS_ERR_UNREACHABLE', 'cannot be reached; is the broker running?'] as const)
        : (['MS_ERR_CONNECTION_LOST', 'the connection was lost'] as const);
    const cause = 'code' in error && typeof error.code === 'string' ? error.code : error.message;
    return new MemoryStreamerError(code, `${url}: ${what} (${cause})`, { cause: error });
  }

  /** The first reason is the true one; what follows from it is not. */
  #blame(error: MemoryStreamerError): void {
    this.#reason ??= error;
  }

  #closed(): void {
    this.#state = 'lost';
    this.#cancelTimer();
    this.outbox.close();
    this.#memory.sendKey.clear();
    this.#memory.receiveKey.clear();
    const error =
      this.#reason ??
      new MemoryStreamerError(
        'MS_ERR_CONNECTION_LOST',
        `${this.#settings.url} closed the connection`,
      );
    const requests = [...this.#requests.values()];
    this.#requests.clear();
    for (const answered of requests) answered(undefined, error);
    this.#handlers.lost(error);
  }
}

/** The ERROR frame that the decoder stands on, as an error. */
export function refusal(frame: FrameDecoder): MemoryStreamerError {
  const protocolCode = errorName(frame.code);
  const text = frame.payload.toString('utf8');
  return new MemoryStreamerError(
    'MS_ERR_REFUSED',
    text === '' ? protocolCode : `${protocolCode}: ${text}`,
    { protocolCode },
  );
}
