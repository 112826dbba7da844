/**
 * The threads of a bench, which begin together and are told together to stop.
 *
 *   start ──all ready──▶ go ──stop, or done by itself──▶ all done
 *     └───────────────────┴── one failed ──▶ the others are ended
 */
import { Worker } from 'node:worker_threads';
import { MemoryStreamerError } from '../../errors.js';
import { Board } from './board.js';
import type { BenchResult, BenchTask, FromMain, FromWorker } from './task.js';

const WORKER_FILE = new URL('worker.js', import.meta.url);

export class Crew {
  readonly boards: readonly Board[];
  /** Resolves when every thread is connected; rejects as `results`. */
  readonly ready: Promise<void>;
  /** Rejects with what the first thread that failed has met. */
  readonly results: Promise<readonly BenchResult[]>;
  readonly #workers: readonly Worker[];

  constructor(tasks: readonly BenchTask[]) {
    this.boards = tasks.map(() => new Board());
    this.#workers = tasks.map((task, i) => {
      const workerData = { task, buffer: this.boards[i]!.buffer };
      return new Worker(WORKER_FILE, { workerData });
    });
    const members = this.#workers.map(follow);
    this.results = Promise.all(members.map(({ done }) => done));
    const allReady = Promise.all(members.map(({ ready }) => ready));
    this.ready = Promise.race([allReady, this.results]).then(() => undefined);
    this.ready.catch(() => undefined);
    this.results.catch(() => this.#end());
  }

  go(): void {
    this.#tell('go');
  }

  stop(): void {
    this.#tell('stop');
  }

  #tell(message: FromMain): void {
    for (const worker of this.#workers) worker.postMessage(message);
  }

  #end(): void {
    for (const worker of this.#workers) void worker.terminate();
  }
}

function follow(worker: Worker): { ready: Promise<void>; done: Promise<BenchResult> } {
  let isReady!: () => void;
  const ready = new Promise<void>((resolve) => (isReady = resolve));
  const done = new Promise<BenchResult>((resolve, reject) => {
    worker.on('message', (message: FromWorker) => {
      if (message.type === 'ready') isReady();
      else if (message.type === 'done') resolve(message.result);
      else reject(errorOf(message));
    });
    worker.once('error', reject);
    worker.once('exit', (code) => reject(new Error(`a thread ended with code ${code}`)));
  });
  return { ready, done };
}

function errorOf({ message, code, stack }: Extract<FromWorker, { type: 'failed' }>): Error {
  if (code !== undefined) return new MemoryStreamerError(code, message);
  return Object.assign(new Error(message), { stack });
}
