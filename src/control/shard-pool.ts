/**
 * The shards' threads: a Piscina pool for each NUMA group, each shard one endless task of it.
 *
 * Invariant: the thread of a shard that has ended is never used again, and the shard's number gets a new
 * thread only after `exit`, when the old one can write no more.
 */
import {
  MessageChannel,
  receiveMessageOnPort,
  type MessagePort,
  type Worker,
} from 'node:worker_threads';
import { Piscina } from 'piscina';
import { ANSWERED_TOGETHER, Outbox } from '../shards/batches.js';
import type { ControlMessage, ShardMessage } from '../shards/messages.js';
import type { ShardTask } from '../shards/task.js';
import type { Placement } from './topology.js';

const WORKER_FILE = new URL('../shards/worker.js', import.meta.url).href;

/**
 * Nothing of the data path is made on V8's heap, and control frames leave little: a small nursery stays in the
 * cache, and does not count as memory of the connections that a burst of them brings.
 */
export const YOUNG_GENERATION_MB = 2;

/** What a shard keeps on V8's heap are subscriptions and little else; one that needs more than this is broken, and replaced. */
const OLD_GENERATION_MB = 1024;

export interface ShardPoolOptions {
  readonly placement: Placement;
  /** Everything but the port, which is new for each life. */
  readonly task: (shard: number) => Omit<ShardTask, 'port'>;
  /** Wakes a shard's thread, so that it looks at its port. */
  readonly signal: (shard: number) => void;
  readonly onMessage: (shard: number, message: ShardMessage) => void;
  /** The thread has ended, before it was told to. */
  readonly onExit: (shard: number, exitCode: number) => void;
}

interface Life {
  readonly port: MessagePort;
  readonly outbox: Outbox<ControlMessage>;
  isEnded: boolean;
}

export class ShardPool {
  readonly #options: ShardPoolOptions;
  readonly #pools: Piscina[] = [];
  readonly #lives = new Map<number, Life>();
  #isClosing = false;
  /** While what a shard has said is heard, answers wait for each other. */
  #isHearing = false;

  constructor(options: ShardPoolOptions) {
    this.#options = options;
    const { groupOfShard, groups } = options.placement;
    for (let group = 0; group < groups; group++) {
      const threads = groupOfShard.filter((of) => of === group).length;
      const pool = new Piscina({
        filename: WORKER_FILE,
        minThreads: threads,
        maxThreads: threads,
        concurrentTasksPerWorker: 1,
        idleTimeout: Infinity,
        // A task never ends, so that nothing is to be waited for by Atomics.
        atomics: 'disabled',
        resourceLimits: {
          maxYoungGenerationSizeMb: YOUNG_GENERATION_MB,
          maxOldGenerationSizeMb: OLD_GENERATION_MB,
        },
      });
      pool.on('error', () => undefined);
      this.#pools.push(pool);
    }
  }

  /** Begins a life of a shard. It has begun when `ready` comes. */
  start(shard: number): void {
    const { port1, port2 } = new MessageChannel();
    const outbox = new Outbox<ControlMessage>(port1, ANSWERED_TOGETHER);
    const life: Life = { port: port1, outbox, isEnded: false };
    this.#lives.set(shard, life);
    port1.on('message', (messages: readonly ShardMessage[]) => this.#hear(shard, life, messages));
    const pool = this.#pools[this.#options.placement.groupOfShard[shard]!]!;
    const task: ShardTask = { ...this.#options.task(shard), port: port2 };
    // How a life ends is told by its thread's exit; one that never began has no thread to tell of.
    pool.run(task, { transferList: [port2] }).catch((error: unknown) => {
      if (!this.#isWatched.has(life)) this.#ended(shard, life, error instanceof Error ? 1 : 0);
    });
  }

  #hear(shard: number, life: Life, messages: readonly ShardMessage[]): void {
    this.#isHearing = true;
    try {
      for (const message of messages) {
        if (message.type === 'ready') this.#watch(shard, life, message.threadId);
        this.#options.onMessage(shard, message);
      }
    } finally {
      this.#isHearing = false;
      for (const [answered, { outbox }] of this.#lives) {
        if (outbox.flush()) this.#options.signal(answered);
      }
    }
  }

  readonly #isWatched = new WeakSet<Life>();

  #watch(shard: number, life: Life, threadId: number): void {
    const worker = this.#findWorker(threadId);
    if (!worker) return;
    this.#isWatched.add(life);
    worker.once('exit', (exitCode) => this.#ended(shard, life, exitCode));
  }

  #findWorker(threadId: number): Worker | undefined {
    for (const pool of this.#pools) {
      for (const worker of pool.threads as readonly Worker[]) {
        if (worker.threadId === threadId) return worker;
      }
    }
    return undefined;
  }

  #ended(shard: number, life: Life, exitCode: number): void {
    if (life.isEnded) return;
    // The end of a thread may be told before what it said last, such as why it failed.
    for (let last; (last = receiveMessageOnPort(life.port)) !== undefined;) {
      this.#hear(shard, life, last.message as readonly ShardMessage[]);
    }
    life.isEnded = true;
    life.port.close();
    if (this.#isClosing || this.#lives.get(shard) !== life) return;
    this.#lives.delete(shard);
    this.#options.onExit(shard, exitCode);
  }

  send(shard: number, message: ControlMessage): void {
    const life = this.#lives.get(shard);
    if (!life || life.isEnded) return;
    const isSent = life.outbox.post(message) || (!this.#isHearing && life.outbox.flush());
    if (isSent) this.#options.signal(shard);
  }

  /** Ends all threads; the shards should have ended before. */
  async close(): Promise<void> {
    this.#isClosing = true;
    await Promise.all(this.#pools.map((pool) => pool.destroy()));
    for (const life of this.#lives.values()) life.port.close();
  }
}
