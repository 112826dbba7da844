/** What no key can say alone: how values fit each other, and the machine. */
import { credentialFaults } from './credentials.js';
import type { Machine } from './machine.js';
import { KEYS, type FlatConfig, type KeyName } from './table.js';
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
  /** Of the part of the key's value that breaks it. */
  readonly path?: readonly PropertyKey[];
  readonly text: string;
}

/** The broker cannot be what the configuration says; or it can, but hardly as it was meant. */
export interface Verdict {
  readonly errors: readonly Broken[];
  readonly warnings: readonly Broken[];
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

/** The connections for which the process has descriptors. */
export function connectionsMax(machine: Machine, shards: number): number {
  return machine.openFilesMax - FILES_OF_PROCESS - shards * FILES_PER_SHARD;
}

/** Defaults that depend on the machine and on other values, lowered to fit; never below a key's own range. */
export function fittedDefaults(
  given: (key: KeyName) => unknown,
  machine: Machine,
): ReadonlyMap<KeyName, unknown> {
  const fittedArena = Math.min(
    KEYS['memory.arena'].standard,
    Math.max(ARENA_BYTES_MIN, arenaBytesMax(machine)),
  );
  const arena = (given('memory.arena') as number | undefined) ?? fittedArena;
  const shards = shardCount(
    (given('shards') as FlatConfig['shards'] | undefined) ?? 'auto',
    machine,
  );
  return new Map([
    ['memory.arena', fittedArena],
    [
      'streams.default.retention.bytes',
      Math.min(KEYS['streams.default.retention.bytes'].standard, retentionBytesMax(arena)),
    ],
    [
      'limits.connections',
      Math.min(KEYS['limits.connections'].standard, Math.max(1, connectionsMax(machine, shards))),
    ],
  ]);
}

function shardCount(shards: FlatConfig['shards'], machine: Machine): number {
  return shards === 'auto' ? machine.cpus : shards;
}

/** What no key can say alone: how the values fit each other. */
export function fitsTogether(values: FlatConfig): Verdict {
  const errors: Broken[] = [];
  const host = values['listen.host'];
  const auth = { required: values['auth.required'], integrity: values['auth.integrity'] };
  errors.push(...credentialFaults(values.credentials, auth));
  const isGuarded = auth.required || auth.integrity !== 'any';
  if (!isLoopback(host) && !isGuarded && !values['listen.insecure']) {
    errors.push({
      key: 'listen.host',
      text:
        `${JSON.stringify(host)} lets other machines in, and the broker asks nobody who they are; ` +
        'allowed: 127.0.0.0/8 and ::1, or any with auth.required: true or listen.insecure: true',
    });
  }
  const arena = values['memory.arena'];
  const retentionMax = retentionBytesMax(arena);
  const retentions = values['streams.overrides'].map(({ retention }) => retention?.bytes ?? 0);
  const check = (key: KeyName, path: readonly PropertyKey[], bytes: number) => {
    if (bytes <= retentionMax) return;
    errors.push({
      key,
      path,
      text:
        `${formatSize(bytes)} is more than half of memory.arena (${formatSize(arena)}); ` +
        `allowed: at most ${formatSize(retentionMax)} with this arena`,
    });
  };
  const standard = 'streams.default.retention.bytes';
  check(standard, [], values[standard]);
  retentions.forEach((bytes, at) => check('streams.overrides', [at, 'retention', 'bytes'], bytes));
  return { errors, warnings: openDoors(values, isGuarded) };
}

/** What an operator may not have meant. */
function openDoors(values: FlatConfig, isGuarded: boolean): Broken[] {
  const warnings: Broken[] = [];
  const { credentials } = values;
  if (credentials.length > 0 && !isGuarded) {
    const text = 'there are credentials, but whoever shows none may do everything; set it to true';
    warnings.push({ key: 'auth.required', text });
  }
  const hasTokens = credentials.some(({ method }) => method === 'token');
  if (hasTokens && !isLoopback(values['listen.host']) && !values['auth.insecureTokens']) {
    const text = 'tokens from other machines are refused, for they would be readable on the way';
    warnings.push({ key: 'auth.insecureTokens', text });
  }
  return warnings;
}

/** Of an address: 127.0.0.0/8 and ::1, also as IPv4 in IPv6. */
export function isLoopback(host: string): boolean {
  const text = host.toLowerCase().replace(/^::ffff:(?=\d+\.)/, '');
  return !text.includes(':') ? text.startsWith('127.') : /^(?:0{0,4}:){2,7}0{0,3}1$/.test(text);
}

/** How the values fit the machine. */
export function fitsMachine(values: FlatConfig, machine: Machine): Verdict {
  const shards = shardCount(values.shards, machine);
  const checks = [checkFiles, checkArena, checkShards];
  const verdicts = checks.map((check) => check(values, machine, shards));
  return {
    errors: verdicts.flatMap(({ errors }) => errors),
    warnings: verdicts.flatMap(({ warnings }) => warnings),
  };
}

function checkFiles(values: FlatConfig, machine: Machine, shards: number): Verdict {
  const key = 'limits.connections';
  const connections = values[key];
  const most = connectionsMax(machine, shards);
  if (connections <= most) return { errors: [], warnings: [] };
  const needed = connections + machine.openFilesMax - most;
  const text =
    `${connections} connections need ${needed} file descriptors, the process may have ` +
    `${machine.openFilesMax}; lower the key or raise "ulimit -n"`;
  return { errors: [{ key, text }], warnings: [] };
}

function checkArena(values: FlatConfig, machine: Machine): Verdict {
  const key = 'memory.arena';
  const arena = values[key];
  const most = arenaBytesMax(machine);
  const errors: Broken[] = [];
  const warnings: Broken[] = [];
  if (arena > most) {
    errors.push({
      key,
      text:
        `${formatSize(arena)} is more than ${ARENA_PERCENT_MAX}% of the ${machine.memoryBytes} bytes that the ` +
        `machine or its control group allows; allowed: at most ${formatSize(most)} (${most} bytes) here`,
    });
  } else if (arena > machine.availableBytes) {
    warnings.push({
      key,
      text: `${formatSize(arena)} is more than the ${machine.availableBytes} bytes that are free now`,
    });
  }
  return { errors, warnings };
}

function checkShards(values: FlatConfig, machine: Machine, shards: number): Verdict {
  const warnings: Broken[] = [];
  const warn = (key: KeyName, text: string) => void warnings.push({ key, text });
  if (shards > machine.cpus) {
    warn('shards', `${shards} shards share ${machine.cpus} CPUs; "auto" chooses by the CPUs`);
  }
  if (shards < machine.nodes) {
    warn('shards', `${shards} shards leave some of the ${machine.nodes} NUMA nodes idle`);
  }
  if (values['idle.strategy'] === 'spin' && shards >= machine.cpus) {
    const text = `"spin" takes all of the ${machine.cpus} CPUs; other threads have to wait for them`;
    warn('idle.strategy', text);
  }
  return { errors: [], warnings };
}
