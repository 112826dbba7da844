import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CODE_FORBIDDEN, TYPE_UNSUBSCRIBE } from '../../src/frame/codes.js';
import { Command, runCommand } from '../support/command.js';
import { TestServer } from '../support/server.js';

let server: TestServer;

beforeEach(async () => {
  server = await TestServer.start();
});

afterEach(() => server.close());

const sub = (args: string[]) => runCommand(['sub', '--url', server.url, ...args]);

function fill(subject: string, count: number): void {
  for (let i = 1; i <= count; i++) server.append(subject, String(i), BigInt(i));
}

describe('sub', () => {
  it('says that it is subscribed, and prints payloads as lines', async () => {
    const command = new Command(['sub', 'a', '--count', '3', '--url', server.url]);
    await command.said('subscribed a\n');
    fill('a', 5);
    const { code, stdout, stderr } = await command.ended;
    expect(stdout.toString()).toBe('1\n2\n3\n');
    expect(stderr).toBe('subscribed a\n');
    expect(code).toBe(0);
  });

  it.each([
    ['first', '1\n2\n3\n4\n5\n'],
    ['last', '5\n'],
    ['seq:3', '3\n4\n5\n'],
    ['last:2', '4\n5\n'],
    ['time:4', '4\n5\n'],
  ])('--from %s', async (from, expected) => {
    fill('a', 5);
    const count = String(expected.split('\n').length - 1);
    const { stdout } = await sub(['a', '--from', from, '--count', count]);
    expect(stdout.toString()).toBe(expected);
  });

  it('--raw prints payloads only, bytes unchanged', async () => {
    const payloads = [Buffer.from([0, 255, 10, 13]), Buffer.alloc(0), Buffer.alloc(65_496, 'z')];
    for (const payload of payloads) server.append('a', payload);
    const { stdout } = await sub(['a', '--from', 'first', '--raw', '--count', '3']);
    expect(stdout.equals(Buffer.concat(payloads))).toBe(true);
  });

  it('--json prints a line for each, 64-bit values as strings', async () => {
    server.append('o."x"', Buffer.from([0, 255]), 2n ** 63n);
    const { stdout } = await sub(['o.*', '--from', 'first', '--json', '--count', '1']);
    expect(stdout.toString()).toBe(
      '{"subject":"o.\\"x\\"","stream":1,"sequence":"1","timestamp":"9223372036854775808","payload":"AP8="}\n',
    );
  });

  it('much comes whole and in order through a pipe', async () => {
    const count = 60_000;
    fill('a', count);
    const { stdout } = await sub(['a', '--from', 'first', '--count', String(count)]);
    const expected = Array.from({ length: count }, (_, i) => `${i + 1}\n`).join('');
    expect(stdout.toString() === expected).toBe(true);
  });

  it('tells every gap on standard error', async () => {
    fill('a', 10);
    server.retain('a', 4);
    const { stdout, stderr } = await sub(['a', '--from', 'seq:2', '--count', '1']);
    expect(stdout.toString()).toBe('5\n');
    expect(stderr).toContain('gap a from 2 to 4: 3 frames lost\n');
  });
});

describe('exit codes of sub', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)(
    '0 after %s, and all that came is printed',
    async (signal) => {
      const command = new Command(['sub', 'a', '--url', server.url]);
      await command.said('subscribed a\n');
      const printed = new Promise((resolve) => command.process.stdout.once('data', resolve));
      fill('a', 1);
      await printed;
      const left = server.next(TYPE_UNSUBSCRIBE);
      command.process.kill(signal);
      await left;
      expect(await command.ended).toMatchObject({ code: 0, stdout: Buffer.from('1\n') });
    },
  );

  it('0 when its reader is gone', async () => {
    const command = new Command(['sub', 'a', '--url', server.url]);
    await command.said('subscribed a\n');
    command.process.stdout.destroy();
    await new Promise((resolve) => command.process.stdout.once('close', resolve));
    const left = server.next(TYPE_UNSUBSCRIBE);
    fill('a', 1);
    await left;
    expect((await command.ended).code).toBe(0);
  });

  it.each([
    [[], /one SUBJECT/],
    [['a', '--from', 'yesterday'], /--from/],
    [['a', '--from', 'seq:18446744073709551616'], /--from/],
    [['a', '--from', 'seq:'], /--from/],
    [['a', '--count', '0'], /--count/],
    [['a', '--json', '--raw'], /exclude/],
    [['a..b'], /empty token/],
  ])('2 for %j', async (args, message) => {
    const { code, stderr } = await sub(args);
    expect(stderr).toMatch(message);
    expect(code).toBe(2);
  });

  it('4 where the connection is lost, after what has come', async () => {
    const command = new Command(['sub', 'a', '--url', server.url]);
    await command.said('subscribed a\n');
    const printed = new Promise((resolve) => command.process.stdout.once('data', resolve));
    fill('a', 1);
    await printed;
    server.cut();
    const { code, stdout, stderr } = await command.ended;
    expect(stdout.toString()).toBe('1\n');
    expect(stderr).toContain('MS_ERR_CONNECTION_LOST');
    expect(code).toBe(4);
  });

  it('5 where it is refused, with the name of the code', async () => {
    server.refused.set('a', CODE_FORBIDDEN);
    const { code, stderr } = await sub(['a']);
    expect(stderr).toMatch(/^memorystreamer: FORBIDDEN.*\n$/);
    expect(code).toBe(5);
  });
});
