/**
 * A client's end of a connection that speaks any version of the protocol, sans-IO. Frames are made and judged by the fuzzer's
 * oracle, which shares nothing with the kernels: those are built for one version each.
 */
import { randomBytes } from 'node:crypto';
import { frameBytes, type FrameFields } from '../../src/frame/codec.js';
import * as codes from '../../src/frame/codes.js';
import { ClientHandshake, isFault, type ClientCredential } from '../../src/frame/handshake.js';
import { errorName } from '../../src/frame/names.js';
import * as naive from '../fuzz/naive.mjs';
import type { Frame } from './test-peer.js';

const KEYED = 0x8000;
const HEADER_BYTES = 40;

export class VersionedEnd {
  /** Of the frames either way; those of the handshake bear 1. */
  version = 1;
  #sendKey: Buffer | undefined;
  #receiveKey: Buffer | undefined;
  #sent = 0n;
  #received = 0n;
  #rest = Buffer.alloc(0);
  readonly #handshake: ClientHandshake;

  constructor(versions: readonly number[], credential?: ClientCredential) {
    const isKeyingRequired = credential?.method === 'hmac-sha256';
    const name = 'versioned/1';
    this.#handshake = new ClientHandshake({
      ...{ versions, name, credential, isKeyingRequired },
      random: randomBytes,
    });
  }

  encode({ type, flags = 0, stream = 0, sequence = 0n, payload = new Uint8Array(0) }: FrameFields) {
    const bytes = Buffer.alloc(frameBytes(payload.length));
    bytes.set([0x4d, 0x53, this.version, type]);
    bytes.writeUInt16LE(flags, 4);
    bytes.writeUInt32LE(stream, 8);
    bytes.writeUInt32LE(payload.length, 12);
    bytes.writeBigUInt64LE(sequence, 16);
    bytes.set(payload, HEADER_BYTES);
    naive.finish(bytes, this.#sendKey, this.#sent++);
    return bytes;
  }

  /** The next whole frame of what has come. Throws for one of another version, or whose checks or tag do not fit. */
  next(more: Uint8Array): Frame | undefined {
    this.#rest = Buffer.concat([this.#rest, more]);
    if (this.#rest.length < HEADER_BYTES) return undefined;
    const payloadBytes = this.#rest.readUInt32LE(12);
    const byteCount = frameBytes(payloadBytes);
    if (this.#rest.length < byteCount) return undefined;
    const bytes = this.#rest.subarray(0, byteCount);
    this.#rest = this.#rest.subarray(byteCount);
    this.#judge(bytes);
    return {
      type: bytes[3]!,
      flags: bytes.readUInt16LE(4),
      code: bytes.readUInt16LE(6),
      stream: bytes.readUInt32LE(8),
      sequence: bytes.readBigUInt64LE(16),
      timestamp: bytes.readBigUInt64LE(24),
      payload: Buffer.from(bytes.subarray(HEADER_BYTES, HEADER_BYTES + payloadBytes)),
    };
  }

  #judge(bytes: Buffer): void {
    if (bytes[2] !== this.version) throw new Error(`version ${bytes[2]}, not ${this.version}`);
    const isKeyed = (bytes.readUInt16LE(4) & KEYED) !== 0;
    if (isKeyed !== (this.#receiveKey !== undefined)) throw new Error(`keyed: ${isKeyed}`);
    const due = Buffer.from(bytes);
    naive.finish(due, this.#receiveKey, this.#received++);
    if (!due.equals(bytes)) throw new Error('checks or tag do not fit');
  }

  // ---- The handshake ----

  hello(): Buffer {
    const payload = this.#handshake.hello();
    return this.encode({ type: codes.TYPE_HELLO, sequence: 1n, payload });
  }

  /** Takes what the server says before WELCOME, and that; answers what is to be sent, or how it ended. */
  greeted(frame: Frame): Buffer | string {
    if (frame.type === codes.TYPE_CHALLENGE) {
      const payload = this.#handshake.challenged(frame.payload);
      if (isFault(payload)) return payload.fault;
      return this.encode({ type: codes.TYPE_PROOF, sequence: 2n, payload });
    }
    if (frame.type === codes.TYPE_ERROR) return `ERROR ${errorName(frame.code)}`;
    const greeted = this.#handshake.welcomed(frame.payload);
    if (isFault(greeted)) return greeted.fault;
    this.version = greeted.welcome.version;
    if (greeted.keys) {
      this.#sendKey = Buffer.from(greeted.keys.clientToServer);
      this.#receiveKey = Buffer.from(greeted.keys.serverToClient);
      this.#sent = this.#received = 0n;
    }
    return `WELCOME ${greeted.welcome.version} ${greeted.welcome.integrity}`;
  }
}
