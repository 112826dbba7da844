import { describe, expect, test } from 'vitest';
import type { Step } from '../../src/config/migrate.js';
import { faultsOf, load } from './support/sources.js';

const steps: readonly Step[] = [
  { renamed: { 'net.tcp.port': 'endpoint.port', workers: 'threads' } },
  { renamed: { 'endpoint.port': 'listen.port', threads: 'shards' } },
];

describe('a file of an older version', () => {
  test('is taken under the new names, through every step, and warned of with places', async () => {
    const yaml = 'net:\n  tcp: {port: 1}\nworkers: 2\nprofiles: {p: {workers: 3}}';
    const { values, provenance, warnings } = await load({ yaml, steps });
    expect(values.listen.port).toBe(1);
    expect(values.shards).toBe(2);
    expect(provenance.get('shards')!.where).toBe('/b.yaml:3:10');
    expect(warnings).toEqual([
      '/b.yaml:2:9: net.tcp.port: is called endpoint.port now',
      '/b.yaml:3:1: workers: is called threads now',
      '/b.yaml:4:16: workers: is called threads now',
      '/b.yaml:2:9: endpoint.port: is called listen.port now',
      '/b.yaml:3:1: threads: is called shards now',
      '/b.yaml:4:16: threads: is called shards now',
    ]);
  });

  test('begins at its own version', async () => {
    const yaml = 'configVersion: 2\nthreads: 2';
    expect((await load({ yaml, steps })).values.shards).toBe(2);
    expect(await faultsOf({ yaml: 'configVersion: 2\nworkers: 2', steps })).toHaveLength(1);
    expect(await faultsOf({ yaml: 'configVersion: 3\nthreads: 2', steps })).toHaveLength(1);
    expect((await load({ yaml: 'configVersion: 3\nshards: 2', steps })).warnings).toEqual([]);
  });

  test('keeps what stands beside a key that moved', async () => {
    const yaml = 'net:\n  tcp: {port: 1, other: 2}';
    expect(await faultsOf({ yaml, steps })).toEqual([
      expect.stringMatching(/^\/b\.yaml:1:1: net: is not a known key/),
    ]);
  });

  test('with both the old and the new name is refused, at the old one', async () => {
    const yaml = 'configVersion: 2\nshards: 1\nthreads: 2';
    expect(await faultsOf({ yaml, steps })).toEqual([
      '/b.yaml:3:1: threads: is called shards now, which stands here too; leave one of them out',
    ]);
    expect(
      await faultsOf({ yaml: 'configVersion: 2\nlisten: 1\nendpoint: {port: 2}', steps }),
    ).toHaveLength(2);
  });

  test('that has no such group stays as it is', async () => {
    expect(await load({ yaml: 'profiles: {}\nnet: {}', steps }).catch(String)).toContain('net');
  });

  test('of a newer version is refused, and nothing else is said of it', async () => {
    expect(await faultsOf({ yaml: 'configVersion: 4\nwhat: 1', steps })).toEqual([
      '/b.yaml:1:16: configVersion: 4 is not a known version; allowed: 1 to 3',
    ]);
  });
});
