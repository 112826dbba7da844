/**
 * `bench latency` in one thread: pairs of a publisher and a subscriber, and one clock. Open loop: each frame bears the
 * moment at which it was due, and its latency counts from there, however late it could be sent.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from '../../client/client.js';
import type { Subscription } from '../../client/subscription.js';
import { systemClock } from '../../clock.js';
import { asError } from '../../errors.js';
import { withClients } from '../with-client.js';
import { readStamp, writeStamp } from './stamp.js';
import type { Stage } from './stage.js';
import type { BenchResult, BenchTask } from './task.js';

const NS_PER_MS = 1e6;
/** Frames that the client has not taken yet: beyond it the sender waits, and what falls due meanwhile is late. */
const WAITING_MAX = 256;
const LOOK_MS = 5;
/**
 * Looks at which nothing new may have arrived before what is missing is taken for lost: 5 s. Looks are counted, and not
 * the time, since while this process does not run nothing can arrive.
 */
const LOOKS_MAX = 1_000;
/** So many times the duration may sending take. */
const OVERTIME_FACTOR = 2;

export async function benchLatency(task: BenchTask, stage: Stage): Promise<BenchResult> {
  const { url, identity, subjects } = task;
  return withClients('bench', url, identity, 2 * subjects.length, async (clients) => {
    const pairs = subjects.map(
      (subject, i) => new Pair(task, stage, subject, clients[2 * i]!, clients[2 * i + 1]!),
    );
    await Promise.all(pairs.map((pair) => pair.open()));
    await stage.ready();
    const fromMs = await sendAll(task, stage, pairs);
    const result = stage.result(
      pairs.map(({ counted }) => counted),
      { fromMs },
    );
    await Promise.all(pairs.map((pair) => pair.drained()));
    return result;
  });
}

/** Sends what is due, on one pair after another; answers from when on frames count. */
async function sendAll(task: BenchTask, stage: Stage, pairs: readonly Pair[]): Promise<number> {
  const { rate = 1, warmupMs, durationMs = Infinity, count = Infinity } = task;
  const startMs = systemClock.monotonicMs();
  const countedFromMs = startMs + warmupMs;
  const dueMs = (frame: number) => startMs + (frame * 1000) / rate;
  for (const pair of pairs) pair.countedFromMs = countedFromMs;
  const framesWithin = (milliseconds: number) => Math.ceil((milliseconds * rate) / 1000);
  const framesMax = framesWithin(warmupMs) + Math.min(count, framesWithin(durationMs));
  // What was due in time is sent, also late: without it a stall at the end would not show. A rate beyond reach has its limit.
  const endMs = countedFromMs + OVERTIME_FACTOR * durationMs;
  for (let frame = 0; frame < framesMax && !stage.isStopped;) {
    const nowMs = systemClock.monotonicMs();
    if (nowMs >= endMs) break;
    for (; frame < framesMax && dueMs(frame) <= nowMs; frame++) {
      if (!pairs[frame % pairs.length]!.send(dueMs(frame), nowMs)) break;
    }
    await stage.towards(dueMs(frame));
  }
  return countedFromMs;
}

class Pair {
  sent = 0;
  /** Of those, the frames that were due after the warm-up. */
  counted = 0;
  countedFromMs = Infinity;
  readonly #task: BenchTask;
  readonly #stage: Stage;
  readonly #subject: string;
  readonly #publisher: Client;
  readonly #subscriber: Client;
  /** Payloads that may be filled, and how many there are in all. */
  readonly #free: DataView<ArrayBuffer>[] = [];
  #payloads = 0;
  #subscription: Subscription | undefined;
  #arrived = 0;
  #error: Error | undefined;

  constructor(
    task: BenchTask,
    stage: Stage,
    subject: string,
    publisher: Client,
    subscriber: Client,
  ) {
    this.#task = task;
    this.#stage = stage;
    this.#subject = subject;
    this.#publisher = publisher;
    this.#subscriber = subscriber;
  }

  async open(): Promise<void> {
    await this.#publisher.publisher(this.#subject);
    const subscription = this.#subscriber.subscribe(this.#subject);
    this.#subscription = subscription;
    subscription.on('gap', ({ from, to }) =>
      this.#stage.board.add('skipped', Number(to - from + 1n)),
    );
    await subscription.ready;
    void this.#receive(subscription).catch((error: unknown) => this.#fail(error));
  }

  /** False: the client has enough to do. */
  send(dueMs: number, nowMs: number): boolean {
    const view = this.#free.pop() ?? this.#anotherPayload();
    if (view === undefined) return false;
    const { board } = this.#stage;
    writeStamp(view, { run: this.#task.run, number: this.sent, dueMs });
    this.sent++;
    board.add('sent');
    if (dueMs >= this.countedFromMs) {
      this.counted++;
      board.lag.record((nowMs - dueMs) * NS_PER_MS);
    }
    this.#publisher.publish(this.#subject, new Uint8Array(view.buffer)).then(
      () => this.#free.push(view),
      (error: unknown) => this.#fail(error),
    );
    return true;
  }

  #anotherPayload(): DataView<ArrayBuffer> | undefined {
    if (this.#payloads === WAITING_MAX) return undefined;
    this.#payloads++;
    return new DataView(new ArrayBuffer(this.#task.sizeBytes));
  }

  #fail(error: unknown): void {
    this.#error ??= asError(error);
    this.#stage.stop();
  }

  async #receive(subscription: Subscription): Promise<void> {
    const { board } = this.#stage;
    for await (const batch of subscription.batches()) {
      // Taken once for all that has come together.
      const nowMs = systemClock.monotonicMs();
      for (const { payload } of batch) this.#arrival(payload, nowMs);
      board.add('receivedBytes', batch.length * this.#task.sizeBytes);
    }
  }

  #arrival(payload: Uint8Array, nowMs: number): void {
    const { board } = this.#stage;
    const stamp = readStamp(payload);
    if (stamp?.run !== this.#task.run) {
      board.add('foreign');
      return;
    }
    board.add('received');
    if (stamp.number !== this.#arrived >>> 0) board.add('disordered');
    this.#arrived++;
    if (stamp.dueMs >= this.countedFromMs) board.times.record((nowMs - stamp.dueMs) * NS_PER_MS);
  }

  /** Waits for what is under way, as long as something arrives. Throws what has ended a client. */
  async drained(): Promise<void> {
    let looks = 0;
    for (let before = this.#arrived; this.#arrived < this.sent; before = this.#arrived) {
      if (this.#error !== undefined || looks === LOOKS_MAX) break;
      await delay(LOOK_MS);
      looks = this.#arrived > before ? 0 : looks + 1;
    }
    await this.#subscription?.unsubscribe();
    if (this.#error !== undefined) throw this.#error;
  }
}
