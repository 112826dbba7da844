/**
 * Takes over a changed configuration while the broker runs, whole or not at all.
 *
 *   read ▶ validate all ▶ diff ─┬─ the same ─────────────▶ unchanged
 *     │                         ├─ a key needs a restart ▶ needs-restart
 *     └─ a fault ▶ refused      ├─ protection is lost ───▶ refused
 *                               └─ apply ─┬─ accepted ───▶ applied
 *                                         └─ not ────────▶ refused
 *
 * Invariant: `current` is what the whole broker runs with; it is replaced after `apply` has succeeded, and by nothing else.
 */
import type { Clock } from '../clock.js';
import { takenAway } from './boundary.js';
import { diff, shownShort, type Change } from './digest.js';
import { ConfigurationRefused } from './faults.js';
import type { Configuration } from './load.js';
import { lookupOf } from './lookup.js';
import { TABLE } from './table.js';

export type ReloadResult = 'applied' | 'unchanged' | 'refused' | 'needs-restart';

/** One attempt, as it was logged. */
export interface ReloadRecord {
  /** When it began, in ms since 1970, UTC. */
  readonly atMs: number;
  /** Who asked: a signal, the watcher of files, or a function's caller. */
  readonly by: string;
  readonly result: ReloadResult;
  /** Of what the broker runs with afterwards. */
  readonly digest: string;
  /** What differs between what it ran with and what was read; empty where that could not be read. */
  readonly changed: readonly Change[];
  /** Why it was refused, one line for each reason. */
  readonly reasons: readonly string[];
  readonly tookMs: number;
}

/** Attempts that are remembered. */
const HISTORY_MAX = 32;
/** Reasons and changes that one record holds; the sources may have thousands of faults. */
const LINES_MAX = 20;

export interface ReloaderOptions {
  readonly current: Configuration;
  /** Reads all sources anew; throws where they have faults. */
  readonly load: () => Promise<Configuration>;
  /** Takes the hot keys of it over, everywhere or nowhere; rejects where that cannot be. */
  readonly apply: (next: Configuration) => Promise<void>;
  readonly log: ReloadLog;
  readonly clock: Clock;
}

export interface ReloadLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export class Reloader {
  readonly #options: ReloaderOptions;
  readonly #history: ReloadRecord[] = [];
  #current: Configuration;
  /** What the last attempt read, or looked for. */
  #paths: readonly string[] = [];
  #running: Promise<ReloadRecord> | undefined;
  #next: Promise<ReloadRecord> | undefined;

  constructor(options: ReloaderOptions) {
    this.#options = options;
    this.#current = options.current;
  }

  get current(): Configuration {
    return this.#current;
  }

  /** Files and folders to be watched: of what is live, and of the last attempt, which may have been refused for one. */
  get paths(): readonly string[] {
    return [...new Set([...this.#current.paths, ...this.#paths])];
  }

  /** The last 32 attempts, oldest first. */
  get history(): readonly ReloadRecord[] {
    return this.#history;
  }

  /**
   * Reads the sources and takes over what changed; never rejects. Who asks while an attempt is under way gets
   * another one behind it, which sees all that was written until then; many who ask meanwhile share that one.
   */
  reload(by: string): Promise<ReloadRecord> {
    if (this.#running === undefined) return this.#start(by);
    this.#next ??= this.#running.then(() => {
      this.#next = undefined;
      return this.#start(by);
    });
    return this.#next;
  }

  #start(by: string): Promise<ReloadRecord> {
    this.#running = this.#attempt(by).finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #attempt(by: string): Promise<ReloadRecord> {
    const { clock, load, apply } = this.#options;
    const atMs = clock.wallMs();
    const startedMs = clock.monotonicMs();
    let result: ReloadResult = 'refused';
    let changed: Change[] = [];
    let reasons: string[];
    try {
      const next = await load();
      this.#paths = next.paths;
      changed = diff(this.#current, next, TABLE);
      reasons = takenAway(this.#current, next);
      if (reasons.length > 0) {
        result = 'refused';
      } else if (changed.some((change) => change.apply === 'restart')) {
        result = 'needs-restart';
      } else if (changed.length === 0) {
        result = 'unchanged';
      } else {
        await apply(next);
        this.#current = next;
        result = 'applied';
      }
    } catch (error) {
      if (error instanceof ConfigurationRefused) this.#paths = error.paths;
      reasons = this.#reasonsOf(error);
    }
    const tookMs = clock.monotonicMs() - startedMs;
    const { digest } = this.#current;
    return this.#note({
      ...{ atMs, by, result, digest, tookMs },
      changed: changed.slice(0, LINES_MAX),
      reasons: reasons.slice(0, LINES_MAX),
    });
  }

  /** A wrong value is told with the one that stays. */
  #reasonsOf(error: unknown): string[] {
    if (error instanceof ConfigurationRefused) {
      return error.faults.map(({ line, key }) => {
        if (key === undefined) return line;
        const row = lookupOf(TABLE).byKey.get(key)!;
        return `${line}; it stays ${shownShort(row, this.#current.flat[key])}`;
      });
    }
    return (error instanceof Error ? error.message : String(error)).split('\n');
  }

  #note(record: ReloadRecord): ReloadRecord {
    this.#history.push(record);
    if (this.#history.length > HISTORY_MAX) this.#history.shift();
    const { by, result, digest, changed, reasons, tookMs } = record;
    const fields = {
      ...{ result, digest, by },
      tookMs: Math.round(tookMs * 10) / 10,
      changed: changed.map(({ apply, ...change }) =>
        apply === 'hot' ? change : { ...change, needs: 'restart' },
      ),
      ...(reasons.length === 0 ? {} : { reasons }),
    };
    const isFine = result === 'applied' || result === 'unchanged';
    if (isFine) this.#options.log.info(fields, 'config reload');
    else this.#options.log.warn(fields, 'config reload');
    return record;
  }
}
