// A text of more than a hundred thousand lines through the command line and four shards, byte for byte; then
// again while clients come and go and shards crash.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { connect, type Client } from '../../src/client/client.js';
import { Bystander, undisturbed } from '../support/bystander.js';
import { endBrokers, ROOT, startBroker, type Broker } from '../support/broker.js';
import { Command } from '../support/command.js';
import { closePeers, Peer } from '../support/peer.js';

const LINES = 120_000;
const SHARDS = 4;
/** Three shards of four: one is left whose witnesses have seen it all. */
const CRASH_AT = [25_000, 50_000, 75_000];
const THE_END = Buffer.from('the end');
const APT_LISTS = '/var/lib/apt/lists';
/** Always there: the compiler is a dependency of the build. */
const FALLBACK = join(ROOT, 'node_modules', 'typescript', 'lib', 'typescript.js');

const scratch = mkdtempSync(join(tmpdir(), 'memorystreamer-scenario-'));
const file = join(scratch, 'lines.txt');
let lines: string[];
const commands: Command[] = [];
const clients: Client[] = [];

/** The package index of this machine's distribution, or else the largest text that the build brings. */
function realText(): string {
  const index = listed().find((name) => name.endsWith('_Packages'));
  if (index !== undefined) return readFileSync(join(APT_LISTS, index), 'utf8');
  const shell = `apt-cache dumpavail 2>/dev/null | head -n ${LINES}`;
  const dumped = spawnSync('sh', ['-c', shell], { encoding: 'utf8', maxBuffer: 2 ** 28 });
  const isEnough = dumped.status === 0 && dumped.stdout.split('\n').length > LINES;
  return isEnough ? dumped.stdout : readFileSync(FALLBACK, 'utf8');
}

function listed(): string[] {
  try {
    return readdirSync(APT_LISTS);
  } catch {
    return [];
  }
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

beforeAll(() => {
  lines = realText().split('\n').slice(0, LINES);
  expect(lines.length).toBeGreaterThan(100_000);
  writeFileSync(file, `${lines.join('\n')}\n`);
});

afterEach(async () => {
  for (const command of commands.splice(0)) command.process.kill('SIGKILL');
  await Promise.all(clients.splice(0).map((client) => client.close()));
  closePeers();
  await endBrokers();
});

afterAll(() => rmSync(scratch, { recursive: true }));

function command(broker: Broker, ...args: string[]): Command {
  const started = new Command([...args, '--url', broker.url]);
  commands.push(started);
  return started;
}

/** Three shards die and are replaced on the way, four threads to two CPUs; a machine at work with other things is slow. */
describe(`a real text of ${LINES} lines`, { timeout: 120_000 }, () => {
  it('passes through pub and sub byte for byte, live and from the first', async () => {
    const broker = await startBroker('--shards', `${SHARDS}`);
    const count = ['--count', `${lines.length}`];
    const live = command(broker, 'sub', 'text.lines', ...count);
    await live.said('subscribed');
    const pub = command(broker, 'pub', 'text.lines', '--file', file);
    const late = command(broker, 'sub', 'text.*', '--from', 'first', ...count);
    const published = await pub.ended;
    expect([published.code, published.stderr]).toEqual([
      0,
      `published ${lines.length} frames, ${lines.length} acknowledged\n`,
    ]);
    const original = sha256(readFileSync(file));
    for (const reader of [live, late]) {
      const { code, stdout, stderr } = await reader.ended;
      expect([code, stderr.includes('gap'), sha256(stdout)]).toEqual([0, false, original]);
    }
    await broker.stop();
  });

  it('arrives whole while clients come and go and shards crash', async () => {
    const broker = await startBroker('--shards', `${SHARDS}`, '--debug-faults');
    const witnesses = await Promise.all(Array.from({ length: 8 }, () => Peer.greet(broker.port)));
    // Line numbers as each witness got them; a frame says which line it is.
    const seen = new Map<Peer, number[]>(witnesses.map((peer) => [peer, []]));
    for (const peer of witnesses) {
      const numbers = seen.get(peer)!;
      peer.onMessage = (_stream, _sequence, payload) => {
        numbers.push(Number.parseInt(payload.toString('latin1', 0, 8), 10));
      };
      await peer.subscribe('text.lines');
    }
    const reconnect = { reconnect: { delayMs: 10, delayMsMax: 100 } };
    const publishing = await connect(broker.url, reconnect);
    const reading = await connect(broker.url, reconnect);
    clients.push(publishing, reading);
    const losses: Client[] = [];
    for (const client of [publishing, reading]) client.on('lost', () => losses.push(client));
    const read = createHash('sha256');
    const subscription = reading.subscribe('text.lines', { from: 'first' });
    await subscription.ready;
    const consuming = (async () => {
      for await (const { payload } of subscription) {
        read.update(payload);
        if (Buffer.from(payload).equals(THE_END)) return;
      }
    })();

    const publisher = await publishing.publisher('text.lines');
    const crashes: Promise<void>[] = [];
    const churn: Promise<void>[] = [];
    for (const [index, line] of lines.entries()) {
      const taken = publisher.send(`${String(index).padStart(8, '0')} ${line}`);
      if (taken !== true) await taken;
      if (index % 10_000 === 5_000) churn.push(comeAndGo(broker, index));
      if (CRASH_AT.includes(index)) {
        // Of another shard each time: the one before is there again, with nobody on it.
        await crashes.at(-1);
        crashes.push(broker.crashOneShard());
      }
    }
    await publisher.flush();
    await Promise.all([...crashes, ...churn]);
    const bystander = await Bystander.start(broker.port, 'bystander');

    // Whoever was on a shard that lives has all there is, in one order, and every line in its own.
    const opener = await Peer.greet(broker.port);
    const { stream, next } = await opener.open('text.lines');
    const dead = new Set(broker.linesWith('shard replaced').map(({ shard }) => shard));
    const survivors = witnesses.filter(({ shard }) => !dead.has(shard));
    expect(survivors.length).toBeGreaterThan(0);
    for (const peer of survivors) {
      await peer.until(() => peer.book(stream).next === next, 'the end');
      expect(peer.faults).toEqual([]);
      expect(peer.book(stream).gaps).toEqual(survivors[0]!.book(stream).gaps);
      const numbers = seen.get(peer)!;
      expect(firstAppearances(numbers)).toBe('in order');
      expect(new Set(numbers).size).toBe(lines.length);
    }
    const digests = survivors.map((peer) => peer.book(stream).digest.copy().digest('hex'));
    expect(new Set(digests).size).toBe(1);

    // A line comes twice only where its publisher's connection was lost before the ACK.
    const frames = survivors[0]!.book(stream).frames;
    if (!losses.includes(publishing)) expect(frames).toBe(lines.length);
    expect(frames).toBeGreaterThanOrEqual(lines.length);

    // The reader that went on by itself has the same bytes.
    const last = await publishing.publish('text.lines', THE_END, { ack: true });
    expect(last.sequence).toBe(BigInt(next));
    await survivors[0]!.until(() => survivors[0]!.book(stream).next === next + 1, 'one more');
    const replay = await Peer.greet(broker.port);
    await replay.subscribe('text.lines', { from: 'first' });
    await replay.until(() => replay.book(stream).next === next + 1, 'the replay');
    await consuming;
    const whole = survivors[0]!.book(stream).digest.digest('hex');
    expect(replay.book(stream).digest.digest('hex')).toBe(whole);
    expect(read.digest('hex')).toBe(whole);
    const account = await bystander.stop();
    expect(account).toEqual(undisturbed(account));
    await broker.stop();
  });
});

/** A publisher and two readers of this stream and of another one, that stay for a moment. */
async function comeAndGo(broker: Broker, number: number): Promise<void> {
  const work = async (peer: Peer): Promise<void> => {
    await peer.subscribe('text.>', { from: 'last' });
    const { stream } = await peer.open(`other.${number}`);
    await peer.subscribe('other.>', { from: 'first' });
    peer.publish(stream, 1, [Buffer.from('a'), Buffer.from('b')]);
    await peer.ackedUpTo(stream, 2);
    await peer.leave();
  };
  const peers = await Promise.all(Array.from({ length: 3 }, () => Peer.connect(broker.port)));
  // Its shard may be the one that crashes: then its work ends early, and that is all.
  await Promise.allSettled(peers.map(work));
  for (const peer of peers) peer.destroy();
}

/** Whether lines appear for the first time in their order, whatever comes again. */
function firstAppearances(numbers: readonly number[]): string {
  let expected = 0;
  for (const number of numbers) {
    if (number > expected) return `${number} came where ${expected} was due`;
    if (number === expected) expected++;
  }
  return 'in order';
}
