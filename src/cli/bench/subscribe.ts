/** `bench sub` in one thread: what arrives, how fast, with which pauses, and whether it is whole and in order. */
import type { Client } from '../../client/client.js';
import type { Message, Subscription } from '../../client/subscription.js';
import { systemClock } from '../../clock.js';
import { withClients } from '../with-client.js';
import type { Board } from './board.js';
import type { Stage } from './stage.js';
import type { BenchResult, BenchTask } from './task.js';

const NS_PER_MS = 1e6;

export async function benchSubscribe(task: BenchTask, stage: Stage): Promise<BenchResult> {
  const { url, identity, subjects, from } = task;
  return withClients('bench', url, identity, subjects.length, async (clients) => {
    const { board } = stage;
    const subscriptions = clients.map((client: Client, i) => {
      const subscription = client.subscribe(subjects[i]!, { from });
      subscription.on('gap', (gap) => board.add('skipped', Number(gap.to - gap.from + 1n)));
      return subscription;
    });
    await Promise.all(subscriptions.map(({ ready }) => ready));
    await stage.ready();
    const intake = new Intake(task, stage);
    stage.onStop(() => {
      for (const subscription of subscriptions) void subscription.unsubscribe();
    });
    const perConnection = await Promise.all(subscriptions.map((each) => intake.consume(each)));
    return stage.result(perConnection, { toMs: intake.lastMs });
  });
}

/** What all connections of the thread have taken. */
class Intake {
  /** When the last frame came; time counts from the first one. */
  lastMs = systemClock.monotonicMs();
  readonly #task: BenchTask;
  readonly #stage: Stage;
  #received = 0;

  constructor(task: BenchTask, stage: Stage) {
    this.#task = task;
    this.#stage = stage;
  }

  /** Answers how many frames of the subscription there were. */
  async consume(subscription: Subscription): Promise<number> {
    const { board } = this.#stage;
    const sequences = new Sequences(board);
    const left = () => (this.#task.count ?? Infinity) - this.#received;
    let received = 0;
    let beforeMs: number | undefined;
    for await (const batch of subscription.batches()) {
      const nowMs = systemClock.monotonicMs();
      if (beforeMs !== undefined) board.times.record((nowMs - beforeMs) * NS_PER_MS);
      beforeMs = nowMs;
      const messages = batch.length > left() ? batch.slice(0, left()) : batch;
      this.#take(messages, nowMs);
      sequences.look(messages);
      received += messages.length;
      if (left() === 0) this.#stage.stop();
      if (this.#stage.isStopped) break;
    }
    return received;
  }

  #take(messages: readonly Message[], nowMs: number): void {
    const { board } = this.#stage;
    if (this.#received === 0) {
      this.#stage.begin();
      this.#stage.stopAfter(this.#task.durationMs);
    }
    this.lastMs = nowMs;
    this.#received += messages.length;
    board.add('received', messages.length);
    board.add(
      'receivedBytes',
      messages.reduce((sum, { payload }) => sum + payload.length, 0),
    );
  }
}

/** Whether sequences go up, stream by stream; holes in them are gaps, which the client tells. */
class Sequences {
  readonly #board: Board;
  readonly #lastOf = new Map<number, bigint>();

  constructor(board: Board) {
    this.#board = board;
  }

  look(messages: readonly Message[]): void {
    for (const { stream, sequence } of messages) {
      if (sequence > (this.#lastOf.get(stream) ?? 0n)) this.#lastOf.set(stream, sequence);
      else this.#board.add('disordered');
    }
  }
}
