// Every error code of the protocol, provoked from outside of the broker's process: who is told what, what becomes
// of the connection, what the log says; and that nobody else notices.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import * as codes from '../../src/frame/codes.js';
import { PAYLOAD_BYTES_MAX } from '../../src/frame/layout.js';
import { errorName, isFatal, PROTOCOL_ERRORS } from '../../src/frame/names.js';
import { planArea } from '../../src/shards/area.js';
import { POOL_LARGE_STASHES, POOL_RECEIVE_BLOCKS } from '../../src/shards/layout.js';
import { endBrokers, startBroker, type Broker } from '../support/broker.js';
import { Bystander, undisturbed } from '../support/bystander.js';
import { BOUND, Credentials, KEY } from '../support/credentials.js';
import { closePeers, encode, json, Peer, type Frame } from '../support/peer.js';

let files: Credentials;
let broker: Broker;
let bystander: Bystander;

beforeAll(async () => {
  files = new Credentials();
  broker = await startBroker(
    ...['--shards', '2', '--log-level', 'debug', '--limits-publications', '2'],
    ...['--heartbeat-interval', '3s', '--config', files.configuration({})],
  );
  bystander = await Bystander.start(broker.port, 'bystander');
});

afterAll(async () => {
  closePeers();
  await endBrokers();
  files.remove();
});

const DATA = { type: codes.TYPE_DATA, stream: 1, sequence: 7n, payload: Buffer.from('payload') };

function changed(bytes: Buffer, change: (bytes: Buffer) => void): Buffer {
  const copy = Buffer.from(bytes);
  change(copy);
  return copy;
}

async function plain(bytes: Uint8Array): Promise<Peer> {
  const peer = await Peer.connect(broker.port);
  await peer.write(bytes);
  return peer;
}

const request = (type: number, payload: object): Buffer =>
  encode({ type, sequence: 7n, payload: json(payload) });

const hello = { versions: [1], auth: { method: 'hmac-sha256', keyId: 'all' } };
const nonce = (): string => randomBytes(32).toString('base64');

async function challenged(): Promise<Peer> {
  const auth = { ...hello.auth, nonce: nonce() };
  const peer = await plain(request(codes.TYPE_HELLO, { ...hello, auth }));
  await peer.takeType(codes.TYPE_CHALLENGE);
  return peer;
}

/** By code: what provokes it. Those that need a broker of their own are below. */
const PROVOCATIONS = new Map<number, () => Promise<Peer>>([
  [codes.CODE_BAD_MAGIC, () => plain(Buffer.from('GET / HTTP/1.1\r\n\r\n'))],
  [codes.CODE_UNSUPPORTED_VERSION, () => plain(request(codes.TYPE_HELLO, { versions: [9] }))],
  [codes.CODE_UNKNOWN_TYPE, () => plain(encode({ type: 0x3f, sequence: 7n }))],
  [
    codes.CODE_FRAME_TOO_LARGE,
    () => plain(changed(encode(DATA), (bytes) => bytes.writeUInt32LE(PAYLOAD_BYTES_MAX + 1, 12))),
  ],
  [codes.CODE_HEADER_CORRUPT, () => plain(changed(encode(DATA), (bytes) => (bytes[16]! ^= 1)))],
  [
    codes.CODE_PAYLOAD_CORRUPT,
    () => plain(changed(encode({ ...DATA, type: codes.TYPE_PING }), (bytes) => (bytes[40]! ^= 1))),
  ],
  [
    codes.CODE_BAD_TAG,
    async () => {
      const peer = await Peer.prove(broker.port, KEY);
      await peer.write(changed(peer.encode(DATA), (bytes) => (bytes[40]! ^= 1)));
      return peer;
    },
  ],
  [codes.CODE_UNEXPECTED, () => plain(encode({ ...DATA, stream: 0 }))],
  [codes.CODE_MALFORMED, () => plain(request(codes.TYPE_OPEN, []))],
  [codes.CODE_UNKNOWN_STREAM, () => plain(encode({ ...DATA, stream: 60_000 }))],
  [codes.CODE_BAD_SUBJECT, () => plain(request(codes.TYPE_OPEN, { subject: 'a..b' }))],
  [
    codes.CODE_AUTH_REQUIRED,
    async () => {
      const peer = await challenged();
      await peer.write(request(codes.TYPE_OPEN, { subject: 'a' }));
      return peer;
    },
  ],
  [
    codes.CODE_AUTH_FAILED,
    async () => {
      const peer = await challenged();
      await peer.write(request(codes.TYPE_PROOF, { proof: nonce() }));
      return peer;
    },
  ],
  [
    codes.CODE_FORBIDDEN,
    async () => {
      const peer = await Peer.prove(broker.port, BOUND);
      const payload = json({ subject: 'bills' });
      await peer.write(peer.encode({ type: codes.TYPE_OPEN, sequence: 7n, payload }));
      return peer;
    },
  ],
  [
    codes.CODE_LIMIT_EXCEEDED,
    async () => {
      const peer = await Peer.connect(broker.port);
      await peer.open('limit.1');
      await peer.open('limit.2');
      await peer.write(request(codes.TYPE_OPEN, { subject: 'limit.3' }));
      return peer;
    },
  ],
  [
    codes.CODE_ALREADY_SUBSCRIBED,
    async () => {
      const peer = await Peer.connect(broker.port);
      await peer.subscribe('twice');
      await peer.write(request(codes.TYPE_SUBSCRIBE, { subject: 'twice' }));
      return peer;
    },
  ],
  [codes.CODE_IDLE_TIMEOUT, () => Peer.connect(broker.port, { answersPing: false })],
  [
    codes.CODE_SLOW_CONSUMER,
    async () => {
      const peer = await Peer.connect(broker.port);
      peer.socket.pause();
      const pings = encode(
        ...Array.from({ length: 500 }, () => ({
          type: codes.TYPE_PING,
          sequence: 7n,
          payload: Buffer.alloc(64),
        })),
      );
      const isTold = (): boolean =>
        broker.logs.some(({ code }) => code === errorName(codes.CODE_SLOW_CONSUMER));
      // Piece by piece, so that this process has time for its other clients.
      const pump = (): void => {
        if (peer.socket.writable && !isTold()) peer.socket.write(pings, () => setImmediate(pump));
      };
      pump();
      await broker.until(isTold, 'the log tells of it');
      peer.socket.resume();
      return peer;
    },
  ],
]);

/** Those of the connection as such, or of a frame whose header cannot be trusted, quote nothing. */
const QUOTES_NOTHING = new Set([
  codes.CODE_BAD_MAGIC,
  codes.CODE_FRAME_TOO_LARGE,
  codes.CODE_HEADER_CORRUPT,
  codes.CODE_BAD_TAG,
  codes.CODE_IDLE_TIMEOUT,
  codes.CODE_SLOW_CONSUMER,
]);

async function judge(peer: Peer, error: Frame): Promise<void> {
  expect(error.payload.length).toBeGreaterThan(10);
  expect(error.sequence).toBe(QUOTES_NOTHING.has(error.code) ? 0n : 7n);
  if (isFatal(error.code)) {
    // The ERROR is the last frame, and the end is an orderly one: no reset has swallowed it.
    await peer.until(() => peer.isEnded, 'the end after a fatal error');
    peer.end();
    await peer.closed();
    expect(peer.error).toBeUndefined();
    const isAnswer = ({ type }: Frame): boolean => type === codes.TYPE_PONG;
    expect(peer.frames.filter((frame) => !isAnswer(frame))).toEqual([]);
  } else {
    peer.send({ type: codes.TYPE_PING, sequence: 99n });
    expect((await peer.takeType(codes.TYPE_PONG)).sequence).toBe(99n);
  }
}

describe('each code', () => {
  it.each([...PROVOCATIONS.keys()].map((code) => ({ name: errorName(code), code })))(
    '$name',
    async ({ name, code }) => {
      const peer = await PROVOCATIONS.get(code)!();
      const error = await peer.takeError();
      expect(errorName(error.code)).toBe(name);
      await judge(peer, error);
      const isLogged = (): boolean => broker.logs.some((line) => line['code'] === name);
      await broker.until(isLogged, `${name} in the log`);
    },
  );

  it('SERVER_FULL', async () => {
    const full = await startBroker('--shards', '1', '--limits-connections', '2');
    const inside = await Bystander.start(full.port, 'bystander');
    const peer = await Peer.connect(full.port);
    expect(errorName((await peer.takeError()).code)).toBe('SERVER_FULL');
    await peer.lost();
    const account = await inside.stop();
    expect(account).toEqual(undisturbed(account));
  });

  it('SHUTTING_DOWN', async () => {
    const patience = ['--shutdown-grace', '10m', '--slow-consumer-timeout', '10m'];
    const ending = await startBroker('--shards', '1', ...patience);
    const [late, filler] = [await Peer.connect(ending.port), await Peer.connect(ending.port)];
    const { stream } = await late.open('much');
    await late.subscribe('much');
    // What it has still to get, and takes nothing of yet, keeps its connection open.
    late.socket.pause();
    await filler.open('much');
    const payloads = Array.from({ length: 1000 }, () => Buffer.alloc(60_000));
    filler.publish(stream, 1, payloads);
    await filler.ackedUpTo(stream, 1000);
    // The one that came last is the last to be said GOODBYE.
    const last = await Peer.connect(ending.port);
    ending.signal('SIGTERM');
    await last.takeType(codes.TYPE_GOODBYE);
    late.publish(stream, 7, [Buffer.from('late')]);
    late.socket.resume();
    const error = await late.takeError();
    expect(errorName(error.code)).toBe('SHUTTING_DOWN');
    expect(error.sequence).toBe(7n);
    await late.lost();
    expect(late.book(stream).frames).toBe(1000);
  });

  it('INTERNAL', async () => {
    const arenaBytes = 16 * 1024 * 1024;
    const args = ['--shards', '1', '--memory-arena', `${arenaBytes}`];
    args.push('--streams-default-retention-bytes', '65536', '--slow-consumer-timeout', '10m');
    const small = await startBroker(...args);
    const inside = await Bystander.start(small.port, 'bystander');
    const plan = planArea({ arenaBytes, shards: 1, connections: 1, streams: 1 });
    const rowsOf = (pool: number): number => plan.poolRows[pool]!;
    // A log that is full for as long as its reader has no credit.
    const reader = await Peer.connect(small.port);
    await reader.subscribe('full', { credit: 0 });
    const filler = await Peer.connect(small.port);
    const { stream } = await filler.open('full');
    const payloads = Array.from({ length: 20 }, () => Buffer.alloc(4000));
    filler.publish(stream, 1, payloads);
    await filler.ackedUpTo(stream, 10);
    /** One that has sent so many bytes of a frame, and whose bytes are in a stash by now. */
    const halfway = async (payloadBytes: number, sentBytes: number): Promise<[Peer, Buffer]> => {
      const peer = await Peer.connect(small.port);
      await peer.open('full');
      const whole = encode({ ...DATA, stream, payload: Buffer.alloc(payloadBytes) });
      const asked = encode({ type: codes.TYPE_PING, sequence: 99n });
      await peer.write(Buffer.concat([asked, whole.subarray(0, sentBytes)]));
      await peer.takeType(codes.TYPE_PONG);
      return [peer, whole.subarray(sentBytes)];
    };
    // Their beginnings are in small stashes, and then all large ones are taken by others.
    const many = rowsOf(POOL_RECEIVE_BLOCKS) + 2;
    const halves: [Peer, Buffer][] = [];
    for (let i = 0; i < many; i++) halves.push(await halfway(2000, 500));
    const greedy: [Peer, Buffer][] = [];
    for (let i = rowsOf(POOL_LARGE_STASHES); i > 0; i--) greedy.push(await halfway(9000, 2000));
    // Complete, they are frames that the log does not take: each has a whole block to wait in, and the last have none.
    for (const [peer, rest] of halves) await peer.write(rest);
    const told = ([peer]: [Peer, Buffer]): boolean => peer.seen.has(codes.TYPE_ERROR);
    const isTold = () => halves.some(told);
    await Promise.race(halves.map(([peer]) => peer.until(isTold, 'the first who finds no room')));
    const [unlucky] = halves.find(told)!;
    const error = await unlucky.takeError();
    expect(errorName(error.code)).toBe('INTERNAL');
    expect(error.payload.toString()).toBe('no memory is left to receive into');
    await unlucky.until(() => unlucky.isEnded, 'the end after a fatal error');
    await small.until(() => small.logs.some(({ code }) => code === 'INTERNAL'), 'the log');
    const line = small.logs.find(({ code }) => code === 'INTERNAL')!;
    expect(line).toMatchObject({ level: 50, reason: 'no memory is left to receive into' });
    for (const peer of [reader, filler, ...[...halves, ...greedy].map(([one]) => one)])
      peer.destroy();
    const account = await inside.stop();
    expect(account).toEqual(undisturbed(account));
  });

  it('and there is no other', () => {
    const here = [codes.CODE_SERVER_FULL, codes.CODE_SHUTTING_DOWN, codes.CODE_INTERNAL];
    const all = PROTOCOL_ERRORS.map(({ code }) => code);
    expect(new Set([...PROVOCATIONS.keys(), ...here])).toEqual(new Set(all));
  });
});

describe('the counts', () => {
  it('of each shard tell how often each code was sent', async () => {
    const counted = await startBroker('--shards', '2');
    const wanted = [
      ...Array<number>(7).fill(codes.CODE_BAD_SUBJECT),
      ...Array<number>(3).fill(codes.CODE_MALFORMED),
      codes.CODE_BAD_MAGIC,
    ];
    const peers = await Promise.all([0, 1].map(async () => Peer.connect(counted.port)));
    for (const [i, code] of wanted.entries()) {
      const peer = peers[i % 2]!;
      const payload = code === codes.CODE_MALFORMED ? [] : { subject: 'a..b' };
      const isNoFrame = code === codes.CODE_BAD_MAGIC;
      await peer.write(isNoFrame ? Buffer.alloc(40) : request(codes.TYPE_OPEN, payload));
      expect(errorName((await peer.takeError()).code)).toBe(errorName(code));
    }
    counted.signal('SIGUSR2');
    await counted.logged('histograms', 2);
    const sum = new Map<string, number>();
    for (const { errors } of counted.linesWith('histograms')) {
      for (const [name, count] of Object.entries(errors as Record<string, number>)) {
        sum.set(name, (sum.get(name) ?? 0) + count);
      }
    }
    expect(Object.fromEntries(sum)).toEqual({ BAD_SUBJECT: 7, MALFORMED: 3, BAD_MAGIC: 1 });
  });
});

describe('the log', () => {
  it('has a line a second for a code at most, and each says how many it stands for', async () => {
    const before = () => broker.logs.filter(({ code }) => code === 'BAD_SUBJECT');
    const counted = (): number => before().reduce((sum, { count }) => sum + Number(count), 0);
    const first = counted();
    const peer = await Peer.connect(broker.port);
    const many = 300;
    for (let i = 0; i < many; i++) {
      await peer.write(request(codes.TYPE_OPEN, { subject: '.' }));
      await peer.takeError();
    }
    await broker.until(() => counted() === first + many, 'all of them');
    expect(before().length).toBeLessThan(20);
    await peer.leave();
  });
});

it('nobody else has noticed', async () => {
  const account = await bystander.stop();
  expect(account).toEqual(undisturbed(account));
  expect(account.published).toBeGreaterThan(0);
  expect(broker.complaints).toEqual([]);
});
