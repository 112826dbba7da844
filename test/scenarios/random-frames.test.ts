// A hundred thousand frames that nobody would send: the broker answers, or ends the connection, and goes on.
import { afterEach, expect, it } from 'vitest';
import type { FrameFields } from '../../src/frame/codec.js';
import * as codes from '../../src/frame/codes.js';
import { isFatal } from '../../src/frame/names.js';
import { Bystander, undisturbed } from '../support/bystander.js';
import { endBrokers, startBroker } from '../support/broker.js';
import { settledFds } from '../support/fds.js';
import { closePeers, encode, Peer } from '../support/peer.js';
import { chooseSeed, Random } from '../support/random.js';

afterEach(async () => {
  closePeers();
  await endBrokers();
});

const FRAMES = 100_000;
const FRAMES_PER_CONNECTION = 100;
const AT_ONCE = 8;
const ARENA_MIB = 128;
/** What the heaps of all threads may take besides. */
const HEAP_MIB = 192;

const SUBJECTS = ['fuzz.a', 'fuzz.b', 'fuzz.c.d', 'fuzz.é', `fuzz.${'x'.repeat(250)}`];
const PATTERNS = [...SUBJECTS, 'fuzz.*', 'fuzz.>', '>', '*.*', 'fuzz.>.a', 'fuzz..', '*', ''];
const FROMS = [
  ...['"new"', '"first"', '"last"', '"never"', '7', 'null', '{}', '{"sequence":3}'],
  ...['{"sequence":"99999999999999999999"}', '{"sequence":2,"epoch":1}', '{"last":2}'],
  ...['{"last":18446744073709551615}', '{"time":"0"}', '{"time":"18446744073709551615"}'],
];
const NUMBERS = ['0', '1', '5', '1000', '-1', '1.5', '1e400', '"18446744073709551615"', '"x"'];
const SEQUENCES = [0n, 1n, 2n, 1000n, 2n ** 32n, 2n ** 63n, 2n ** 64n - 1n];

const subject = (text: string): string => `"subject":${JSON.stringify(text)}`;

/** Text that is what it should be, or nearly. */
function requestText(random: Random, type: number): string {
  const other = `"${'y'.repeat(random.below(40))}":${random.one(NUMBERS)}`;
  if (type === codes.TYPE_OPEN) {
    const name = random.below(4) === 0 ? `fuzz.${random.below(500)}` : random.one(SUBJECTS);
    return `{${subject(name)},${other}}`;
  }
  if (type === codes.TYPE_SUBSCRIBE) {
    const credit = random.below(3) === 0 ? `,"credit":${random.one(NUMBERS)}` : '';
    return `{${subject(random.one(PATTERNS))},"from":${random.one(FROMS)}${credit}}`;
  }
  return `{${subject(random.one(PATTERNS))}}`;
}

function request(random: Random): FrameFields {
  const { TYPE_OPEN, TYPE_SUBSCRIBE, TYPE_UNSUBSCRIBE, TYPE_CREDIT } = codes;
  const type = random.one([TYPE_OPEN, TYPE_SUBSCRIBE, TYPE_UNSUBSCRIBE, TYPE_CREDIT]);
  const payload = Buffer.from(requestText(random, type));
  if (random.below(5) === 0) payload[random.below(payload.length)] = random.below(256);
  return { type, sequence: random.one(SEQUENCES), payload };
}

function data(random: Random): FrameFields {
  const bytes = random.below(50) === 0 ? 65_496 - random.below(9) : random.below(600);
  return {
    type: codes.TYPE_DATA,
    // Stream 1 is the bystander's: it is never opened here.
    stream: 1 + random.below(20),
    flags: random.one([0, 1, 1, 1, 2, 0x7fff]),
    sequence: random.below(3) === 0 ? random.one(SEQUENCES) : BigInt(random.below(1_000_000)),
    timestamp: random.one(SEQUENCES),
    payload: Buffer.alloc(bytes, random.below(256)),
  };
}

/** A frame that must not end its connection. */
function harmless(random: Random): Buffer {
  const kind = random.below(10);
  if (kind < 3) return encode(request(random));
  if (kind < 4) {
    const type = random.one([codes.TYPE_PING, codes.TYPE_PONG, codes.TYPE_ACK]);
    const payload = random.bytes(random.below(80));
    return encode({ type, sequence: random.one(SEQUENCES), stream: random.below(9), payload });
  }
  const frame = encode(data(random));
  // The payload is changed on the way: that frame is dropped, nothing else.
  if (kind === 9 && frame.length > 48) frame[40 + random.below(frame.length - 48)]! ^= 0x55;
  return frame;
}

/** Bytes that can only end their connection. */
function fatal(random: Random): Buffer {
  const kind = random.below(5);
  if (kind === 0) return Buffer.concat([Buffer.from('X'), random.bytes(39 + random.below(500))]);
  if (kind === 1) return encode({ type: codes.TYPE_DATA, stream: 0, payload: Buffer.from('x') });
  if (kind === 2) return encode({ type: random.one([2, 3, 4, 7, 0x11, 0x17, 0x22, 0x7f, 0xff]) });
  const frame = encode(random.below(2) === 0 ? request(random) : data(random));
  const bit = random.below(40 * 8);
  frame[bit >> 3]! ^= 1 << (bit & 7);
  return frame;
}

/** In pieces of any length, so that frames end anywhere. */
async function sendInPieces(random: Random, peer: Peer, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length && !peer.isEnded && !peer.isClosed;) {
    const end = Math.min(bytes.length, at + 1 + random.below(random.one([50, 3000, 200_000])));
    peer.socket.write(bytes.subarray(at, end));
    await peer.drained();
    at = end;
  }
}

const fatalErrors = (peer: Peer): number =>
  peer.frames.filter(({ type, code }) => type === codes.TYPE_ERROR && isFatal(code)).length;

async function molest(random: Random, port: number): Promise<string[]> {
  const peer = await Peer.connect(port);
  const frames = Array.from({ length: FRAMES_PER_CONNECTION - 1 }, () => harmless(random));
  const isFatalAtEnd = random.below(3) > 0;
  frames.push(isFatalAtEnd ? fatal(random) : harmless(random));
  await sendInPieces(random, peer, Buffer.concat(frames));
  if (isFatalAtEnd) {
    await peer.lost();
    if (fatalErrors(peer) !== 1) peer.faults.push(`${fatalErrors(peer)} fatal errors, not one`);
    peer.end();
  } else if (random.below(2) === 0) {
    peer.send({ type: codes.TYPE_GOODBYE });
    await peer.lost();
    if (peer.seen.get(codes.TYPE_GOODBYE) !== 1) peer.faults.push('no GOODBYE');
    if (fatalErrors(peer) > 0) peer.faults.push('a fatal error for harmless frames');
    peer.end();
  } else {
    peer.socket.resetAndDestroy();
  }
  await peer.closed();
  return peer.faults;
}

it(
  '100,000 random frames: no crash, nothing leaked, and nobody else disturbed',
  { timeout: 90_000 },
  async () => {
    const seed = chooseSeed();
    console.log(`random frames: SCENARIO_SEED=${seed}`);
    const broker = await startBroker(
      ...['--shards', '2', '--memory-arena', `${ARENA_MIB}MiB`, '--limits-streams', '200'],
      ...['--streams-default-retention-bytes', '256KiB', '--slow-consumer-timeout', '100ms'],
    );
    const bystander = await Bystander.start(broker.port, 'bystander');
    const warm = await Peer.greet(broker.port);
    await warm.leave();
    const fds = broker.fdCount;
    const residentMib = broker.residentMib;

    const connections = FRAMES / FRAMES_PER_CONNECTION;
    const faults: string[] = [];
    let begun = 0;
    const work = async (): Promise<void> => {
      while (begun < connections) {
        const number = begun++;
        const found = await molest(new Random(seed + number), broker.port);
        faults.push(...found.map((fault) => `connection ${number} of seed ${seed}: ${fault}`));
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    expect(faults).toEqual([]);
    expect(broker.linesWith('shard lost')).toEqual([]);
    expect(broker.complaints).toEqual([]);

    expect(await settledFds(broker, fds)).toBeLessThanOrEqual(fds);
    expect(broker.residentMib - residentMib).toBeLessThan(ARENA_MIB + HEAP_MIB);
    const account = await bystander.stop();
    expect(account).toEqual(undisturbed(account));
    await broker.stop();
  },
);
