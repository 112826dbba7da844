// What a key of the configuration changes, seen from outside of the process, with and without it.
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { connect } from '../../src/client/index.js';
import { FAKE_BROKER, runNode, Running } from '../cli/processes.js';
import { endBrokers, startBroker, type Broker } from '../support/broker.js';

afterEach(endBrokers);

const KIB = 1024;

async function isReachable(host: string, port: number): Promise<boolean> {
  const socket = connectSocket(port, host);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** The oldest frame that each stream still has once `bytes` were published on each, in their order. */
async function oldestAfter(
  broker: Broker,
  bytes: number,
  subjects: readonly string[],
): Promise<bigint[]> {
  await using client = await connect(broker.url);
  const payload = new Uint8Array(32 * KIB);
  for (const subject of subjects) {
    const publisher = await client.publisher(subject);
    for (let sent = 0; sent < bytes; sent += payload.length) await publisher.send(payload);
    await publisher.flush();
  }
  const oldest: bigint[] = [];
  for (const subject of subjects) {
    const subscription = client.subscribe(subject, { from: 'first' });
    for await (const { sequence } of subscription) {
      oldest.push(sequence);
      break;
    }
  }
  return oldest;
}

describe('listening', () => {
  it('listen.host and listen.port are where it can be reached, and the ready line names them', async () => {
    const first = await startBroker('--shards', '1');
    expect(await isReachable('127.0.0.1', first.port)).toBe(true);
    expect(await isReachable('127.0.0.2', first.port)).toBe(false);
    const { port } = first;
    await first.stop();
    const second = await startBroker('--shards', '1', '--host', '127.0.0.2');
    expect(second.output).toContain(`url=ms://127.0.0.2:${second.port} `);
    expect(await isReachable('127.0.0.2', second.port)).toBe(true);
    expect(await isReachable('127.0.0.1', second.port)).toBe(false);
    expect(port).toBeGreaterThan(0);
  });

  it('listen.insecure lets it listen where other machines reach it, and nothing else does', async () => {
    const argv = [FAKE_BROKER, '--host', '0.0.0.0', '--port', '4711'];
    const refused = runNode(argv, { FAKE: 'ok' });
    expect(refused.code).toBe(3);
    expect(refused.stdout).toBe('');
    const broker = new Running([...argv, '--listen-insecure'], { FAKE: 'ok' });
    await broker.until('stdout', 'url=ms://0.0.0.0:4711');
    broker.send('SIGTERM');
    expect(await broker.code()).toBe(0);
  });
});

it('shards is how many threads serve, and the ready line names it', async () => {
  for (const shards of [1, 3]) {
    const broker = await startBroker('--shards', `${shards}`);
    expect(broker.output).toContain(` shards=${shards} `);
    await broker.stop();
  }
});

describe('memory', () => {
  it('memory.arena is what all streams share: more streams keep all in a larger one', async () => {
    const subjects = ['a', 'b', 'c', 'd'];
    const oldestIn = async (arena: string) => {
      const retention = ['--streams-default-retention-bytes', '8MiB'];
      const broker = await startBroker('--shards', '1', '--memory-arena', arena, ...retention);
      return oldestAfter(broker, 7 * KIB * KIB, subjects);
    };
    expect(await oldestIn('128MiB')).toEqual([1n, 1n, 1n, 1n]);
    expect((await oldestIn('20MiB'))[0]).toBeGreaterThan(1n);
  });

  it('memory.prefault is what is there at the start; the rest is taken as it is used', async () => {
    const residentWith = async (prefault: string) => {
      const flags = ['--shards', '2', '--memory-arena', '512MiB', '--memory-prefault', prefault];
      const broker = await startBroker(...flags);
      const { residentMib } = broker;
      // It is memory as any other.
      expect(await oldestAfter(broker, 7 * KIB * KIB, ['a', 'b'])).toEqual([1n, 1n]);
      await broker.stop();
      return residentMib;
    };
    const none = await residentWith('0');
    expect((await residentWith('200MiB')) - none).toBeGreaterThan(190);
    expect((await residentWith('512MiB')) - none).toBeGreaterThan(450);
  });

  it('streams.default.retention.bytes is what a stream keeps, streams.overrides what some keep', async () => {
    const overrides = [
      { subject: 'large.>', retention: { bytes: '4MiB' } },
      { subject: 'large.none', retention: { bytes: '64KiB' } },
    ];
    const broker = await startBroker(
      ...['--shards', '1', '--streams-default-retention-bytes', '64KiB'],
      ...['--streams-overrides', JSON.stringify(overrides)],
    );
    const [small, large, first] = await oldestAfter(broker, KIB * KIB, [
      'small',
      'large.x',
      'large.none',
    ]);
    expect(small).toBeGreaterThan(1n);
    expect(large).toBe(1n);
    // The first item that covers it counts.
    expect(first).toBe(1n);
  });
});

describe('limits', () => {
  const refusal = (promise: Promise<unknown>) =>
    promise.then(
      () => 'taken',
      (error: unknown) => (error as { protocolCode?: string }).protocolCode,
    );

  it('limits.streams is how many streams there may be', async () => {
    const broker = await startBroker('--shards', '1', '--limits-streams', '2');
    await using client = await connect(broker.url);
    const answers = ['a', 'b', 'c', 'a'].map((subject) =>
      refusal(client.publish(subject, new Uint8Array(1))),
    );
    expect(await Promise.all(answers)).toEqual(['taken', 'taken', 'LIMIT_EXCEEDED', 'taken']);
  });

  it('limits.publications is how many streams a connection may have open for publishing', async () => {
    const broker = await startBroker('--shards', '1', '--limits-publications', '2');
    await using client = await connect(broker.url);
    const open = async (subject: string) => refusal(client.publisher(subject));
    expect([await open('a'), await open('b'), await open('c')]).toEqual([
      'taken',
      'taken',
      'LIMIT_EXCEEDED',
    ]);
    await using other = await connect(broker.url);
    expect(await refusal(other.publisher('c'))).toBe('taken');
  });

  it('limits.subscriptions is how many subscriptions a connection may have', async () => {
    const broker = await startBroker('--shards', '1', '--limits-subscriptions', '2');
    await using client = await connect(broker.url);
    const answers = ['a', 'b', 'c'].map((subject) => refusal(client.subscribe(subject).ready));
    expect(await Promise.all(answers)).toEqual(['taken', 'taken', 'LIMIT_EXCEEDED']);
  });
});

interface Work {
  /** Of CPU, each a hundredth of a second. */
  readonly ticks: number;
  /** How often it gave the CPU away. */
  readonly sleeps: number;
}

function workOfThreads(pid: number): Map<string, Work> {
  const folder = `/proc/${pid}/task`;
  return new Map(
    readdirSync(folder).map((thread) => {
      const stat = readFileSync(`${folder}/${thread}/stat`, 'utf8').split(') ')[1]!.split(' ');
      const status = readFileSync(`${folder}/${thread}/status`, 'utf8');
      const [, sleeps] = /^voluntary_ctxt_switches:\s+(\d+)$/m.exec(status)!;
      return [thread, { ticks: Number(stat[11]) + Number(stat[12]), sleeps: Number(sleeps) }];
    }),
  );
}

/** What the thread has of it that has most more than before. */
function mostSince(before: ReadonlyMap<string, Work>, pid: number, what: keyof Work): number {
  const more = [...workOfThreads(pid)].map(
    ([thread, work]) => work[what] - (before.get(thread)?.[what] ?? 0),
  );
  return Math.max(...more);
}

it('idle.strategy "block" has a shard sleep until something comes', async () => {
  const broker = await startBroker('--shards', '1', '--idle-strategy', 'block');
  await using client = await connect(broker.url);
  const before = workOfThreads(broker.pid);
  const pings = 2_000;
  for (let count = 0; count < pings; count++) await client.ping();
  // Now and then the next one is there before it sleeps. Of other threads none has anything to do with them.
  expect(mostSince(before, broker.pid, 'sleeps')).toBeGreaterThan(pings / 4);
});

it('idle.strategy "spin" has a shard work although nothing comes', async () => {
  const broker = await startBroker('--shards', '1', '--idle-strategy', 'spin');
  const before = workOfThreads(broker.pid);
  while (mostSince(before, broker.pid, 'ticks') < 100) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
});

it('log.level is the least severity that is logged', async () => {
  const levels = (broker: Running) =>
    [...broker.stderr.matchAll(/"level":(\d+)/g)].map(([, level]) => Number(level));
  const ofOneThatEnds = async (level: string) => {
    const broker = new Running([FAKE_BROKER, '--log-level', level], { FAKE: 'ok' });
    await broker.until('stdout', 'ready');
    broker.send('SIGTERM');
    await broker.code();
    return levels(broker);
  };
  const ofOneThatFails = async (level: string) => {
    const broker = new Running([FAKE_BROKER, '--log-level', level], { FAKE: 'fails-later' });
    await broker.code();
    return levels(broker);
  };
  const [INFO, FATAL] = [30, 60];
  expect(await ofOneThatEnds('info')).toEqual([INFO, INFO, INFO]);
  expect(await ofOneThatEnds('warn')).toEqual([]);
  expect(await ofOneThatFails('warn')).toEqual([FATAL]);
  expect(await ofOneThatFails('silent')).toEqual([]);
});
