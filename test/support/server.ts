/**
 * A peer for the client's tests: a real server that speaks the protocol, keeps whole streams in memory,
 * and does on demand what a broker does seldom. It waits for nothing by time.
 */
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { FrameDecoder, FrameEncoder, frameBytes, type FrameFields } from '../../src/frame/codec.js';
import * as codes from '../../src/frame/codes.js';
import { FrameKernel } from '../../src/frame/frame-kernel.js';
import { TYPES_FROM_CLIENT, isFatal } from '../../src/frame/names.js';
import {
  encodePayload,
  parseOpen,
  parseSubjectOnly,
  parseSubscribe,
  type From,
} from '../../src/frame/payloads.js';
import { hasWildcard, matches } from '../../src/frame/subject.js';

export interface Stored {
  sequence: bigint;
  timestamp: bigint;
  payload: Buffer;
}

export interface Stream {
  id: number;
  subject: string;
  epoch: bigint;
  first: bigint;
  frames: Stored[];
}

export interface Received {
  type: number;
  flags: number;
  stream: number;
  sequence: bigint;
  payload: Buffer;
}

interface Wire {
  subject: string;
  from: From;
  credit: bigint | undefined;
}

interface Cursor {
  stream: Stream;
  wire: Wire;
  next: bigint;
}

export interface ServerOptions {
  heartbeatMs?: number;
  /** Every write of the server is cut into pieces of so many bytes. */
  pieceBytes?: number;
  /** Do not keep what was received: for measurements. */
  quiet?: boolean;
}

const ENCODER_BYTES = 512 * 1024;

export class TestServer {
  readonly streams = new Map<string, Stream>();
  readonly connections: Connection[] = [];
  readonly received: Received[] = [];
  readonly options: ServerOptions;
  /** Subjects that OPEN and SUBSCRIBE are refused for, with the code. */
  readonly refused = new Map<string, number>();
  /** Codes that DATA with these numbers gets. */
  readonly refusedNumbers = new Map<bigint, number>();
  holdAcks = false;
  /** One bit of the next DATA's payload is changed on the way. */
  damageNext = false;
  /** Nothing is answered any more. */
  mute = false;
  /** Instead of WELCOME. */
  onHello: ((connection: Connection) => void) | undefined;
  /** DATA is taken and acknowledged, but not kept: for measurements. */
  sink = false;
  #epoch = 1000n;
  #nextStream = 1;
  #waiters: { type: number; count: number; resolve: (frame: Received) => void }[] = [];
  readonly #server: Server;

  static async start(options: ServerOptions = {}, port = 0): Promise<TestServer> {
    const server = new TestServer(options);
    await new Promise<void>((resolve) => server.#server.listen(port, '127.0.0.1', resolve));
    return server;
  }

  private constructor(options: ServerOptions) {
    this.options = options;
    this.#server = createServer({ noDelay: true }, (socket) => {
      this.connections.push(new Connection(this, socket));
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `ms://127.0.0.1:${this.port}`;
  }

  get live(): Connection[] {
    return this.connections.filter(({ socket }) => !socket.destroyed);
  }

  async close(): Promise<void> {
    for (const { socket } of this.connections) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Cuts all connections, as a crash does. */
  cut(): void {
    for (const { socket } of this.live) socket.resetAndDestroy();
  }

  /** Every stream begins another life, empty. */
  forget(): void {
    this.streams.clear();
    this.#epoch += 1n;
  }

  stream(subject: string): Stream {
    let stream = this.streams.get(subject);
    if (stream === undefined) {
      stream = { id: this.#nextStream++, subject, epoch: this.#epoch, first: 1n, frames: [] };
      this.streams.set(subject, stream);
      for (const connection of this.live) connection.born(stream);
    }
    return stream;
  }

  append(subject: string, payload: Uint8Array | string, timestamp = 1n): bigint {
    const stream = this.stream(subject);
    const sequence = nextOf(stream);
    stream.frames.push({ sequence, timestamp, payload: Buffer.from(payload) });
    for (const connection of this.live) connection.deliver();
    return sequence;
  }

  /** Drops the oldest `count` frames. */
  retain(subject: string, count: number): void {
    const stream = this.stream(subject);
    stream.first += BigInt(stream.frames.splice(0, count).length);
  }

  note(frame: Received): void {
    if (this.options.quiet !== true) this.received.push(frame);
    this.#waiters = this.#waiters.filter((waiter) => {
      if (waiter.type !== frame.type || --waiter.count > 0) return true;
      waiter.resolve(frame);
      return false;
    });
  }

  /** The frame of `type` that is received `count`-th from now on. */
  next(type: number, count = 1): Promise<Received> {
    return new Promise((resolve) => this.#waiters.push({ type, count, resolve }));
  }

  releaseAcks(): void {
    this.holdAcks = false;
    for (const connection of this.live) connection.sendAcks();
  }
}

const nextOf = (stream: Stream): bigint => stream.first + BigInt(stream.frames.length);

export class Connection {
  readonly socket: Socket;
  /** DATA frames sent to this subscriber. */
  sentCount = 0;
  readonly #server: TestServer;
  readonly #decoder: FrameDecoder;
  readonly #encoder: FrameEncoder;
  readonly #open = new Set<number>();
  readonly #told = new Set<number>();
  readonly #wires: Wire[] = [];
  readonly #cursors = new Map<number, Cursor>();
  readonly #acks = new Map<number, { number: bigint; sequence: bigint }>();
  #sunk = 0n;

  constructor(server: TestServer, socket: Socket) {
    const kernel = new FrameKernel(FrameDecoder.areaBytes(262_144) + ENCODER_BYTES);
    this.#server = server;
    this.socket = socket;
    this.#decoder = new FrameDecoder(kernel, TYPES_FROM_CLIENT, 262_144);
    this.#encoder = new FrameEncoder(kernel, ENCODER_BYTES);
    socket.on('data', (bytes) => this.#receive(bytes));
    socket.on('error', () => undefined);
  }

  #receive(bytes: Buffer): void {
    if (this.#server.onHello !== undefined) {
      this.#server.onHello(this);
      return;
    }
    for (let at = 0; at < bytes.length;) {
      at += this.#decoder.push(bytes.subarray(at));
      while (this.#decoder.next()) this.#frame(this.#decoder);
      if (this.#decoder.fault !== 0) this.fail(this.#decoder.fault, 'fault');
    }
    if (!this.#server.holdAcks) this.sendAcks();
    this.flush();
  }

  #frame(frame: FrameDecoder): void {
    const { type, flags, stream, sequence } = frame;
    if (this.#server.options.quiet !== true || type !== codes.TYPE_DATA) {
      this.#server.note({ type, flags, stream, sequence, payload: Buffer.from(frame.payload) });
    }
    if (this.#server.mute) return;
    switch (type) {
      case codes.TYPE_HELLO:
        this.put({
          type: codes.TYPE_WELCOME,
          sequence,
          payload: encodePayload({
            version: 1,
            server: 'test/1',
            connection: `c${this.#server.connections.length}`,
            integrity: 'xxh64',
            maxFrame: 65536,
            heartbeatMs: this.#server.options.heartbeatMs ?? 30_000,
          }),
        });
        break;
      case codes.TYPE_PING:
        this.put({ type: codes.TYPE_PONG, sequence, payload: Buffer.from(frame.payload) });
        break;
      case codes.TYPE_GOODBYE:
        this.sendAcks();
        this.put({ type: codes.TYPE_GOODBYE });
        this.flush();
        this.socket.end();
        break;
      case codes.TYPE_OPEN:
        this.#openStream(parseOpen(frame.payload)!.subject, sequence);
        break;
      case codes.TYPE_SUBSCRIBE:
        this.#subscribe(frame);
        break;
      case codes.TYPE_UNSUBSCRIBE:
        this.#unsubscribe(parseSubjectOnly(frame.payload)!.subject, sequence);
        break;
      case codes.TYPE_CREDIT:
        this.#credit(parseSubjectOnly(frame.payload)!.subject, sequence);
        break;
      case codes.TYPE_DATA:
        this.#data(frame);
        break;
      default:
    }
  }

  #refuse(subject: string, sequence: bigint): boolean {
    const code = this.#server.refused.get(subject);
    if (code === undefined) return false;
    this.fail(code, `no ${subject}`, sequence);
    return true;
  }

  #openStream(subject: string, sequence: bigint): void {
    if (this.#refuse(subject, sequence)) return;
    const stream = this.#server.stream(subject);
    this.#open.add(stream.id);
    this.#tell(stream, sequence);
  }

  #tell(stream: Stream, sequence: bigint): void {
    this.#told.add(stream.id);
    const { subject, epoch, first } = stream;
    this.put({
      type: codes.TYPE_OPENED,
      stream: stream.id,
      sequence,
      payload: encodePayload({ subject, epoch, first, next: nextOf(stream) }),
    });
  }

  #subscribe(frame: FrameDecoder): void {
    const { subject, from, credit } = parseSubscribe(frame.payload)!;
    const { sequence } = frame;
    if (this.#refuse(subject, sequence)) return;
    if (this.#wires.some((wire) => wire.subject === subject)) {
      this.fail(codes.CODE_ALREADY_SUBSCRIBED, subject, sequence);
      return;
    }
    const wire: Wire = { subject, from, credit };
    this.#wires.push(wire);
    const streams: object[] = [];
    const gaps: FrameFields[] = [];
    for (const stream of this.#server.streams.values()) {
      if (this.#cursors.has(stream.id) || !matches(subject, stream.subject)) continue;
      const { next, reset } = place(stream, from);
      const cursor = { stream, wire, next: next < stream.first ? stream.first : next };
      if (next < cursor.next) gaps.push(gapFrame(stream.id, next, cursor.next));
      this.#cursors.set(stream.id, cursor);
      const { id, epoch } = stream;
      if (hasWildcard(subject)) continue;
      this.#told.add(id);
      streams.push({ id, subject, epoch, next: cursor.next, ...(reset && { reset }) });
    }
    this.put({
      type: codes.TYPE_SUBSCRIBED,
      sequence,
      payload: encodePayload({ subject, streams }),
    });
    for (const gap of gaps) this.put(gap);
    this.deliver();
  }

  #unsubscribe(subject: string, sequence: bigint): void {
    const at = this.#wires.findIndex((wire) => wire.subject === subject);
    if (at < 0) {
      this.fail(codes.CODE_MALFORMED, 'not subscribed', sequence);
      return;
    }
    const [wire] = this.#wires.splice(at, 1);
    for (const [id, cursor] of this.#cursors) if (cursor.wire === wire) this.#cursors.delete(id);
    this.put({ type: codes.TYPE_UNSUBSCRIBED, sequence, payload: encodePayload({ subject }) });
  }

  #credit(subject: string, granted: bigint): void {
    const wire = this.#wires.find((each) => each.subject === subject);
    if (wire?.credit !== undefined) wire.credit += granted;
    this.deliver();
  }

  #data(frame: FrameDecoder): void {
    const { stream: id, sequence: number } = frame;
    if (!this.#open.has(id)) {
      this.fail(codes.CODE_UNKNOWN_STREAM, 'not open', number, id);
      return;
    }
    const code = this.#server.refusedNumbers.get(number);
    if (code !== undefined) {
      this.fail(code, 'refused', number, id);
      return;
    }
    let sequence = ++this.#sunk;
    if (!this.#server.sink) {
      const stream = [...this.#server.streams.values()].find((each) => each.id === id)!;
      sequence = this.#server.append(stream.subject, frame.payload);
    }
    if ((frame.flags & 1) === 1) this.#acks.set(id, { number, sequence });
  }

  /** One ACK a stream, for all that it has. */
  sendAcks(): void {
    for (const [stream, { number, sequence }] of this.#acks) {
      const payload = Buffer.alloc(8);
      payload.writeBigUInt64LE(sequence);
      this.put({ type: codes.TYPE_ACK, stream, sequence: number, payload });
    }
    this.#acks.clear();
    this.flush();
  }

  born(stream: Stream): void {
    const wire = this.#wires.find(({ subject }) => matches(subject, stream.subject));
    if (wire !== undefined) this.#cursors.set(stream.id, { stream, wire, next: 1n });
  }

  /** Sends what subscriptions still lack, as far as their credit goes. */
  deliver(): void {
    for (const cursor of this.#cursors.values()) {
      const { stream, wire } = cursor;
      while (cursor.next < nextOf(stream) && (wire.credit === undefined || wire.credit > 0n)) {
        if (!this.#told.has(stream.id)) this.#tell(stream, 0n);
        const { sequence, timestamp, payload } = stream.frames[Number(cursor.next - stream.first)]!;
        this.put({ type: codes.TYPE_DATA, stream: stream.id, sequence, timestamp, payload });
        this.sentCount++;
        this.#damage(payload.length);
        cursor.next++;
        if (wire.credit !== undefined) wire.credit--;
      }
    }
    this.flush();
  }

  /** Changes the frame that was encoded last, of `payloadBytes` bytes, where the test wants it. */
  #damage(payloadBytes: number): void {
    if (!this.#server.damageNext) return;
    this.#server.damageNext = false;
    const bytes = this.#encoder.view();
    const at = bytes.length - frameBytes(payloadBytes) + 40;
    bytes[at] = bytes[at]! ^ 1;
  }

  /** Moves this subscriber on: what it has not been sent of `subject` becomes a GAP. */
  moveOn(subject: string, next: bigint): void {
    const stream = this.#server.stream(subject);
    const cursor = this.#cursors.get(stream.id)!;
    this.put(gapFrame(stream.id, cursor.next, next));
    cursor.next = next;
    this.flush();
  }

  fail(code: number, text: string, sequence = 0n, stream = 0): void {
    this.put({ type: codes.TYPE_ERROR, code, sequence, stream, payload: Buffer.from(text) });
    if (!isFatal(code)) return;
    this.flush();
    this.socket.end();
  }

  put(frame: FrameFields): void {
    if (this.#encoder.put(frame)) return;
    this.flush();
    this.#encoder.put(frame);
  }

  flush(): void {
    const bytes = Buffer.from(this.#encoder.view());
    this.#encoder.clear();
    if (bytes.length === 0 || this.socket.destroyed) return;
    const step = this.#server.options.pieceBytes ?? bytes.length;
    for (let at = 0; at < bytes.length; at += step)
      this.socket.write(bytes.subarray(at, at + step));
  }
}

function gapFrame(stream: number, from: bigint, next: bigint): FrameFields {
  const payload = Buffer.alloc(8);
  payload.writeBigUInt64LE(next);
  return { type: codes.TYPE_GAP, stream, sequence: from, payload };
}

/** Where `from` begins in the stream: `next` may lie before what is retained. */
function place(stream: Stream, from: From): { next: bigint; reset: boolean } {
  const end = nextOf(stream);
  const at = (next: bigint, reset = false) => ({ next, reset });
  if (from === 'new') return at(end);
  if (from === 'first') return at(stream.first);
  if (from === 'last') return at(stream.frames.length > 0 ? end - 1n : end);
  if ('last' in from) return at(end - from.last < stream.first ? stream.first : end - from.last);
  if ('time' in from) {
    return at(stream.frames.find(({ timestamp }) => timestamp >= from.time)?.sequence ?? end);
  }
  const other = from.epoch !== undefined && from.epoch !== stream.epoch;
  return other || from.sequence > end ? at(stream.first, true) : at(from.sequence);
}
