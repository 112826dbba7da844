/**
 * A version 2 for tests alone: version 1 with one more frame type. How it is agreed on, how clients of both share a stream,
 * and how it is refused. Its kernel is made by the build from the same sources (build/frame-kernel-v2.wasm).
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import * as codes from '../../src/frame/codes.js';
import { answerHello, ClientHandshake, isFault, proofOf } from '../../src/frame/handshake.js';
import { TYPES_FROM_CLIENT } from '../../src/frame/names.js';
import { encodePayload } from '../../src/frame/payloads.js';

const SECRET = Buffer.from('a secret of thirty-two bytes, 1!');
const policyOf = (...versions: number[]) => ({
  versions,
  isAuthenticationRequired: false,
  isKeyingRequired: false,
});
const hello = (...versions: number[]) => encodePayload({ versions });

describe('negotiation', () => {
  test.each([
    [[1], [1], 1],
    [[1, 2], [1], 1],
    [[1], [1, 2], 1],
    [[2, 1], [1, 2], 2],
    [[1, 2, 9], [1, 2], 2],
  ])('who speaks %j and who speaks %j agree on %i', (client, server, version) => {
    const answer = answerHello(hello(...client), policyOf(...server), randomBytes);
    expect(answer).toMatchObject({ kind: 'welcome', version });
  });

  test.each([
    [[1], [2], 'version 2'],
    [[3, 4], [1, 2], 'version 1, 2'],
  ])(
    'who speaks %j is refused by who speaks %j, and told what it speaks',
    (client, server, text) => {
      const answer = answerHello(hello(...client), policyOf(...server), randomBytes);
      expect(answer).toMatchObject({ kind: 'refused', code: codes.CODE_UNSUPPORTED_VERSION });
      expect((answer as { text: string }).text).toContain(text);
    },
  );

  test('who takes version 2 out of a HELLO on the way makes the server’s proof fail', () => {
    const credential = { method: 'hmac-sha256', keyId: 'k', secret: SECRET } as const;
    const client = new ClientHandshake({
      versions: [1, 2],
      name: 'test',
      credential,
      isKeyingRequired: false,
      random: randomBytes,
    });
    const greet = (sent: Uint8Array) => {
      const answer = answerHello(sent, policyOf(1, 2), randomBytes);
      if (answer.kind !== 'challenge') throw new Error(`a challenge was due, not ${answer.kind}`);
      const proof = proofOf('server', SECRET, answer.transcript);
      const welcome = { server: 's', connection: 'c', maxFrame: 65536, heartbeatMs: 1000 };
      const { version, integrity } = answer;
      const base64 = Buffer.from(proof).toString('base64');
      return { answer, welcome: encodePayload({ ...welcome, version, integrity, proof: base64 }) };
    };
    const text = Buffer.from(client.hello()).toString();
    const lowered = greet(Buffer.from(text.replace('[1,2]', '[1]')));
    expect(lowered.answer.version).toBe(1);
    client.challenged(lowered.answer.payload);
    expect(isFault(client.welcomed(lowered.welcome))).toBe(true);
  });
});

interface Kernel {
  encode(...values: number[]): number;
  scan(at: number, bytes: number, table: number, max: number, low: number, high: number): number;
  scanStopped(): number;
}

/** One end of a connection that speaks that version. */
class End {
  readonly bytes: Buffer;
  readonly #kernel: Kernel;
  readonly #types: readonly [number, number];

  constructor(version: 1 | 2) {
    const file =
      version === 1 ? '../../dist/frame/kernel.wasm' : '../../build/frame-kernel-v2.wasm';
    const module = new WebAssembly.Module(readFileSync(new URL(file, import.meta.url)));
    const memory = new WebAssembly.Memory({ initial: 2 });
    const instance = new WebAssembly.Instance(module, { env: { memory, abort: () => undefined } });
    this.#kernel = instance.exports as unknown as Kernel;
    this.bytes = Buffer.from(memory.buffer);
    const [low, high] = TYPES_FROM_CLIENT;
    // Version 2 has one type more.
    this.#types = [low, version === 2 ? high | (1 << (TYPE_EXTRA - 32)) : high];
  }

  encode(type: number, payload: Uint8Array): Buffer {
    this.bytes.set(payload, 64 + 40);
    const count = this.#kernel.encode(64, type, 0, 0, 1, payload.length, 1, 0, 0, 0);
    return Buffer.from(this.bytes.subarray(64, 64 + count));
  }

  /** The payload, or the error code. */
  decode(frame: Buffer): Buffer | number {
    frame.copy(this.bytes, 64);
    const taken = this.#kernel.scan(64, frame.length, 8, 1, ...this.#types);
    if (taken === 0) return -this.#kernel.scanStopped();
    expect(this.bytes.readUInt32LE(8), 'undamaged').toBe(64);
    return Buffer.from(this.bytes.subarray(104, 104 + frame.readUInt32LE(12)));
  }
}

const TYPE_EXTRA = 0x30;
const payload = Buffer.from('hello world');

describe('frames', () => {
  const [one, two] = [new End(1), new End(2)];

  test('each bears its version, and the other refuses it', () => {
    expect([
      one.encode(codes.TYPE_DATA, payload)[2],
      two.encode(codes.TYPE_DATA, payload)[2],
    ]).toEqual([1, 2]);
    expect(one.decode(two.encode(codes.TYPE_DATA, payload))).toBe(codes.CODE_UNSUPPORTED_VERSION);
    expect(two.decode(one.encode(codes.TYPE_DATA, payload))).toBe(codes.CODE_UNSUPPORTED_VERSION);
  });

  test('the new type is known to version 2 alone', () => {
    expect(two.decode(two.encode(TYPE_EXTRA, payload))).toEqual(payload);
    expect(one.decode(one.encode(TYPE_EXTRA, payload))).toBe(codes.CODE_UNKNOWN_TYPE);
  });

  test('a frame of one version goes on as one of the other: a new header, the payload and its check untouched', () => {
    for (const [publisher, subscriber] of [
      [one, two],
      [two, one],
    ] as const) {
      const sent = publisher.encode(codes.TYPE_DATA, payload);
      const delivered = subscriber.encode(codes.TYPE_DATA, publisher.decode(sent) as Buffer);
      expect(delivered.subarray(32, 36)).toEqual(sent.subarray(32, 36));
      expect(delivered.subarray(36, 40)).not.toEqual(sent.subarray(36, 40));
      expect(subscriber.decode(delivered)).toEqual(payload);
    }
  });
});
