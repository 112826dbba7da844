/**
 * Gives all shards new settings, or none: an offer on the settings page, a vote of every shard, then commit
 * or withdrawal.
 *
 * Invariant: what is live has been voted for by every shard that lived then; a shard that is born later begins
 * with what is live.
 */
import { MemoryStreamerError } from '../errors.js';
import type { HotSettings, SettingsPage } from '../shards/settings.js';

/** A turn takes far less; a shard that is silent for so long is stuck. */
const ANSWER_MS_MAX = 2_000;

export interface SettingsVoteOptions {
  readonly page: SettingsPage;
  /** Numbers of the shards that live now. */
  readonly shards: () => readonly number[];
  /** Wakes a shard's thread. */
  readonly signal: (shard: number) => void;
  /** Calls `run` once after so many ms, unless the function that it answers is called. */
  readonly schedule: (run: () => void, delayMs: number) => () => void;
}

interface Round {
  readonly waiting: Set<number>;
  readonly settle: (fault?: string) => void;
}

export class SettingsVote {
  readonly #options: SettingsVoteOptions;
  #offer = 0;
  #version = 0;
  #round: Round | undefined;
  #isBusy = false;

  constructor(options: SettingsVoteOptions) {
    this.#options = options;
  }

  /**
   * Resolves once every shard runs with `settings`; `commit` is called when all have agreed, and nothing can refuse
   * any more. Rejects with MS_ERR_RELOAD where a shard votes against
   * them or does not answer within 2 s, and all run with what they had; or where a change is still under way.
   */
  async apply(settings: HotSettings, commit: () => void): Promise<void> {
    if (this.#isBusy) throw new MemoryStreamerError('MS_ERR_RELOAD', 'another change is under way');
    this.#isBusy = true;
    const { page } = this.#options;
    try {
      this.#version = 0;
      this.#offer = page.offer(settings);
      const fault = await this.#answers();
      if (fault !== undefined) {
        page.withdraw();
        throw new MemoryStreamerError('MS_ERR_RELOAD', fault);
      }
      page.commit();
      commit();
      this.#version = page.liveVersion;
      // All have agreed: who is late takes it over at its next turn, whenever that is.
      await this.#answers();
    } finally {
      this.#isBusy = false;
    }
  }

  /** A shard has voted. */
  voted(shard: number, offer: number, fault: string | undefined): void {
    if (offer !== this.#offer || this.#version !== 0) return;
    if (fault !== undefined) this.#round?.settle(`shard ${shard}: ${fault}`);
    else this.#answered(shard);
  }

  /** A shard runs with a version. */
  runs(shard: number, version: number): void {
    if (version === this.#version) this.#answered(shard);
  }

  /** A shard has died: nothing is awaited of it any more. */
  forget(shard: number): void {
    this.#answered(shard);
  }

  #answered(shard: number): void {
    const round = this.#round;
    if (round?.waiting.delete(shard) && round.waiting.size === 0) round.settle();
  }

  /** Undefined once all have answered, else why not. */
  #answers(): Promise<string | undefined> {
    const { shards, signal, schedule } = this.#options;
    const waiting = new Set(shards());
    return new Promise((resolve) => {
      const round: Round = {
        waiting,
        settle: (fault) => {
          cancel();
          this.#round = undefined;
          resolve(fault);
        },
      };
      const cancel = schedule(() => {
        const silent = [...waiting].join(', ');
        round.settle(`no answer within ${ANSWER_MS_MAX} ms of shard ${silent}`);
      }, ANSWER_MS_MAX);
      this.#round = round;
      for (const shard of waiting) signal(shard);
      if (waiting.size === 0) round.settle();
    });
  }
}
