/** `bench rtt` in one thread: pairs of clients, of which one asks and the other answers, one question at a time. */
import type { Client } from '../../client/client.js';
import { systemClock } from '../../clock.js';
import { asError, MemoryStreamerError } from '../../errors.js';
import { withClients } from '../with-client.js';
import { readStamp, writeStamp } from './stamp.js';
import type { Stage } from './stage.js';
import { shares, type BenchResult, type BenchTask } from './task.js';

const NS_PER_MS = 1e6;
const ANSWER_MS = 5_000;

export async function benchRtt(task: BenchTask, stage: Stage): Promise<BenchResult> {
  const { url, identity, subjects } = task;
  return withClients('bench', url, identity, 2 * subjects.length, async (clients) => {
    const counts = task.count === undefined ? [] : shares(task.count, subjects.length);
    const pairs = subjects.map(
      (subject, i) => new Pair(task, stage, subject, clients[2 * i]!, clients[2 * i + 1]!),
    );
    await Promise.all(pairs.map((pair) => pair.open()));
    await stage.ready();
    const countedFromMs = systemClock.monotonicMs() + task.warmupMs;
    if (task.durationMs !== undefined) stage.stopAfter(task.warmupMs + task.durationMs);
    await Promise.all(pairs.map((pair, i) => pair.ask(countedFromMs, counts[i])));
    return stage.result(
      pairs.map(({ counted }) => counted),
      { fromMs: countedFromMs },
    );
  });
}

class Pair {
  counted = 0;
  readonly #task: BenchTask;
  readonly #stage: Stage;
  readonly #questions: string;
  readonly #answers: string;
  readonly #asker: Client;
  readonly #answerer: Client;
  #answered: (payload: Uint8Array) => void = () => undefined;
  #failed: (error: Error) => void = () => undefined;

  constructor(task: BenchTask, stage: Stage, subject: string, asker: Client, answerer: Client) {
    this.#task = task;
    this.#stage = stage;
    this.#questions = `${subject}.questions`;
    this.#answers = `${subject}.answers`;
    this.#asker = asker;
    this.#answerer = answerer;
  }

  async open(): Promise<void> {
    await this.#asker.publisher(this.#questions);
    await this.#answerer.publisher(this.#answers);
    const questions = this.#answerer.subscribe(this.#questions);
    const answers = this.#asker.subscribe(this.#answers);
    await Promise.all([questions.ready, answers.ready]);
    const answer = async () => {
      for await (const { payload } of questions) {
        await this.#answerer.publish(this.#answers, payload);
      }
    };
    const hear = async () => {
      for await (const { payload } of answers) this.#answered(payload);
    };
    void Promise.all([answer(), hear()]).catch((error: unknown) => this.#failed(asError(error)));
  }

  async ask(countedFromMs: number, count = Infinity): Promise<void> {
    const { board } = this.#stage;
    const view = new DataView(new ArrayBuffer(this.#task.sizeBytes));
    for (let number = 0; this.counted < count && !this.#stage.isStopped; number++) {
      const beganMs = systemClock.monotonicMs();
      writeStamp(view, { run: this.#task.run, number, dueMs: beganMs });
      const answer = this.#answerTo(number);
      board.add('sent');
      await this.#asker.publish(this.#questions, new Uint8Array(view.buffer));
      await answer;
      const nowMs = systemClock.monotonicMs();
      board.add('received');
      board.add('receivedBytes', this.#task.sizeBytes);
      if (beganMs < countedFromMs) continue;
      this.counted++;
      board.times.record((nowMs - beganMs) * NS_PER_MS);
    }
  }

  /** Resolves when the answer to this question is in. */
  #answerTo(number: number): Promise<void> {
    const answered = new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        const text = `no answer to a question on ${this.#questions} within ${ANSWER_MS} ms`;
        reject(new MemoryStreamerError('MS_ERR_TIMEOUT', text));
      }, ANSWER_MS);
      const settle = (settled: () => void) => {
        clearTimeout(timer);
        settled();
      };
      this.#failed = (error) => settle(() => reject(error));
      this.#answered = (payload) => {
        const stamp = readStamp(payload);
        if (stamp?.run !== this.#task.run) this.#stage.board.add('foreign');
        else if (stamp.number === number >>> 0) settle(resolve);
        else this.#stage.board.add('disordered');
      };
    });
    answered.catch(() => undefined);
    return answered;
  }
}
