/** What no key can say alone: how values fit each other, and the machine. */
import type { Machine } from './machine.js';
import { KEYS, type Config, type FlatConfig, type KeyName } from './table.js';
import { formatSize, KIB, MIB } from './units.js';

/** The arena's share of the memory; the rest is for the process itself, the sockets and its neighbours. */
const ARENA_PERCENT_MAX = 60;
const ARENA_BYTES_MIN = 16 * MIB;
const PAGE_BYTES = 64 * KIB;

/** Descriptors beside those of connections: standard streams, libraries, and a few for each shard. */
const FILES_OF_PROCESS = 64;
const FILES_PER_SHARD = 8;

/** A broken rule: key, what is wrong, what is allowed. */
export interface Broken {
  readonly key: KeyName;
  readonly wrong: string;
  readonly allowed: string;
}

/** The largest arena that the machine allows, in bytes: a multiple of 64 KiB. */
export function arenaBytesMax(machine: Machine): number {
  const bytes = Math.floor((machine.memoryBytes * ARENA_PERCENT_MAX) / 100);
  return bytes - (bytes % PAGE_BYTES);
}

/** The largest retention that fits an arena, both in bytes. */
export function retentionBytesMax(arenaBytes: number): number {
  return Math.floor(arenaBytes / 2);
}

/** Defaults, lowered to what the machine has; never below a key's own range. */
export function fittedArena(machine: Machine): number {
  return Math.min(KEYS['memory.arena'].standard, Math.max(ARENA_BYTES_MIN, arenaBytesMax(machine)));
}

export function fittedRetention(arenaBytes: number): number {
  const standard = KEYS['streams.default.retention.bytes'].standard;
  return Math.min(standard, retentionBytesMax(arenaBytes));
}

/** Every rule that the values break together, on this machine. */
export function brokenRules(values: FlatConfig, machine: Machine): Broken[] {
  const broken: Broken[] = [];
  const arena = values['memory.arena'];
  const arenaMax = arenaBytesMax(machine);
  if (arena > arenaMax) {
    broken.push({
      key: 'memory.arena',
      wrong: `${formatSize(arena)} is more than ${ARENA_PERCENT_MAX}% of the ${machine.memoryBytes} bytes that the machine or its control group allows`,
      allowed: `allowed: at most ${formatSize(arenaMax)} (${arenaMax} bytes) here`,
    });
  }
  const retention = values['streams.default.retention.bytes'];
  const retentionMax = retentionBytesMax(arena);
  if (retention > retentionMax) {
    broken.push({
      key: 'streams.default.retention.bytes',
      wrong: `${formatSize(retention)} is more than half of memory.arena (${formatSize(arena)})`,
      allowed: `allowed: at most ${formatSize(retentionMax)} with this arena`,
    });
  }
  return broken;
}

export interface MachineReport {
  /** The broker cannot be what the configuration says. */
  readonly errors: readonly string[];
  /** It can, but hardly as it was meant. */
  readonly warnings: readonly string[];
}

/**
 * Holds a configuration against the machine; each line names its key and both figures. `isExplicit` tells
 * whether somebody asked for a key's value: what is only the default is no error.
 */
export function checkAgainstMachine(
  config: Config,
  machine: Machine,
  isExplicit: (key: KeyName) => boolean = () => true,
): MachineReport {
  const errors: string[] = [];
  const warnings: string[] = [];
  const shards = config.shards === 'auto' ? machine.cpus : config.shards;

  const filesNeeded = config.limits.connections + FILES_OF_PROCESS + shards * FILES_PER_SHARD;
  if (filesNeeded > machine.openFilesMax) {
    const line =
      `limits.connections: ${config.limits.connections} connections need ${filesNeeded} file ` +
      `descriptors, the process may have ${machine.openFilesMax}; lower the key or raise "ulimit -n"`;
    (isExplicit('limits.connections') ? errors : warnings).push(line);
  }
  if (config.memory.arena > arenaBytesMax(machine)) {
    errors.push(
      `memory.arena: ${formatSize(config.memory.arena)} is more than ${ARENA_PERCENT_MAX}% of the ` +
        `machine's memory; at most ${arenaBytesMax(machine)} bytes`,
    );
  }
  if (shards > machine.cpus) {
    warnings.push(
      `shards: ${shards} shards share ${machine.cpus} CPUs; "auto" chooses by the CPUs`,
    );
  }
  if (config.idle.strategy === 'spin' && shards >= machine.cpus) {
    warnings.push(
      `idle.strategy: "spin" takes all of the ${machine.cpus} CPUs; other threads have to wait for them`,
    );
  }
  return { errors, warnings };
}
