// A running broker takes over what changes in its files, whole or not at all; nobody's connection notices.
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CODE_LIMIT_EXCEEDED, TYPE_SUBSCRIBE } from '../../src/frame/codes.js';
import { Bystander, undisturbed } from '../support/bystander.js';
import { endBrokers, startBroker, type Broker, type LogLine } from '../support/broker.js';
import { closePeers, Peer } from '../support/peer.js';

const SHARDS = 2;

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'config-reload-'));
  file = join(folder, 'broker.json');
});

afterEach(async () => {
  closePeers();
  await endBrokers();
  rmSync(folder, { recursive: true });
});

/** As a careful writer does it. */
function write(values: object): void {
  writeFileSync(`${file}.new`, JSON.stringify(values));
  renameSync(`${file}.new`, file);
}

function start(...flags: string[]): Promise<Broker> {
  return startBroker('--shards', `${SHARDS}`, '--config', file, ...flags);
}

/** The line of the reload number `count`. */
async function reloaded(broker: Broker, count: number): Promise<LogLine> {
  await broker.logged('config reload', count);
  return broker.linesWith('config reload')[count - 1]!;
}

async function mayHave(peer: Peer, subscriptions: number): Promise<void> {
  for (let i = 0; i < subscriptions; i++) await peer.subscribe(`s.${i}`);
  const answer = await peer.ask(TYPE_SUBSCRIBE, { subject: 'one.more' });
  expect(answer.code).toBe(CODE_LIMIT_EXCEEDED);
}

/** One connection on each shard. */
async function oneOnEach(broker: Broker): Promise<Peer[]> {
  const peers: Peer[] = [];
  while (peers.length < SHARDS) {
    const peer = await Peer.greet(broker.port);
    if (!peers.some(({ shard }) => shard === peer.shard)) peers.push(peer);
  }
  return peers;
}

describe('a file that changes', () => {
  it('is taken over by every shard, for connections that are there, and disturbs nobody', async () => {
    write({ limits: { subscriptions: 2 } });
    const broker = await start();
    const peers = await oneOnEach(broker);
    for (const peer of peers) await mayHave(peer, 2);
    const bystander = await Bystander.start(broker.port, 'bystander');
    write({ limits: { subscriptions: 3 } });
    const line = await reloaded(broker, 1);
    expect(line).toMatchObject({
      result: 'applied',
      by: 'watch',
      changed: [{ key: 'limits.subscriptions', before: '2', after: '3' }],
    });
    for (const peer of peers) {
      await peer.subscribe('one.more');
      const answer = await peer.ask(TYPE_SUBSCRIBE, { subject: 'too.many' });
      expect(answer.code).toBe(CODE_LIMIT_EXCEEDED);
    }
    const account = await bystander.stop();
    expect(account).toEqual(undisturbed(account));
    await broker.stop();
  });

  it('is left alone under reload.on: signal, until SIGHUP', async () => {
    write({ limits: { subscriptions: 2 } });
    const broker = await start('--reload-on', 'signal');
    write({ limits: { subscriptions: 3 }, log: { level: 'debug' } });
    broker.signal('SIGHUP');
    const line = await reloaded(broker, 1);
    expect(line).toMatchObject({ result: 'applied', by: 'SIGHUP' });
    expect(broker.linesWith('config reload')).toHaveLength(1);
    await broker.stop();
  });
});

describe('what cannot be taken over', () => {
  it('leaves everything as it was, and says why', async () => {
    write({ limits: { subscriptions: 2 } });
    const broker = await start();
    const [peer] = await oneOnEach(broker);
    writeFileSync(file, '{ "limits": { "subscriptions": 0, "subscription": 1 } }');
    const refused = await reloaded(broker, 1);
    expect(refused).toMatchObject({ result: 'refused', changed: [] });
    const reasons = refused['reasons'] as string[];
    expect(reasons).toHaveLength(2);
    expect(reasons[0]).toMatch(/broker\.json:1:32: limits\.subscriptions: 0/);

    write({ limits: { subscriptions: 5, streams: 7 } });
    expect(await reloaded(broker, 2)).toMatchObject({
      result: 'needs-restart',
      digest: refused['digest'],
      changed: [
        { key: 'limits.streams', before: '16384', after: '7', needs: 'restart' },
        { key: 'limits.subscriptions', before: '2', after: '5' },
      ],
    });
    await mayHave(peer!, 2);

    write({ limits: { subscriptions: 2 } });
    expect(await reloaded(broker, 3)).toMatchObject({ result: 'unchanged' });
    await broker.stop();
  });
});

describe('a shard that is replaced', () => {
  it('begins with what is live', async () => {
    write({ limits: { subscriptions: 2 }, debug: { faults: false } });
    const broker = await start();
    write({ limits: { subscriptions: 4 }, debug: { faults: true } });
    expect(await reloaded(broker, 1)).toMatchObject({ result: 'applied' });
    for (let i = 0; i < SHARDS; i++) await broker.crashOneShard();
    for (const peer of await oneOnEach(broker)) await mayHave(peer, 4);
    await broker.stop();
  });
});
