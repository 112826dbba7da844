import { describe, expect, test } from 'vitest';
import type { Machine } from '../../src/config/machine.js';
import { arenaBytesMax, isLoopback } from '../../src/config/rules.js';
import { GIB, KIB, MIB } from '../../src/config/units.js';
import { faultsOf, fakeFiles, LARGE, load } from './support/sources.js';

async function values(argv: string[], machine: Machine = LARGE) {
  return (await load({ argv, machine })).values;
}

describe('the arena fits the machine', () => {
  test('the default is lowered to 60%, in whole pages', async () => {
    const { memory } = await values([], { ...LARGE, memoryBytes: GIB });
    expect(memory.arena).toBe(Math.floor((GIB * 0.6) / (64 * KIB)) * 64 * KIB);
  });

  test('an explicit value that fits is taken, up to the last byte', async () => {
    const machine = { ...LARGE, memoryBytes: GIB };
    const most = arenaBytesMax(machine);
    const argv = (bytes: number) => ['--memory-arena', String(bytes)];
    expect((await values(argv(most), machine)).memory.arena).toBe(most);
    expect(await faultsOf({ argv: argv(most + 1), machine })).toEqual([
      `--memory-arena: ${most + 1}B is more than 60% of the ${GIB} bytes that the machine or its ` +
        `control group allows; allowed: at most ${most / (64 * KIB) / 16}MiB (${most} bytes) here`.replace(
          /at most [\d.]+MiB/,
          `at most ${most / KIB}KiB`,
        ),
    ]);
  });

  test('a machine too small for the smallest arena is told so', async () => {
    const [fault] = await faultsOf({ machine: { ...LARGE, memoryBytes: 20 * MIB } });
    expect(fault).toMatch(/^default: memory\.arena: 16MiB is more than 60%/);
  });

  test('one larger than what is free now is warned of', async () => {
    expect((await load({ machine: { ...LARGE, availableBytes: GIB } })).warnings).toEqual([]);
    const { warnings } = await load({ machine: { ...LARGE, availableBytes: MIB } });
    expect(warnings).toEqual([
      'default: memory.arena: 1GiB is more than the 1048576 bytes that are free now',
    ]);
  });
});

describe('the retention fits the arena', () => {
  test('the default is lowered to half of it', async () => {
    const { streams } = await values(['--memory-arena', '32MiB']);
    expect(streams.default.retention.bytes).toBe(16 * MIB);
  });

  test('an explicit value over half of it is refused, half of it is not', async () => {
    const flag = '--streams-default-retention-bytes';
    const config = await values(['--memory-arena', '32MiB', flag, '16MiB']);
    expect(config.streams.default.retention.bytes).toBe(16 * MIB);
    expect(await faultsOf({ argv: ['--memory-arena', '32MiB', flag, '17MiB'] })).toEqual([
      `${flag}: 17MiB is more than half of memory.arena (32MiB); allowed: at most 16MiB with this arena`,
    ]);
  });

  test('so does that of each override', async () => {
    const yaml =
      'memory: {arena: 32MiB}\nstreams:\n  overrides: [{subject: a, retention: {bytes: 17MiB}}]';
    expect(await faultsOf({ yaml })).toEqual([
      '/b.yaml:3:47: streams.overrides[0].retention.bytes: 17MiB is more than half of memory.arena ' +
        '(32MiB); allowed: at most 16MiB with this arena',
    ]);
  });
});

describe('an address that other machines reach', () => {
  test.each(['0.0.0.0', '::', '192.0.2.1', '::ffff:192.0.2.1', '::2'])(
    '%s must be asked for',
    async (host) => {
      expect(await faultsOf({ argv: ['--host', host] })).toEqual([
        `--host: "${host}" lets other machines in, and the broker asks nobody who they are; ` +
          'allowed: 127.0.0.0/8 and ::1, or any with auth.required: true or listen.insecure: true',
      ]);
      expect((await values(['--host', host, '--listen-insecure'])).listen.host).toBe(host);
    },
  );

  test.each([
    ['required: true', 'token'],
    ['integrity: siphash-2-4', 'hmac-sha256'],
  ])('is taken where auth.%s has everybody asked who comes', async (auth, method) => {
    const loaded = (settings: string) => {
      const credential = `{keyId: a, method: ${method}, secretFile: /s}`;
      const yaml = `auth: {${settings}}\nlisten: {host: "::"}\ncredentials: [${credential}]`;
      const files = fakeFiles({ '/b.yaml': yaml, '/s': 'x'.repeat(16) });
      return load({ argv: ['--config', '/b.yaml'], files });
    };
    const { values: taken, warnings } = await loaded(auth);
    expect(taken.listen.host).toBe('::');
    const tokens =
      'default: auth.insecureTokens: tokens from other machines are refused, for they would be readable on the way';
    expect(warnings).toEqual(method === 'token' ? [tokens] : []);
    expect((await loaded(`${auth}, insecureTokens: true`)).warnings).toEqual([]);
  });

  test.each(['127.0.0.1', '127.9.9.9', '::1', '0:0:0:0:0:0:0:1', '::ffff:127.0.0.1', '0::0001'])(
    '%s is none',
    (host) => {
      expect(isLoopback(host)).toBe(true);
    },
  );
});

describe('a configuration held against the machine', () => {
  test('the defaults fit a large machine', async () => {
    expect((await load()).warnings).toEqual([]);
  });

  test('more connections than file descriptors: refused if asked for, else lowered and warned of', async () => {
    const argv = ['--shards', '2', '--limits-connections', '1000'];
    const few = { ...LARGE, openFilesMax: 1079 };
    expect(await faultsOf({ argv, machine: { ...few, openFilesMax: 1080 } })).toEqual([]);
    expect(await faultsOf({ argv, machine: few })).toEqual([
      '--limits-connections: 1000 connections need 1080 file descriptors, the process may have 1079; ' +
        'lower the key or raise "ulimit -n"',
    ]);
    const lowered = await load({ argv: ['--shards', '2'], machine: few });
    expect(lowered.values.limits.connections).toBe(999);
    expect(lowered.provenance.get('limits.connections')!.where).toBe('default, lowered to fit');
    expect(lowered.warnings).toEqual([
      'default: limits.connections: 999 instead of 10000: the process may have 1079 file descriptors; ' +
        'see "ulimit -n"',
    ]);
  });

  test('more shards than CPUs, less than nodes, and spinning on all CPUs, are warned of', async () => {
    const argv = ['--shards', '9', '--idle-strategy', 'spin'];
    const { warnings } = await load({ argv, machine: { ...LARGE, nodes: 10 } });
    expect(warnings).toEqual([
      '--shards: 9 shards share 8 CPUs; "auto" chooses by the CPUs',
      '--shards: 9 shards leave some of the 10 NUMA nodes idle',
      '--idle-strategy: "spin" takes all of the 8 CPUs; other threads have to wait for them',
    ]);
  });

  test('as many shards as CPUs and nodes are not, unless they spin; one less may spin', async () => {
    const machine = { ...LARGE, nodes: LARGE.cpus };
    const all = ['--shards', `${LARGE.cpus}`];
    expect((await load({ argv: all, machine })).warnings).toEqual([]);
    expect((await load({ argv: [...all, '--idle-strategy', 'spin'], machine })).warnings).toEqual([
      '--idle-strategy: "spin" takes all of the 8 CPUs; other threads have to wait for them',
    ]);
    const fewer = ['--shards', `${LARGE.cpus - 1}`, '--idle-strategy', 'spin'];
    expect((await load({ argv: fewer })).warnings).toEqual([]);
  });
});
