import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { parseCpuList, placeShards, readNodeOfCpu } from '../../src/control/topology.js';

test.each([
  ['0-3,8', [0, 1, 2, 3, 8]],
  ['5\n', [5]],
  ['0,2-2', [0, 2]],
  ['', []],
  ['none', []],
  ['3-1', []],
])('the list %j', (text, cpus) => {
  expect(parseCpuList(text)).toEqual(cpus);
});

test('a list without end is cut', () => {
  expect(parseCpuList('0-999999999').length).toBe(4096);
});

test('nodes are read as the kernel names them', () => {
  const directory = mkdtempSync(join(tmpdir(), 'nodes-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  for (const [node, list] of [
    ['node0', '0-1\n'],
    ['node2', '2,3\n'],
    ['nodes', '9'],
  ]) {
    mkdirSync(join(directory, node!));
    writeFileSync(join(directory, node!, 'cpulist'), list!);
  }
  expect(readNodeOfCpu(directory)).toEqual([0, 0, 2, 2]);
  expect(readNodeOfCpu(join(directory, 'missing'))).toEqual([]);
});

test('one node: shards take its CPUs in turn', () => {
  expect(placeShards(3, [4, 6], [])).toEqual({
    cpuOfShard: [-1, 4, 6, 4],
    groupOfShard: [-1, 0, 0, 0],
    groupOfCpu: [, , , , 0, , 0], // eslint-disable-line no-sparse-arrays
    groups: 1,
  });
});

test('two nodes share the shards; a node without a shard is no group', () => {
  const nodeOfCpu = [0, 1, 0, 1];
  const { cpuOfShard, groupOfShard, groupOfCpu, groups } = placeShards(3, [0, 1, 2, 3], nodeOfCpu);
  expect(cpuOfShard).toEqual([-1, 0, 2, 1]);
  expect(groupOfShard).toEqual([-1, 0, 0, 1]);
  expect(groupOfCpu).toEqual([0, 1, 0, 1]);
  expect(groups).toBe(2);
  const one = placeShards(1, [0, 1, 2, 3], nodeOfCpu);
  expect([one.groups, one.groupOfCpu[1]]).toEqual([1, undefined]);
});

test('every shard has a CPU of its node that the process may use, as evenly as it goes', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 63 }),
      fc.uniqueArray(fc.integer({ min: 0, max: 63 }), { minLength: 1 }),
      fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 64, maxLength: 64 }),
      (shards, cpus, nodeOfCpu) => {
        const placement = placeShards(shards, cpus, nodeOfCpu);
        expect(placement.cpuOfShard).toHaveLength(shards + 1);
        const counts = new Array<number>(placement.groups).fill(0);
        for (let shard = 1; shard <= shards; shard++) {
          const cpu = placement.cpuOfShard[shard]!;
          expect(cpus).toContain(cpu);
          expect(placement.groupOfCpu[cpu]).toBe(placement.groupOfShard[shard]);
          counts[placement.groupOfShard[shard]!]!++;
        }
        expect(Math.min(...counts)).toBeGreaterThan(0);
        expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
      },
    ),
  );
});
