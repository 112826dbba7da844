import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.js';
import type { Machine } from '../../src/config/machine.js';
import { arenaBytesMax, checkAgainstMachine } from '../../src/config/rules.js';
import { GIB, KIB, MIB } from '../../src/config/units.js';

const LARGE: Machine = { memoryBytes: 64 * GIB, openFilesMax: 1_048_576, cpus: 8 };

function load(argv: string[], machine: Machine = LARGE) {
  return loadConfig({ argv, env: {}, machine });
}

describe('the arena fits the machine', () => {
  test('the default is lowered to 60%, in whole pages', () => {
    const { memory } = load([], { ...LARGE, memoryBytes: GIB });
    expect(memory.arena).toBe(Math.floor((GIB * 0.6) / (64 * KIB)) * 64 * KIB);
  });

  test('an explicit value that fits is taken, up to the last byte', () => {
    const machine = { ...LARGE, memoryBytes: GIB };
    const most = arenaBytesMax(machine);
    expect(load(['--memory-arena', String(most)], machine).memory.arena).toBe(most);
    expect(() => load(['--memory-arena', String(most + 1)], machine)).toThrow(
      `--memory-arena: memory.arena: ${most + 1}B is more than 60% of the ${GIB} bytes`,
    );
  });

  test('a machine too small for the smallest arena is told so', () => {
    expect(() => load([], { ...LARGE, memoryBytes: 20 * MIB })).toThrow(
      'default: memory.arena: 16MiB is more than 60%',
    );
  });
});

describe('the retention fits the arena', () => {
  test('the default is lowered to half of it', () => {
    const { streams } = load(['--memory-arena', '32MiB']);
    expect(streams.default.retention.bytes).toBe(16 * MIB);
  });

  test('an explicit value over half of it is refused, half of it is not', () => {
    const flag = '--streams-default-retention-bytes';
    const config = load(['--memory-arena', '32MiB', flag, '16MiB']);
    expect(config.streams.default.retention.bytes).toBe(16 * MIB);
    expect(() => load(['--memory-arena', '32MiB', flag, '17MiB'])).toThrow(
      `${flag}: streams.default.retention.bytes: 17MiB is more than half of memory.arena (32MiB); ` +
        'allowed: at most 16MiB with this arena',
    );
  });
});

describe('a configuration held against the machine', () => {
  test('the defaults fit a large machine', () => {
    expect(checkAgainstMachine(load([]), LARGE)).toEqual({ errors: [], warnings: [] });
  });

  test('more connections than file descriptors: an error if asked for, else a warning', () => {
    const config = load(['--limits-connections', '1000', '--shards', '2']);
    const few = { ...LARGE, openFilesMax: 1079 };
    expect(checkAgainstMachine(config, { ...few, openFilesMax: 1080 }).errors).toEqual([]);
    expect(checkAgainstMachine(config, few).errors).toEqual([
      'limits.connections: 1000 connections need 1080 file descriptors, the process may have 1079; ' +
        'lower the key or raise "ulimit -n"',
    ]);
    const lenient = checkAgainstMachine(config, few, () => false);
    expect(lenient.errors).toEqual([]);
    expect(lenient.warnings).toHaveLength(1);
  });

  test('an arena that was read for a larger machine is an error', () => {
    const { errors } = checkAgainstMachine(load([]), { ...LARGE, memoryBytes: GIB });
    expect(errors).toHaveLength(1);
    expect(errors[0]).toContain('memory.arena: 1GiB is more than 60%');
  });

  test('more shards than CPUs, and spinning on all of them, are warned of', () => {
    const config = load(['--shards', '9', '--idle-strategy', 'spin']);
    const { errors, warnings } = checkAgainstMachine(config, LARGE);
    expect(errors).toEqual([]);
    expect(warnings.map((line) => line.split(':')[0])).toEqual(['shards', 'idle.strategy']);
  });
});
