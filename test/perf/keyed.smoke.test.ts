// The generator's keyed frames against the vectors and against the broker, and the scripts that measure them, in a tiny
// size. What they measure is no verdict.
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { frameBytes } from '../../src/frame/codec.js';
import { TYPE_DATA } from '../../src/frame/codes.js';
import { endBrokers, startBroker, type Broker } from '../support/broker.js';
import { Credentials } from '../support/credentials.js';
import { perfModule, root } from './module.js';

const loadgen = join(root, 'build', 'loadgen');
const run = promisify(execFile);

interface Vectors {
  siphash24: { length: number; tag: string }[];
}

let files: Credentials;
let broker: Broker;
let proxy: Server | undefined;

beforeAll(async () => {
  const module = await perfModule<{ compileLoadgen(): string }>('lib/loadgen.mjs');
  expect(module.compileLoadgen()).toBe(loadgen);
  files = new Credentials();
  broker = await startBroker('--shards', '1', '--config', files.configuration({ required: true }));
}, 60_000);

afterEach(() => {
  proxy?.close();
  proxy = undefined;
});

afterAll(async () => {
  await endBrokers();
  files.remove();
});

async function generate(...args: string[]): Promise<Record<string, unknown>> {
  const { stdout } = await run(loadgen, args);
  return JSON.parse(stdout) as Record<string, unknown>;
}

const key = (file = 'all.secret') => ['--key-id', 'all', '--secret-file', files.path(file)];
const tiny = ['--seconds', '0.05', '--warmup', '0.02', '--verify', '--window', '65536'];

/** Every message came, in order, and its tag was verified. */
const whole = (report: Record<string, unknown>) => {
  expect(report).toMatchObject({ gaps: 0, reordered: 0, misplaced: 0, corrupt: 0, error: '' });
  expect(report['delivered']).toBeGreaterThan(0);
  expect(report['delivered']).toBe(report['expected']);
};

/** Passes everything on, and hands what comes from the broker to `change` before, frame by frame. */
async function startProxy(change: (frame: Buffer) => void): Promise<string> {
  const relay = (client: Socket): void => {
    const upstream = connect(broker.port, '127.0.0.1');
    let rest = Buffer.alloc(0);
    client.pipe(upstream);
    upstream.on('data', (bytes: Buffer) => {
      rest = Buffer.concat([rest, bytes]);
      for (;;) {
        const byteCount = rest.length < 40 ? Infinity : frameBytes(rest.readUInt32LE(12));
        if (rest.length < byteCount) break;
        const frame = Buffer.from(rest.subarray(0, byteCount));
        rest = rest.subarray(byteCount);
        change(frame);
        client.write(frame);
      }
    });
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
    }
  };
  proxy = createServer(relay).listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  return String((proxy.address() as AddressInfo).port);
}

describe('the load generator, keyed', () => {
  it('computes SipHash-2-4 as the protocol’s vectors do', async () => {
    const path = join(root, 'docs', 'vectors.json');
    const { siphash24 } = JSON.parse(readFileSync(path, 'utf8')) as Vectors;
    expect(siphash24.length).toBeGreaterThan(5);
    for (const { length, tag } of siphash24) {
      expect(await generate('siphash', '--size', String(length))).toEqual({ tag });
    }
  });

  it.each([
    ['--size', '61'],
    ['--size', '0'],
    ['--size', '5000', '--publishers', '2', '--subscribers', '2'],
    ['--size', '128', '--streams', '3'],
  ])('proves itself, and publishes and verifies %s %s %s %s', async (...shape) => {
    const target = ['--port', String(broker.port), '--subject', `keyed.${shape.join('.')}`];
    whole(await generate('throughput', ...target, ...key(), ...shape, ...tiny));
  });

  it('measures latency by keyed frames', async () => {
    const target = ['--port', String(broker.port), '--subject', 'keyed.latency'];
    const short = ['--seconds', '0.05', '--warmup', '0', '--rate', '5000', '--size', '64'];
    whole(await generate('latency', ...target, ...key(), ...short));
  });

  it.each([
    ['a bit of a payload', 50],
    ['a bit of a tag', 35],
  ])('notices %s that is changed on the way to it', async (_what, place) => {
    let count = 0;
    const port = await startProxy((frame) => {
      if (frame[3] === TYPE_DATA && ++count === 5) frame[place]! ^= 1;
    });
    const report = await generate('throughput', '--port', port, '--size', '64', ...key(), ...tiny);
    expect(report).toMatchObject({ corrupt: 1, gaps: 0, error: '' });
  });

  it('makes many connections that prove themselves, and counts how they end', async () => {
    const target = ['handshake', '--port', String(broker.port)];
    const many = [...target, '--total', '40', '--outstanding', '8'];
    const good = await generate(...many, ...key());
    expect(good).toMatchObject({ attempts: 40, welcomed: 40, refused: 0, closed: 0, error: '' });
    // Those of another one's secret; no more than the broker looks at in a minute.
    const bad = await generate(...many, '--key-id', 'all', '--secret-file', files.path('token'));
    expect(bad).toMatchObject({ attempts: 40, welcomed: 0, refused: 40, closed: 0 });
    const timed = await generate(...target, ...key(), '--rate', '200', '--seconds', '0.1');
    expect(timed).toMatchObject({ attempts: 20, welcomed: 20 });
  });

  it('says that it was refused, without the secret', async () => {
    const wrong = files.file('wrong.secret', 'another secret of 32 bytes, not it');
    const args = ['throughput', '--port', String(broker.port), '--key-id', 'all'];
    const failed = run(loadgen, [...args, '--secret-file', wrong]);
    await expect(failed).rejects.toMatchObject({
      stderr: expect.stringMatching(/^loadgen: PROOF was answered by error 13: /) as string,
    });
  });

  it.each([
    ['rtt has no keyed frames', ['rtt', '--port', '1']],
    ['only the broker itself knows --key-id', ['throughput', '--port', '1', '--protocol', 'nats']],
  ])('refuses what it cannot do: %s', async (text, args) => {
    await expect(run(loadgen, [...args, ...key()])).rejects.toMatchObject({
      stderr: expect.stringContaining(text) as string,
    });
  });
});

describe('the scripts', () => {
  it('measure keyed frames beside plain ones, and beside another build', async () => {
    const args = ['perf/keyed.mjs', '--smoke', '--beside', '.'];
    const { stdout } = await run(process.execPath, args, { cwd: root });
    expect(stdout).toMatch(/plain 128 B.*\nkeyed 128 B.*\nkeyed, beside 128 B/);
    expect(stdout).toMatch(/128 B: this build takes [\d.]+x of the CPU/);
  });

  it('measure handshakes, good and bad ones', async () => {
    const { stdout } = await run(process.execPath, ['perf/handshake.mjs', '--smoke'], {
      cwd: root,
    });
    expect(stdout).toMatch(/hmac-sha256, 8 at once[^]*beyond the limit[^]*alone[^]*bad attempts/);
  });
});
