// Benchmarks run here in a tiny size, so that they never rot. What they measure is never a verdict:
// only that they work, and that the generator notices what a peer does wrong.
import { execFile, spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '..', '..');
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
  const tiny = ['--seconds', '0.05', '--warmup', '0.02', '--verify'];
  return generate('throughput', '--protocol', 'relay', '--port', port, ...messages, ...tiny);
}

const clean = { gaps: 0, reordered: 0, misplaced: 0, corrupt: 0, strays: 0, error: '' };

beforeAll(async () => {
  // Plain JavaScript without types, hence a name that the compiler does not follow.
  const path = pathToFileURL(join(root, 'perf', 'lib', 'loadgen.mjs')).href;
  const module = (await import(path)) as { compileLoadgen(): string };
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

  it('notices one changed bit of a header', async () => {
    const report = await throughputThrough('ms', '--fault', 'flip-header:5');
    expect(report).toMatchObject({ ...clean, corrupt: 1 });
  });

  it.each(['ms', 'nats'])('notices a lost message (%s)', async (wire) => {
    const report = await throughputThrough(wire, '--fault', 'drop:5');
    expect(report).toMatchObject({ ...clean, gaps: 1, misplaced: 1 });
    expect(report.delivered).toBe(report.sent - 1);
  });

  it.each(['ms', 'nats'])('notices one changed bit of a payload (%s)', async (wire) => {
    const report = await throughputThrough(wire, '--fault', 'flip:5');
    expect(report).toMatchObject({ ...clean, corrupt: 1 });
    expect(report.delivered).toBe(report.sent);
  });

  it.each(['ms', 'nats'])('notices two messages that changed places (%s)', async (wire) => {
    const report = await throughputThrough(wire, '--fault', 'swap:5');
    expect(report).toMatchObject({ gaps: 1, reordered: 1, corrupt: 0 });
    expect(report.delivered).toBe(report.sent);
  });
});

describe('the benchmark script', () => {
  // The peers that need nothing installed; nats-server is left to real runs.
  it('runs every suite in its smoke size', async () => {
    const out = join(scratch, 'smoke.json');
    await run(process.execPath, ['perf/bench.mjs', '--smoke', '--peers', 'relay', '--out', out], {
      cwd: root,
    });
    const { results } = JSON.parse(readFileSync(out, 'utf8')) as {
      results: Record<string, { figures?: Figure[] }>;
    };
    expect(Object.keys(results)).toEqual(['throughput', 'shards', 'latency', 'idle', 'connect']);
    for (const suite of ['throughput', 'latency', 'idle', 'connect']) {
      const figures = results[suite]?.figures ?? [];
      expect(figures.length).toBeGreaterThan(0);
      for (const figure of figures) {
        expect(figure).toMatchObject({ missing: null, failed: null });
        expect(figure.runs).toHaveLength(1);
        if (suite === 'throughput' || suite === 'latency') {
          expect(figure.runs[0]).toMatchObject(clean);
          expect(figure.runs[0]!.delivered).toBe(figure.runs[0]!.expected);
          expect(figure.runs[0]!.delivered).toBeGreaterThan(0);
        }
      }
    }
  }, 60_000);

  it('refuses a suite that it does not know, by name', async () => {
    const asked = run(process.execPath, ['perf/bench.mjs', 'speed'], { cwd: root });
    await expect(asked).rejects.toMatchObject({
      stderr: expect.stringContaining('"speed"') as string,
    });
  });

  it('measures keyed frames beside plain ones in its smoke size', async () => {
    const { stdout } = await run(process.execPath, ['perf/keyed.mjs', '--smoke'], { cwd: root });
    expect(stdout).toMatch(/plain 128 B.*\nkeyed 128 B/);
    expect(stdout).not.toContain('VOID');
  });

  it('measures handshakes, good and bad ones, in its smoke size', async () => {
    const { stdout } = await run(process.execPath, ['perf/handshake.mjs', '--smoke'], {
      cwd: root,
    });
    expect(stdout).toMatch(/connections\/s[^]*alone[^]*bad attempts/);
  });

  it('measures the codec in its smoke size', async () => {
    const { stdout } = await run(process.execPath, ['perf/codec.mjs', '--smoke'], { cwd: root });
    expect(stdout).toContain('65496 B');
  });
});
