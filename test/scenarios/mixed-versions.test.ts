// A broker that speaks a version 2 of the protocol, made for this test alone (scripts/second-version.mjs: version 1 and
// one frame type more), with clients of both versions on one stream at once; and the package's own beside it.
import { once } from 'node:events';
import { connect as connectSocket, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeSecondVersion } from '../../scripts/second-version.mjs';
import { connect } from '../../src/client/client.js';
import type { FrameFields } from '../../src/frame/codec.js';
import * as codes from '../../src/frame/codes.js';
import type { ClientCredential } from '../../src/frame/handshake.js';
import { errorName } from '../../src/frame/names.js';
import { Broker, endBrokers, ROOT, startBroker } from '../support/broker.js';
import { Credentials, KEY } from '../support/credentials.js';
import { json, type Frame } from '../support/test-peer.js';
import { VersionedEnd } from '../support/versioned.js';
import { Watched } from '../support/watched.js';

const HOW_FAR = 0x30;
const FRAMES = 400;

/** A client over a socket that speaks the newest version that it and the broker know. */
class Client {
  readonly frames: Frame[] = [];
  readonly #socket: Socket;
  readonly #end: VersionedEnd;
  readonly #watched = new Watched();
  fault: unknown;

  private constructor(port: number, versions: readonly number[], credential?: ClientCredential) {
    this.#end = new VersionedEnd(versions, credential);
    this.#socket = connectSocket({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.on('data', (bytes: Buffer) => this.#hear(bytes));
    this.#socket.on('error', () => undefined);
  }

  /** Connected, and greeted with that result. */
  static async greet(
    port: number,
    versions: readonly number[],
    credential?: ClientCredential,
  ): Promise<[Client, string]> {
    const client = new Client(port, versions, credential);
    await once(client.#socket, 'connect');
    client.#socket.write(client.#end.hello());
    for (;;) {
      const answer = client.#end.greeted(await client.take(() => true));
      if (typeof answer === 'string') return [client, answer];
      client.#socket.write(answer);
    }
  }

  #hear(bytes: Buffer): void {
    try {
      let frame = this.#end.next(bytes);
      for (; frame; frame = this.#end.next(Buffer.alloc(0))) this.frames.push(frame);
    } catch (error) {
      this.fault ??= error;
    }
    this.#watched.changed();
  }

  send(...frames: FrameFields[]): void {
    this.#socket.write(Buffer.concat(frames.map((fields) => this.#end.encode(fields))));
  }

  async until(isTrue: () => boolean, what: string): Promise<void> {
    const look = (): boolean => {
      if (this.fault !== undefined) throw this.fault as Error;
      return isTrue();
    };
    await this.#watched.until(look, () => `${what}; ${this.frames.length} frames`);
  }

  async take(fits: (frame: Frame) => boolean): Promise<Frame> {
    await this.until(() => this.frames.some(fits), 'an answer');
    return this.frames.splice(this.frames.findIndex(fits), 1)[0]!;
  }

  async ask(type: number, sequence: bigint, payload: Uint8Array): Promise<Frame> {
    this.send({ type, sequence, payload });
    return this.take((frame) => frame.sequence === sequence && frame.type !== codes.TYPE_DATA);
  }

  get data(): Frame[] {
    return this.frames.filter(({ type }) => type === codes.TYPE_DATA);
  }

  close(): void {
    this.#socket.destroy();
  }
}

let files: Credentials;
let both: Broker;
let one: Broker;

beforeAll(async () => {
  files = new Credentials();
  const args = ['--shards', '2', '--config', files.configuration({})];
  both = new Broker(args, 0, makeSecondVersion(ROOT, join(ROOT, 'build/second-version')));
  await both.ready();
  one = await startBroker(...args);
}, 60_000);

afterAll(async () => {
  await endBrokers();
  files.remove();
});

const howFar = async (client: Client, stream: number): Promise<bigint> => {
  client.send({ type: HOW_FAR, stream, sequence: 77n });
  const answer = await client.take(({ type }) => type === HOW_FAR || type === codes.TYPE_ERROR);
  expect(answer).toMatchObject({ type: HOW_FAR, stream, sequence: 77n });
  return answer.payload.readBigUInt64LE();
};

describe('a broker of versions 1 and 2', () => {
  it('agrees on the newest that a client speaks, and refuses one that speaks neither', async () => {
    for (const [versions, agreed] of [
      [[1], 'WELCOME 1 xxh64'],
      [[2], 'WELCOME 2 xxh64'],
      [[1, 2], 'WELCOME 2 xxh64'],
      [[1, 2, 3], 'WELCOME 2 xxh64'],
      [[3], 'ERROR UNSUPPORTED_VERSION'],
    ] as const) {
      const [client, answer] = await Client.greet(both.port, versions);
      expect(answer, versions.join()).toBe(agreed);
      client.close();
    }
  });

  it('carries one stream between clients of both, keyed and not, at once', async () => {
    const greeted = [
      await Client.greet(both.port, [1]),
      await Client.greet(both.port, [1, 2]),
      await Client.greet(both.port, [1], KEY),
      await Client.greet(both.port, [1, 2], KEY),
    ];
    expect(greeted.map(([, answer]) => answer)).toEqual([
      'WELCOME 1 xxh64',
      'WELCOME 2 xxh64',
      'WELCOME 1 siphash-2-4',
      'WELCOME 2 siphash-2-4',
    ]);
    const clients = greeted.map(([client]) => client);
    // The library of the package is one of them, too: it speaks version 1.
    const library = await connect(both.url, { reconnect: false });
    const subscription = library.subscribe('mixed');
    await subscription.ready;
    let stream = 0;
    for (const client of clients) {
      stream = (await client.ask(codes.TYPE_OPEN, 8n, json({ subject: 'mixed' }))).stream;
      const answer = await client.ask(codes.TYPE_SUBSCRIBE, 9n, json({ subject: 'mixed' }));
      expect(answer.type).toBe(codes.TYPE_SUBSCRIBED);
    }
    for (let number = 1; number <= FRAMES; number++) {
      for (const [i, client] of clients.entries()) {
        const payload = Buffer.alloc(12 + ((number * 53) % 3000), i);
        payload.writeUInt32LE(number);
        const type = codes.TYPE_DATA;
        client.send({ type, flags: 1, stream, sequence: BigInt(number), payload });
      }
      await library.publish('mixed', `from the library ${number}`, { ack: number === FRAMES });
    }
    const total = FRAMES * (clients.length + 1);
    const logs: string[][] = [];
    for (const client of clients) {
      await client.until(() => client.data.length === total, 'all of it');
      const isLast = ({ type, sequence }: Frame) =>
        type === codes.TYPE_ACK && sequence === BigInt(FRAMES);
      await client.take(isLast);
      logs.push(
        client.data.map(({ sequence, payload }) => `${sequence} ${payload.toString('hex')}`),
      );
    }
    const read: string[] = [];
    for await (const { sequence, payload } of subscription) {
      read.push(`${sequence} ${Buffer.from(payload).toString('hex')}`);
      if (read.length === total) break;
    }
    for (const log of logs) expect(log).toEqual(read);
    expect(await howFar(clients[1]!, stream)).toBe(BigInt(total + 1));
    expect(await howFar(clients[3]!, stream)).toBe(BigInt(total + 1));
    for (const client of clients) client.close();
    await library.close();
  });

  it.each([
    ['with checks', undefined],
    ['keyed', KEY],
  ])('knows the type that version 2 has more on its connections alone, %s', async (_what, key) => {
    const [two] = await Client.greet(both.port, [1, 2], key);
    const { stream } = await two.ask(codes.TYPE_OPEN, 8n, json({ subject: 'types' }));
    expect(await howFar(two, stream)).toBe(1n);
    const [old] = await Client.greet(both.port, [1], key);
    old.send({ type: HOW_FAR, stream, sequence: 77n });
    const error = await old.take(({ type }) => type === codes.TYPE_ERROR);
    expect(errorName(error.code)).toBe('UNKNOWN_TYPE');
    // That ended the old one's connection and nobody else's.
    expect(await howFar(two, stream)).toBe(1n);
    for (const client of [two, old]) client.close();
  });
});

describe('the package’s own broker', () => {
  it('agrees on version 1 with whoever also speaks another, and has not that type', async () => {
    const [client, answer] = await Client.greet(one.port, [1, 2]);
    expect(answer).toBe('WELCOME 1 xxh64');
    client.send({ type: HOW_FAR, sequence: 77n });
    const error = await client.take(({ type }) => type === codes.TYPE_ERROR);
    expect(errorName(error.code)).toBe('UNKNOWN_TYPE');
    client.close();
  });

  it('refuses who speaks version 2 alone, and says what it speaks', async () => {
    const [client, answer] = await Client.greet(one.port, [2]);
    expect(answer).toBe('ERROR UNSUPPORTED_VERSION');
    client.close();
  });
});
