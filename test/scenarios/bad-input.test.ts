// What the protocol's vectors hold as invalid, sent to the running broker: each gets the answer that it asks for,
// and nobody else notices.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as yieldToSocket } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as codes from '../../src/frame/codes.js';
import { errorName, isFatal, PROTOCOL_ERRORS } from '../../src/frame/names.js';
import { Bystander, undisturbed } from '../support/bystander.js';
import { endBrokers, ROOT, startBroker, type Broker } from '../support/broker.js';
import { closePeers, encode, Peer } from '../support/peer.js';

interface Invalid {
  readonly name: string;
  readonly hex: string;
  readonly error: string;
  readonly note: string;
}

const file = join(ROOT, 'docs', 'vectors.json');
if (!existsSync(file))
  throw new Error(`${file} is missing: there is nothing to hold the broker to`);
const { invalid } = JSON.parse(readFileSync(file, 'utf8')) as { invalid: Invalid[] };

/** Vectors speak of stream 7, which is to be open for them. */
const STREAM = 7;

let broker: Broker;
let bystander: Bystander;

beforeAll(async () => {
  broker = await startBroker('--shards', '2');
  bystander = await Bystander.start(broker.port, 'bystander');
  const opener = await Peer.connect(broker.port);
  for (let i = 1; i < STREAM; i++) await opener.open(`vectors.${i}`);
  await opener.leave();
});

afterAll(async () => {
  closePeers();
  await endBrokers();
});

async function openSeventh(): Promise<Peer> {
  const peer = await Peer.connect(broker.port);
  const { stream } = await peer.open(`vectors.${STREAM - 1}`);
  expect(stream).toBe(STREAM);
  return peer;
}

async function sendWhole(peer: Peer, bytes: Buffer): Promise<void> {
  await peer.write(bytes);
}

async function sendByteByByte(peer: Peer, bytes: Buffer): Promise<void> {
  for (let i = 0; i < bytes.length && !peer.isEnded; i++) {
    await peer.write(bytes.subarray(i, i + 1));
    await yieldToSocket();
  }
}

/** A further frame behind one that is not fatal is served. */
async function isServed(peer: Peer): Promise<void> {
  peer.send({ type: codes.TYPE_PING, sequence: 99n });
  const pong = await peer.takeType(codes.TYPE_PONG);
  expect(pong.sequence).toBe(99n);
}

async function isEnded(peer: Peer): Promise<void> {
  await peer.until(() => peer.isEnded, 'the end after a fatal error');
  peer.end();
  await peer.closed();
  expect(peer.error).toBeUndefined();
}

describe('every invalid vector gets its error', () => {
  it('has vectors to send', () => {
    expect(invalid.length).toBeGreaterThan(20);
  });

  for (const [way, send] of [
    ['whole', sendWhole],
    ['one byte at a time', sendByteByByte],
  ] as const) {
    it.each(invalid)(`$name, ${way}`, async ({ hex, error, note }) => {
      const bytes = Buffer.from(hex, 'hex');
      const peer = await openSeventh();
      await send(peer, bytes);
      const answer = await peer.takeError();
      expect(errorName(answer.code)).toBe(error);
      expect(isFatal(answer.code)).toBe(note.startsWith('fatal'));
      if (isFatal(answer.code)) await isEnded(peer);
      else await isServed(peer);
      expect(peer.frames).toEqual([]);
      peer.destroy();
    });
  }

  it('quotes the sequence of a frame whose header holds, and 0 otherwise', async () => {
    const sequences: Record<string, bigint> = {};
    for (const { name, hex } of invalid) {
      const peer = await openSeventh();
      await peer.write(Buffer.from(hex, 'hex'));
      sequences[name] = (await peer.takeError()).sequence;
      peer.destroy();
    }
    const quoted = (name: string): bigint => {
      const header = Buffer.from(invalid.find((vector) => vector.name === name)!.hex, 'hex');
      return header.readBigUInt64LE(16);
    };
    const unverified = ['BAD_MAGIC', 'UNSUPPORTED_VERSION', 'HEADER_CORRUPT', 'FRAME_TOO_LARGE'];
    for (const { name, error } of invalid) {
      // A tag that no key can verify leaves the header unverified, too.
      const isVerified = !unverified.includes(error) && error !== 'BAD_TAG';
      expect([name, sequences[name]]).toEqual([name, isVerified ? quoted(name) : 0n]);
    }
  });
});

describe('beyond the vectors', () => {
  const request = (type: number, text: string): Buffer =>
    encode({ type, sequence: 5n, payload: Buffer.from(text) });

  it.each([
    [
      'a subject with half a surrogate pair',
      codes.TYPE_OPEN,
      '{"subject":"a\\ud800"}',
      'BAD_SUBJECT',
    ],
    ['a subject that is a number', codes.TYPE_OPEN, '{"subject":7}', 'MALFORMED'],
    ['an array', codes.TYPE_OPEN, '[]', 'MALFORMED'],
    ['nothing', codes.TYPE_OPEN, '', 'MALFORMED'],
    ['a byte order mark', codes.TYPE_OPEN, '\ufeff{"subject":"a"}', 'MALFORMED'],
    ['a negative credit', codes.TYPE_SUBSCRIBE, '{"subject":"a","credit":-1}', 'MALFORMED'],
    [
      'too large a credit',
      codes.TYPE_SUBSCRIBE,
      '{"subject":"a","credit":"18446744073709551616"}',
      'MALFORMED',
    ],
    [
      'two places',
      codes.TYPE_SUBSCRIBE,
      '{"subject":"a","from":{"sequence":1,"last":1}}',
      'MALFORMED',
    ],
    [
      'UNSUBSCRIBE of what is not subscribed',
      codes.TYPE_UNSUBSCRIBE,
      '{"subject":"a"}',
      'MALFORMED',
    ],
    ['CREDIT for what is not subscribed', codes.TYPE_CREDIT, '{"subject":"a"}', 'MALFORMED'],
    ['a second HELLO', codes.TYPE_HELLO, '{"versions":[1]}', 'UNEXPECTED'],
    ['nesting without end', codes.TYPE_OPEN, `{"subject":${'['.repeat(60_000)}`, 'MALFORMED'],
  ])('%s', async (_name, type, text, error) => {
    const peer = await openSeventh();
    await peer.write(request(type, text));
    const answer = await peer.takeError();
    expect([errorName(answer.code), answer.sequence]).toEqual([error, 5n]);
    if (isFatal(answer.code)) await isEnded(peer);
    else await isServed(peer);
    peer.destroy();
  });

  it('a HELLO with no version in common ends the connection', async () => {
    const peer = await Peer.connect(broker.port);
    await peer.write(request(codes.TYPE_HELLO, '{"versions":[2,3]}'));
    expect(errorName((await peer.takeError()).code)).toBe('UNSUPPORTED_VERSION');
    await isEnded(peer);
  });

  it('an ACK_REQUESTED number that does not grow is refused, its neighbours are taken', async () => {
    const peer = await openSeventh();
    const data = { type: codes.TYPE_DATA, flags: 1, stream: STREAM, payload: Buffer.from('x') };
    peer.send(
      { ...data, sequence: 10n },
      { ...data, sequence: 10n },
      { ...data, sequence: 0n },
      { ...data, sequence: 11n },
    );
    await peer.ackedUpTo(STREAM, 11);
    const errors = peer.frames.map((frame) => [
      errorName(frame.code),
      frame.stream,
      frame.sequence,
    ]);
    expect(errors).toEqual([
      ['MALFORMED', STREAM, 10n],
      ['MALFORMED', STREAM, 0n],
    ]);
    await peer.leave();
  });
});

it('knows every error that the vectors name', () => {
  const names = PROTOCOL_ERRORS.map(({ name }) => name);
  for (const { error } of invalid) expect(names).toContain(error);
});

it('nobody else has noticed', async () => {
  const account = await bystander.stop();
  expect(account).toEqual(undisturbed(account));
  expect(account.published).toBeGreaterThan(0);
  expect(broker.complaints).toEqual([]);
  await broker.stop();
});
