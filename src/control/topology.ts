/** Which CPUs belong to which NUMA node, and where each shard runs. */
import { readdirSync, readFileSync } from 'node:fs';

const NODES_DIRECTORY = '/sys/devices/system/node';

/** `0-3,8` → 0, 1, 2, 3, 8. Empty for what is no such list. */
export function parseCpuList(text: string): number[] {
  const cpus: number[] = [];
  for (const part of text.trim().split(',')) {
    const range = /^(\d+)(?:-(\d+))?$/.exec(part);
    if (!range) continue;
    const first = Number(range[1]);
    const last = range[2] === undefined ? first : Number(range[2]);
    for (let cpu = first; cpu <= last && cpus.length < 4096; cpu++) cpus.push(cpu);
  }
  return cpus;
}

/** Node by CPU, nodes counted from 0 as the kernel names them; all on node 0 where it does not say. */
export function readNodeOfCpu(directory = NODES_DIRECTORY): number[] {
  const nodeOfCpu: number[] = [];
  let names: string[] = [];
  try {
    names = readdirSync(directory).filter((name) => /^node\d+$/.test(name));
  } catch {
    // No such directory: a kernel without NUMA, or a container that hides it. One node, then.
  }
  for (const name of names) {
    const node = Number(name.slice('node'.length));
    for (const cpu of parseCpuList(readFileSync(`${directory}/${name}/cpulist`, 'utf8'))) {
      nodeOfCpu[cpu] = node;
    }
  }
  return nodeOfCpu;
}

export interface Placement {
  /** By thread (0 is control): the CPU on which that shard runs. */
  readonly cpuOfShard: readonly number[];
  /** By thread: its group, counted from 0 over the nodes that have shards. */
  readonly groupOfShard: readonly number[];
  /** By CPU: the group of the shards on its node. */
  readonly groupOfCpu: readonly number[];
  readonly groups: number;
}

/** Spreads shards over the CPUs that the process may use: node by node, as evenly as it goes. */
export function placeShards(
  shards: number,
  cpus: readonly number[],
  nodeOfCpu: readonly number[],
): Placement {
  const cpusByNode = new Map<number, number[]>();
  for (const cpu of cpus) {
    const node = nodeOfCpu[cpu] ?? 0;
    const group = cpusByNode.get(node);
    if (group) group.push(cpu);
    else cpusByNode.set(node, [cpu]);
  }
  const nodes = [...cpusByNode.values()].slice(0, shards);
  const cpuOfShard = [-1];
  const groupOfShard = [-1];
  // Shards of one node are neighbours, so that a group is a range of threads.
  for (const [group, nodeCpus] of nodes.entries()) {
    const count = shareOf(shards, nodes.length, group);
    for (let i = 0; i < count; i++) {
      cpuOfShard.push(nodeCpus[i % nodeCpus.length]!);
      groupOfShard.push(group);
    }
  }
  const groupOfCpu: number[] = [];
  for (const [group, nodeCpus] of nodes.entries()) {
    for (const cpu of nodeCpus) groupOfCpu[cpu] = group;
  }
  return { cpuOfShard, groupOfShard, groupOfCpu, groups: nodes.length };
}

function shareOf(total: number, parts: number, part: number): number {
  return Math.floor(total / parts) + (part < total % parts ? 1 : 0);
}
