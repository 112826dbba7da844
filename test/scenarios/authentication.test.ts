// Keyed, authenticated and bound clients of the running broker, beside those that are none of it.
import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { connect } from '../../src/client/client.js';
import * as codes from '../../src/frame/codes.js';
import type { ClientCredential } from '../../src/frame/handshake.js';
import { errorName } from '../../src/frame/names.js';
import { endBrokers, startBroker, type Broker } from '../support/broker.js';
import { Bystander, undisturbed } from '../support/bystander.js';
import { runEntry } from '../cli/processes.js';
import {
  BOUND,
  Credentials,
  KEY,
  SECRET,
  TOKEN,
  TOKEN_CREDENTIAL,
} from '../support/credentials.js';
import { closePeers, encode, Peer } from '../support/peer.js';

let files: Credentials;
/** Takes anybody. */
let open: Broker;
/** Asks everybody. */
let closed: Broker;

beforeAll(async () => {
  files = new Credentials();
  open = await startBroker('--shards', '2', '--config', files.configuration({}));
  closed = await startBroker(
    ...['--shards', '2', '--log-level', 'debug', '--config'],
    files.configuration({ required: true }),
  );
});

afterEach(closePeers);

afterAll(async () => {
  await endBrokers();
  files.remove();
});

const payloadOf = (index: number, bytes: number): Buffer => {
  const payload = Buffer.alloc(bytes, index);
  payload.writeUInt32LE(index);
  return payload;
};

describe('one stream, keyed and plain on both sides', () => {
  it('brings everybody the same frames, byte for byte, whatever their sizes', async () => {
    const publishers = [await Peer.prove(open.port, KEY), await Peer.greet(open.port)];
    const subscribers = [
      await Peer.prove(open.port, KEY, { isKeyingRequired: true }),
      await Peer.greet(open.port),
      await Peer.prove(open.port, TOKEN_CREDENTIAL),
    ];
    for (const subscriber of subscribers) await subscriber.subscribe('mixed');
    const sizes = [4, 5, 8, 40, 128, 1000, 16_384, 65_495, 65_496];
    const streams = await Promise.all(publishers.map((peer) => peer.open('mixed')));
    const { stream } = streams[0]!;
    for (let round = 0; round < 30; round++) {
      for (const [index, publisher] of publishers.entries()) {
        const payloads = sizes.map((bytes, at) => payloadOf(1000 * round + 2 * at + index, bytes));
        publisher.publish(stream, round * sizes.length + 1, payloads);
      }
    }
    const total = 30 * sizes.length;
    for (const publisher of publishers) await publisher.ackedUpTo(stream, total);
    for (const subscriber of subscribers) {
      await subscriber.until(() => subscriber.book(stream).frames === 2 * total, 'all of it');
      expect(subscriber.faults).toEqual([]);
    }
    const digests = subscribers.map((peer) => peer.book(stream).digest.digest('hex'));
    expect(new Set(digests).size).toBe(1);
  });

  it('and late ones, a slow one, and one whose credit is small', async () => {
    const publisher = await Peer.prove(open.port, KEY);
    const { stream } = await publisher.open('late');
    const slow = await Peer.prove(open.port, KEY);
    await slow.subscribe('late');
    slow.socket.pause();
    for (let number = 1; number <= 3000; number += 100) {
      const payloads = Array.from({ length: 100 }, (_, index) => payloadOf(number + index, 3000));
      publisher.publish(stream, number, payloads);
      await publisher.ackedUpTo(stream, number + 99);
    }
    const late = await Peer.prove(open.port, KEY);
    await late.subscribe('late', { from: 'first', credit: 7 });
    await late.until(() => late.book(stream).frames === 7, 'its credit');
    const answered = late.ask(codes.TYPE_UNSUBSCRIBE, { subject: 'late' });
    expect((await answered).type).toBe(codes.TYPE_UNSUBSCRIBED);
    slow.socket.resume();
    const whole = () => slow.book(stream).frames + slow.book(stream).lost === 3000;
    await slow.until(whole, 'the end, or what it missed');
    expect([...slow.faults, ...late.faults]).toEqual([]);
  });
});

describe('a keyed connection whose frames are changed on the way', () => {
  const frames = (peer: Peer, stream: number) =>
    [1, 2, 3].map((number) =>
      peer.encode({
        type: codes.TYPE_DATA,
        flags: 1,
        stream,
        sequence: BigInt(number),
        payload: payloadOf(number, 100),
      }),
    );
  const flipped = (bytes: Buffer, at: number): Buffer => {
    const copy = Buffer.from(bytes);
    copy[at]! ^= 1;
    return copy;
  };

  it.each<[string, number, (all: Buffer[]) => Buffer[]]>([
    ['a bit of a payload', 1, ([a, b, c]) => [a!, flipped(b!, 60), c!]],
    ['a bit of a header', 1, ([a, b, c]) => [a!, flipped(b!, 16), c!]],
    ['a bit of a tag', 0, ([a, b, c]) => [flipped(a!, 33), b!, c!]],
    ['one dropped', 1, ([a, , c]) => [a!, c!]],
    ['one repeated', 2, ([a, b]) => [a!, b!, b!]],
    ['two exchanged', 1, ([a, b, c]) => [a!, c!, b!]],
    ['an unkeyed one between them', 1, ([a, b]) => [a!, encode({ type: codes.TYPE_PING }), b!]],
  ])('%s: BAD_TAG, and only what came before is delivered', async (what, good, change) => {
    const subject = `changed.${what.replaceAll(' ', '-')}`;
    const bystander = await Bystander.start(open.port, 'bystander');
    const [publisher, subscriber] = [await Peer.prove(open.port, KEY), await Peer.greet(open.port)];
    await subscriber.subscribe(subject);
    const { stream } = await publisher.open(subject);
    await publisher.write(Buffer.concat(change(frames(publisher, stream))));
    const error = await publisher.takeError();
    expect([errorName(error.code), error.sequence]).toEqual(['BAD_TAG', 0n]);
    await publisher.lost();
    // What another one publishes now stands right behind what was taken.
    const other = await Peer.greet(open.port);
    await other.open(subject);
    other.publish(stream, 1, [payloadOf(99, 4)]);
    await other.ackedUpTo(stream, 1);
    await subscriber.until(() => subscriber.book(stream).next === good + 2, 'what was good');
    expect(subscriber.book(stream).frames).toBe(good + 1);
    const account = await bystander.stop();
    expect(account).toEqual(undisturbed(account));
  });
});

describe('a broker that asks everybody', () => {
  it('ends whoever is too slow, though he never stops talking', async () => {
    const impatient = files.configuration({ required: true, handshakeTimeout: '500ms' });
    const broker = await startBroker('--shards', '1', '--config', impatient);
    const peer = await Peer.connect(broker.port);
    const timer = setInterval(() => peer.send({ type: codes.TYPE_PING, sequence: 1n }), 20);
    const error = await peer.takeError();
    clearInterval(timer);
    expect(errorName(error.code)).toBe('AUTH_REQUIRED');
    await peer.lost();
    await broker.stop();
  });

  it('tells nobody which of it was wrong', async () => {
    const answers = await Promise.all(
      [
        { ...KEY, secret: randomBytes(32) },
        { ...KEY, keyId: 'nobody' },
        { method: 'token', token: 'wrong-wrong-wrong-wrong' } as const,
      ].map(async (credential) =>
        Peer.prove(closed.port, credential).then(
          () => 'taken',
          (error: unknown) => (error as Error).message.replace(/sequence \d+/, ''),
        ),
      ),
    );
    expect(new Set(answers)).toEqual(
      new Set(['ERROR AUTH_FAILED stream 0  authentication failed']),
    );
  });

  it.each<[string, string, boolean]>([
    ['OPEN', 'orders.new.a', true],
    ['OPEN', 'orders.old', false],
    ['OPEN', 'orders.secret.a', false],
    ['OPEN', 'bills', false],
    ['SUBSCRIBE', 'bills', true],
    ['SUBSCRIBE', '>', true],
    ['SUBSCRIBE', 'orders.secret.a', false],
    ['SUBSCRIBE', 'orders.secret.>', false],
  ])('%s %s by one who is bound: %s', async (name, subject, isTaken) => {
    const peer = await Peer.prove(closed.port, BOUND);
    const type = name === 'OPEN' ? codes.TYPE_OPEN : codes.TYPE_SUBSCRIBE;
    const answer = await peer.ask(type, { subject });
    if (isTaken) expect(answer.type).not.toBe(codes.TYPE_ERROR);
    else expect(errorName(answer.code)).toBe('FORBIDDEN');
    await peer.leave();
  });

  it('gives a wildcard nothing of what is denied, also when it is born later', async () => {
    const [bound, all] = [await Peer.prove(closed.port, BOUND), await Peer.prove(closed.port, KEY)];
    await bound.subscribe('orders.>');
    const secret = await all.open('orders.secret.born');
    const known = await all.open('orders.known');
    all.publish(secret.stream, 1, [payloadOf(1, 10)]);
    all.publish(known.stream, 1, [payloadOf(1, 10)]);
    await bound.until(() => bound.book(known.stream).frames === 1, 'what it may have');
    expect([...bound.streams.keys()]).toEqual([known.stream]);
  });

  it('lets nobody in from where too many have failed, for a while, and keeps who is in', async () => {
    const auth = { required: true, attemptsPerMinute: 60 };
    const guarded = await startBroker('--shards', '1', '--config', files.configuration(auth));
    const inside = await Peer.prove(guarded.port, KEY);
    const { stream } = await inside.open('inside');
    const wrong = { ...KEY, secret: randomBytes(32) };
    const knock = async (credential: ClientCredential): Promise<string> =>
      Peer.prove(guarded.port, credential).then(
        () => 'taken',
        (error: unknown) => (error as Error).message,
      );
    /** Whatever he says. */
    const isBarred = async (): Promise<boolean> => {
      const peer = await Peer.connect(guarded.port);
      peer.send({ type: codes.TYPE_GOODBYE });
      const frame = await peer.take(() => true, 'what it is told');
      if (frame.type === codes.TYPE_ERROR) expect(errorName(frame.code)).toBe('AUTH_FAILED');
      return frame.type === codes.TYPE_ERROR;
    };
    for (let tries = 0; !(await isBarred()); tries++) {
      expect(tries, 'failures until the address is barred').toBeLessThan(1000);
      expect(await knock(wrong)).toContain('AUTH_FAILED');
    }
    inside.publish(stream, 1, [Buffer.from('still here')]);
    await inside.ackedUpTo(stream, 1);
    await guarded.logged('too many failures from this address');
    // One failure is forgiven each second.
    await vi.waitUntil(async () => (await knock(KEY)) === 'taken', { timeout: 20_000 });
  });

  it('is spoken to by the client library', async () => {
    const auth = { keyId: 'all', secret: SECRET };
    const client = await connect(closed.url, { auth, integrity: 'siphash-2-4', reconnect: false });
    const subscription = client.subscribe('library');
    await subscription.ready;
    const payload = randomBytes(10_000);
    for (let i = 0; i < 50; i++) await client.publish('library', payload, { ack: i % 10 === 0 });
    let count = 0;
    for await (const message of subscription) {
      expect(Buffer.from(message.payload).equals(payload)).toBe(true);
      if (++count === 50) break;
    }
    await client.drain();
    const byToken = await connect(closed.url, { auth: { token: TOKEN }, reconnect: false });
    await byToken.publish('library', 'x', { ack: true });
    await byToken.close();
    const refused = connect(closed.url, { reconnect: false });
    await expect(refused).rejects.toMatchObject({ protocolCode: 'AUTH_REQUIRED' });
  });

  it('is spoken to by the commands, whose secrets come from files', () => {
    const url = ['--url', closed.url];
    const key = ['--key-id', 'all', '--secret-file', files.path('all.secret')];
    const run = (...argv: string[]) => runEntry([...argv, ...url]);
    expect(run('ping', ...key, '--integrity', 'siphash-2-4').code).toBe(0);
    expect(run('pub', 'commands', '--size', '9', '--count', '20', ...key).code).toBe(0);
    const read = run(
      'sub',
      'commands',
      '--from',
      'first',
      '--count',
      '20',
      '--token-file',
      files.path('token'),
    );
    expect([read.code, read.stdout.split('\n').length]).toEqual([0, 21]);
    expect(run('ping').code).toBe(5);
    expect(run('ping', '--key-id', 'all', '--secret-file', files.path('bound.secret')).code).toBe(
      5,
    );
    expect(run('ping', '--key-id', 'all').code).toBe(2);
    expect(
      run('ping', '--token-file', files.path('token'), '--integrity', 'siphash-2-4').code,
    ).toBe(2);
  });

  it('has told nobody a secret', () => {
    const told = JSON.stringify([closed.logs, closed.complaints, closed.output]);
    expect(closed.logs.length).toBeGreaterThan(0);
    for (const secret of [SECRET, TOKEN]) {
      expect(told).not.toContain(secret);
      expect(told).not.toContain(Buffer.from(secret).toString('base64').slice(0, 20));
    }
  });
});
