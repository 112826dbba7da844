import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TYPE_PING } from '../../src/frame/codes.js';
import { endBrokers, startBroker } from '../support/broker.js';
import { Command, runCommand } from '../support/command.js';
import { TestServer } from '../support/server.js';

let server: TestServer;

beforeEach(async () => {
  server = await TestServer.start();
});

afterEach(async () => {
  await endBrokers();
  await server.close();
});

const ping = (...args: string[]) => runCommand(['ping', '--url', server.url, ...args]);

describe('ping', () => {
  it('says the round trip, of one PING unless more are wanted', async () => {
    const { code, stdout, stderr } = await ping();
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.toString()).toMatch(/^pong from ms:\/\/127\.0\.0\.1:\d+ in \d+\.\d{3} ms\n$/);
    expect(server.received.filter(({ type }) => type === TYPE_PING)).toHaveLength(1);
  });

  it('--count sends so many, and sums them up', async () => {
    const { code, stdout } = await ping('--count', '5', '--interval', '0');
    const lines = stdout.toString().trimEnd().split('\n');
    expect(lines).toHaveLength(6);
    const [, min, median, max] = /min (.*) ms, median (.*) ms, max (.*) ms$/.exec(lines[5]!)!;
    const trips = lines.slice(0, 5).map((line) => Number(/in (.*) ms$/.exec(line)![1]));
    const sorted = trips.toSorted((a, b) => a - b);
    expect([Number(min), Number(median), Number(max)]).toEqual([sorted[0], sorted[2], sorted[4]]);
    expect(server.received.filter(({ type }) => type === TYPE_PING)).toHaveLength(5);
    expect(code).toBe(0);
  });

  it('the real broker answers', async () => {
    const broker = await startBroker('--shards', '1', '--memory-arena', '64MiB');
    const args = ['ping', '--count', '2', '--interval', '0'];
    const { code, stdout } = await runCommand(args, '', { MEMORYSTREAMER_URL: broker.url });
    expect(stdout.toString()).toContain(`pong from ${broker.url} in `);
    expect(code).toBe(0);
    await broker.stop();
  });
});

describe('exit codes of ping', () => {
  it('4 where nobody listens', async () => {
    const { code, stderr } = await runCommand(['ping', '--url', 'ms://127.0.0.1:1']);
    expect(stderr).toMatch(/cannot be reached.*MS_ERR_UNREACHABLE\)\n$/);
    expect(code).toBe(4);
  });

  it('4 where somebody takes the connection and does not say WELCOME', async () => {
    server.mute = true;
    const { code, stderr } = await ping('--timeout', '200');
    expect(stderr).toMatch(/did not answer within 200 ms.*MS_ERR_UNREACHABLE\)\n$/);
    expect(code).toBe(4);
  });

  it('4 where the broker stands still', async () => {
    const command = new Command([
      'ping',
      '--url',
      server.url,
      '--timeout',
      '300',
      '--count',
      '9',
      '--interval',
      '0',
    ]);
    // The second PING and all that follow are heard, but not answered.
    await server.next(TYPE_PING);
    server.mute = true;
    const { code, stdout, stderr } = await command.ended;
    expect(stdout.toString().split('\n')).toHaveLength(2);
    expect(stderr).toMatch(/did not answer a PING within 300 ms \(MS_ERR_TIMEOUT\)\n$/);
    expect(code).toBe(4);
  });

  it('4 where the connection is lost', async () => {
    const command = new Command(['ping', '--url', server.url, '--count', '9', '--interval', '0']);
    await server.next(TYPE_PING);
    server.mute = true;
    server.cut();
    const { code, stderr } = await command.ended;
    expect(stderr).toMatch(/MS_ERR_CONNECTION_LOST/);
    expect(code).toBe(4);
  });

  it.each([
    [['host'], /takes no argument/],
    [['--count', '0'], /from 1 to/],
    [['--timeout', '0'], /from 1 to/],
    [['--interval', 'x'], /from 0 to/],
    [['--nope'], /--nope/],
  ])('2 for %j', async (args, message) => {
    const { code, stderr } = await ping(...args);
    expect(stderr).toMatch(message);
    expect(code).toBe(2);
  });
});
