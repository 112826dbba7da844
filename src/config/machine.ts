/** What the machine, or the control group that holds this process, allows. Nothing here is a setting. */
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { field, integer, listOf, optionalField, type Kind } from './kinds.js';

export interface Machine {
  /** Memory that this process may use, in bytes: the machine's, or the tightest limit of its control groups. */
  readonly memoryBytes: number;
  /** File descriptors that this process may hold at once; `Infinity` = no limit. */
  readonly openFilesMax: number;
  /** CPUs that this process may run on. */
  readonly cpus: number;
  /** Memory that is free now, or could be made so, in bytes; `Infinity` = not known. */
  readonly availableBytes: number;
  /** NUMA nodes; 1 where the machine tells none. */
  readonly nodes: number;
}

/** Where `readMachine` looks; `read` answers a file's text, or undefined where there is none. */
export interface MachineSources {
  read(path: string): string | undefined;
  totalMemoryBytes(): number;
  cpus(): number;
}

const CGROUP_ROOT = '/sys/fs/cgroup';

const realSources: MachineSources = {
  read(path) {
    // Most of what is looked for is not there, and an error costs more than to ask first.
    if (!existsSync(path)) return undefined;
    try {
      return readFileSync(path, 'utf8');
    } catch {
      return undefined;
    }
  },
  totalMemoryBytes: totalmem,
  cpus: availableParallelism,
};

export function readMachine(sources: MachineSources = realSources): Machine {
  const memory = sources.read('/proc/meminfo') ?? '';
  const total = bytesOf('MemTotal', memory) ?? sources.totalMemoryBytes();
  return {
    memoryBytes: Math.min(total, ...memoryLimits(sources)),
    openFilesMax: openFilesMax(sources),
    cpus: sources.cpus(),
    availableBytes: bytesOf('MemAvailable', memory) ?? Infinity,
    nodes: nodes(sources),
  };
}

/** Of a line such as "MemTotal:  16384 kB". */
function bytesOf(name: string, text: string): number | undefined {
  const at = text.indexOf(`${name}:`);
  return at < 0 ? undefined : Number.parseInt(text.slice(at + name.length + 1), 10) * 1024;
}

/** Of a list such as "0-1,4". */
function nodes(sources: MachineSources): number {
  const text = sources.read('/sys/devices/system/node/online')?.trim() ?? '';
  if (!/^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(text)) return 1;
  return text.split(',').reduce((count, range) => {
    const [first, last = first] = range.split('-').map(Number);
    return count + last! - first! + 1;
  }, 0);
}

/**
 * Limits of this process' control groups, version 2 (`0::/path`) and 1 (`n:memory:/path`), from its own
 * group up to the root: each ancestor's limit holds too. In a container the path is often the host's and
 * does not exist; its root then is the container's own group.
 */
function memoryLimits(sources: MachineSources): number[] {
  const limits: number[] = [];
  for (const line of (sources.read('/proc/self/cgroup') ?? '').split('\n')) {
    const [hierarchy, controllers, ...rest] = line.split(':');
    const path = rest.join(':');
    if (hierarchy === '0' && controllers === '') {
      limits.push(...limitsUpwards(sources, CGROUP_ROOT, path, 'memory.max'));
    } else if (controllers?.split(',').includes('memory') === true) {
      const root = `${CGROUP_ROOT}/memory`;
      limits.push(...limitsUpwards(sources, root, path, 'memory.limit_in_bytes'));
    }
  }
  return limits;
}

function limitsUpwards(
  sources: MachineSources,
  root: string,
  path: string,
  file: string,
): number[] {
  const limits: number[] = [];
  for (let group = path === '/' ? '' : path; ; group = group.slice(0, group.lastIndexOf('/'))) {
    // "max" (version 2) is no number; "no limit" of version 1 is one beyond any machine's memory.
    const limit = Number.parseInt(sources.read(`${root}${group}/${file}`) ?? '', 10);
    if (!Number.isNaN(limit)) limits.push(limit);
    if (!group.includes('/')) return limits;
  }
}

function openFilesMax(sources: MachineSources): number {
  const [, soft] = /^Max open files +(\S+)/m.exec(sources.read('/proc/self/limits') ?? '') ?? [];
  return soft !== undefined && /^\d+$/.test(soft) ? Number(soft) : Infinity;
}

/** As `config machine` prints one; what is left out is not limited. */
export type MachineDescription = Pick<Machine, 'memoryBytes' | 'cpus'> & Partial<Machine>;

/** A file that describes a machine, as the only item of a list. */
export function machineList(): Kind<readonly MachineDescription[]> {
  const count = integer(1, Number.MAX_SAFE_INTEGER);
  return listOf<MachineDescription>(
    {
      memoryBytes: field(count, 'Memory of the machine, in bytes.'),
      cpus: field(count, 'CPUs that the process may run on.'),
      openFilesMax: optionalField(count, 'File descriptors that it may hold at once.'),
      availableBytes: optionalField(count, 'Memory that is free, in bytes.'),
      nodes: optionalField(count, 'NUMA nodes.'),
    },
    1,
  );
}

/** The machine that such a description is of. */
export function machineOf(description: MachineDescription): Machine {
  return { openFilesMax: Infinity, availableBytes: Infinity, nodes: 1, ...description };
}
