/** A bench as one of its threads sees it: when all are ready, and when to stop. */
import { setMaxListeners } from 'node:events';
import { performance } from 'node:perf_hooks';
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises';
import type { MessagePort } from 'node:worker_threads';
import { systemClock } from '../../clock.js';
import type { Board } from './board.js';
import type { BenchResult, FromMain, FromWorker } from './task.js';

/** A timer may be so late: what is due sooner is waited for by turns of the event loop. */
const TIMER_LATE_MS = 2;

export class Stage {
  readonly board: Board;
  readonly #port: MessagePort;
  readonly #stopping = new AbortController();
  #go: () => void = () => undefined;
  #startedMs = 0;
  #utilisation = performance.eventLoopUtilization();
  #timer: NodeJS.Timeout | undefined;

  constructor(board: Board, port: MessagePort) {
    this.board = board;
    this.#port = port;
    // Each frame that waits for its time listens.
    setMaxListeners(0, this.#stopping.signal);
    port.on('message', (message: FromMain) => {
      if (message === 'go') this.#go();
      else this.stop();
    });
  }

  /** Says that this thread is ready; resolves when all of them are, and time counts. */
  async ready(): Promise<void> {
    const all = new Promise<void>((resolve) => (this.#go = resolve));
    this.#port.postMessage({ type: 'ready' } satisfies FromWorker);
    await all;
    this.begin();
  }

  /** Time counts from now on. */
  begin(): void {
    this.#startedMs = systemClock.monotonicMs();
    this.#utilisation = performance.eventLoopUtilization();
  }

  get isStopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  /** Calls `run` when it is over; at once if it is already. */
  onStop(run: () => void): void {
    if (this.isStopped) run();
    else this.#stopping.signal.addEventListener('abort', run, { once: true });
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#stopping.abort();
  }

  /** Waits so long, or until it is over: then false. */
  async sleep(milliseconds: number): Promise<boolean> {
    const { signal } = this.#stopping;
    return delay(milliseconds, true, { signal }).catch(() => false);
  }

  /**
   * Waits until `dueMs` of the monotonic clock, or until it is over: then false. Node.js counts a timer from the beginning of
   * its turn, so that one of a turn that lasts fires early.
   */
  async until(dueMs: number): Promise<boolean> {
    for (;;) {
      const aheadMs = dueMs - systemClock.monotonicMs();
      if (aheadMs <= 0) return true;
      if (!(await this.sleep(aheadMs))) return false;
    }
  }

  /** Comes back at `dueMs` of the monotonic clock, or somewhat before: ask again. */
  async towards(dueMs: number): Promise<void> {
    const aheadMs = dueMs - systemClock.monotonicMs();
    if (aheadMs > TIMER_LATE_MS) await this.sleep(aheadMs - TIMER_LATE_MS);
    else await nextTurn();
  }

  /** It is over after so long, if not before. */
  stopAfter(durationMs: number | undefined): void {
    if (durationMs === undefined || this.isStopped) return;
    this.#timer = setTimeout(() => this.stop(), durationMs);
  }

  /** What counts happened between two times, where they are not the start and now. */
  result(
    perConnection: readonly number[],
    { fromMs = this.#startedMs, toMs = systemClock.monotonicMs() } = {},
  ): BenchResult {
    const { utilization } = performance.eventLoopUtilization(this.#utilisation);
    return { elapsedMs: Math.max(0, toMs - fromMs), perConnection, busy: utilization };
  }

  close(): void {
    this.stop();
    this.#port.close();
  }
}
