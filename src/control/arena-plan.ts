/** How the arena of a configuration is shared out, known before there is one. */
import type { Machine } from '../config/machine.js';
import type { Broken } from '../config/rules.js';
import type { FlatConfig } from '../config/table.js';
import { MemoryStreamerError } from '../errors.js';
import { planArena, type ArenaOptions } from '../ring/arena.js';
import { ARENA_PAGE_BYTES } from '../ring/layout.js';
import { planArea, sharedBytes, type AreaPlan } from '../shards/area.js';

/** A thread is a bit of 64, and control has one. */
export const SHARDS_MAX = 63;

export interface Sizes {
  /** Bytes of the whole arena. */
  readonly arena: number;
  readonly shards: number;
  readonly connections: number;
  readonly streams: number;
  readonly nodes: number;
}

export interface ArenaPlan {
  readonly area: AreaPlan;
  readonly arena: ArenaOptions;
}

export function planOf({ arena, shards, connections, streams, nodes }: Sizes): ArenaPlan {
  const area = planArea({ arenaBytes: arena, shards, connections, streams });
  return {
    area,
    arena: {
      bytes: arena - (arena % ARENA_PAGE_BYTES),
      threads: shards + 1,
      streams,
      shardBytes: area.bytes,
      sharedBytes: sharedBytes(connections),
      nodes,
    },
  };
}

/** A rule of the configuration: beside the tables that the other keys ask for there must be room for streams. */
export function arenaHoldsTables(values: FlatConfig, machine: Machine): Broken[] {
  const asked = values.shards === 'auto' ? machine.cpus : values.shards;
  const sizes: Sizes = {
    arena: values['memory.arena'],
    shards: Math.min(asked, SHARDS_MAX),
    connections: values['limits.connections'],
    streams: values['limits.streams'],
    nodes: 1,
  };
  try {
    planArena(planOf(sizes).arena);
    return [];
  } catch (error) {
    if (!(error instanceof MemoryStreamerError)) throw error;
    return [{ key: 'memory.arena', text: error.message }];
  }
}
