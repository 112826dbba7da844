/**
 * A shard that speaks a second version, which is built for tests alone (scripts/second-version.mjs): what a connection is sent
 * bears its own version, whole or in pieces, with checks or keyed; and of a shard's rows nothing is left.
 */
import { Buffer } from 'node:buffer';
import { expect, test } from 'vitest';
import * as codes from '../../src/frame/codes.js';
import { POOL_KEYS } from '../../src/shards/layout.js';
import { harness, type Harness, type HarnessOptions } from '../support/shard-harness.js';
import { inWords, json, type Frame, type TestPeer } from '../support/test-peer.js';
import { VersionedEnd } from '../support/versioned.js';

const BOTH = new URL('../../build/kernel-v2.wasm', import.meta.url);
const KEY = {
  method: 'hmac-sha256',
  keyId: 'k',
  secret: Buffer.from('a secret of thirty-two bytes, 1!'),
} as const;

const world = (options: HarnessOptions = {}): Harness =>
  harness({ kernelFile: BOTH, credentials: [KEY], settings: { versions: [1, 2] }, ...options });

/** A connection of the harness whose bytes are made and judged by such an end. */
class Client {
  readonly end: VersionedEnd;
  readonly peer: TestPeer;
  readonly #h: Harness;

  constructor(h: Harness, versions: readonly number[], isKeyed = false) {
    this.#h = h;
    this.peer = h.connect();
    this.peer.isReading = false;
    this.end = new VersionedEnd(versions, isKeyed ? KEY : undefined);
  }

  take(): Frame[] {
    this.#h.run();
    const frames: Frame[] = [];
    let more = this.peer.fake.read(Number.MAX_SAFE_INTEGER);
    while (more.length > 0) {
      for (let frame = this.end.next(more); frame; frame = this.end.next(Buffer.alloc(0))) {
        frames.push(frame);
      }
      this.#h.run();
      more = this.peer.fake.read(Number.MAX_SAFE_INTEGER);
    }
    return frames;
  }

  greet(): string {
    this.peer.write(this.end.hello());
    for (;;) {
      const answer = this.end.greeted(this.take()[0]!);
      if (typeof answer === 'string') return answer;
      this.peer.write(answer);
    }
  }

  ask(fields: Parameters<VersionedEnd['encode']>[0]): string[] {
    this.peer.write(this.end.encode(fields));
    return this.take().map(inWords);
  }

  request(type: number, value: object): string[] {
    return this.ask({ type, sequence: 9n, payload: json(value) });
  }
}

test.each([
  ['checked', false, 'xxh64'],
  ['keyed', true, 'siphash-2-4'],
])('%s clients of both versions share a stream', (_what, isKeyed, integrity) => {
  const h = world({ seed: 4, faults: { shortWrite: 0.5, shortRead: 0.3 } });
  const clients = [[1], [1, 2], [2]].map((versions) => new Client(h, versions, isKeyed));
  const greeted = clients.map((client) => client.greet());
  expect(greeted).toEqual([1, 2, 2].map((version) => `WELCOME ${version} ${integrity}`));
  for (const client of clients) {
    expect(client.request(codes.TYPE_OPEN, { subject: 'a' })).toEqual(['OPENED 1 a']);
    expect(client.request(codes.TYPE_SUBSCRIBE, { subject: 'a' })).toEqual(['SUBSCRIBED a 1@1']);
  }
  const sizes = [0, 1, 8, 100, 2007, 2008, 2009, 20_000, 65_496];
  const payloads = sizes.map((bytes, i) => Buffer.alloc(bytes, i + 1));
  for (const [i, payload] of payloads.entries()) {
    const { peer, end } = clients[i % clients.length]!;
    const type = codes.TYPE_DATA;
    peer.write(end.encode({ type, flags: 1, stream: 1, sequence: BigInt(i + 1), payload }));
    h.run();
  }
  for (const client of clients) {
    const frames = client.take().filter(({ type }) => type === codes.TYPE_DATA);
    expect(frames.map(({ payload }) => payload)).toEqual(payloads);
    expect(frames.map(({ sequence }) => sequence)).toEqual(sizes.map((_, i) => BigInt(i + 1)));
  }
  for (const client of clients) expect(client.ask({ type: codes.TYPE_PING })).toEqual(['PONG #0']);
});

test('a frame of the other version is refused, either way', () => {
  const h = world();
  for (const [versions, other] of [
    [[1], 2],
    [[2], 1],
  ] as const) {
    for (const isKeyed of [false, true]) {
      const client = new Client(h, versions, isKeyed);
      client.greet();
      const spoken = client.end.version;
      client.end.version = other;
      client.peer.write(client.end.encode({ type: codes.TYPE_PING }));
      client.end.version = spoken;
      expect(client.take().map(inWords)).toEqual(['ERROR UNSUPPORTED_VERSION 0#0']);
    }
  }
});

test('whoever speaks neither is told which there are; whoever says nothing speaks version 1', () => {
  const h = world();
  const stranger = new Client(h, [3]);
  expect(stranger.greet()).toBe('ERROR UNSUPPORTED_VERSION');
  expect(new Client(h, [1]).ask({ type: codes.TYPE_PING, sequence: 3n })).toEqual(['PONG #3']);
});

test('the type that version 2 has more is not known to version 1', () => {
  const h = world();
  const [one, two] = [new Client(h, [1]), new Client(h, [1, 2])];
  for (const client of [one, two]) client.greet();
  expect(one.ask({ type: 0x30, sequence: 5n })).toEqual(['ERROR UNKNOWN_TYPE 0#5']);
  // Without a build that knows what to do about it, it is one that was not asked for.
  expect(two.ask({ type: 0x30, sequence: 5n })).toEqual(['ERROR UNEXPECTED 0#5']);
});

test('a connection of version 2 takes a row, and is refused where none is left', () => {
  const h = world();
  const giveBack = h.exhaust(1, POOL_KEYS);
  expect(new Client(h, [1, 2]).greet()).toBe('ERROR SERVER_FULL');
  giveBack();
  const client = new Client(h, [1, 2]);
  expect(client.greet()).toBe('WELCOME 2 xxh64');
  expect(h.poolInUse(1, POOL_KEYS)).toBe(1);
  client.peer.fake.end();
  h.run();
  expect(h.poolInUse(1, POOL_KEYS)).toBe(0);
});

test('after GOODBYE frames are judged by the version of their connection', () => {
  const h = world();
  const client = new Client(h, [2]);
  client.greet();
  client.request(codes.TYPE_OPEN, { subject: 'a' });
  h.orderAll('drain');
  expect(client.take().map(inWords)).toEqual(['GOODBYE']);
  client.peer.write(client.end.encode({ type: codes.TYPE_DATA, stream: 1, sequence: 7n }));
  h.run();
  h.orderAll('finish');
  expect(client.take().map(inWords)).toEqual(['ERROR SHUTTING_DOWN 1#7']);
});
