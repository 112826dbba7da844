import { expect, test } from 'vitest';
import { readMachine, type MachineSources } from '../../src/config/machine.js';
import { GIB, MIB } from '../../src/config/units.js';

function sources(files: Record<string, string>): MachineSources {
  return {
    read: (path) => files[path],
    totalMemoryBytes: () => 16 * GIB,
    cpus: () => 4,
  };
}

test('without control groups the machine is the limit', () => {
  expect(readMachine(sources({}))).toEqual({
    memoryBytes: 16 * GIB,
    openFilesMax: Infinity,
    cpus: 4,
    availableBytes: Infinity,
    nodes: 1,
  });
});

test('memory, what is free of it, and NUMA nodes are read', () => {
  const machine = readMachine(
    sources({
      '/proc/meminfo': 'MemTotal:       8192 kB\nMemAvailable:     3072 kB\n',
      '/sys/devices/system/node/online': '0-1,4\n',
    }),
  );
  expect(machine.memoryBytes).toBe(8 * MIB);
  expect(machine.availableBytes).toBe(3 * MIB);
  expect(machine.nodes).toBe(3);
});

test('version 2: the tightest limit from the own group up to the root holds', () => {
  const machine = readMachine(
    sources({
      '/proc/self/cgroup': '0::/system.slice/broker.service\n',
      '/sys/fs/cgroup/system.slice/broker.service/memory.max': 'max\n',
      '/sys/fs/cgroup/system.slice/memory.max': `${2 * GIB}\n`,
      '/sys/fs/cgroup/memory.max': `${3 * GIB}\n`,
    }),
  );
  expect(machine.memoryBytes).toBe(2 * GIB);
});

test('version 2 in a container: the path is the host’s, the root is ours', () => {
  const machine = readMachine(
    sources({
      '/proc/self/cgroup': '0::/docker/0123abcd\n',
      '/sys/fs/cgroup/memory.max': `${512 * MIB}\n`,
    }),
  );
  expect(machine.memoryBytes).toBe(512 * MIB);
});

test('version 1: the limit of the memory controller holds, others are not looked at', () => {
  const machine = readMachine(
    sources({
      '/proc/self/cgroup': '5:cpu,cpuacct:/a\n4:hugetlb,memory:/a\n1:name=systemd:/b\n0::/\n',
      '/sys/fs/cgroup/memory/a/memory.limit_in_bytes': `${GIB}\n`,
      '/sys/fs/cgroup/memory/b/memory.limit_in_bytes': '1\n',
    }),
  );
  expect(machine.memoryBytes).toBe(GIB);
});

test('version 1: "no limit" is one beyond the machine’s memory', () => {
  const machine = readMachine(
    sources({
      '/proc/self/cgroup': '4:memory:/\n',
      '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
    }),
  );
  expect(machine.memoryBytes).toBe(16 * GIB);
});

test('the soft limit of open files is read', () => {
  const line = (soft: string) => ({
    '/proc/self/limits':
      'Limit                     Soft Limit           Hard Limit           Units\n' +
      `Max open files            ${soft}                 1048576              files\n`,
  });
  expect(readMachine(sources(line('1024'))).openFilesMax).toBe(1024);
  expect(readMachine(sources(line('unlimited'))).openFilesMax).toBe(Infinity);
});

test('this machine can be read', () => {
  const machine = readMachine();
  expect(machine.memoryBytes).toBeGreaterThan(16 * MIB);
  expect(machine.cpus).toBeGreaterThan(0);
  expect(machine.openFilesMax).toBeGreaterThan(0);
});
