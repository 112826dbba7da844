import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { ENTRY, FAKE_BROKER, PRETEND, runNode, Running } from './processes.js';

type Behaviour =
  'ok' | 'stop-hangs' | 'start-hangs' | 'port-taken' | 'fails-later' | 'stop-rejects';

function serve(behaviour: Behaviour, ...argv: string[]): Running {
  return new Running([FAKE_BROKER, '--port', '4711', ...argv], { FAKE: behaviour });
}

test('the ready line is all of standard output, and the log is JSON lines', async () => {
  const broker = serve('ok');
  await broker.until('stdout', '\n');
  expect(broker.stdout).toBe(
    `memorystreamer ready url=ms://127.0.0.1:4711 shards=2 pid=${broker.pid}\n`,
  );
  broker.send('SIGTERM');
  await broker.code();
  const messages = broker.stderr
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as { msg: string }).msg);
  expect(messages).toEqual(['config loaded', 'stopping', 'stopped']);
});

test.each(['SIGTERM', 'SIGINT'] as const)('%s stops gracefully, with code 0', async (signal) => {
  const broker = serve('ok');
  await broker.until('stdout', 'ready');
  broker.send(signal);
  expect(await broker.code()).toBe(0);
  expect(broker.stdout).toMatch(/\nstop\n$/);
});

test('a second signal kills at once, with code 1', async () => {
  const broker = serve('stop-hangs');
  await broker.until('stdout', 'ready');
  broker.send('SIGTERM');
  await broker.until('stdout', 'stop\n');
  broker.send('SIGINT');
  expect(await broker.code()).toBe(1);
  expect(broker.stdout).toMatch(/\nstop\nkill\n$/);
});

test('a stop that is never done is ended after its grace, with code 1', async () => {
  const broker = serve('stop-hangs', '--shutdown-grace', '0');
  await broker.until('stdout', 'ready');
  broker.send('SIGTERM');
  expect(await broker.code()).toBe(1);
  expect(broker.stdout).toMatch(/\nstop\nkill\n$/);
  expect(broker.stderr).toContain('not stopped in time');
});

test('a second signal ends a start that hangs', async () => {
  const broker = serve('start-hangs');
  await broker.until('stdout', 'starting');
  broker.send('SIGTERM');
  await broker.until('stderr', 'stopping');
  broker.send('SIGTERM');
  expect(await broker.code()).toBe(1);
});

test('a stop that rejects has code 1', async () => {
  const broker = serve('stop-rejects');
  await broker.until('stdout', 'ready');
  broker.send('SIGTERM');
  expect(await broker.code()).toBe(1);
  expect(broker.stderr).toContain('memorystreamer: bug (Error)');
});

test('a broker that cannot go on ends with code 1 and the reason', async () => {
  const broker = serve('fails-later');
  expect(await broker.code()).toBe(1);
  expect(broker.stderr).toContain('memorystreamer: shard 1 is lost (MS_ERR_SHARD_LOST)\n');
  expect(broker.stdout).toContain('kill');
});

test('a port that is taken is named, with code 4', async () => {
  const broker = serve('port-taken');
  expect(await broker.code()).toBe(4);
  expect(broker.stdout).toBe('');
  expect(broker.stderr).toBe('memorystreamer: port 4711 is taken (MS_ERR_LISTEN)\n');
});

/** The lines of the log that are histograms, by shard. */
const histograms = ({ stderr }: Running): { shard: number }[] =>
  stderr
    .split('\n')
    .filter((line) => line.includes('"msg":"histograms"'))
    .map((line) => JSON.parse(line) as { shard: number });

test('SIGUSR2 crashes a shard with debug.faults, and logs histograms without', async () => {
  const crashing = serve('ok', '--debug-faults');
  await crashing.until('stdout', 'ready');
  crashing.send('SIGUSR2');
  await crashing.until('stdout', 'crash\n');
  crashing.send('SIGTERM');
  expect(await crashing.code()).toBe(0);
  expect(histograms(crashing)).toEqual([]);

  const telling = serve('ok');
  await telling.until('stdout', 'ready');
  telling.send('SIGUSR2');
  await telling.until('stderr', '"shard":2');
  telling.send('SIGTERM');
  expect(await telling.code()).toBe(0);
  expect(telling.stdout).not.toContain('crash');
  expect(histograms(telling).map(({ shard }) => shard)).toEqual([1, 2]);
});

test('log.histograms logs them at the end, whatever log.level is', async () => {
  const broker = serve('ok', '--log-histograms', '--log-level', 'silent');
  await broker.until('stdout', 'ready');
  broker.send('SIGUSR2');
  await broker.until('stderr', '"shard":2');
  broker.send('SIGTERM');
  expect(await broker.code()).toBe(0);
  expect(histograms(broker).map(({ shard }) => shard)).toEqual([1, 2, 1, 2]);
  expect(broker.stderr).not.toContain('stopp');
});

test('SIGUSR2 before the broker is there harms nothing', async () => {
  const broker = serve('start-hangs');
  await broker.until('stdout', 'starting');
  broker.send('SIGUSR2');
  broker.send('SIGTERM');
  await broker.until('stderr', 'stopping');
  broker.send('SIGTERM');
  expect(await broker.code()).toBe(1);
  expect(histograms(broker)).toEqual([]);
});

test('connections beyond the file descriptors: refused with code 3 if asked for, else lowered and warned of', () => {
  const serveWithFewFiles = (...argv: string[]) =>
    spawnSync(
      'sh',
      ['-c', 'ulimit -n 256 && exec "$@"', 'sh', process.execPath, FAKE_BROKER, ...argv],
      {
        env: { PATH: process.env['PATH'], FAKE: 'port-taken' },
        encoding: 'utf8',
      },
    );
  const asked = serveWithFewFiles('--limits-connections', '1000', '--shards', '1');
  expect(asked.status).toBe(3);
  expect(asked.stderr).toBe(
    'memorystreamer: --limits-connections: 1000 connections need 1072 file descriptors, ' +
      'the process may have 256; lower the key or raise "ulimit -n" (MS_ERR_CONFIG)\n',
  );
  const standard = serveWithFewFiles('--shards', '1');
  expect(standard.status).toBe(4);
  expect(standard.stderr).toContain('limits.connections: 184 instead of 10000');
});

test('another platform is refused with code 1', () => {
  const { code, stdout, stderr } = runNode(['--import', PRETEND, ENTRY], {
    PRETEND_PLATFORM: 'darwin',
  });
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toMatch(
    /^memorystreamer: the broker needs Linux .* darwin .*\(MS_ERR_NOT_LINUX\)\n$/,
  );
});
