/** The client's end of a connection to the fake system: it speaks whole frames, and keeps what it was told. */
import { Buffer } from 'node:buffer';
import { randomBytes } from 'node:crypto';
import { expect } from 'vitest';
import * as codes from '../../src/frame/codes.js';
import { FrameDecoder, FrameEncoder, type FrameFields } from '../../src/frame/codec.js';
import { FrameKernel, FrameKey } from '../../src/frame/frame-kernel.js';
import { ClientHandshake, isFault, type ClientCredential } from '../../src/frame/handshake.js';
import { FRAME_BYTES_MAX, FLAG_ACK_REQUESTED } from '../../src/frame/layout.js';
import { errorName, TYPES_FROM_SERVER, typeName } from '../../src/frame/names.js';
import { encodePayload } from '../../src/frame/payloads.js';
import type { FakePeer } from '../../src/sys/fake-peer.js';

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly code: number;
  readonly stream: number;
  readonly sequence: bigint;
  readonly timestamp: bigint;
  readonly payload: Buffer;
}

const DECODER_BYTES = 4 * FRAME_BYTES_MAX;

/** The bytes of one frame. */
export function encode(fields: FrameFields): Buffer {
  encoder.clear();
  if (!encoder.put(fields)) throw new Error('the frame does not fit the encoder');
  return Buffer.from(encoder.view());
}

const encoder = new FrameEncoder(
  new FrameKernel(FrameEncoder.areaBytes(FRAME_BYTES_MAX)),
  FRAME_BYTES_MAX,
);

export const json = (value: object): Uint8Array => encodePayload(value);

export class TestPeer {
  readonly fake: FakePeer;
  readonly slot: number;
  readonly fd: number;
  /** Frames that have come and were not taken. */
  frames: Frame[] = [];
  /** Whether it reads what comes; one that does not fills its socket buffer. */
  isReading = true;
  /** Bytes that it reads at most at a time. */
  readMax = Number.MAX_SAFE_INTEGER;
  /** By these its frames are keyed, once it is authenticated so. */
  readonly sendKey: FrameKey;
  readonly receiveKey: FrameKey;
  readonly #encoder: FrameEncoder;
  readonly #decoder: FrameDecoder;
  readonly #run: () => void;
  #nextRequest = 1n;

  constructor(fake: FakePeer, slot: number, fd: number, run: () => void) {
    const kernel = new FrameKernel(
      FrameDecoder.areaBytes(DECODER_BYTES) + FRAME_BYTES_MAX + 2 * FrameKey.areaBytes,
    );
    this.sendKey = new FrameKey(kernel);
    this.receiveKey = new FrameKey(kernel);
    this.#encoder = new FrameEncoder(kernel, FRAME_BYTES_MAX, this.sendKey);
    this.#decoder = new FrameDecoder(kernel, TYPES_FROM_SERVER, DECODER_BYTES, this.receiveKey);
    this.fake = fake;
    this.slot = slot;
    this.fd = fd;
    this.#run = run;
  }

  /** Reads and decodes what has arrived. True: there was something. */
  pump(): boolean {
    if (!this.isReading) return false;
    const bytes = this.fake.read(this.readMax);
    for (let at = 0; at < bytes.length;) {
      at += this.#decoder.push(bytes.subarray(at));
      this.#decode();
    }
    return bytes.length > 0;
  }

  #decode(): void {
    const decoder = this.#decoder;
    while (decoder.next()) {
      expect(decoder.damaged).toBe(false);
      const { type, flags, code, stream, sequence, timestamp } = decoder;
      const payload = Buffer.from(decoder.payload);
      this.frames.push({ type, flags, code, stream, sequence, timestamp, payload });
    }
    expect(decoder.fault === 0, 'the server sends sound frames').toBe(true);
  }

  /** The frames since the last call. */
  take(): Frame[] {
    this.pump();
    return this.frames.splice(0);
  }

  /** As `take`, each frame in a few words: `PONG`, `ERROR MALFORMED`, `DATA 1#5 text`, `ACK 1#9=5`. */
  told(): string[] {
    return this.take().map(inWords);
  }

  write(bytes: Uint8Array): void {
    this.fake.write(bytes);
  }

  send(fields: FrameFields): void {
    this.write(this.encode(fields));
  }

  /** The bytes of a frame as this peer sends it next: keyed, where it is. */
  encode(fields: FrameFields): Buffer {
    this.#encoder.clear();
    if (!this.#encoder.put(fields)) throw new Error('the frame does not fit the encoder');
    return Buffer.from(this.#encoder.view());
  }

  /** HELLO up to WELCOME; answers what ended it: `WELCOME siphash-2-4`, or the ERROR. */
  greet(credential: ClientCredential | undefined, isKeyingRequired = false): string {
    const handshake = new ClientHandshake({
      versions: [1],
      name: 'test/1',
      credential,
      isKeyingRequired,
      random: randomBytes,
    });
    this.#decoder.oneByOne = true;
    let answer = this.#exchange(codes.TYPE_HELLO, handshake.hello());
    if (answer?.type === codes.TYPE_CHALLENGE) {
      const proof = handshake.challenged(answer.payload);
      if (isFault(proof)) return proof.fault;
      answer = this.#exchange(codes.TYPE_PROOF, proof);
    }
    if (answer?.type !== codes.TYPE_WELCOME) return answer ? inWords(answer) : 'nothing';
    const greeted = handshake.welcomed(answer.payload);
    if (isFault(greeted)) return greeted.fault;
    if (greeted.keys) {
      this.sendKey.set(greeted.keys.clientToServer);
      this.receiveKey.set(greeted.keys.serverToClient);
    }
    this.#decoder.oneByOne = false;
    return `WELCOME ${greeted.welcome.integrity}`;
  }

  #exchange(type: number, payload: Uint8Array): Frame | undefined {
    this.send({ type, sequence: this.#nextRequest++, payload });
    this.#run();
    return this.take()[0];
  }

  /** Sends and lets everything settle; answers what was told. */
  ask(fields: FrameFields): string[] {
    this.send(fields);
    this.#run();
    return this.told();
  }

  request(type: number, value: object, sequence = this.#nextRequest++): string[] {
    return this.ask({ type, sequence, payload: json(value) });
  }

  /** OPENs a subject; answers the stream's id. */
  open(subject: string): number {
    this.send({ type: codes.TYPE_OPEN, sequence: this.#nextRequest++, payload: json({ subject }) });
    this.#run();
    this.pump();
    const at = this.frames.findIndex(
      (frame) => frame.type === codes.TYPE_OPENED && frame.sequence !== 0n,
    );
    expect(at, `OPENED for ${subject}`).toBeGreaterThanOrEqual(0);
    return this.frames.splice(at, 1)[0]!.stream;
  }

  subscribe(subject: string, from?: unknown, credit?: number): string[] {
    return this.request(codes.TYPE_SUBSCRIBE, { subject, from, credit });
  }

  unsubscribe(subject: string): string[] {
    return this.request(codes.TYPE_UNSUBSCRIBE, { subject });
  }

  /** One DATA frame; `number` asks for its ACK. Nothing runs. */
  publish(stream: number, payload: string | Uint8Array, number?: number): void {
    this.send(dataFields(stream, payload, number));
  }
}

export function dataFields(
  stream: number,
  payload: string | Uint8Array,
  number?: number,
): FrameFields {
  return {
    type: codes.TYPE_DATA,
    flags: number === undefined ? 0 : FLAG_ACK_REQUESTED,
    stream,
    sequence: BigInt(number ?? 0),
    payload: typeof payload === 'string' ? Buffer.from(payload) : payload,
  };
}

export function data(...given: Parameters<typeof dataFields>): Buffer {
  return encode(dataFields(...given));
}

export const ping = (sequence = 1n): FrameFields => ({ type: codes.TYPE_PING, sequence });

export function inWords(frame: Frame): string {
  const name = typeName(frame.type);
  const { stream, sequence, payload } = frame;
  switch (frame.type) {
    case codes.TYPE_ERROR:
      return `${name} ${errorName(frame.code)} ${stream}#${sequence}`;
    case codes.TYPE_DATA: {
      const text = payload.length > 40 ? `${payload.length} bytes` : payload.toString();
      return `${name} ${stream}#${sequence} ${text}`;
    }
    case codes.TYPE_ACK:
    case codes.TYPE_GAP:
      return `${name} ${stream}#${sequence}=${payload.readBigUInt64LE()}`;
    case codes.TYPE_OPENED:
      return `${name} ${stream} ${(JSON.parse(payload.toString()) as { subject: string }).subject}${sequence === 0n ? ' unasked' : ''}`;
    case codes.TYPE_SUBSCRIBED:
    case codes.TYPE_UNSUBSCRIBED:
      return `${name} ${listed(payload)}`;
    case codes.TYPE_PING:
    case codes.TYPE_PONG:
      return `${name} #${sequence}${payload.length > 0 ? ` ${payload.toString()}` : ''}`;
    default:
      return name;
  }
}

interface Listed {
  subject: string;
  streams?: { id: number; next: string; reset?: boolean }[];
}

function listed(payload: Buffer): string {
  const { subject, streams } = JSON.parse(payload.toString()) as Listed;
  const entries = (streams ?? []).map(
    ({ id, next, reset }) => ` ${id}@${next}${reset ? ' reset' : ''}`,
  );
  return subject + entries.join('');
}
