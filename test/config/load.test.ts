import { readFileSync } from 'node:fs';
import { describe, expect, expectTypeOf, test } from 'vitest';
import { isExplicit, loadConfig } from '../../src/config/load.js';
import type { Machine } from '../../src/config/machine.js';
import { FILE_BYTES_MAX } from '../../src/config/sources.js';
import type { Config } from '../../src/config/table.js';
import { GIB, MIB } from '../../src/config/units.js';
import { MemoryStreamerError } from '../../src/errors.js';

const machine: Machine = { memoryBytes: 64 * GIB, openFilesMax: 1_048_576, cpus: 8 };

interface Sources {
  argv?: string[];
  env?: NodeJS.ProcessEnv;
  /** Text, or bytes, of the file `b.json`. */
  file?: string | Uint8Array;
}

function load({ argv = [], env = {}, file }: Sources): Config {
  const bytes = typeof file === 'string' ? new TextEncoder().encode(file) : file;
  return loadConfig({
    argv: bytes === undefined ? argv : [...argv, '--config', 'b.json'],
    env,
    machine,
    readFile: () => bytes!,
  });
}

function faultsOf(sources: Sources): string[] {
  try {
    load(sources);
  } catch (error) {
    if (!(error instanceof MemoryStreamerError)) throw error;
    expect(error.code).toBe('MS_ERR_CONFIG');
    return error.message.split('\n');
  }
  return [];
}

test('the defaults', () => {
  expect(load({})).toEqual({
    listen: { host: '127.0.0.1', port: 7878 },
    shards: 'auto',
    memory: { arena: GIB },
    limits: { connections: 10_000, streams: 16_384, subscriptions: 1_024, publications: 4_096 },
    streams: { default: { retention: { bytes: 64 * MIB }, onFull: 'block' } },
    slowConsumer: { timeout: 1_000 },
    heartbeat: { interval: 30_000 },
    shutdown: { grace: 5_000 },
    idle: { strategy: 'block' },
    log: { level: 'info' },
    debug: { faults: false },
  });
});

test('types follow from the table', () => {
  expectTypeOf<Config['listen']['port']>().toEqualTypeOf<number>();
  expectTypeOf<Config['shards']>().toEqualTypeOf<number | 'auto'>();
  expectTypeOf<Config['streams']['default']['onFull']>().toEqualTypeOf<'block' | 'evict'>();
});

test('file < environment < flags', () => {
  const sources = {
    file: '{"listen": {"port": 1}, "log": {"level": "warn"}, "shards": 2}',
    env: { MEMORYSTREAMER_LISTEN_PORT: '2', MEMORYSTREAMER_LOG_LEVEL: 'error' },
    argv: ['--port', '3'],
  };
  const config = load(sources);
  expect(config.shards).toBe(2);
  expect(config.log.level).toBe('error');
  expect(config.listen.port).toBe(3);
});

test('every source reads sizes, durations, truths and "auto" alike', () => {
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
  expect(seen(load({ file: JSON.stringify(file) }))).toEqual(expected);
  expect(seen(load({ env }))).toEqual(expected);
  expect(seen(load({ argv: [...argv, '--shards', 'auto'] }))).toEqual(expected);
});

test('"localhost" is read as an address', () => {
  expect(load({ argv: ['--host', 'localhost'] }).listen.host).toBe('127.0.0.1');
  expect(load({ argv: ['--host', '::1'] }).listen.host).toBe('::1');
  expect(faultsOf({ argv: ['--host', 'broker.example'] })).toHaveLength(1);
  expect(faultsOf({ argv: ['--host', 'fe80::1%eth0'] })).toHaveLength(1);
});

test('the configuration is frozen all the way down', () => {
  const isFrozen = (value: unknown): boolean =>
    typeof value !== 'object' ||
    value === null ||
    (Object.isFrozen(value) && Object.values(value).every(isFrozen));
  expect(isFrozen(load({}))).toBe(true);
});

test('what a source gave is told from what is a default', () => {
  const config = load({ file: '{"listen": {"port": 7878}}', argv: ['--host', '::1'] });
  expect(isExplicit(config, 'listen.port')).toBe(true);
  expect(isExplicit(config, 'listen.host')).toBe(true);
  expect(isExplicit(config, 'shards')).toBe(false);
});

test('all faults of all sources are told at once, each in one line', () => {
  const faults = faultsOf({
    file: '{"listen": {"prot": 1, "port": 70000}, "shards": 1.5, "memory": []}',
    env: { MEMORYSTREAMER_LISTEN_PROT: '1', MEMORYSTREAMER_LOG_LEVEL: 'loud' },
    argv: ['--limits-streams', 'many', '--shutdown-grace=-1'],
  });
  expect(faults).toEqual([
    'b.json: listen.prot: is not a known key; did you mean listen.port?',
    'b.json: listen.port: 70000 is too large; allowed: a whole number from 0 to 65535',
    'b.json: shards: 1.5 is not valid; allowed: "auto" or a whole number from 1 to 63',
    'b.json: memory: [] is not an object; an object with keys is expected',
    'environment: MEMORYSTREAMER_LISTEN_PROT: is not a known name; did you mean MEMORYSTREAMER_LISTEN_PORT?',
    expect.stringMatching(
      /^MEMORYSTREAMER_LOG_LEVEL: log\.level: "loud" is not valid; allowed: one/,
    ),
    '--limits-streams: limits.streams: "many" is not valid; allowed: a whole number from 1 to 65535',
    expect.stringMatching(/^--shutdown-grace: shutdown\.grace: "-1" is not valid; allowed: milli/),
  ]);
});

test('a rule broken together with other faults is told with them', () => {
  const small = { ...machine, memoryBytes: GIB };
  expect(() =>
    loadConfig({
      argv: ['--port', 'x'],
      env: { MEMORYSTREAMER_MEMORY_ARENA: '4GiB' },
      machine: small,
    }),
  ).toThrow(/--port: listen\.port.*\nMEMORYSTREAMER_MEMORY_ARENA: memory\.arena: 4GiB is more/);
});

test('a value is refused although a later source replaces it', () => {
  const env = { MEMORYSTREAMER_LISTEN_PORT: 'x' };
  expect(faultsOf({ env, argv: ['--port', '1'] })).toHaveLength(1);
});

test('in a file numbers and truths are no strings', () => {
  expect(faultsOf({ file: '{"listen": {"port": "1"}, "debug": {"faults": "true"}}' })).toHaveLength(
    2,
  );
});

test('an empty value is refused, not ignored', () => {
  expect(faultsOf({ env: { MEMORYSTREAMER_SHARDS: '' }, argv: ['--memory-arena='] })).toHaveLength(
    2,
  );
});

test('numbers in other notations are refused as text', () => {
  for (const text of ['0x10', '1e3', '1.0', ' 1', '١']) {
    expect(faultsOf({ argv: [`--port=${text}`] })).toHaveLength(1);
  }
});

test('the client’s URL in the environment is not ours to judge', () => {
  expect(faultsOf({ env: { MEMORYSTREAMER_URL: 'ms://elsewhere' } })).toEqual([]);
});

describe('a hostile or broken file', () => {
  test.each([
    ['{"__proto__": {"faults": true}}', 'b.json: __proto__: is not a known key'],
    ['{"constructor": {"prototype": {}}}', 'b.json: constructor: is not a known key'],
    ['{"debug": {"__proto__": {"faults": true}}}', 'b.json: debug.__proto__: is not a known key'],
    ['{"listen": {"constructor": 1}}', 'b.json: listen.constructor: is not a known key'],
    ['{"listen.port": 1}', 'nest'],
    ['{"toString": 1}', 'b.json: toString: is not a known key'],
    ['{"a\\nb": 1}', 'b.json: a?b: is not a known key'],
    ['[]', '--config: b.json: holds []; a JSON object is expected'],
    ['null', '--config: b.json: holds null'],
    ['"listen"', '--config: b.json: holds "listen"'],
    ['', '--config: b.json: line 1, column 1: a value is expected'],
    ['{\n"shards": 1,\n}', '--config: b.json: line 3, column 1: a name in double quotes'],
    ['{"shards": 1, "shards": 2}', '"shards" stands here a second time'],
    ['{"listen": null}', 'b.json: listen: null is not an object'],
    ['{"shards": {"a": 1}}', 'b.json: shards: {"a":1} is not valid'],
  ])('%s is refused', (file, message) => {
    const faults = faultsOf({ file });
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain(message);
    expect(Object.keys(Object.prototype)).toEqual([]);
  });

  test('a file over its limit is refused, one at the limit is not', () => {
    const padded = (bytes: number) => `{}${' '.repeat(bytes - 2)}`;
    expect(faultsOf({ file: padded(FILE_BYTES_MAX) })).toEqual([]);
    expect(faultsOf({ file: padded(FILE_BYTES_MAX + 1) })[0]).toContain('is too large');
  });

  test('what is not UTF-8 is refused', () => {
    expect(faultsOf({ file: Uint8Array.of(0x7b, 0xff, 0x7d) })[0]).toContain('cannot be read');
  });

  test('what cannot be read is refused, by its path', () => {
    const argv = ['--config', '/nonexistent/b.json'];
    expect(() => loadConfig({ argv, env: {}, machine })).toThrow(
      '--config: /nonexistent/b.json: cannot be read: ENOENT',
    );
    expect(() => loadConfig({ argv: ['--config', '/'], env: {}, machine })).toThrow('EISDIR');
  });

  test('an endless file is given up at the limit', () => {
    expect(() => loadConfig({ argv: ['--config', '/dev/zero'], env: {}, machine })).toThrow(
      '/dev/zero: is too large',
    );
  });
});

test('the sample file says what the defaults are', () => {
  const file = readFileSync(new URL('../../docs/memorystreamer.example.json', import.meta.url));
  expect(load({ file })).toEqual(load({}));
});
