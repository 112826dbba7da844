/** docs/PROTOCOL.md: its contract is what it was, and its worked example is replayed byte by byte. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { HexReader } from '../../src/cli/frame-input.js';
import { FrameDecoder, FrameEncoder } from '../../src/frame/codec.js';
import { FrameKernel, FrameKey } from '../../src/frame/frame-kernel.js';
import {
  answerHello,
  directionKeysOf,
  proofFits,
  proofOf,
  readProof,
} from '../../src/frame/handshake.js';
import { TYPES_FROM_CLIENT, TYPES_FROM_SERVER } from '../../src/frame/names.js';
import { decodeAll, readVectors, type Decoded } from '../frame/support.js';
import { runCommand } from '../support/command.js';
import { harness } from '../support/shard-harness.js';

const ROOT = join(import.meta.dirname, '..', '..');
const document = readFileSync(join(ROOT, 'docs', 'PROTOCOL.md'), 'utf8');
const [contract = '', rest = ''] = document.split('\nWhat stands above is the contract;');
const vectors = readVectors();

interface Said {
  readonly by: 'client' | 'server';
  readonly what: string;
  readonly bytes: Buffer;
}

/** The frames of a block: each begins with a remark that names who sent it. */
function saidIn(block: string): Said[] {
  return block.split(/^(?=# (?:client|server): )/m).map((part) => {
    const [, by, what] = /^# (client|server): (.*)\n/.exec(part)!;
    return {
      by: by as Said['by'],
      what: what!,
      bytes: Buffer.from(new HexReader(undefined).take(Buffer.from(part))),
    };
  });
}

const blocks = [...rest.matchAll(/```hex\n([^`]*)```/g)].map(([, block]) => saidIn(block!));
const [plain, keyed] = [blocks.slice(0, 3).flat(), blocks.slice(3)];

test('the contract’s text is unchanged', () => {
  const hash = createHash('sha256').update(contract).digest('hex');
  expect(hash).toBe('ef95fae08804181f7fc4a7f4564ae5ec023a31065ff3ec5a031cf9cb47520f79');
});

test('there is an example of each step', () => {
  expect(plain.map(({ what }) => what.split(/[ ,]/)[0])).toEqual([
    'HELLO',
    'WELCOME',
    'OPEN',
    'OPENED',
    'SUBSCRIBE',
    'SUBSCRIBED',
    'DATA',
    'ACK',
    'DATA',
  ]);
  expect(keyed.map((block) => block.map(({ what }) => what.split(/[ ,]/)[0]))).toEqual([
    ['HELLO', 'CHALLENGE', 'PROOF', 'WELCOME'],
    ['OPEN', 'OPENED', 'DATA', 'ACK'],
  ]);
});

test('a shard answers the client’s bytes with the server’s bytes', () => {
  const h = harness({ settings: { serverName: 'memorystreamer/0.1.0' } });
  const peer = h.connect();
  peer.isReading = false;
  for (let i = 0; i < plain.length;) {
    peer.write(plain[i++]!.bytes);
    h.run();
    const due: Buffer[] = [];
    while (plain[i]?.by === 'server') due.push(plain[i++]!.bytes);
    const found = Buffer.from(peer.fake.read(1_000_000)).toString('hex');
    expect(found, plain[i - 1]!.what).toBe(Buffer.concat(due).toString('hex'));
  }
  peer.isReading = true;
});

describe('the keyed exchange', () => {
  const secret = Buffer.from(vectors['hmac-sha256'].secret, 'hex');
  const payloads = keyed[0]!.map(({ bytes }) => bytes.subarray(40, 40 + bytes.readUInt32LE(12)));
  const [hello, challenge, proof, welcome] = payloads as [Buffer, Buffer, Buffer, Buffer];
  const nonce = (JSON.parse(challenge.toString()) as { nonce: string }).nonce;
  const policy = { versions: [1], isAuthenticationRequired: true, isKeyingRequired: false };
  const answer = answerHello(hello, policy, () => Buffer.from(nonce, 'base64'));
  if (answer.kind !== 'challenge') throw new Error(`a challenge was due, not ${answer.kind}`);
  const keys = directionKeysOf(secret, answer.transcript);

  test('HELLO gets that CHALLENGE, and both proofs are right', () => {
    expect(Buffer.from(answer.payload).toString()).toBe(challenge.toString());
    expect(proofFits('client', secret, answer.transcript, readProof(proof)!)).toBe(true);
    const due = Buffer.from(proofOf('server', secret, answer.transcript)).toString('base64');
    expect((JSON.parse(welcome.toString()) as { proof: string }).proof).toBe(due);
    expect(document).toContain(Buffer.from(keys.clientToServer).toString('hex'));
    expect(document).toContain(Buffer.from(keys.serverToClient).toString('hex'));
  });

  test.each(['client', 'server'] as const)(
    'the frames of the %s bear the tags that are due, in order',
    (side) => {
      const wire = Buffer.concat(
        keyed[1]!.filter(({ by }) => by === side).map(({ bytes }) => bytes),
      );
      const secretOfSide = side === 'client' ? keys.clientToServer : keys.serverToClient;
      const capacity = 2 * 65536;
      const kernel = new FrameKernel(
        FrameDecoder.areaBytes(capacity) + capacity + 2 * FrameKey.areaBytes,
      );
      const [receiving, sending] = [new FrameKey(kernel), new FrameKey(kernel)];
      const types = side === 'client' ? TYPES_FROM_CLIENT : TYPES_FROM_SERVER;
      const decoder = new FrameDecoder(kernel, types, capacity, receiving);
      const encoder = new FrameEncoder(kernel, capacity, sending);
      receiving.set(secretOfSide);
      sending.set(secretOfSide);
      const frames: Decoded[] = decodeAll(decoder, [wire]);
      expect([frames.length, decoder.fault === 0]).toEqual([2, true]);
      for (const frame of frames)
        encoder.put({ ...frame, payload: Buffer.from(frame.payload, 'hex') });
      expect(encoder.view().toString('hex')).toBe(wire.toString('hex'));
    },
  );
});

test('each block can be given to frame decode as it stands', async () => {
  for (const [, block] of rest.matchAll(/```hex\n([^`]*)```/g)) {
    const { code, stdout } = await runCommand(['frame', 'decode'], block);
    expect(code, stdout.toString()).toBe(0);
  }
});
