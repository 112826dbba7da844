/** Connections that are there when it changes who may connect. */
import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import * as codes from '../../src/frame/codes.js';
import type { ClientCredential } from '../../src/frame/handshake.js';
import * as layout from '../../src/shards/layout.js';
import {
  harness,
  type Harness,
  type HarnessCredential,
  type HarnessOptions,
} from '../support/shard-harness.js';
import { json, ping, type TestPeer } from '../support/test-peer.js';

const secretOf = (name: string) => Buffer.from(`the secret of ${name}`.padEnd(32, '.'));
const key = (keyId: string, secret = secretOf(keyId)): ClientCredential => ({
  method: 'hmac-sha256',
  keyId,
  secret,
});
const held = (
  keyId: string,
  permissions: HarnessCredential['permissions'] = {},
  secret = secretOf(keyId),
): HarnessCredential => ({ keyId, method: 'hmac-sha256', secret, permissions });

const TOKEN = 'a token of more than sixteen bytes';
const token: HarnessCredential = { keyId: 't', method: 'token', secret: Buffer.from(TOKEN) };
const GREETED = 'WELCOME siphash-2-4';
const ENDED = ['GOODBYE'];

function world(credentials: readonly HarnessCredential[], auth: HarnessOptions['auth'] = {}) {
  return harness({ credentials, auth });
}

function greeted(here: Harness, who?: ClientCredential, shard = 1): TestPeer {
  const peer = here.connect(shard);
  expect(peer.greet(who)).toMatch(/^WELCOME/);
  return peer;
}

const lives = (peer: TestPeer): boolean => peer.ask(ping(77n)).join() === 'PONG #77';

describe('a credential', () => {
  test('that is taken out ends its connections, on every shard, and nobody else’s', () => {
    const here = harness({ shards: 2, credentials: [held('a'), held('b')] });
    const [a, other, b] = [
      greeted(here, key('a')),
      greeted(here, key('a'), 2),
      greeted(here, key('b')),
    ];
    const nobody = greeted(here);
    here.exchange([held('b')]);
    here.run();
    expect([a.told(), other.told()]).toEqual([ENDED, ENDED]);
    expect([lives(b), lives(nobody)]).toEqual([true, true]);
    here.advance(1100);
    expect([here.isOpen(a), here.isOpen(other)]).toEqual([false, false]);
    expect(here.connect().greet(key('a'))).toBe('ERROR AUTH_FAILED 0#2');
    expect(here.logged).toContainEqual(
      expect.objectContaining({ level: 'info', fields: { shard: 1, count: 1 } }),
    );
  });

  test('that is put in lets in whoever has it', () => {
    const here = world([held('a')], { isRequired: true });
    expect(here.connect().greet(key('b'))).toBe('ERROR AUTH_FAILED 0#2');
    here.exchange([held('a'), held('b')]);
    expect(here.connect().greet(key('b'))).toBe(GREETED);
  });

  test('with another secret leaves connections alone, and asks those that come for the new one', () => {
    const here = world([held('a')], { isRequired: true });
    const peer = greeted(here, key('a'));
    const fresh = randomBytes(32);
    here.exchange([held('a', {}, fresh)]);
    here.run();
    expect(lives(peer)).toBe(true);
    expect(here.connect().greet(key('a'))).toBe('ERROR AUTH_FAILED 0#2');
    expect(here.connect().greet(key('a', fresh))).toBe(GREETED);
  });

  test('that may do more is let do it at once', () => {
    const here = world([held('a', { publish: { allow: ['a.*'] } })]);
    const peer = greeted(here, key('a'));
    const open = (subject: string) => peer.request(codes.TYPE_OPEN, { subject })[0];
    expect(open('b')).toMatch('ERROR FORBIDDEN');
    here.exchange([held('a', { publish: { allow: ['a.*', 'b'] } })]);
    here.run();
    expect(open('b')).toMatch('OPENED');
  });

  test('that may do less ends its connections, which come back as what they are now', () => {
    const here = world([held('a')]);
    const peer = greeted(here, key('a'));
    const stream = peer.open('secret');
    here.exchange([held('a', { publish: { deny: ['secret'] } })]);
    here.run();
    expect(peer.told()).toEqual(ENDED);
    peer.publish(stream, 'too late');
    here.advance(1100);
    expect(here.isOpen(peer)).toBe(false);
    const again = greeted(here, key('a'));
    expect(again.request(codes.TYPE_OPEN, { subject: 'secret' })[0]).toMatch('ERROR FORBIDDEN');
    expect(again.subscribe('secret', 'first')).toEqual(['SUBSCRIBED secret 1@1']);
    expect(again.told()).toEqual([]);
  });

  test('that goes while its proof is looked at ends the connection right behind WELCOME', () => {
    const here = world([token, held('b')], { isRequired: true });
    const peer = here.connect();
    here.isControlHeld = true;
    expect(peer.greet({ method: 'token', token: TOKEN })).toBe('nothing');
    here.isControlHeld = false;
    // Control answers in this round, and the shard hears both in its next turn.
    here.round();
    here.exchange([held('b')]);
    here.run();
    expect(peer.told().map((words) => words.split(' ')[0])).toEqual(['WELCOME', 'GOODBYE']);
  });

  test('that is gone lets nothing through that comes in the same turn', () => {
    const here = world([held('a'), held('b')]);
    const peer = greeted(here, key('a'));
    peer.send({ type: codes.TYPE_OPEN, sequence: 5n, payload: json({ subject: 'x' }) });
    here.exchange([held('b')]);
    here.run();
    expect(peer.told()).toEqual(ENDED);
    expect(here.registry.streamCount).toBe(0);
  });
});

describe('what is asked of everybody', () => {
  test('once it is asked, whoever was nobody is ended, and who says nothing yet is given his time', () => {
    const here = world([held('a')]);
    const [nobody, known, silent] = [greeted(here), greeted(here, key('a')), here.connect()];
    here.run();
    here.setAuth({ isRequired: true });
    here.run();
    expect(nobody.told()).toEqual(ENDED);
    expect(lives(known)).toBe(true);
    expect(silent.greet(key('a'))).toBe(GREETED);
  });

  test('who says nothing for too long is ended', () => {
    const here = world([held('a')]);
    const silent = here.connect();
    here.run();
    here.setAuth({ isRequired: true });
    here.advance(10_100);
    expect(silent.told()).toEqual(['ERROR AUTH_REQUIRED 0#0']);
  });

  test('once it is asked no more, a stranger is none', () => {
    const here = world([held('a')], { isRequired: true });
    const [silent, challenged] = [here.connect(), here.connect()];
    const auth = { method: 'hmac-sha256', keyId: 'a', nonce: randomBytes(32).toString('base64') };
    challenged.send({
      type: codes.TYPE_HELLO,
      sequence: 1n,
      payload: json({ versions: [1], auth }),
    });
    here.run();
    expect(challenged.told()).toEqual(['CHALLENGE']);
    here.setAuth({ isRequired: false });
    here.run();
    expect(silent.open('x')).toBe(1);
    here.advance(10_100);
    expect(lives(silent)).toBe(true);
    expect(challenged.told()).toEqual(['ERROR AUTH_REQUIRED 0#0']);
  });

  test('once keys are asked, whoever has none is ended, and who has them stays', () => {
    const here = world([held('a'), token]);
    const keyed = greeted(here, key('a'));
    const known = greeted(here, { method: 'token', token: TOKEN });
    const nobody = greeted(here);
    here.setAuth({ isKeyingRequired: true });
    here.run();
    expect([known.told(), nobody.told()]).toEqual([ENDED, ENDED]);
    expect(lives(keyed)).toBe(true);
    expect(here.connect().greet(undefined)).toBe('ERROR AUTH_REQUIRED 0#1');
  });

  test('a shorter time holds for those who wait already, a longer one for those who come', () => {
    const here = world([held('a')], { isRequired: true });
    const [first, second] = [here.connect(), here.connect()];
    here.run();
    here.setAuth({ isRequired: true, handshakeTimeoutMs: 1_000 });
    here.advance(1_100);
    expect([first.told(), second.told()]).toEqual([
      ['ERROR AUTH_REQUIRED 0#0'],
      ['ERROR AUTH_REQUIRED 0#0'],
    ]);
    const third = here.connect();
    here.run();
    here.setAuth({ isRequired: true, handshakeTimeoutMs: 60_000 });
    const fourth = here.connect();
    here.advance(1_100);
    expect([third.told(), fourth.told()]).toEqual([['ERROR AUTH_REQUIRED 0#0'], []]);
  });

  test('where fewer may wait, the oldest go when the next one comes', () => {
    const here = world([held('a')], { isRequired: true });
    const waiting = [here.connect(), here.connect(), here.connect()];
    here.run();
    here.setAuth({ isRequired: true, pendingMax: 2 });
    here.run();
    expect(waiting.map((peer) => peer.told())).toEqual([[], [], []]);
    const next = here.connect();
    here.run();
    expect(waiting.map((peer) => peer.told().length)).toEqual([1, 1, 0]);
    expect(next.greet(key('a'))).toBe(GREETED);
  });

  test('failures that were counted stay counted, and their limit is what it is now', () => {
    const here = world([held('a')], { isRequired: true });
    const wrong = key('a', randomBytes(32));
    for (let i = 0; i < 3; i++) here.connect().greet(wrong);
    here.exchange([held('a')], 3);
    expect(here.connect().greet(key('a'))).toBe('ERROR AUTH_FAILED 0#2');
    here.exchange([held('a')], 60);
    expect(here.connect().greet(key('a'))).toBe(GREETED);
  });
});

test.each<[string, ClientCredential | undefined, (here: Harness) => void]>([
  ['by a credential that is gone', key('a'), (here) => here.exchange([held('b')])],
  ['by none', undefined, (here) => here.setAuth({ isRequired: true })],
])('known %s, and not ended yet, it may do nothing any more', (_, who, change) => {
  const here = harness({ connections: 400, credentials: [held('a'), held('b')] });
  const peers = Array.from({ length: 100 }, () => greeted(here, who));
  const last = peers.at(-1)!;
  last.send({ type: codes.TYPE_OPEN, sequence: 5n, payload: json({ subject: 'x' }) });
  change(here);
  here.run();
  expect(last.told()).toEqual(['ERROR FORBIDDEN 0#5', 'GOODBYE']);
  expect(here.registry.streamCount).toBe(0);
});

test('a shard that has nothing else to do does not sleep before it has looked at all', () => {
  const here = harness({ connections: 10_000, credentials: [held('a'), held('b')] });
  here.run();
  let sleeps = 0;
  here.sys.onBlock = () => sleeps++;
  here.exchange([held('b')]);
  for (let seen = 0; seen < here.shared.slots; seen += 4096) here.turn(1);
  expect(sleeps).toBe(0);
  here.turn(1);
  expect(sleeps).toBe(1);
});

test('of very many connections some are ended in a turn, and the shard has its turns between', () => {
  const here = harness({ connections: 400, credentials: [held('a'), held('b')] });
  const peers = Array.from({ length: 200 }, () => greeted(here, key('a')));
  const bystander = greeted(here, key('b'));
  here.exchange([held('b')]);
  here.turn(1);
  const closing = () =>
    peers.filter((peer) => here.field(peer, layout.CONNECTION_FLAGS) & layout.FLAG_CLOSING).length;
  expect(closing()).toBe(64);
  here.turn(1);
  expect(closing()).toBe(128);
  expect(lives(bystander)).toBe(true);
  here.run();
  expect(peers.every((peer) => peer.told().join() === ENDED.join())).toBe(true);
  const [line] = here.logged.filter(({ type }) => type === 'log');
  expect(line).toMatchObject({ fields: { count: 200 } });
});
