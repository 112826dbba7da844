/** What control gives a shard's thread to begin with. */
import type { MessagePort } from 'node:worker_threads';
import type { ShardSettings } from './context.js';
import type { Principal } from './permissions.js';

/** A part of the arena. */
export interface MemoryRange {
  readonly byteOffset: number;
  readonly byteCount: number;
}

export interface ShardTask {
  readonly thread: number;
  readonly memory: WebAssembly.Memory;
  readonly port: MessagePort;
  readonly settings: ShardSettings;
  readonly principals: readonly Principal[];
  readonly areaAt: number;
  readonly sharedAt: number;
  readonly streamsAt: number;
  /** Slots of the connection table. */
  readonly slots: number;
  readonly eventfds: readonly number[];
  /** What this shard takes from the system before it is ready; empty without `memory.prefault`. */
  readonly prefault: readonly MemoryRange[];
  /** The CPU on which this shard runs; it was among those that the process was given. */
  readonly cpu: number;
}
