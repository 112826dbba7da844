import { expect, test } from 'vitest';
import { TABLE } from '../../src/config/table.js';

test('names of keys, flags and environment are unique, and are these', () => {
  const names = TABLE.map((row) => `${row.key} --${row.flag} ${row.env}`);
  expect(names).toContain('listen.port --port MEMORYSTREAMER_LISTEN_PORT');
  expect(names).toContain(
    'streams.default.onFull --streams-default-on-full MEMORYSTREAMER_STREAMS_DEFAULT_ON_FULL',
  );
  for (const name of ['key', 'flag', 'env'] as const) {
    expect(new Set(TABLE.map((row) => row[name])).size).toBe(TABLE.length);
  }
  expect(TABLE.map((row) => row.flag)).not.toContain('config');
});

test('no key is also a group', () => {
  for (const row of TABLE) {
    expect(TABLE.filter((other) => other.key.startsWith(`${row.key}.`))).toEqual([]);
  }
});

test.each(TABLE)('$key: its default is allowed, and reads back from how it is shown', (row) => {
  expect(row.type.parse(row.standard)).toEqual(row.standard);
  expect(row.type.parse(row.fromText(row.show(row.standard)))).toEqual(row.standard);
});

const credential = { keyId: 'a', method: 'token', secretFile: 'f' };

/** The values at the ends of each range, and those just beyond. */
test.each([
  ['listen.port', [0, 65535], [-1, 65536]],
  ['listen.insecure', [true, false], ['yes', 1]],
  ['shards', [1, 63], [0, 64]],
  ['memory.arena', ['16MiB', '4GiB'], [16 * 1024 ** 2 - 1, 4 * 1024 ** 3 + 1]],
  ['memory.prefault', [0, '4GiB'], [-1, 4 * 1024 ** 3 + 1]],
  ['limits.connections', [1, 1_000_000], [0, 1_000_001]],
  ['limits.streams', [1, 65535], [0, 65536]],
  ['limits.subscriptions', [1, 65535], [0, 65536]],
  ['limits.publications', [1, 65535], [0, 65536]],
  ['streams.default.retention.bytes', ['64KiB', '4GiB'], [65535, 4 * 1024 ** 3 + 1]],
  [
    'streams.overrides',
    [
      [],
      [{ subject: 'a.*.>' }],
      [{ subject: 'a', retention: { bytes: '64KiB' }, onFull: 'evict' }],
      Array.from({ length: 1_000 }, () => ({ subject: 'a' })),
    ],
    [
      Array.from({ length: 1_001 }, () => ({ subject: 'a' })),
      {},
      [{}],
      [{ subject: 'a', other: 1 }],
      [{ subject: 'a', retention: { bytes: 1 } }],
      ['a'],
    ],
  ],
  ['slowConsumer.timeout', ['10ms', '1h'], [9, 3_600_001]],
  ['heartbeat.interval', [100, '1h'], [99, 3_600_001]],
  ['shutdown.grace', [0, '10m'], [-1, 600_001]],
  ['idle.strategy', ['block', 'backoff', 'spin'], ['sleep', 'Block', 1]],
  ['streams.default.onFull', ['block', 'evict'], ['drop', '']],
  ['log.level', ['trace', 'fatal', 'silent'], ['verbose', 30]],
  ['auth.required', [true, false], ['yes']],
  ['auth.integrity', ['any', 'siphash-2-4'], ['xxh64', '']],
  ['auth.handshakeTimeout', [100, '10m'], [99, 600_001]],
  ['auth.maxPending', [1, 1_000_000], [0, 1_000_001]],
  ['auth.attemptsPerMinute', [1, 1_000_000], [0, 1_000_001]],
  ['auth.insecureTokens', [true, false], [1]],
  [
    'credentials',
    [
      [],
      [{ keyId: 'a.B-9_', method: 'token', secretFile: 'f' }],
      [{ keyId: 'a', method: 'hmac-sha256', secretFile: 'f', publish: { allow: [], deny: ['>'] } }],
      [{ keyId: 'a', method: 'token', secretFile: 'f', create: { deny: ['a.*'] } }],
      Array.from({ length: 1_000 }, () => credential),
      [{ ...credential, publish: { allow: Array.from({ length: 1_000 }, () => 'a') } }],
    ],
    [
      {},
      [{}],
      [{ keyId: 'a b', method: 'token', secretFile: 'f' }],
      [{ keyId: 'x'.repeat(65), method: 'token', secretFile: 'f' }],
      [{ keyId: 'a', method: 'password', secretFile: 'f' }],
      [{ keyId: 'a', method: 'token' }],
      [{ keyId: 'a', method: 'token', secret: 'f' }],
      [{ keyId: 'a', method: 'token', secretFile: 'f', publish: ['a'] }],
      [{ keyId: 'a', method: 'token', secretFile: 'f', subscribe: { allow: ['a..b'] } }],
      [{ keyId: 'a', method: 'token', secretFile: 'f', delete: { allow: [] } }],
      Array.from({ length: 1_001 }, () => credential),
      [{ ...credential, publish: { allow: Array.from({ length: 1_001 }, () => 'a') } }],
    ],
  ],
  ['log.histograms', [true, false], ['exit', 1]],
  ['debug.faults', [true, false], ['true', 0, 1, null]],
])('%s has these limits', (key, inside, outside) => {
  const { type } = TABLE.find((row) => row.key === key)!;
  for (const value of inside) expect(type.safeParse(value).success).toBe(true);
  for (const value of outside) expect(type.safeParse(value).success).toBe(false);
});
