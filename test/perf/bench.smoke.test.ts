// Benchmarks run here in a tiny size, so that they never rot. What they measure is never a verdict:
// only that they work, and that the generator notices what a peer does wrong.
import { execFile, spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { perfModule, root } from './module.js';

const loadgen = join(root, 'build', 'loadgen');
const scratch = mkdtempSync(join(tmpdir(), 'memorystreamer-perf-'));
const run = promisify(execFile);

interface Report extends Record<string, unknown> {
  sent: number;
  expected: number;
  delivered: number;
  headerChecks: number;
  payloadChecks: number;
}

interface Figure {
  peer: string;
  missing: string | null;
  failed: string | null;
  /** Of the generator itself: what it did not notice. */
  missed?: string[];
  runs: Report[];
}

interface Vectors {
  xxh64: { length: number; hash: string }[];
}

let peer: ChildProcessByStdio<null, Readable, null> | undefined;

async function startPeer(...args: string[]): Promise<string> {
  peer = spawn(loadgen, [...args, '--port', '0'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(peer.stdout, 'data')) as [Buffer];
  return String((JSON.parse(line.toString()) as { port: number }).port);
}

async function generate(...args: string[]): Promise<Report> {
  const { stdout } = await run(loadgen, args);
  return JSON.parse(stdout) as Report;
}

/** A short run through a relay that was started with the same wire and size. */
async function throughputThrough(wire: string, ...relayArgs: string[]): Promise<Report> {
  const messages = ['--wire', wire, '--size', '64'];
  const port = await startPeer('relay', ...messages, ...relayArgs);
  const tiny = ['--seconds', '0.05', '--warmup', '0.02', '--patience', '0.5', '--verify'];
  return generate('throughput', '--protocol', 'relay', '--port', port, ...messages, ...tiny);
}

const clean = { gaps: 0, reordered: 0, misplaced: 0, corrupt: 0, strays: 0, error: '' };

beforeAll(async () => {
  const module = await perfModule<{ compileLoadgen(): string }>('lib/loadgen.mjs');
  expect(module.compileLoadgen()).toBe(loadgen);
}, 60_000);

afterEach(async () => {
  if (!peer) return;
  const ended = once(peer, 'exit');
  peer.kill();
  await ended;
  peer = undefined;
});

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe('the load generator', () => {
  it('computes XXH64 as the protocol’s vectors do', async () => {
    const path = join(root, 'docs', 'vectors.json');
    const { xxh64 } = JSON.parse(readFileSync(path, 'utf8')) as Vectors;
    expect(xxh64.length).toBeGreaterThan(10);
    for (const { length, hash } of xxh64) {
      expect(await generate('xxh64', '--size', String(length))).toEqual({ hash });
    }
  });

  it('gets everything back through a faultless relay, with every check on', async () => {
    const report = await throughputThrough('ms');
    expect(report).toMatchObject(clean);
    expect(report.delivered).toBe(report.sent);
    expect(report.delivered).toBeGreaterThan(0);
    expect(report.headerChecks).toBe(report.delivered);
    expect(report.payloadChecks).toBe(report.delivered);
  });

  it.each(['ms', 'nats', 'redis', 'mqtt'])('joins streams and subscribers (%s)', async (wire) => {
    const shape = ['--wire', wire, '--size', '64', '--streams', '3', '--subscribers', '2'];
    const port = await startPeer('relay', ...shape);
    const tiny = ['--seconds', '0.05', '--warmup', '0.02', '--verify', '--window', '65536'];
    const report = await generate(
      'throughput',
      '--protocol',
      'relay',
      '--port',
      port,
      ...shape,
      ...tiny,
    );
    expect(report).toMatchObject(clean);
    expect(report.expected).toBe(report.sent * 2);
    expect(report.delivered).toBe(report.expected);
    expect(report.payloadChecks).toBe(report.delivered);
    expect(report.delivered).toBeGreaterThan(0);
  });

  it.each(['nats', 'redis', 'mqtt'])('notices a changed bit in latency too (%s)', async (wire) => {
    const messages = ['--wire', wire, '--size', '64'];
    const port = await startPeer('relay', ...messages, '--fault', 'flip:5');
    const tiny = ['--seconds', '0.02', '--warmup', '0', '--rate', '2000'];
    const report = await generate(
      'latency',
      '--protocol',
      'relay',
      '--port',
      port,
      ...messages,
      ...tiny,
    );
    expect(report).toMatchObject({ ...clean, corrupt: 1 });
  });

  it('notices one changed bit of a header', async () => {
    const report = await throughputThrough('ms', '--fault', 'flip-header:5');
    expect(report).toMatchObject({ ...clean, corrupt: 1 });
  });

  it.each(['ms', 'nats', 'redis', 'mqtt'])('notices a lost message (%s)', async (wire) => {
    const report = await throughputThrough(wire, '--fault', 'drop:5');
    expect(report).toMatchObject({ ...clean, gaps: 1, misplaced: 1 });
    expect(report.delivered).toBe(report.sent - 1);
  });

  it.each(['ms', 'nats', 'redis', 'mqtt'])(
    'notices one changed bit of a payload (%s)',
    async (wire) => {
      const report = await throughputThrough(wire, '--fault', 'flip:5');
      expect(report).toMatchObject({ ...clean, corrupt: 1 });
      expect(report.delivered).toBe(report.sent);
    },
  );

  it.each(['ms', 'nats', 'redis', 'mqtt'])(
    'notices two messages that changed places (%s)',
    async (wire) => {
      const report = await throughputThrough(wire, '--fault', 'swap:5');
      expect(report).toMatchObject({ gaps: 1, reordered: 1, corrupt: 0 });
      expect(report.delivered).toBe(report.sent);
    },
  );
});

const servers = ['nats', 'redis', 'mosquitto', 'aedes'];
const scenarios = [
  'generator',
  'throughput',
  'streams',
  'fanin',
  'fanout',
  'latency',
  'rtt',
  'connect',
  'idle',
  'storm',
  'replay',
  'wakeup',
  'codec',
  'log',
  'config',
  'reload',
];
/** Figures of the generator, in which it counts what it received, and of what it did not see. */
const received = [
  ...['throughput', 'streams', 'fanin', 'fanout', 'latency', 'rtt', 'storm', 'replay', 'wakeup'],
  'reload',
];

function perf(args: string[], env: NodeJS.ProcessEnv = process.env) {
  return run(process.execPath, ['perf/bench.mjs', ...args], { cwd: root, env });
}

describe('the benchmark script', () => {
  it('runs every scenario in its smoke size beside every peer that is installed', async () => {
    const out = join(scratch, 'smoke.json');
    await perf(['--smoke', '--out', out]);
    const { results, peers } = JSON.parse(readFileSync(out, 'utf8')) as {
      results: Record<string, { figures: Figure[] }>;
      peers: { name: string; version: string }[];
    };
    expect(Object.keys(results)).toEqual(scenarios);
    const isMissing = new Set(
      peers.filter(({ version }) => version === 'missing').map(({ name }) => name),
    );
    expect(isMissing).not.toContain('aedes');
    for (const [scenario, { figures }] of Object.entries(results)) {
      expect(figures.length).toBeGreaterThan(0);
      for (const figure of figures) {
        const label = `${scenario} ${figure.peer}: ${figure.failed ?? ''}`;
        expect(figure.failed ?? null, label).toBeNull();
        expect(typeof figure.missing === 'string', label).toBe(isMissing.has(figure.peer));
        if (isMissing.has(figure.peer) || !received.includes(scenario)) continue;
        const [one] = figure.runs;
        expect(one, label).toMatchObject({
          gaps: 0,
          reordered: 0,
          corrupt: 0,
          strays: 0,
          error: '',
        });
        expect(one!.delivered, label).toBe(one!.expected);
        expect(one!.delivered, label).toBeGreaterThan(0);
      }
    }
    const spoiled = results['generator']!.figures.flatMap(({ missed }) => (missed ? [missed] : []));
    expect(spoiled, 'of each protocol what a relay spoils is noticed').toEqual([[], [], [], []]);
    const [first] = results['throughput']!.figures;
    expect(first!.runs[0]!.payloadChecks).toBe(first!.runs[0]!.delivered);
    expect(readFileSync(join(scratch, 'smoke.html'), 'utf8')).toContain('A smoke run');
  }, 300_000);

  it('measures another build as one more peer', async () => {
    const out = join(scratch, 'beside.json');
    const args = ['rtt', '--smoke', '--peers', 'memorystreamer', '--beside', root, '--out', out];
    await perf(args);
    const { results } = JSON.parse(readFileSync(out, 'utf8')) as {
      results: { rtt: { figures: Figure[] } };
    };
    const of = (name: string) => results.rtt.figures.find((figure) => figure.peer === name);
    expect(of('memorystreamer')).toMatchObject({ failed: null, missing: null });
    expect(of('beside')).toMatchObject({ failed: null, missing: null });
    expect(of('beside')!.runs).toHaveLength(1);
  });

  it('goes on after a scenario that failed, and ends with status 1', async () => {
    const out = join(scratch, 'failed.json');
    // More connections than there may be files.
    const args = ['idle', 'rtt', '--smoke', '--peers', 'relay', '--connections', '4000000000'];
    await expect(perf([...args, '--out', out])).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/idle FAILED: .*ulimit[^]*not in order: idle/) as string,
    });
    const { results } = JSON.parse(readFileSync(out, 'utf8')) as {
      results: { idle: object; rtt: { figures: Figure[] } };
    };
    expect(results.idle).toHaveProperty('failed');
    expect(results.rtt.figures[0]!.runs).toHaveLength(1);
  });

  it('reports a peer that is not installed as missing, in the table and in the result', async () => {
    // Nothing but what the runner itself calls, so that no server is on the path.
    const bin = mkdtempSync(join(scratch, 'bin-'));
    const { stdout: taskset } = await run('which', ['taskset']);
    symlinkSync(taskset.trim(), join(bin, 'taskset'));
    const out = join(scratch, 'missing.json');
    const args = ['latency', '--smoke', '--peers', 'redis,relay', '--out', out];
    const { stdout } = await perf(args, { ...process.env, PATH: bin });
    expect(stdout).toMatch(/^redis: MISSING$/m);
    expect(stdout).toMatch(/^redis 1,000 .*MISSING: redis-server is not installed/m);
    const { results } = JSON.parse(readFileSync(out, 'utf8')) as {
      results: { latency: { figures: Figure[] } };
    };
    const [redis, relay] = results.latency.figures;
    expect(redis).toMatchObject({ peer: 'redis', runs: [], failed: null });
    expect(redis!.missing).toContain('apt-get install redis-server');
    expect(relay!.missing).toBeNull();
  });

  it.each(servers)('knows %s, what it checks and what it promises', async (name) => {
    const peerModule = await perfModule<{
      describePeers(): Record<'name' | 'checks' | 'promises' | 'settings', string>[];
    }>('lib/peers.mjs');
    const one = peerModule.describePeers().find((peer) => peer.name === name);
    expect(one?.checks).toMatch(/\w/);
    expect(one?.promises).toContain('at most once, no log, no checksum');
    expect(one?.settings).toMatch(/\w/);
  });

  it.each([
    ['speed', '"speed"'],
    ['throughput --peers kafka', '"kafka"'],
    ['throughput --sizes many', '--sizes wants numbers'],
    ['throughput --beside /nowhere', '--beside /nowhere: there is no build in it'],
  ])('refuses what it does not know: %s', async (args, said) => {
    await expect(perf(args.split(' '))).rejects.toMatchObject({
      stderr: expect.stringContaining(said) as string,
    });
  });
});
