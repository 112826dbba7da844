/**
 * Those who may connect, each under a number that nobody else ever has: so what a shard knows of one is never taken
 * for another's, whichever of two messages comes first.
 *
 * Invariant: while somebody keeps the number, its credential is there without a break, of the same name and method,
 * and nothing was taken from what it may do. Another secret under it is no other person.
 */
import type { CredentialEntry } from '../config/credentials.js';
import { keepsAll, type Principal } from '../shards/permissions.js';
import type { Credential } from './authenticator.js';

export interface Exchange {
  /** For the shards: these are no more. */
  readonly gone: readonly number[];
  /** For the shards: new ones, and those that may do more than before. */
  readonly principals: readonly Principal[];
  /** For who verifies: all of them, with their secrets, which are kept nowhere here. */
  readonly credentials: readonly Credential[];
}

interface Held extends Principal {
  readonly method: Credential['method'];
}

export class Principals {
  /** By name. */
  #held: ReadonlyMap<string, Held> = new Map();
  #lastId = 0;

  /** All of them, for a shard that begins. */
  get all(): Principal[] {
    return [...this.#held.values()].map(({ id, permissions }) => ({ id, permissions }));
  }

  /** From now on these and no others. */
  exchange(entries: readonly CredentialEntry[]): Exchange {
    const before = this.#held;
    const held = new Map<string, Held>();
    const principals: Principal[] = [];
    for (const entry of entries) {
      const { keyId, method, permissions } = entry;
      const old = before.get(keyId);
      const hasAsBefore = old !== undefined && isSame(old.permissions, permissions);
      const id = this.#idOf(entry, old);
      held.set(keyId, { id, method, permissions });
      if (old?.id !== id || !hasAsBefore) principals.push({ id, permissions });
    }
    this.#held = held;
    const kept = new Set([...held.values()].map(({ id }) => id));
    return {
      gone: [...before.values()].map(({ id }) => id).filter((id) => !kept.has(id)),
      principals,
      credentials: entries.map(({ keyId, method, secret }) => ({
        principal: held.get(keyId)!.id,
        ...{ keyId, method, secret },
      })),
    };
  }

  #idOf({ method, permissions }: CredentialEntry, old: Held | undefined): number {
    const isKept = old?.method === method && keepsAll(old.permissions, permissions);
    return isKept ? old.id : ++this.#lastId;
  }
}

function isSame(one: Principal['permissions'], other: Principal['permissions']): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
