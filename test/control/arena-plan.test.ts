import { describe, expect, test } from 'vitest';
import { arenaHoldsTables, planOf } from '../../src/control/arena-plan.js';
import { createArena } from '../../src/ring/arena.js';
import { faultsOf, LARGE } from '../config/support/sources.js';

const rules = [arenaHoldsTables];

describe('tables beside which there is no room for streams', () => {
  test('are refused where the configuration is read, at the arena', async () => {
    const yaml = 'shards: 4\nmemory: {arena: 16MiB}\nlimits: {streams: 65535}';
    expect(await faultsOf({ yaml, rules })).toEqual([
      expect.stringMatching(
        /^\/b\.yaml:2:17: memory\.arena: an arena of 16777216 bytes has no room for streams: \d+ bytes are taken by the tables of 4 shards; raise memory\.arena or lower shards, limits\.connections or limits\.streams$/,
      ),
    ]);
    expect(await faultsOf({ yaml: yaml.replace('16MiB', '128MiB'), rules })).toEqual([]);
  });

  test('are those of as many shards as "auto" makes of the CPUs, and of 63 at most', async () => {
    const yaml = 'memory: {arena: 64MiB}\nlimits: {streams: 100}';
    const on = (cpus: number) => faultsOf({ yaml, rules, machine: { ...LARGE, cpus } });
    expect(await on(4)).toEqual([]);
    const [fault] = await on(1_000);
    expect(fault).toContain('of 63 shards');
  });
});

test('what is not refused can be made', () => {
  for (const arena of [17 * 1024 * 1024 + 1, 64 * 1024 * 1024 - 1]) {
    const sizes = { arena, shards: 1, connections: 10, streams: 100, nodes: 1 };
    const { geometry } = createArena(planOf(sizes).arena);
    expect(geometry.endByteOffset).toBeLessThanOrEqual(arena);
  }
});
