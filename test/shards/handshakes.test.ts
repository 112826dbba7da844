/** Who a connection is, and what it may do, on shards over the fake system. */
import { randomBytes } from 'node:crypto';
import { serialize } from 'node:v8';
import { describe, expect, test } from 'vitest';
import * as codes from '../../src/frame/codes.js';
import type { ClientCredential } from '../../src/frame/handshake.js';
import * as layout from '../../src/shards/layout.js';
import { harness, type HarnessOptions } from '../support/shard-harness.js';
import { encode, json, ping } from '../support/test-peer.js';

const SECRET = Buffer.from('a secret of thirty-two bytes, 1!');
const TOKEN = 'a token of more than sixteen bytes';
const key: ClientCredential = { method: 'hmac-sha256', keyId: 'key', secret: SECRET };
const token: ClientCredential = { method: 'token', token: TOKEN };
const CREDENTIALS: HarnessOptions['credentials'] = [
  { keyId: 'key', method: 'hmac-sha256', secret: SECRET },
  { keyId: 'token', method: 'token', secret: Buffer.from(TOKEN) },
];
const CLOSED: HarnessOptions = { credentials: CREDENTIALS, auth: { isRequired: true } };
const FAR = Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 1, 2, 3]);
const FAILED = 'ERROR AUTH_FAILED 0#2';

describe('who is taken', () => {
  test.each([
    ['with the secret', key, 'WELCOME siphash-2-4'],
    ['with the token', token, 'WELCOME xxh64'],
    ['with another secret', { ...key, secret: randomBytes(32) }, FAILED],
    ['with a keyId that nobody has', { ...key, keyId: 'nobody' }, FAILED],
    ['with the keyId of a token', { ...key, keyId: 'token', secret: Buffer.from(TOKEN) }, FAILED],
    ['with another token', { ...token, token: `${TOKEN}!` }, 'ERROR AUTH_FAILED 0#1'],
    ['with the empty token', { ...token, token: '' }, 'ERROR AUTH_FAILED 0#1'],
    ['with nothing', undefined, 'ERROR AUTH_REQUIRED 0#1'],
  ] as [string, ClientCredential | undefined, string][])('%s: as is due', (_who, who, due) => {
    const world = harness(CLOSED);
    const peer = world.connect();
    expect(peer.greet(who)).toBe(due);
    if (!due.startsWith('ERROR')) expect(peer.ask(ping())).toEqual(['PONG #1']);
    else world.advance(1100);
    expect(world.isOpen(peer)).toBe(!due.startsWith('ERROR'));
  });

  test('where nothing is asked, anybody, and a claim is verified all the same', () => {
    const world = harness({ credentials: CREDENTIALS });
    expect(world.connect().greet(undefined)).toBe('WELCOME xxh64');
    expect(world.connect().greet(key)).toBe('WELCOME siphash-2-4');
    expect(world.connect().greet({ ...token, token: 'wrong' })).toBe('ERROR AUTH_FAILED 0#1');
    expect(world.connect().ask(ping())).toEqual(['PONG #1']);
  });

  test('where keys are demanded, nobody without them', () => {
    const world = harness({ credentials: CREDENTIALS, auth: { isKeyingRequired: true } });
    expect(world.connect().greet(key, true)).toBe('WELCOME siphash-2-4');
    expect(world.connect().greet(token)).toBe('ERROR UNSUPPORTED_VERSION 0#1');
    expect(world.connect().greet(undefined)).toBe('ERROR AUTH_REQUIRED 0#1');
    const peer = world.connect();
    expect(peer.request(codes.TYPE_OPEN, { subject: 'a' })).toEqual(['ERROR AUTH_REQUIRED 0#1']);
  });

  test('a token from another machine only where that is allowed; a proof from anywhere', () => {
    const world = harness(CLOSED);
    expect(world.connect(1, 0, FAR).greet(token)).toBe('ERROR AUTH_FAILED 0#1');
    expect(world.connect(1, 0, FAR).greet(key)).toBe('WELCOME siphash-2-4');
    const lax = harness({ ...CLOSED, auth: { isRequired: true, areInsecureTokensTaken: true } });
    expect(lax.connect(1, 0, FAR).greet(token)).toBe('WELCOME xxh64');
  });

  test('no text tells a wrong proof from a keyId that nobody has', () => {
    const world = harness(CLOSED);
    const texts = [
      { ...key, secret: randomBytes(32) },
      { ...key, keyId: 'nobody' },
    ].map((who) => {
      const peer = world.connect();
      const words = peer.greet(who);
      return { words, left: peer.take() };
    });
    expect(texts[0]).toEqual(texts[1]);
  });

  test('what control logs of failures names no secret, no unknown keyId, and is a line a second', () => {
    const world = harness(CLOSED);
    const secretLike = 'my-secret-mistaken-for-a-key';
    world.connect().greet({ ...key, keyId: secretLike });
    world.connect().greet({ ...key, secret: randomBytes(32) });
    expect(world.warnings).toHaveLength(1);
    world.advance(1000);
    world.connect().greet({ ...key, secret: randomBytes(32) });
    expect(world.warnings).toMatchObject([
      { reason: 'no such keyId', count: 1 },
      { reason: 'wrong proof', keyId: 'key', count: 2 },
    ]);
    const told = JSON.stringify([world.warnings, world.logged]);
    expect(told).not.toContain(secretLike);
    expect(told).not.toContain(TOKEN);
  });
});

describe('before it is known who it is', () => {
  const challenged = () => {
    const world = harness(CLOSED);
    const peer = world.connect();
    const auth = { method: 'hmac-sha256', keyId: 'key', nonce: randomBytes(32).toString('base64') };
    expect(peer.request(codes.TYPE_HELLO, { versions: [1], auth })).toEqual(['CHALLENGE']);
    return { world, peer };
  };

  test.each([
    ['OPEN', codes.TYPE_OPEN, 'AUTH_REQUIRED'],
    ['SUBSCRIBE', codes.TYPE_SUBSCRIBE, 'AUTH_REQUIRED'],
    ['DATA', codes.TYPE_DATA, 'AUTH_REQUIRED'],
    ['ACK', codes.TYPE_ACK, 'AUTH_REQUIRED'],
    ['CREDIT', codes.TYPE_CREDIT, 'AUTH_REQUIRED'],
    ['WELCOME', codes.TYPE_WELCOME, 'UNKNOWN_TYPE'],
    ['a type that nobody knows', 0x7e, 'UNKNOWN_TYPE'],
  ])('%s is refused, before its payload has come', (_name, type, code) => {
    for (const { world, peer } of [challenged(), fresh()]) {
      peer.write(encode({ type, sequence: 7n, payload: Buffer.alloc(100) }).subarray(0, 40));
      world.run();
      expect(peer.told()).toEqual([`ERROR ${code} 0#7`]);
    }
  });

  const fresh = () => {
    const world = harness(CLOSED);
    return { world, peer: world.connect() };
  };

  test('PING and PONG are heard, before HELLO and after CHALLENGE', () => {
    const { peer } = fresh();
    expect(peer.ask(ping(3n))).toEqual(['PONG #3']);
    expect(peer.greet(key)).toBe('WELCOME siphash-2-4');
    const later = challenged();
    expect(later.peer.ask(ping(4n))).toEqual(['PONG #4']);
    expect(later.peer.ask({ type: codes.TYPE_PONG })).toEqual([]);
  });

  test('GOODBYE is answered', () => {
    const { peer } = fresh();
    expect(peer.ask({ type: codes.TYPE_GOODBYE })).toEqual(['GOODBYE']);
  });

  test('4,096 bytes are taken, one more is FRAME_TOO_LARGE at its header', () => {
    const { world, peer } = fresh();
    const hello = { versions: [9], client: '' };
    hello.client = 'x'.repeat(4096 - json(hello).length);
    expect(peer.request(codes.TYPE_HELLO, hello)).toEqual(['ERROR UNSUPPORTED_VERSION 0#1']);
    const other = world.connect();
    other.write(encode({ type: codes.TYPE_HELLO, payload: Buffer.alloc(4097) }).subarray(0, 40));
    world.run();
    expect(other.told()).toEqual(['ERROR FRAME_TOO_LARGE 0#0']);
  });

  test('PROOF that was not asked for is UNEXPECTED, one without a form is MALFORMED, HELLO again is UNEXPECTED', () => {
    const proof = { proof: randomBytes(32).toString('base64') };
    expect(fresh().peer.request(codes.TYPE_PROOF, proof)).toEqual(['ERROR UNEXPECTED 0#1']);
    const { peer } = challenged();
    expect(peer.request(codes.TYPE_PROOF, { proof: 'x' })).toEqual(['ERROR MALFORMED 0#2']);
    expect(peer.request(codes.TYPE_HELLO, { versions: [1] })).toEqual(['ERROR UNEXPECTED 0#3']);
  });

  test('the deadline is moved by nothing', () => {
    const { world, peer } = challenged();
    for (let second = 0; second < 9; second++) {
      world.advance(1000);
      expect(peer.ask(ping(BigInt(second)))).toEqual([`PONG #${second}`]);
    }
    world.advance(1100);
    expect(peer.told()).toEqual(['ERROR AUTH_REQUIRED 0#0']);
    world.advance(1100);
    expect(world.isOpen(peer)).toBe(false);
  });

  test('one that says nothing at all is ended too; one that is known stays', () => {
    const world = harness(CLOSED);
    const [silent, known] = [world.connect(), world.connect()];
    expect(known.greet(key)).toBe('WELCOME siphash-2-4');
    world.advance(10_100);
    expect(silent.told()).toEqual(['ERROR AUTH_REQUIRED 0#0']);
    expect(known.ask(ping())).toEqual(['PONG #1']);
  });

  test('too many at once: the oldest makes room', () => {
    const world = harness({ ...CLOSED, auth: { isRequired: true, pendingMax: 2 } });
    const [oldest, second] = [world.connect(), world.connect()];
    world.run();
    const third = world.connect();
    world.run();
    expect(oldest.told()).toEqual(['ERROR AUTH_REQUIRED 0#0']);
    expect(second.greet(key)).toBe('WELCOME siphash-2-4');
    const fourth = world.connect();
    world.run();
    expect(third.greet(token)).toBe('WELCOME xxh64');
    expect(fourth.greet(key)).toBe('WELCOME siphash-2-4');
  });

  test('an address that fails too often is not looked at for a while; another one is', () => {
    const world = harness({ ...CLOSED, attemptsPerMinute: 3 });
    const wrong = { ...key, secret: randomBytes(32) };
    for (let i = 0; i < 3; i++) expect(world.connect(1, 0, FAR).greet(wrong)).toBe(FAILED);
    expect(world.connect(1, 0, FAR).greet(key)).toBe(FAILED);
    expect(world.connect().greet(key)).toBe('WELCOME siphash-2-4');
    world.advance(60_000);
    expect(world.connect(1, 0, FAR).greet(key)).toBe('WELCOME siphash-2-4');
  });

  test('a connection that ends while control is asked leaves nothing behind', () => {
    const { world, peer } = challenged();
    world.isControlHeld = true;
    peer.send({
      type: codes.TYPE_PROOF,
      sequence: 9n,
      payload: json({ proof: randomBytes(32).toString('base64') }),
    });
    world.run();
    peer.fake.reset();
    world.run();
    world.isControlHeld = false;
    world.run();
    expect(world.isOpen(peer)).toBe(false);
  });

  test('the token and the keys are wiped from where they were received and handed over', () => {
    const world = harness(CLOSED);
    expect(world.connect().greet(token)).toBe('WELCOME xxh64');
    const peer = world.connect();
    expect(peer.greet(key)).toBe('WELCOME siphash-2-4');
    const arena = Buffer.from(world.memory.buffer);
    expect(arena.includes(Buffer.from(TOKEN))).toBe(false);
    const at = world.areaAt(1) + layout.AREA_NEW_KEYS;
    expect(arena.subarray(at, at + 32).every((byte) => byte === 0)).toBe(true);
    const row = world.field(peer, layout.CONNECTION_KEYS);
    const rowAt = world.kernels[1]!.rowAt(layout.POOL_KEYS, row) >>> 0;
    // The pool's list of free rows takes the first word of one that is given back.
    const secrets = [layout.KEYS_IN + 4, layout.KEYS_OUT].map((offset) =>
      Buffer.from(arena.subarray(rowAt + offset, rowAt + offset + 12)),
    );
    for (const secret of secrets) expect(arena.includes(secret)).toBe(true);
    peer.fake.end();
    world.run();
    for (const secret of secrets) expect(arena.includes(secret)).toBe(false);
  });
});

test('between control and shards pass digests, proofs and the keys of one connection; no secret, and no token', () => {
  const world = harness(CLOSED);
  const peer = world.connect();
  expect(peer.greet(key)).toBe('WELCOME siphash-2-4');
  expect(world.connect().greet(token)).toBe('WELCOME xxh64');
  for (const who of [
    { ...key, secret: randomBytes(32) },
    { ...token, token: `${TOKEN}!` },
  ]) {
    expect(world.connect().greet(who)).toMatch('ERROR AUTH_FAILED');
  }
  const types = world.exchanged.map(({ type }) => type).filter((type) => type !== 'log');
  expect(types).toEqual(Array.from({ length: 4 }, () => ['authenticate', 'authenticated']).flat());
  const passed = serialize(world.exchanged);
  const row = world.field(peer, layout.CONNECTION_KEYS);
  const at = world.kernels[1]!.rowAt(layout.POOL_KEYS, row) >>> 0;
  const arena = Buffer.from(world.memory.buffer);
  // This is what would be found of it.
  expect(passed.includes(arena.subarray(at, at + 16))).toBe(true);
  for (const secret of [SECRET, Buffer.from(TOKEN)]) {
    for (const form of ['latin1', 'base64', 'hex'] as const) {
      const part = secret.toString(form).slice(0, 16);
      expect(passed.includes(part), form).toBe(false);
      expect(arena.includes(part), form).toBe(false);
    }
  }
});

describe('what it may do', () => {
  const may = (permissions: object) =>
    harness({
      shards: 2,
      credentials: [{ ...CREDENTIALS[0]!, permissions }, CREDENTIALS[1]!],
    });

  test('OPEN asks whether it may publish, deny beats allow', () => {
    const world = may({ publish: { allow: ['a.>'], deny: ['a.secret.*'] } });
    const peer = world.connect();
    peer.greet(key);
    const open = (subject: string) => peer.request(codes.TYPE_OPEN, { subject })[0];
    expect(open('a.b')).toBe('OPENED 1 a.b');
    expect(open('a.secret.x')).toMatch('ERROR FORBIDDEN');
    expect(open('b')).toMatch('ERROR FORBIDDEN');
    expect(open('a.secret')).toBe('OPENED 2 a.secret');
  });

  test('a stream that exists is opened without leave to create, a new one is not made', () => {
    const world = may({ create: { deny: ['>'] } });
    const [peer, anybody] = [world.connect(), world.connect(2)];
    peer.greet(key);
    expect(peer.request(codes.TYPE_OPEN, { subject: 'a' })[0]).toMatch('ERROR FORBIDDEN');
    expect(world.registry.streamCount).toBe(0);
    anybody.open('a');
    expect(peer.request(codes.TYPE_OPEN, { subject: 'a' })).toEqual(['OPENED 1 a']);
  });

  test('a wildcard gets of the streams that there are, and of those born later, what it may get', () => {
    const world = may({ subscribe: { allow: ['a.*'], deny: ['a.secret'] } });
    const [peer, anybody] = [world.connect(), world.connect(2)];
    peer.greet(key);
    const [old, oldSecret] = [anybody.open('a.old'), anybody.open('a.secret')];
    expect(peer.subscribe('>', 'first')).toEqual(['SUBSCRIBED >']);
    const [born, other] = [anybody.open('a.born'), anybody.open('b.born')];
    for (const stream of [old, oldSecret, born, other]) anybody.publish(stream, `of ${stream}`);
    world.run();
    expect(peer.told()).toEqual([
      `OPENED ${old} a.old unasked`,
      `DATA ${old}#1 of ${old}`,
      `OPENED ${born} a.born unasked`,
      `DATA ${born}#1 of ${born}`,
    ]);
  });

  test.each([
    ['a.secret', false],
    ['a.b', true],
    ['b', false],
    ['>', true],
    ['*.b', true],
    ['b.>', false],
    ['a.secret.>', false],
  ])('SUBSCRIBE to %s: %s', (subject, isTaken) => {
    const world = may({ subscribe: { allow: ['a.*'], deny: ['a.secret', 'a.secret.>'] } });
    const peer = world.connect();
    peer.greet(key);
    const answer = peer.subscribe(subject)[0];
    expect(answer).toMatch(isTaken ? 'SUBSCRIBED' : 'ERROR FORBIDDEN');
  });

  test('whoever has no rules, or is nobody, may do all; and one connection’s rules are not another’s', () => {
    const world = may({ publish: { allow: [] } });
    const [bound, free, anybody] = [world.connect(), world.connect(), world.connect()];
    bound.greet(key);
    free.greet(token);
    expect(bound.request(codes.TYPE_OPEN, { subject: 'x' })[0]).toMatch('ERROR FORBIDDEN');
    expect(free.request(codes.TYPE_OPEN, { subject: 'x' })[0]).toMatch('OPENED');
    expect(anybody.request(codes.TYPE_OPEN, { subject: 'y' })[0]).toMatch('OPENED');
  });
});
