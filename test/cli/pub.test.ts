import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  CODE_FORBIDDEN,
  CODE_LIMIT_EXCEEDED,
  TYPE_DATA,
  TYPE_OPEN,
} from '../../src/frame/codes.js';
import { Command, runCommand } from '../support/command.js';
import { TestServer } from '../support/server.js';

let server: TestServer;
let folder: string;

beforeEach(async () => {
  server = await TestServer.start();
  folder = mkdtempSync(join(tmpdir(), 'memorystreamer-'));
});

afterEach(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

const found = (subject = 'a') => server.stream(subject).frames.map(({ payload }) => payload);
const pub = (args: string[], input: string | Uint8Array = '') =>
  runCommand(['pub', '--url', server.url, ...args], input);

describe('pub', () => {
  it('a frame for each line: bytes unchanged, empty lines, and a last one without its end', async () => {
    const input = Buffer.from('one\n\ntwo \r\n\x00\xff\nlast', 'latin1');
    const { code, stdout, stderr } = await pub(['a'], input);
    expect({ code, stdout: stdout.toString(), stderr }).toEqual({
      code: 0,
      stdout: '',
      stderr: 'published 5 frames, 5 acknowledged\n',
    });
    expect(found()).toEqual(
      ['one', '', 'two \r', '\x00\xff', 'last'].map((line) => Buffer.from(line, 'latin1')),
    );
  });

  it('nothing is no frame', async () => {
    expect(await pub(['a'])).toMatchObject({
      code: 0,
      stderr: 'published 0 frames, 0 acknowledged\n',
    });
  });

  it('a line that comes in pieces is one frame', async () => {
    const command = new Command(['pub', 'a', '--url', server.url]);
    const opened = server.next(TYPE_OPEN);
    await opened;
    const first = server.next(TYPE_DATA);
    command.process.stdin.write('first\nsec');
    await first;
    command.process.stdin.end('ond\n');
    expect((await command.ended).code).toBe(0);
    expect(found().map(String)).toEqual(['first', 'second']);
  });

  it('a large file, line for line, and the environment for the address', async () => {
    const lines = Array.from({ length: 50_000 }, (_, i) => `${i} ${'x'.repeat(i % 200)}`);
    const file = join(folder, 'input');
    writeFileSync(file, lines.join('\n') + '\n');
    const env = { MEMORYSTREAMER_URL: server.url };
    const { code, stderr } = await runCommand(['pub', 'a', '--file', file], '', env);
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: 'published 50000 frames, 50000 acknowledged\n',
    });
    expect(found().map(String)).toEqual(lines);
  });

  it('the longest line there may be, and the number of the line that is longer', async () => {
    const longest = 'x'.repeat(65_496);
    expect(await pub(['a'], `${longest}\nb\n`)).toMatchObject({ code: 0 });
    expect(found().map((payload) => payload.length)).toEqual([65_496, 1]);
    for (const end of ['\n', '']) {
      const { code, stderr } = await pub(['b'], `one\ntwo\n${longest}x${end}`);
      expect(code).toBe(1);
      expect(stderr).toContain('published 2 frames, 2 acknowledged\n');
      expect(stderr).toContain('line 3 is longer');
      expect(stderr).toContain('MS_ERR_FRAME_TOO_LARGE');
    }
    expect(found('b').map(String)).toEqual(['one', 'two', 'one', 'two']);
  });

  it('--raw cuts the input into frames of one size', async () => {
    const input = Buffer.from(Uint8Array.from({ length: 100_003 }, (_, i) => i));
    expect(await pub(['a', '--raw', '--size', '1000'], input)).toMatchObject({ code: 0 });
    expect(found().map((payload) => payload.length)).toEqual([...Array<number>(100).fill(1000), 3]);
    expect(Buffer.concat(found())).toEqual(input);
  });

  it('--count generates without reading', async () => {
    const command = new Command(['pub', 'a', '--url', server.url, '--size', '16', '--count', '3']);
    expect(await command.ended).toMatchObject({ code: 0 });
    expect(found().map((payload) => payload.length)).toEqual([16, 16, 16]);
  });

  it('--rate holds it back', async () => {
    const startMs = performance.now();
    await pub(['a', '--size', '1', '--count', '11', '--rate', '50']);
    // The eleventh frame is due 200 ms after the first.
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(200);
    expect(found()).toHaveLength(11);
  });
});

describe('exit codes of pub', () => {
  it.each([
    [[], /one SUBJECT/],
    [['a', 'b'], /one SUBJECT/],
    [['a', '--nope'], /--nope/],
    [['a', '--size', '4'], /--size needs/],
    [['a', '--count', '4'], /--count needs --size/],
    [['a', '--raw'], /--raw needs --size/],
    [['a', '--raw', '--size', '0'], /from 1 to 65496/],
    [['a', '--size', '65497', '--count', '1'], /from 0 to 65496/],
    [['a', '--rate', '-1'], /rate/],
    [['a', '--count', '1', '--size', '1', '--file', 'x'], /reads no input/],
    [['a.*'], /subscriptions only/],
    [['a', '--url', 'http://x'], /ms:\/\//],
  ])('2 for %j', async (args, message) => {
    const url = args.includes('--url') ? [] : ['--url', server.url];
    const { code, stderr } = await runCommand(['pub', ...url, ...args]);
    expect(stderr).toMatch(message);
    expect(stderr.split('\n')).toHaveLength(2);
    expect(code).toBe(2);
  });

  it('1 where the file cannot be read', async () => {
    const { code, stderr } = await pub(['a', '--file', join(folder, 'none')]);
    expect(stderr).toMatch(/none cannot be read.*ENOENT.*MS_ERR_INPUT/);
    expect(code).toBe(1);
  });

  it('4 where nobody listens', async () => {
    const { code, stderr } = await runCommand(['pub', 'a', '--url', 'ms://127.0.0.1:1']);
    expect(stderr).toMatch(/^memorystreamer: ms:.*cannot be reached.*MS_ERR_UNREACHABLE\)\n$/);
    expect(code).toBe(4);
  });

  it('4 where the connection is lost, also while it waits for input', async () => {
    const opened = server.next(TYPE_OPEN);
    const command = new Command(['pub', 'a', '--url', server.url]);
    await opened;
    const first = server.next(TYPE_DATA);
    command.process.stdin.write('one\n');
    await first;
    server.cut();
    const { code, stderr } = await command.ended;
    expect(stderr).toMatch(/MS_ERR_CONNECTION_LOST/);
    expect(code).toBe(4);
  });

  it('5 where the subject or a frame is refused, with the name of the code', async () => {
    server.refused.set('a', CODE_FORBIDDEN);
    const subject = await pub(['a'], 'x\n');
    expect(subject.stderr).toContain('FORBIDDEN');
    expect(subject.code).toBe(5);
    server.refusedNumbers.set(2n, CODE_LIMIT_EXCEEDED);
    const frame = await pub(['b'], '1\n2\n3\n');
    expect(frame.stderr).toContain('published 3 frames, 2 acknowledged\n');
    expect(frame.stderr).toContain('LIMIT_EXCEEDED');
    expect(frame.code).toBe(5);
  });

  it('0 for --help, with examples', async () => {
    for (const command of ['pub', 'sub']) {
      const { code, stdout } = await runCommand([command, '--help']);
      expect(code).toBe(0);
      expect(stdout.toString()).toMatch(/Examples:\n {2}.*memorystreamer/);
    }
  });
});
