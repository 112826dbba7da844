/** docs/PROTOCOL.md: its contract is what it was, and its worked example is replayed byte by byte. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { HexReader } from '../../src/cli/frame-input.js';
import { readVectors } from '../frame/support.js';
import { runCommand } from '../support/command.js';
import { harness, type Harness } from '../support/shard-harness.js';

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

/** Writes what the client says, and compares what comes with what the server is to say. */
function replay(h: Harness, frames: readonly Said[]): void {
  const peer = h.connect();
  peer.isReading = false;
  for (let i = 0; i < frames.length;) {
    const { bytes, what } = frames[i++]!;
    peer.write(bytes);
    h.run();
    const due: Buffer[] = [];
    while (frames[i]?.by === 'server') due.push(frames[i++]!.bytes);
    const found = Buffer.from(peer.fake.read(1_000_000)).toString('hex');
    expect(found, `the answer to ${what}`).toBe(Buffer.concat(due).toString('hex'));
  }
  peer.isReading = true;
}

test('a shard answers the client’s bytes with the server’s bytes', () => {
  replay(harness({ settings: { serverName: 'memorystreamer/0.1.0' } }), plain);
});

test('a shard proves itself and keys the connection, in the same bytes', () => {
  const given = vectors['hmac-sha256'];
  const secret = Buffer.from(given.secret, 'hex');
  const { nonce } = JSON.parse(given.challengePayload) as { nonce: string };
  const h = harness({
    settings: { serverName: 'memorystreamer/0.1.0' },
    auth: { isRequired: true },
    credentials: [{ keyId: given.keyId, method: 'hmac-sha256', secret }],
    random: () => Buffer.from(nonce, 'base64'),
  });
  replay(h, keyed.flat());
  expect(document).toContain(given.clientToServerKey);
  expect(document).toContain(given.serverToClientKey);
});

test('each block can be given to frame decode as it stands', async () => {
  for (const [, block] of rest.matchAll(/```hex\n([^`]*)```/g)) {
    const { code, stdout } = await runCommand(['frame', 'decode'], block);
    expect(code, stdout.toString()).toBe(0);
  }
});
