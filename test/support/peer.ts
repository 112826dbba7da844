/**
 * A client as bare as it can be: a socket, the codec, and a book of what came by stream. It checks on
 * the way that sequences are dense but for what a GAP announces, and notes what is not so in `faults`.
 */
import { createHash, randomBytes, type Hash } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectSocket, type Socket } from 'node:net';
import { FrameDecoder, FrameEncoder, type FrameFields } from '../../src/frame/codec.js';
import * as codes from '../../src/frame/codes.js';
import { FrameKernel, FrameKey } from '../../src/frame/frame-kernel.js';
import {
  ClientHandshake,
  isFault,
  type ClientCredential,
  type DirectionKeys,
} from '../../src/frame/handshake.js';
import { FLAG_ACK_REQUESTED, FRAME_BYTES_MAX } from '../../src/frame/layout.js';
import { errorName, TYPES_FROM_SERVER, typeName } from '../../src/frame/names.js';
import { encodePayload } from '../../src/frame/payloads.js';
import { Watched } from './watched.js';

const DECODER_BYTES = 2 * FRAME_BYTES_MAX;
const DECODERS_PER_KERNEL = 32;
const ENCODER_BYTES = 4 * FRAME_BYTES_MAX;

export interface Frame {
  readonly type: number;
  readonly code: number;
  readonly flags: number;
  readonly stream: number;
  readonly sequence: bigint;
  readonly payload: Buffer;
}

export interface Opened {
  readonly stream: number;
  readonly epoch: string;
  readonly first: number;
  readonly next: number;
}

/** What has come of one stream. */
export interface StreamBook {
  subject: string | undefined;
  /** Where it began: what is before was never asked for. */
  begin: number | undefined;
  /** The sequence that must come next; undefined: any may be the first. */
  next: number | undefined;
  frames: number;
  /** By GAP: first that will not come, and the one after the last. */
  readonly gaps: [number, number][];
  lost: number;
  readonly digest: Hash;
}

/** Called for each DATA frame; `payload` is valid during the call only. */
export type OnMessage = (stream: number, sequence: number, payload: Buffer) => void;

let encoder: FrameEncoder | undefined;
let decoderKernel: FrameKernel | undefined;
let decodersLeft = 0;

/** A WebAssembly memory reserves a large address space: decoders share a few of them. */
function makeDecoder(): FrameDecoder {
  const areaBytes = FrameDecoder.areaBytes(DECODER_BYTES);
  if (decodersLeft === 0) {
    decoderKernel = new FrameKernel(areaBytes * DECODERS_PER_KERNEL);
    decodersLeft = DECODERS_PER_KERNEL;
  }
  decodersLeft--;
  return new FrameDecoder(decoderKernel!, TYPES_FROM_SERVER, DECODER_BYTES);
}

/** Frames as they are on the wire. */
export function encode(...frames: FrameFields[]): Buffer {
  encoder ??= new FrameEncoder(new FrameKernel(ENCODER_BYTES), ENCODER_BYTES);
  const parts: Buffer[] = [];
  for (const frame of frames) {
    if (!encoder.put(frame)) {
      parts.push(Buffer.from(encoder.view()));
      encoder.clear();
      encoder.put(frame);
    }
  }
  parts.push(Buffer.from(encoder.view()));
  encoder.clear();
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
}

/** Both directions of a peer that may be keyed. */
class KeyedEnds {
  readonly decoder: FrameDecoder;
  readonly #encoder: FrameEncoder;
  readonly #sendKey: FrameKey;
  readonly #receiveKey: FrameKey;

  constructor() {
    const kernel = new FrameKernel(
      FrameDecoder.areaBytes(DECODER_BYTES) + ENCODER_BYTES + 2 * FrameKey.areaBytes,
    );
    this.#sendKey = new FrameKey(kernel);
    this.#receiveKey = new FrameKey(kernel);
    this.#encoder = new FrameEncoder(kernel, ENCODER_BYTES, this.#sendKey);
    this.decoder = new FrameDecoder(kernel, TYPES_FROM_SERVER, DECODER_BYTES, this.#receiveKey);
  }

  set(keys: DirectionKeys): void {
    this.#sendKey.set(keys.clientToServer);
    this.#receiveKey.set(keys.serverToClient);
  }

  encode(frames: readonly FrameFields[]): Buffer {
    return Buffer.concat(
      frames.map((frame) => {
        this.#encoder.clear();
        this.#encoder.put(frame);
        return Buffer.from(this.#encoder.view());
      }),
    );
  }
}

export const json = (value: object): Buffer => Buffer.from(encodePayload(value));

const everybody = new Set<Peer>();

/** For `afterEach`. */
export function closePeers(): void {
  for (const peer of everybody) peer.destroy();
}

export interface PeerOptions {
  readonly onMessage?: OnMessage;
  /** Answer PING with PONG, as a client does. Default true. */
  readonly answersPing?: boolean;
}

export class Peer {
  /** What came and was not taken yet; DATA, GAP and PING are not among it. */
  readonly frames: Frame[] = [];
  readonly streams = new Map<number, StreamBook>();
  readonly faults: string[] = [];
  readonly socket: Socket;
  /** By stream: the highest number that was acknowledged, and the sequence that it got. */
  readonly acked = new Map<number, { number: number; sequence: number }>();
  /** Control frames by type: how many came. */
  readonly seen = new Map<number, number>();
  onMessage: OnMessage | undefined;
  /** The other side has ended its sending. */
  isEnded = false;
  isClosed = false;
  error: Error | undefined;
  /** By WELCOME only: the shard that serves it. */
  shard = 0;
  readonly #watched = new Watched();
  readonly #answersPing: boolean;
  #decoder: FrameDecoder | undefined;
  #keyed: KeyedEnds | undefined;
  #nextRequest = 1n;

  private constructor(port: number, options: PeerOptions) {
    this.onMessage = options.onMessage;
    this.#answersPing = options.answersPing ?? true;
    this.socket = connectSocket({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
    everybody.add(this);
    this.socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    this.socket.on('end', () => {
      this.isEnded = true;
      this.#watched.changed();
    });
    this.socket.on('error', (error) => (this.error = error));
    this.socket.on('close', () => {
      this.isClosed = true;
      everybody.delete(this);
      this.#watched.changed();
    });
  }

  static async connect(port: number, options: PeerOptions = {}): Promise<Peer> {
    const peer = new Peer(port, options);
    await once(peer.socket, 'connect');
    return peer;
  }

  /** Connects and says HELLO, so that `shard` is known. */
  static async greet(port: number, options: PeerOptions = {}): Promise<Peer> {
    const peer = await Peer.connect(port, options);
    const welcome = await peer.request(codes.TYPE_HELLO, { versions: [1], client: 'scenario/1' });
    peer.#welcome(welcome);
    return peer;
  }

  /** Connects, and proves who it is; its frames are keyed from then on, where that was chosen. */
  static async prove(
    port: number,
    credential: ClientCredential,
    options: PeerOptions & { isKeyingRequired?: boolean } = {},
  ): Promise<Peer> {
    const { isKeyingRequired = false } = options;
    const peer = await Peer.connect(port, options);
    const handshake = new ClientHandshake({
      versions: [1],
      name: 'scenario/1',
      credential,
      isKeyingRequired,
      random: randomBytes,
    });
    const keyed = new KeyedEnds();
    keyed.decoder.oneByOne = true;
    peer.#decoder = keyed.decoder;
    peer.#keyed = keyed;
    let answer = await peer.#exchange(codes.TYPE_HELLO, handshake.hello());
    if (answer.type === codes.TYPE_CHALLENGE) {
      const proof = handshake.challenged(answer.payload);
      if (isFault(proof)) throw new Error(proof.fault);
      answer = await peer.#exchange(codes.TYPE_PROOF, proof);
    }
    if (answer.type !== codes.TYPE_WELCOME) throw new Error(describe(answer));
    const greeted = handshake.welcomed(answer.payload);
    if (isFault(greeted)) throw new Error(greeted.fault);
    if (greeted.keys) keyed.set(greeted.keys);
    keyed.decoder.oneByOne = false;
    peer.#welcome(answer);
    return peer;
  }

  #welcome(frame: Frame): void {
    const { connection } = parse(frame) as { connection: string };
    this.shard = Number.parseInt(connection, 10);
  }

  async #exchange(type: number, payload: Uint8Array): Promise<Frame> {
    const sequence = this.#nextRequest++;
    this.send({ type, sequence, payload });
    return this.take((frame) => frame.sequence === sequence, `the answer to ${typeName(type)}`);
  }

  /** The bytes of frames as this peer sends them next. */
  encode(...frames: FrameFields[]): Buffer {
    return this.#keyed ? this.#keyed.encode(frames) : encode(...frames);
  }

  // ---- Receiving ----

  #receive(chunk: Buffer): void {
    this.#decoder ??= makeDecoder();
    const decoder = this.#decoder;
    for (let at = 0; at < chunk.length;) {
      at += decoder.push(chunk.subarray(at));
      while (decoder.next()) this.#hear(decoder);
      if (decoder.fault === 0) continue;
      this.#fault(`what came is no frame: ${errorName(decoder.fault)}`);
      break;
    }
    this.#watched.changed();
  }

  #fault(text: string): void {
    // The first ones say what is wrong; a thousand more do not.
    if (this.faults.length < 10) this.faults.push(text);
  }

  #hear(decoder: FrameDecoder): void {
    const { type } = decoder;
    if (decoder.damaged) this.#fault(`${typeName(type)} with a damaged payload`);
    if (type === codes.TYPE_DATA) {
      this.#data(decoder);
      return;
    }
    this.seen.set(type, (this.seen.get(type) ?? 0) + 1);
    if (type === codes.TYPE_GAP) this.#gap(decoder);
    else if (type === codes.TYPE_ACK) this.#ack(decoder);
    else if (type === codes.TYPE_PING) this.#ping(decoder);
    else this.#control(decoder);
  }

  book(stream: number): StreamBook {
    let book = this.streams.get(stream);
    if (!book) {
      const digest = createHash('sha256');
      book = {
        subject: undefined,
        begin: undefined,
        next: undefined,
        frames: 0,
        gaps: [],
        lost: 0,
        digest,
      };
      this.streams.set(stream, book);
    }
    return book;
  }

  #data(decoder: FrameDecoder): void {
    const book = this.book(decoder.stream);
    const sequence = decoder.sequenceNumber;
    if (book.next !== undefined && book.next !== sequence) {
      this.#fault(`stream ${decoder.stream}: ${sequence} came where ${book.next} was due`);
    }
    book.begin ??= sequence;
    book.next = sequence + 1;
    book.frames++;
    const { payload } = decoder;
    book.digest.update(payload);
    this.onMessage?.(decoder.stream, sequence, payload);
  }

  #gap(decoder: FrameDecoder): void {
    const book = this.book(decoder.stream);
    const first = decoder.sequenceNumber;
    const next = Number(decoder.payloadU64() ?? 0n);
    if (next <= first) this.#fault(`stream ${decoder.stream}: a GAP from ${first} to ${next}`);
    if (book.next !== undefined && book.next !== first) {
      this.#fault(`stream ${decoder.stream}: a GAP from ${first} where ${book.next} was due`);
    }
    book.begin ??= first;
    book.gaps.push([first, next]);
    book.lost += next - first;
    book.next = next;
  }

  #ack(decoder: FrameDecoder): void {
    const number = decoder.sequenceNumber;
    const before = this.acked.get(decoder.stream)?.number ?? 0;
    if (number <= before) this.#fault(`ACK ${number} after ACK ${before}`);
    this.acked.set(decoder.stream, { number, sequence: Number(decoder.payloadU64() ?? 0n) });
  }

  #ping(decoder: FrameDecoder): void {
    if (!this.#answersPing || !this.socket.writable) return;
    const { sequence } = decoder;
    this.send({ type: codes.TYPE_PONG, sequence, payload: Buffer.from(decoder.payload) });
  }

  #control(decoder: FrameDecoder): void {
    const { type, code, flags, stream, sequence } = decoder;
    const payload = Buffer.from(decoder.payload);
    if (type === codes.TYPE_OPENED && sequence === 0n) {
      this.book(stream).subject = (JSON.parse(payload.toString()) as { subject: string }).subject;
    }
    // What is subscribed to again begins anew, wherever it is told to.
    if (type === codes.TYPE_UNSUBSCRIBED) {
      for (const book of this.streams.values()) book.next = undefined;
    }
    this.frames.push({ type, code, flags, stream, sequence, payload });
  }

  // ---- Waiting ----

  /** Resolves once `isTrue` holds; looked at after everything that comes, and at the end. */
  async until(isTrue: () => boolean, what: string, timeoutMs?: number): Promise<void> {
    await this.#watched.until(isTrue, () => `${what}; ${this.#story()}`, timeoutMs);
  }

  #story(): string {
    const last = this.frames.slice(-5).map(describe);
    const books = [...this.streams].map(
      ([id, book]) => `${id}: next ${book.next} (${book.frames})`,
    );
    const state = this.isClosed ? 'closed' : this.isEnded ? 'ended' : 'open';
    return `${state} ${this.error?.message ?? ''}; untaken [${last.join(', ')}]; streams ${books.slice(0, 5).join(', ')}; faults ${this.faults.join('; ')}`;
  }

  /** Takes the first frame that fits. Rejects when the connection ends without one. */
  async take(fits: (frame: Frame) => boolean, what: string): Promise<Frame> {
    const find = (): number => this.frames.findIndex(fits);
    await this.until(() => find() >= 0 || this.isEnded || this.isClosed, what);
    const index = find();
    if (index < 0) throw new Error(`the connection ended before ${what}; ${this.#story()}`);
    return this.frames.splice(index, 1)[0]!;
  }

  async takeType(type: number): Promise<Frame> {
    return this.take((frame) => frame.type === type, typeName(type));
  }

  async takeError(): Promise<Frame> {
    return this.takeType(codes.TYPE_ERROR);
  }

  async closed(timeoutMs?: number): Promise<void> {
    await this.until(() => this.isClosed, 'the end of the connection', timeoutMs);
  }

  /** The other side has ended the connection, in whichever way. */
  async lost(timeoutMs?: number): Promise<void> {
    await this.until(() => this.isEnded || this.isClosed, 'its end by the broker', timeoutMs);
  }

  // ---- Sending ----

  send(...frames: FrameFields[]): boolean {
    return this.socket.write(this.encode(...frames));
  }

  /** As `send`, and resolves once the kernel has all of it. Rejects where the connection ends first. */
  async write(bytes: Uint8Array): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.socket.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** Sends a request and takes its answer, which may be an ERROR. */
  async ask(type: number, payload: object): Promise<Frame> {
    const sequence = this.#nextRequest++;
    this.send({ type, sequence, payload: json(payload) });
    return this.take((frame) => frame.sequence === sequence, `the answer to ${typeName(type)}`);
  }

  /** As `ask`; an ERROR is thrown. */
  async request(type: number, payload: object): Promise<Frame> {
    const answer = await this.ask(type, payload);
    if (answer.type === codes.TYPE_ERROR) throw new Error(describe(answer));
    return answer;
  }

  async open(subject: string): Promise<Opened> {
    const answer = await this.request(codes.TYPE_OPEN, { subject });
    const { epoch, first, next } = parse(answer) as Record<'epoch' | 'first' | 'next', string>;
    return { stream: answer.stream, epoch, first: Number(first), next: Number(next) };
  }

  /** Subscribes; a literal subject's stream is expected to go on where SUBSCRIBED says. */
  async subscribe(subject: string, options: object = {}): Promise<void> {
    const answer = await this.request(codes.TYPE_SUBSCRIBE, { subject, ...options });
    const { streams } = parse(answer) as {
      streams: { id: number; subject: string; next: string }[];
    };
    for (const stream of streams) {
      const book = this.book(stream.id);
      book.subject = stream.subject;
      // What the answer says must hold for what came right behind it, too.
      const next = Number(stream.next);
      book.begin ??= next;
      book.next ??= next;
      if (book.begin !== next) this.#fault(`SUBSCRIBED says ${next}, ${book.begin} came first`);
    }
  }

  /** Publishes these with the numbers `first`, `first` + 1 …; an ACK is asked for each. */
  publish(stream: number, first: number, payloads: readonly Uint8Array[]): boolean {
    return this.send(
      ...payloads.map((payload, index) => ({
        type: codes.TYPE_DATA,
        flags: FLAG_ACK_REQUESTED,
        stream,
        sequence: BigInt(first + index),
        payload,
      })),
    );
  }

  async ackedUpTo(stream: number, number: number, timeoutMs?: number): Promise<void> {
    const isAcked = (): boolean => {
      if ((this.acked.get(stream)?.number ?? 0) >= number) return true;
      if (this.isEnded || this.isClosed)
        throw new Error(`ended before ACK ${number}; ${this.#story()}`);
      return false;
    };
    await this.until(isAcked, `ACK ${number} of stream ${stream}`, timeoutMs);
  }

  /** Room in our own send buffer again. */
  async drained(): Promise<void> {
    if (this.socket.writableNeedDrain && !this.isClosed) {
      const isDrained = new Promise<void>((resolve) => this.socket.once('drain', resolve));
      await Promise.race([isDrained, this.closed()]);
    }
  }

  end(): void {
    this.socket.end();
  }

  /** An orderly GOODBYE, and the end. */
  async leave(): Promise<void> {
    this.send({ type: codes.TYPE_GOODBYE });
    await this.takeType(codes.TYPE_GOODBYE);
    this.socket.end();
    await this.closed();
  }

  destroy(): void {
    this.socket.destroy();
  }
}

export function parse(frame: Frame): unknown {
  return JSON.parse(frame.payload.toString());
}

export function describe(frame: Frame): string {
  const code = frame.type === codes.TYPE_ERROR ? ` ${errorName(frame.code)}` : '';
  return `${typeName(frame.type)}${code} stream ${frame.stream} sequence ${frame.sequence} ${frame.payload.toString('utf8', 0, 120)}`;
}
