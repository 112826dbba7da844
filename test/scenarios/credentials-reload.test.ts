// Secrets are rotated and credentials come and go while the broker runs; whoever is not meant notices nothing.
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connect } from '../../src/client/client.js';
import * as codes from '../../src/frame/codes.js';
import type { ClientCredential } from '../../src/frame/handshake.js';
import { errorName } from '../../src/frame/names.js';
import { Bystander, undisturbed } from '../support/bystander.js';
import { endBrokers, startBroker, type Broker, type LogLine } from '../support/broker.js';
import { closePeers, Peer } from '../support/peer.js';
import { Watched } from '../support/watched.js';

const SHARDS = 2;
const secretOf = (name: string) => `the secret of ${name}, thirty-two`;
const key = (keyId: string, secret = secretOf(keyId)): ClientCredential => ({
  method: 'hmac-sha256',
  keyId,
  secret: Buffer.from(secret),
});

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'credentials-'));
  for (const name of ['a', 'b']) secret(name);
});

afterEach(async () => {
  closePeers();
  await endBrokers();
  rmSync(folder, { recursive: true });
});

/** As a careful writer does it. */
function write(name: string, text: string, mode = 0o600): void {
  const path = join(folder, name);
  writeFileSync(`${path}.new`, text);
  chmodSync(`${path}.new`, mode);
  renameSync(`${path}.new`, path);
}

function secret(name: string, text = secretOf(name), mode = 0o600): void {
  write(`${name}.secret`, text, mode);
}

interface Item {
  readonly keyId: string;
  readonly [field: string]: unknown;
}

function configure(auth: object | undefined, ...items: readonly (string | Item)[]): void {
  const credentials = items.map((item) => {
    const own = typeof item === 'string' ? { keyId: item } : item;
    return { method: 'hmac-sha256', secretFile: `${own.keyId}.secret`, ...own };
  });
  write('broker.json', JSON.stringify({ ...(auth && { auth }), credentials }));
}

function start(...flags: string[]): Promise<Broker> {
  const file = join(folder, 'broker.json');
  return startBroker('--shards', `${SHARDS}`, '--config', file, ...flags);
}

/** The line of the reload number `count`. */
async function reloaded(broker: Broker, count: number): Promise<LogLine> {
  await broker.logged('config reload', count);
  return broker.linesWith('config reload')[count - 1]!;
}

/** One that has shown who it is on each shard. */
async function oneOnEach(broker: Broker, who: ClientCredential): Promise<Peer[]> {
  const byShard = new Map<number, Peer>();
  while (byShard.size < SHARDS) {
    const peer = await Peer.prove(broker.port, who);
    byShard.set(peer.shard, peer);
  }
  return [...byShard.values()];
}

async function isGoodbye(peer: Peer): Promise<void> {
  const frame = await peer.takeType(codes.TYPE_GOODBYE);
  expect(frame.payload.toString()).toBe('who may connect has changed: connect again');
  await peer.lost();
}

const refusal = (broker: Broker, who: ClientCredential): Promise<string> =>
  Peer.prove(broker.port, who).then(
    () => 'taken',
    (error: unknown) => (error as Error).message.split(' ')[1]!,
  );

describe('a credential', () => {
  it('comes and goes, and ends its own connections alone', async () => {
    configure(undefined, 'a');
    const broker = await start();
    const mine = await oneOnEach(broker, key('a'));
    const bystander = await Bystander.start(broker.port, 'bystander');
    expect(await refusal(broker, key('b'))).toBe('AUTH_FAILED');

    configure(undefined, 'a', 'b');
    expect(await reloaded(broker, 1)).toMatchObject({
      result: 'applied',
      changed: [{ key: 'credentials', items: 'added b' }],
    });
    const others = await oneOnEach(broker, key('b'));

    configure(undefined, 'b');
    expect(await reloaded(broker, 2)).toMatchObject({
      result: 'applied',
      changed: [{ key: 'credentials', items: 'removed a' }],
    });
    for (const peer of mine) await isGoodbye(peer);
    expect(await refusal(broker, key('a'))).toBe('AUTH_FAILED');
    for (const peer of others) await peer.open('still.there');
    const account = await bystander.stop();
    expect(account).toEqual(undisturbed(account));
    await broker.stop();
  });

  it('is known to a shard that begins after it came', async () => {
    configure({ required: true }, 'a');
    const broker = await start('--debug-faults');
    configure({ required: true }, 'b');
    await reloaded(broker, 1);
    for (let i = 0; i < SHARDS; i++) await broker.crashOneShard();
    await oneOnEach(broker, key('b'));
    expect(await refusal(broker, key('a'))).toBe('AUTH_FAILED');
    await broker.stop();
  });

  it('gets another secret when its file is exchanged, and connections that are there live on', async () => {
    configure({ required: true }, 'a');
    const broker = await start();
    const [peer] = await oneOnEach(broker, key('a'));
    const fresh = 'another secret of thirty-two byte';
    secret('a', fresh);
    expect(await reloaded(broker, 1)).toMatchObject({
      result: 'applied',
      by: 'watch',
      changed: [{ key: 'credentials', items: 'changed a' }],
    });
    expect(await refusal(broker, key('a'))).toBe('AUTH_FAILED');
    expect(await refusal(broker, key('a', fresh))).toBe('taken');
    await peer!.open('still.there');
    const told = JSON.stringify([broker.logs, broker.complaints, broker.output]);
    for (const text of [secretOf('a'), fresh]) {
      expect(told).not.toContain(text);
      expect(told).not.toContain(Buffer.from(text).toString('base64').slice(0, 20));
    }
    await broker.stop();
  });

  it('gets another secret when a mounted folder is exchanged', async () => {
    const version = (name: string, text: string) => {
      mkdirSync(join(folder, name));
      writeFileSync(join(folder, name, 'a.secret'), text, { mode: 0o600 });
    };
    version('..1', secretOf('a'));
    rmSync(join(folder, 'a.secret'));
    symlinkSync('..1', join(folder, '..data'));
    symlinkSync(join('..data', 'a.secret'), join(folder, 'a.secret'));
    configure({ required: true }, 'a');
    const broker = await start();
    const fresh = 'another secret of thirty-two byte';
    version('..2', fresh);
    symlinkSync('..2', join(folder, '..data_tmp'));
    renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
    expect(await reloaded(broker, 1)).toMatchObject({ result: 'applied' });
    expect(await refusal(broker, key('a', fresh))).toBe('taken');
    await broker.stop();
  });

  it('whose secret is not fit leaves all as it was, and is taken once it is', async () => {
    configure({ required: true }, 'a');
    const broker = await start();
    configure({ required: true }, 'a', 'c');
    const refused = await reloaded(broker, 1);
    expect(refused).toMatchObject({ result: 'refused', changed: [] });
    expect(refused['reasons']).toEqual([
      expect.stringMatching(
        /broker\.json:1:\d+: credentials\[1\]\.secretFile: the file of the secret cannot be read: ENOENT; it stays \[/,
      ),
    ]);
    // The file that is missing is watched.
    secret('c', 'too short');
    expect(await reloaded(broker, 2)).toMatchObject({ result: 'refused' });
    secret('c', secretOf('c'), 0o666);
    expect(await reloaded(broker, 3)).toMatchObject({ result: 'refused' });
    expect(await refusal(broker, key('c'))).toBe('AUTH_FAILED');
    expect(await refusal(broker, key('a'))).toBe('taken');
    secret('c');
    expect(await reloaded(broker, 4)).toMatchObject({ result: 'applied' });
    expect(await refusal(broker, key('c'))).toBe('taken');
    await broker.stop();
  });

  it('that may do less lets a client of the library come back as what it is; one that is gone ends it', async () => {
    configure({ required: true }, 'a', 'b');
    const broker = await start();
    const auth = { keyId: 'a', secret: secretOf('a') };
    const client = await connect(broker.url, { auth, reconnect: { delayMs: 10 } });
    const watched = new Watched();
    const story: string[] = [];
    const tell = (text: string) => {
      story.push(text);
      watched.changed();
    };
    client.on('connected', () => tell('connected'));
    client.on('lost', () => tell('lost'));
    client.on('error', (error) => tell(error.protocolCode ?? error.code));
    await client.publish('orders.eu', 'x', { ack: true });

    configure({ required: true }, { keyId: 'a', publish: { allow: ['orders.>'] } }, 'b');
    await reloaded(broker, 1);
    await watched.until(
      () => story.includes('connected'),
      () => story.join(),
    );
    await client.publish('orders.eu', 'x', { ack: true });
    await expect(client.publish('bills', 'x', { ack: true })).rejects.toMatchObject({
      protocolCode: 'FORBIDDEN',
    });

    configure({ required: true }, 'b');
    await reloaded(broker, 2);
    await watched.until(
      () => story.at(-1) === 'AUTH_FAILED',
      () => story.join(),
    );
    await broker.stop();
  });
});

describe('whether everybody is asked', () => {
  it('can be turned on, and ends those who were asked nothing', async () => {
    configure({ required: false }, 'a');
    const broker = await start();
    const nobody = await Peer.greet(broker.port);
    const [known] = await oneOnEach(broker, key('a'));
    configure({ required: true, handshakeTimeout: '30s' }, 'a');
    expect(await reloaded(broker, 1)).toMatchObject({ result: 'applied' });
    await isGoodbye(nobody);
    await known!.open('still.there');
    const refused = await Peer.connect(broker.port);
    const answer = await refused.ask(codes.TYPE_OPEN, { subject: 'x' });
    expect(errorName(answer.code)).toBe('AUTH_REQUIRED');
    await broker.stop();
  });

  it('is not turned off by a file that says nothing, and is by one that says so', async () => {
    configure({ required: true }, 'a');
    const broker = await start();
    write('broker.json', '{}');
    expect(await reloaded(broker, 1)).toMatchObject({
      result: 'refused',
      changed: [
        { key: 'auth.required', before: 'true', after: 'false' },
        { key: 'credentials', items: 'removed a' },
      ],
      reasons: [
        'auth.required: is given no more, and its default protects less; allowed: auth.required: false, written out',
        'credentials: is given no more, and its default protects less; allowed: credentials: [], written out',
      ],
    });
    await expect(Peer.greet(broker.port)).rejects.toThrow('AUTH_REQUIRED');
    expect(await refusal(broker, key('a'))).toBe('taken');
    configure({ required: false }, 'a');
    expect(await reloaded(broker, 2)).toMatchObject({ result: 'applied' });
    await (await Peer.greet(broker.port)).open('anything');
    await broker.stop();
  });
});
