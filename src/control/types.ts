/** What the process entry knows of the broker. */
import type { CredentialEntry } from '../config/credentials.js';
import type { Config } from '../config/table.js';
import type { Logger } from '../log.js';
import type { ShardMeters } from '../shards/meters.js';

export interface BrokerOptions {
  readonly config: Config;
  readonly log: Logger;
  readonly credentials: readonly CredentialEntry[];
}

export interface Broker {
  /** Where clients connect, as `ms://127.0.0.1:7878`; with the real port. */
  readonly url: string;
  readonly port: number;
  readonly shards: number;
  /**
   * Takes over what `config` changes of the settings that need no restart, the rest of which must be as it was, and
   * who may connect. Rejects with MS_ERR_RELOAD where a shard cannot: then nothing has changed anywhere.
   */
  apply(config: Config, credentials: readonly CredentialEntry[]): Promise<void>;
  /** Ends gracefully, within `shutdown.grace`; resolves when all threads have ended. */
  stop(): Promise<void>;
  /** Ends at once. */
  kill(): void;
  /** What each shard has measured of itself, read without asking it; also once the broker has stopped. */
  takeMeters(): ShardMeters[];
  /** Crashes one shard, for tests of recovery (`debug.faults`). */
  crashShard(): void;
  /** Resolves, with the reason, when the broker can't go on. */
  readonly failed: Promise<Error>;
}

/** Resolves once connections are accepted. */
export type StartBroker = (options: BrokerOptions) => Promise<Broker>;
