/**
 * A good client at the side of what a test does to the broker: it publishes and reads its own stream
 * throughout, and says in the end whether anything was lost, changed or held up.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { Peer } from './peer.js';

const BATCH_FRAMES = 16;
/** The pace of its publishing: not what anything is waited by. */
const PACE_MS = 5;

export interface Account {
  readonly published: number;
  readonly acked: number;
  readonly delivered: number;
  readonly faults: readonly string[];
}

export class Bystander {
  readonly #publisher: Peer;
  readonly #subscriber: Peer;
  readonly #stream: number;
  readonly #work: Promise<void>;
  #published = 0;
  #isStopping = false;
  readonly #wrong: string[] = [];

  private constructor(publisher: Peer, subscriber: Peer, stream: number) {
    this.#publisher = publisher;
    this.#subscriber = subscriber;
    this.#stream = stream;
    let expected = 1;
    subscriber.onMessage = (_stream, _sequence, payload) => {
      if (payload.readUInt32LE(0) !== expected && this.#wrong.length < 10) {
        this.#wrong.push(`message ${payload.readUInt32LE(0)} where ${expected} was due`);
      }
      expected++;
    };
    this.#work = this.#run();
    // Told by `stop()`; a test that fails before it has its own story.
    this.#work.catch(() => undefined);
  }

  static async start(port: number, subject: string): Promise<Bystander> {
    const publisher = await Peer.greet(port);
    const subscriber = await Peer.greet(port);
    const { stream } = await publisher.open(subject);
    await subscriber.subscribe(subject);
    return new Bystander(publisher, subscriber, stream);
  }

  get shards(): [number, number] {
    return [this.#publisher.shard, this.#subscriber.shard];
  }

  async #run(): Promise<void> {
    while (!this.#isStopping) {
      const payloads = Array.from({ length: BATCH_FRAMES }, (_, index) => {
        const payload = Buffer.alloc(64);
        payload.writeUInt32LE(this.#published + index + 1);
        return payload;
      });
      this.#publisher.publish(this.#stream, this.#published + 1, payloads);
      this.#published += BATCH_FRAMES;
      await this.#publisher.ackedUpTo(this.#stream, this.#published);
      await pause(PACE_MS);
    }
  }

  /** Stops publishing, waits until all has arrived, and says how it went. */
  async stop(): Promise<Account> {
    this.#isStopping = true;
    await this.#work;
    const book = this.#subscriber.book(this.#stream);
    const isAll = (): boolean => book.frames >= this.#published || this.#subscriber.isClosed;
    await this.#subscriber.until(isAll, `${this.#published} messages for the bystander`);
    const account = {
      published: this.#published,
      acked: this.#publisher.acked.get(this.#stream)?.number ?? 0,
      delivered: book.frames,
      faults: [...this.#wrong, ...this.#publisher.faults, ...this.#subscriber.faults],
    };
    await Promise.all([this.#publisher.leave(), this.#subscriber.leave()]);
    return account;
  }
}

/** What a bystander says whom nothing has disturbed. */
export const undisturbed = (account: Account): Account => ({
  published: account.published,
  acked: account.published,
  delivered: account.published,
  faults: [],
});
