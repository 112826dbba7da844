import { readFileSync } from 'node:fs';
import { describe, expect, expectTypeOf, test } from 'vitest';
import { FILE_BYTES_MAX, FILES_MAX, realFiles } from '../../src/config/files.js';
import type { Config } from '../../src/config/table.js';
import { GIB, MIB } from '../../src/config/units.js';
import { fakeFiles, faultsOf, LARGE, load, type Given } from './support/sources.js';

async function values(given: Given = {}): Promise<Config> {
  return (await load(given)).values;
}

test('the defaults', async () => {
  expect(await values()).toEqual({
    listen: { host: '127.0.0.1', port: 7878, insecure: false },
    shards: 'auto',
    memory: { arena: GIB, prefault: 64 * MIB },
    limits: { connections: 10_000, streams: 16_384, subscriptions: 1_024, publications: 4_096 },
    streams: { default: { retention: { bytes: 64 * MIB }, onFull: 'block' }, overrides: [] },
    auth: {
      required: false,
      integrity: 'any',
      handshakeTimeout: 10_000,
      maxPending: 1_024,
      attemptsPerMinute: 60,
      insecureTokens: false,
    },
    credentials: [],
    slowConsumer: { timeout: 1_000 },
    heartbeat: { interval: 30_000 },
    shutdown: { grace: 5_000 },
    idle: { strategy: 'block' },
    log: { level: 'info', histograms: false },
    reload: { on: 'change' },
    debug: { faults: false },
  });
});

test('types follow from the table', () => {
  expectTypeOf<Config['listen']['port']>().toEqualTypeOf<number>();
  expectTypeOf<Config['shards']>().toEqualTypeOf<number | 'auto'>();
  expectTypeOf<Config['streams']['default']['onFull']>().toEqualTypeOf<'block' | 'evict'>();
  expectTypeOf<Config['streams']['overrides'][number]['subject']>().toEqualTypeOf<string>();
});

describe('sources', () => {
  const files = fakeFiles({
    '/etc/a.yaml':
      'profiles: {p: {shards: 1, limits: {streams: 1}}}\nlimits: {streams: 2, publications: 2}',
    '/etc/b.json': '{"limits": {"publications": 3, "subscriptions": 3}}',
    '/etc/conf.d/20.toml': 'limits.connections = 5\nlisten.port = 5',
    '/etc/conf.d/10.yml': 'limits: {subscriptions: 4, connections: 4}',
    '/etc/conf.d/.hidden.yaml': 'limits: {connections: 9}',
    '/etc/conf.d/30.yaml~': 'limits: {connections: 9}',
  });
  const argv = [
    '--config-dir',
    '/etc/conf.d',
    '--config',
    '/etc/a.yaml',
    '--config',
    '/etc/b.json',
  ];
  const env = { MEMORYSTREAMER_LISTEN_PORT: '6', MEMORYSTREAMER_LOG_LEVEL: 'error' };

  test('default < profile < files in order < folder by name < environment < flags', async () => {
    const given = { files, env, argv: [...argv, '--profile', 'p', '--log-level', 'warn'] };
    const { flat, provenance } = await load(given);
    const seen = (key: Exclude<keyof typeof flat, 'streams.overrides' | 'credentials'>) =>
      `${flat[key].toString()} ${provenance.get(key)!.where}`;
    expect(seen('idle.strategy')).toBe('block default');
    expect(seen('shards')).toBe('1 /etc/a.yaml:1:24');
    expect(seen('limits.streams')).toBe('2 /etc/a.yaml:2:19');
    expect(seen('limits.publications')).toBe('3 /etc/b.json:1:29');
    expect(seen('limits.subscriptions')).toBe('4 /etc/conf.d/10.yml:1:25');
    expect(seen('limits.connections')).toBe('5 /etc/conf.d/20.toml:1:22');
    expect(seen('listen.port')).toBe('6 MEMORYSTREAMER_LISTEN_PORT');
    expect(seen('log.level')).toBe('warn --log-level');
  });

  test('without its name a profile says nothing', async () => {
    expect((await values({ files, argv })).shards).toBe('auto');
  });

  test('what was read is told, for whoever watches', async () => {
    const { paths } = await load({ files, argv });
    expect(paths).toEqual([
      ...['/etc/a.yaml', '/etc/b.json', '/etc/conf.d/10.yml', '/etc/conf.d/20.toml'],
      '/etc/conf.d',
    ]);
  });

  test('a list replaces a list', async () => {
    const file = '{"streams": {"overrides": [{"subject": "a"}, {"subject": "b"}]}}';
    const { streams } = await values({ file, argv: ['--streams-overrides', '[{"subject": "c"}]'] });
    expect(streams.overrides).toEqual([{ subject: 'c' }]);
  });

  test('a file that is not for the broker is warned of', async () => {
    const folder = fakeFiles({ '/d/a.json': '{}', '/d/README': '' });
    const { warnings } = await load({ files: folder, argv: ['--config-dir', '/d'] });
    expect(warnings).toEqual([
      '/d/README: is not read: its name ends in none of .json, .yaml, .yml, .toml',
    ]);
  });

  test('a file that everybody can write is warned of, and is read all the same', async () => {
    const argv = ['--config', '/a.json'];
    const of = (mode: number) =>
      load({ argv, files: fakeFiles({ '/a.json': { content: '{"shards": 3}', mode } }) });
    const { values: config, warnings } = await of(0o646);
    expect(config.shards).toBe(3);
    expect(warnings).toEqual([
      "/a.json: everybody can write this file (mode 0646), and so the broker's settings",
    ]);
    expect((await of(0o664)).warnings).toEqual([]);
  });

  test('links inside of the folder may be, as Kubernetes makes them', async () => {
    const folder = fakeFiles({
      '/d/a.yaml': { link: '/d/..data/a.yaml' },
      '/d/..data': { link: '/d/..2026' },
      '/d/..2026/a.yaml': 'shards: 3',
    });
    expect((await values({ files: folder, argv: ['--config-dir', '/d'] })).shards).toBe(3);
  });
});

test('every source reads sizes, durations, truths and "auto" alike', async () => {
  const expected = { arena: 96 * MIB, timeout: 1_500, faults: true, shards: 'auto' };
  const seen = (config: Config) => ({
    arena: config.memory.arena,
    timeout: config.slowConsumer.timeout,
    faults: config.debug.faults,
    shards: config.shards,
  });
  const file = {
    memory: { arena: '96MiB' },
    slowConsumer: { timeout: '1.5s' },
    debug: { faults: true },
    shards: 'auto',
  };
  const env = {
    MEMORYSTREAMER_MEMORY_ARENA: '96 MiB',
    MEMORYSTREAMER_SLOW_CONSUMER_TIMEOUT: '1500',
    MEMORYSTREAMER_DEBUG_FAULTS: 'true',
    MEMORYSTREAMER_SHARDS: 'auto',
  };
  const argv = ['--memory-arena=96mib', '--slow-consumer-timeout', '1500ms', '--debug-faults'];
  const yaml =
    'memory: {arena: 96MiB}\nslowConsumer:\n  timeout: 1.5s\ndebug: {faults: true}\nshards: auto';
  const toml =
    'memory.arena = "96MiB"\nshards = "auto"\n[slowConsumer]\ntimeout = 1500\n[debug]\nfaults = true';
  expect(seen(await values({ file: JSON.stringify(file) }))).toEqual(expected);
  expect(seen(await values({ yaml }))).toEqual(expected);
  expect(seen(await values({ toml }))).toEqual(expected);
  expect(seen(await values({ env }))).toEqual(expected);
  expect(seen(await values({ argv: [...argv, '--shards', 'auto'] }))).toEqual(expected);
});

test('TOML writes groups and lists in each of its ways', async () => {
  const overrides = [{ subject: 'a', retention: { bytes: 65_536 } }, { subject: 'b' }];
  for (const toml of [
    'streams.overrides = [{ subject = "a", retention = { bytes = 65536 } }, { subject = "b" }]',
    '[streams]\noverrides = [{ subject = "a", retention.bytes = "64KiB" }, { subject = "b" }]',
    '[[streams.overrides]]\nsubject = "a"\n[streams.overrides.retention]\nbytes = 65536\n[[streams.overrides]]\n"subject" = "b"',
  ]) {
    expect((await values({ toml })).streams.overrides).toEqual(overrides);
  }
});

test('the byte order mark of some editors is no part of a file', async () => {
  for (const ending of ['json', 'yaml', 'toml']) {
    const path = `/b.${ending}`;
    const text = ending === 'toml' ? 'shards = 3' : '{"shards": 3}';
    const files = fakeFiles({ [path]: `\ufeff${text}` });
    expect((await values({ files, argv: ['--config', path] })).shards).toBe(3);
  }
});

test('"localhost" is read as an address', async () => {
  expect((await values({ argv: ['--host', 'localhost'] })).listen.host).toBe('127.0.0.1');
  expect((await values({ argv: ['--host', '::1'] })).listen.host).toBe('::1');
});

test('the configuration is frozen all the way down', async () => {
  const isFrozen = (value: unknown): boolean =>
    typeof value !== 'object' ||
    value === null ||
    (Object.isFrozen(value) && Object.values(value).every(isFrozen));
  const file = '{"streams": {"overrides": [{"subject": "a", "retention": {"bytes": "1MiB"}}]}}';
  const { values: config, flat } = await load({ file });
  expect(isFrozen(config)).toBe(true);
  expect(isFrozen(flat)).toBe(true);
});

test('loading twice gives the same, and changes nothing of the process', async () => {
  const given = { yaml: 'shards: 2', env: { MEMORYSTREAMER_LOG_LEVEL: 'warn' } };
  const first = await load(given);
  expect(await load(given)).toEqual(first);
});

test('the digest is of the effective values, however they were said', async () => {
  const { digest } = await load({ argv: ['--memory-arena', '1GiB', '--shards', '2'] });
  expect((await load({ toml: 'shards = 2' })).digest).toBe(digest);
  expect((await load({ toml: 'shards = 3' })).digest).not.toBe(digest);
  expect(digest).toMatch(/^[0-9a-f]{64}$/);
});

test('a value is refused although a later source replaces it', async () => {
  const env = { MEMORYSTREAMER_LISTEN_PORT: 'x' };
  expect(await faultsOf({ env, argv: ['--port', '1'] })).toHaveLength(1);
});

test('the client’s URL in the environment is not ours to judge', async () => {
  expect(await faultsOf({ env: { MEMORYSTREAMER_URL: 'ms://elsewhere' } })).toEqual([]);
});

describe('limits', () => {
  test('a file over its limit is refused, one at the limit is not', async () => {
    const padded = (bytes: number) => `{}${' '.repeat(bytes - 2)}`;
    expect(await faultsOf({ file: padded(FILE_BYTES_MAX) })).toEqual([]);
    expect(await faultsOf({ file: padded(FILE_BYTES_MAX + 1) })).toEqual([
      '/b.json: is too large; allowed: at most 131072 bytes',
    ]);
  });

  test('an endless file is given up at the limit, a folder is no file', async () => {
    const argv = ['--config', '/dev/zero', '--config', '/'];
    expect(await faultsOf({ files: realFiles, argv })).toEqual([
      '/dev/zero: is too large; allowed: at most 131072 bytes',
      '/: cannot be read: EISDIR; a readable file in UTF-8 is expected',
    ]);
  });

  test('too many files are refused before one is read', async () => {
    const argv = Array.from({ length: FILES_MAX + 1 }, (_, at) => ['--config', `/${at}`]).flat();
    expect(await faultsOf({ argv })).toEqual(['--config: 257 files are too many; allowed: 256']);
    const most = await faultsOf({ argv: argv.slice(2) });
    expect(most).toHaveLength(FILES_MAX);
    expect(most[0]).toMatch(/^\/1: cannot be read: /);
  });

  test.each([
    ['json', '['.repeat(FILE_BYTES_MAX)],
    ['json', '{"a":'.repeat(FILE_BYTES_MAX / 5)],
    ['yaml', '['.repeat(FILE_BYTES_MAX)],
    ['yaml', '{a: '.repeat(FILE_BYTES_MAX / 4)],
    ['yaml', '- '.repeat(FILE_BYTES_MAX / 2)],
    ['yaml', Array.from({ length: 12_000 }, (_, at) => `k${at}: 1`).join('\n')],
    ['yaml', `[${'? a : b, '.repeat(14_000)}]`],
    ['yaml', `a: ${'&a !t\n  '.repeat(16_000)}`],
    ['yaml', `a: "${'x\n '.repeat(40_000)}"`],
    // Each level is read as a value first, and as a name then.
    [
      'yaml',
      Array.from({ length: 31 }, (_, at) => `${' '.repeat(at)}&a\n${' '.repeat(at)}!t k:\n`).join(
        '',
      ),
    ],
    ['yaml', `${'- &a !t '.repeat(31)}a: b: c`],
    ['toml', `a = ${'['.repeat(FILE_BYTES_MAX - 4)}`],
    ['toml', `${'a.'.repeat(FILE_BYTES_MAX / 2 - 2)}b=1`],
    ['toml', '[[k]]\n'.repeat(20_000)],
  ])('the largest .%s is refused in the time that a test has', async (ending, text) => {
    const path = `/b.${ending}`;
    const files = fakeFiles({ [path]: text });
    expect((await faultsOf({ files, argv: ['--config', path] })).length).toBeGreaterThan(0);
  });

  test('of very many faults the first thousand are told', async () => {
    const names = Array.from({ length: 1_200 }, (_, at) => `k${at}: 1`).join('\n');
    const faults = await faultsOf({ yaml: names });
    expect(faults).toHaveLength(1_001);
    expect(faults.at(-1)).toBe('and 200 more faults');
  });
});

test('what is asked of a smaller machine is told with its source', async () => {
  const small = { ...LARGE, memoryBytes: GIB };
  const env = { MEMORYSTREAMER_MEMORY_ARENA: '4GiB' };
  expect(await faultsOf({ machine: small, env, argv: ['--port', 'x'] })).toEqual([
    '--port: "x" is not valid; allowed: a whole number from 0 to 65535',
    expect.stringMatching(/^MEMORYSTREAMER_MEMORY_ARENA: 4GiB is more than 60%/),
  ]);
});

test('the sample file says what the defaults are', async () => {
  const path = new URL('../../docs/memorystreamer.example.json', import.meta.url);
  expect(await values({ file: readFileSync(path) })).toEqual(await values());
});
