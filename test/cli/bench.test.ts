// The four benches beside what they must have counted. No figure of time is a verdict: the machine may be busy.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  CODE_FORBIDDEN,
  TYPE_DATA,
  TYPE_PING,
  TYPE_PONG,
  TYPE_SUBSCRIBE,
} from '../../src/frame/codes.js';
import { connect } from '../../src/client/index.js';
import { endBrokers, startBroker, type Broker } from '../support/broker.js';
import { Command, runCommand } from '../support/command.js';
import { TestServer } from '../support/server.js';

interface Times {
  readonly count: number;
  readonly p50: number | null;
  readonly p99: number | null;
  readonly p9999: number | null;
  readonly max: number;
  readonly mean: number;
}

interface Report {
  readonly bench: string;
  readonly sent: number;
  readonly acknowledged: number;
  readonly received: number;
  readonly receivedBytes: number;
  readonly frames: number;
  readonly framesPerSecond: number;
  readonly bytesPerSecond: number;
  readonly elapsedMs: number;
  readonly perConnection: number[];
  readonly lost: number;
  readonly skipped: number;
  readonly disordered: number;
  readonly foreign: number;
  readonly threads: number;
  readonly remarks: string[];
  readonly latencyNs: Times;
  readonly ownLagNs: Times;
  readonly roundTripNs: Times;
  readonly acknowledgementNs: Times;
  readonly pauseNs: Times;
}

/** Runs a bench with `--json` to its end. */
async function bench(
  url: string,
  ...args: string[]
): Promise<{ code: number | null; report: Report; stderr: string }> {
  const { code, stdout, stderr } = await runCommand(['bench', ...args, '--json', '--url', url]);
  const lines = stdout.toString().split('\n');
  expect(lines, stderr).toHaveLength(2);
  return { code, report: JSON.parse(lines[0]!) as Report, stderr };
}

const sumOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0);

describe('with a broker', () => {
  let broker: Broker;

  beforeEach(async () => {
    broker = await startBroker('--shards', '2', '--memory-arena', '128MiB');
  });

  afterEach(endBrokers);

  it('pub publishes what it was asked for, and says what came of it', async () => {
    const args = [
      'load',
      '--count',
      '3001',
      '--size',
      '50',
      '--connections',
      '2',
      '--threads',
      '2',
    ];
    const { code, report, stderr } = await bench(broker.url, 'pub', ...args, '--streams', '2');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(report).toMatchObject({ bench: 'pub', subject: 'load', ack: 'bulk', threads: 2 });
    expect(report).toMatchObject({ sent: 3001, acknowledged: 3001, frames: 3001, lost: 0 });
    expect(report.perConnection.toSorted((a, b) => a - b)).toEqual([1500, 1501]);
    expect(report.framesPerSecond).toBeCloseTo(3001 / (report.elapsedMs / 1000), 3);
    expect(report.bytesPerSecond).toBeCloseTo(50 * report.framesPerSecond, 3);
    await using client = await connect(broker.url);
    const lengths: number[] = [];
    for (const subject of ['load.1', 'load.2']) {
      const got = client.subscribe(subject, { from: 'first' });
      for await (const batch of got.batches()) {
        lengths.push(...batch.map(({ payload }) => payload.length));
        if (lengths.length === 1500 || lengths.length === 3001) break;
        if (lengths.length === 1501 && subject === 'load.1') break;
      }
    }
    expect(lengths).toEqual(Array.from({ length: 3001 }, () => 50));
  });

  it('pub --ack each measures every acknowledgement', async () => {
    const { code, report } = await bench(
      ...([broker.url, 'pub', '--count', '500', '--ack', 'each', '--window', '7'] as const),
    );
    expect(code).toBe(0);
    expect(report).toMatchObject({ ack: 'each', window: 7, sent: 500, acknowledged: 500 });
    const { count, p50, p99, p9999, max, mean } = report.acknowledgementNs;
    expect(count).toBe(500);
    expect(p50).toBeGreaterThan(0);
    expect(p99).toBeGreaterThanOrEqual(p50!);
    expect(max).toBeGreaterThanOrEqual(p99!);
    // One value in ten thousand of five hundred: nothing is known of it.
    expect(p9999).toBeNull();
    expect(mean).toBeLessThanOrEqual(max);
  });

  it('pub --ack none asks for none, and ends when the broker has them', async () => {
    const { code, report } = await bench(broker.url, 'pub', 'n', '--count', '900', '--ack', 'none');
    expect(code).toBe(0);
    expect(report).toMatchObject({ ack: 'none', sent: 900, frames: 900, acknowledged: 0 });
    await using client = await connect(broker.url);
    const subscription = client.subscribe('n', { from: { last: 1n } });
    for await (const { sequence } of subscription) {
      expect(sequence).toBe(900n);
      break;
    }
  });

  it('pub ends after its duration, and keeps to its rate', async () => {
    const args = ['--duration', '300ms', '--rate', '1000', '--connections', '3'];
    const { code, report } = await bench(broker.url, 'pub', ...args);
    expect(code).toBe(0);
    // Less where the machine was busy, more never: what is due at the end as well.
    expect(report.sent).toBeGreaterThan(0);
    expect(report.sent).toBeLessThanOrEqual((report.elapsedMs / 1000) * 1000 + 3);
    expect(report.acknowledged).toBe(report.sent);
    expect(sumOf(report.perConnection)).toBe(report.sent);
  });

  it('sub counts what arrives, on every connection', async () => {
    const args = ['bench', 'sub', 'in.*', '--count', '4000', '--connections', '2', '--json'];
    const command = new Command([...args, '--url', broker.url]);
    await command.said('subscribed in.*\n');
    await bench(broker.url, 'pub', 'in', '--streams', '2', '--connections', '2', '--count', '2000');
    const { code, stdout } = await command.ended;
    const report = JSON.parse(stdout.toString()) as Report;
    expect(code).toBe(0);
    expect(report).toMatchObject({ received: 4000, receivedBytes: 4000 * 128, frames: 4000 });
    expect(report).toMatchObject({ disordered: 0, skipped: 0, lost: 0 });
    expect(sumOf(report.perConnection)).toBe(4000);
    expect(report.pauseNs.count).toBeLessThan(4000);
  });

  it('sub ends by Ctrl-C with its report, also while nothing comes', async () => {
    const command = new Command(['bench', 'sub', 'quiet', '--url', broker.url]);
    await command.said('subscribed quiet\n');
    command.process.kill('SIGINT');
    const { code, stdout } = await command.ended;
    expect(code).toBe(0);
    expect(stdout.toString()).toContain('sub of quiet by 1 connection, ms://');
    expect(stdout.toString()).toContain('  frames       0, in order, no gaps\n');
  });

  it('sub ends so long after the first frame, not before one has come', async () => {
    const args = ['bench', 'sub', 'late', '--duration', '10ms', '--json', '--url', broker.url];
    const command = new Command(args);
    await command.said('subscribed late\n');
    await using client = await connect(broker.url);
    await client.publish('late', 'x', { ack: true });
    const { code, stdout } = await command.ended;
    expect(code).toBe(0);
    expect(JSON.parse(stdout.toString())).toMatchObject({ received: 1, receivedBytes: 1 });
  });

  it('latency counts each frame from when it was due, after the warm-up', async () => {
    const args = ['--rate', '2000', '--count', '600', '--warmup', '50ms', '--connections', '3'];
    const { code, report } = await bench(broker.url, 'latency', ...args, '--threads', '2');
    expect(code).toBe(0);
    expect(report).toMatchObject({ lost: 0, disordered: 0, skipped: 0, foreign: 0 });
    expect(report.received).toBe(report.sent);
    // Two threads, each with a warm-up of its own, and with its own part of the rate.
    expect(report.sent).toBeGreaterThan(600);
    expect(report.frames).toBe(600);
    expect(report.latencyNs.count).toBe(600);
    expect(report.ownLagNs.count).toBe(600);
    expect(sumOf(report.perConnection)).toBe(600);
    expect(report.latencyNs.p50).toBeGreaterThan(0);
    expect(report.latencyNs.max).toBeGreaterThanOrEqual(report.latencyNs.p99!);
  });

  it('latency leaves alone what others publish on its subjects', async () => {
    const args = ['bench', 'latency', 'mine', '--rate', '500', '--duration', '20s', '--json'];
    const command = new Command([...args, '--url', broker.url]);
    await using client = await connect(broker.url);
    let last: bigint | undefined;
    for await (const { sequence } of client.subscribe('mine.latency.1')) {
      if (last === undefined) {
        for (let i = 0; i < 5; i++) await client.publish('mine.latency.1', 'short', { ack: true });
        const published = client.publish('mine.latency.1', Buffer.alloc(128), { ack: true });
        last = (await published).sequence;
        // The bench waits for the last of its own frames; so one of these must come behind.
      } else if (sequence > last) break;
    }
    command.process.kill('SIGTERM');
    const { code, stdout } = await command.ended;
    expect(code).toBe(0);
    const report = JSON.parse(stdout.toString()) as Report;
    expect(report.foreign).toBe(6);
    expect(report.received).toBe(report.sent);
    expect(report.remarks.join()).toContain('6 frames of others');
  });

  it('rtt has an answer to every question', async () => {
    const args = ['--count', '101', '--connections', '2', '--warmup', '0', '--size', '16'];
    const { code, report } = await bench(broker.url, 'rtt', ...args);
    expect(code).toBe(0);
    expect(report).toMatchObject({ sent: 101, received: 101, frames: 101, disordered: 0 });
    expect(report.perConnection.toSorted((a, b) => a - b)).toEqual([50, 51]);
    expect(report.roundTripNs.count).toBe(101);
  });

  it('rtt ends after its duration, and what was asked in the warm-up does not count', async () => {
    const { code, report } = await bench(
      ...([broker.url, 'rtt', '--duration', '200ms', '--warmup', '100ms'] as const),
    );
    expect(code).toBe(0);
    expect(report.roundTripNs.count).toBe(report.frames);
    expect(report.frames).toBeLessThan(report.sent);
  });

  it('without --json it is a text for people', async () => {
    const args = ['bench', 'rtt', 'talk', '--count', '300', '--url', broker.url];
    const { code, stdout, stderr } = await runCommand(args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const lines = stdout.toString().split('\n');
    expect(lines[0]).toBe(`rtt of talk by 1 pair, 128 B, ${broker.url}`);
    expect(lines[1]).toBe('  frames       300 counted, in order, no gaps');
    expect(stdout.toString()).toMatch(/\n\nfrom a question to its answer\n +count +p50 .* max\n/);
    expect(stdout.toString()).toMatch(/\n +\d+\S* - \d+\S* .* % {2}#+\n/);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  it('two benches of one broker at once do not take each other for lost or out of order', async () => {
    const args = ['latency', '--rate', '500', '--count', '200', '--warmup', '0'] as const;
    const both = await Promise.all([bench(broker.url, ...args), bench(broker.url, ...args)]);
    for (const { code, report } of both) {
      expect(code).toBe(0);
      expect(report).toMatchObject({ frames: 200, lost: 0, disordered: 0 });
    }
  });
});

describe('with a server that does what a broker must not', () => {
  let server: TestServer;

  beforeEach(async () => {
    server = await TestServer.start();
  });

  afterEach(() => server.close());

  it('pub --ack each has no more than the window of a connection under way', async () => {
    server.holdAcks = true;
    const args = ['--count', '20', '--ack', 'each', '--window', '7', '--json'];
    const seventh = server.next(TYPE_DATA, 7);
    const command = new Command(['bench', 'pub', ...args, '--url', server.url]);
    await seventh;
    // Whatever it had to send is sent before its answer to this.
    const answered = server.next(TYPE_PONG);
    const [connection] = server.live;
    connection!.put({ type: TYPE_PING, sequence: 9n });
    connection!.flush();
    await answered;
    expect(server.received.filter(({ type }) => type === TYPE_DATA)).toHaveLength(7);
    server.releaseAcks();
    const { code, stdout } = await command.ended;
    expect(code).toBe(0);
    expect(JSON.parse(stdout.toString())).toMatchObject({ sent: 20, acknowledged: 20 });
  });

  it('1 where sub gets frames out of order, and says how many', async () => {
    for (let i = 1; i <= 6; i++) server.append('a', String(i));
    const { frames } = server.stream('a');
    [frames[2], frames[4]] = [frames[4]!, frames[2]!];
    const { code, report } = await bench(server.url, 'sub', 'a', '--from', 'first', '--count', '6');
    expect(code).toBe(1);
    // 1 2 5 4 3 6
    expect(report).toMatchObject({ received: 6, disordered: 2 });
  });

  it('sub tells of frames that a gap announced, with code 0: that is allowed', async () => {
    for (let i = 0; i < 10; i++) server.append('a', 'x');
    server.retain('a', 4);
    const { code, report } = await bench(server.url, 'sub', 'a', '--from', 'seq:2', '--count', '6');
    expect(code).toBe(0);
    expect(report).toMatchObject({ received: 6, skipped: 3, lost: 0, disordered: 0 });
  });

  it('1 where frames of latency never come, and says how many', async () => {
    server.sink = true;
    const args = ['--rate', '1000', '--count', '30', '--warmup', '0'];
    const { code, report } = await bench(server.url, 'latency', ...args);
    expect(code).toBe(1);
    expect(report).toMatchObject({ sent: 30, received: 0, lost: 30 });
  });

  it('4 where rtt gets no answer', async () => {
    server.sink = true;
    const { code, stderr } = await runCommand(['bench', 'rtt', '--url', server.url]);
    expect(stderr).toMatch(
      /no answer to a question on bench\.rtt\.1\.questions.*MS_ERR_TIMEOUT\)\n$/,
    );
    expect(code).toBe(4);
  });

  it.each(['pub', 'latency', 'rtt'])('4 where %s loses its connection', async (kind) => {
    const first = server.next(TYPE_DATA);
    const command = new Command(['bench', kind, '--url', server.url]);
    await first;
    server.cut();
    const { code, stderr } = await command.ended;
    expect(stderr).toMatch(/MS_ERR_CONNECTION_LOST\)\n$/);
    expect(code).toBe(4);
  });

  it('4 where sub loses its connection', async () => {
    const asked = server.next(TYPE_SUBSCRIBE);
    const command = new Command(['bench', 'sub', '--url', server.url]);
    await asked;
    await command.said('subscribed');
    server.cut();
    expect((await command.ended).code).toBe(4);
  });

  it.each([
    ['pub', 'bench'],
    ['sub', 'bench'],
    ['latency', 'bench.latency.1'],
    ['rtt', 'bench.rtt.1.questions'],
  ])('5 where %s is refused its subject, before anything is measured', async (kind, subject) => {
    server.refused.set(subject, CODE_FORBIDDEN);
    const { code, stdout, stderr } = await runCommand(['bench', kind, '--url', server.url]);
    expect(stderr).toMatch(/^memorystreamer: FORBIDDEN.*MS_ERR_REFUSED\)\n$/);
    expect({ code, stdout: stdout.toString() }).toEqual({ code: 5, stdout: '' });
  });

  it('4 where nobody listens', async () => {
    const { code, stderr } = await runCommand(['bench', 'pub', '--url', 'ms://127.0.0.1:1']);
    expect(stderr).toMatch(/^memorystreamer: ms:.*cannot be reached.*MS_ERR_UNREACHABLE\)\n$/);
    expect(code).toBe(4);
  });
});

describe('a command line that is wrong', () => {
  it.each([
    [[], /pub, sub, latency or rtt is wanted/],
    [['speed'], /bench "speed": pub, sub, latency or rtt/],
    [['pub', 'a', 'b'], /one SUBJECT/],
    [['sub', '--size', '1'], /bench sub has no --size/],
    [['rtt', '--rate', '1'], /bench rtt has no --rate/],
    [['latency', '--size', '15'], /--size "15": a whole number from 16 to 65496/],
    [['pub', '--window', '5'], /--window needs --ack each/],
    [['pub', '--ack', 'some'], /bulk, each or none/],
    [['pub', '--duration', 'long'], /--duration "long": a time such as/],
    [['pub', '--threads', '2'], /at most one for each of the 1 connections/],
    [['sub', 'a.*', '--streams', '2'], /without wildcards/],
    [['sub', '--from', 'here'], /seq:N/],
    [['pub', 'a.*'], /subscriptions only/],
    [['pub', '--url', 'http://x'], /ms:\/\//],
  ])('2 for %j', async (args, message) => {
    const { code, stdout, stderr } = await runCommand(['bench', ...args]);
    expect(stderr).toMatch(message);
    expect(stderr.split('\n')).toHaveLength(2);
    expect({ code, stdout: stdout.toString() }).toEqual({ code: 2, stdout: '' });
  });
});
