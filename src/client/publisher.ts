/** Many frames on one subject, with the least work for each, and one wait for all of their ACKs. */
import { MemoryStreamerError } from '../errors.js';
import { PAYLOAD_BYTES_MAX } from '../frame/layout.js';
import type { Publication, Settled } from './publication.js';

/** Throws MS_ERR_FRAME_TOO_LARGE above 65,496 bytes. */
export function checkPayloadBytes(byteCount: number): void {
  if (byteCount > PAYLOAD_BYTES_MAX) {
    throw new MemoryStreamerError(
      'MS_ERR_FRAME_TOO_LARGE',
      `a payload of ${byteCount} bytes: a frame holds at most ${PAYLOAD_BYTES_MAX}`,
    );
  }
}

/** @internal What a publisher needs of its client. */
export interface PublisherOwner {
  /** Throws MS_ERR_CLOSED once nothing may be published any more. */
  checkOpen(): void;
  publicationOf(subject: string): Publication;
  /** Something was given that waits, or that waits for an ACK. */
  given(): void;
}

/** Sends frames on one subject with the least work for each; made by `client.publisher`. */
export class Publisher {
  /** As given to `client.publisher`. */
  readonly subject: string;
  readonly #owner: PublisherOwner;
  readonly #flushing: { count: number; done: () => void }[] = [];
  #sentCount = 0;
  #acknowledgedCount = 0;
  #refusedCount = 0;
  #error: MemoryStreamerError | undefined;

  /** @internal Made by `client.publisher`. */
  constructor(subject: string, owner: PublisherOwner) {
    this.subject = subject;
    this.#owner = owner;
  }

  /** Frames given so far. */
  get sentCount(): number {
    return this.#sentCount;
  }

  /** Frames that are in the stream's log for certain. */
  get acknowledgedCount(): number {
    return this.#acknowledgedCount;
  }

  /** Frames that the broker refused, or that were lost with the connection. */
  get refusedCount(): number {
    return this.#refusedCount;
  }

  /**
   * Publishes a frame. True: it was taken, go on. A promise: wait for it before the next one, and leave
   * `payload` alone until then; it rejects where the connection was lost for good. Throws
   * MS_ERR_FRAME_TOO_LARGE and MS_ERR_CLOSED. What becomes of the frame is told by `flush`.
   */
  send(payload: Uint8Array | string): true | Promise<true> {
    const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
    return this.sendRange(bytes, 0, bytes.length);
  }

  /** As `send`, for the bytes `start` … `end` (not included) of `bytes`. */
  sendRange(bytes: Uint8Array, start: number, end: number): true | Promise<true> {
    checkPayloadBytes(end - start);
    this.#owner.checkOpen();
    this.#sentCount++;
    // A refused subject may be tried again: the client then has another publication for it.
    const publication = this.#owner.publicationOf(this.subject);
    if (publication.offer(bytes, start, end, this.#settled)) return true;
    this.#owner.given();
    return new Promise<true>((resolve, reject) => {
      publication.wait({
        source: bytes,
        start,
        end,
        settled: this.#settled,
        accepted: (error) => {
          if (error === undefined) {
            resolve(true);
          } else {
            this.#settled(1, undefined, error);
            reject(error);
          }
        },
      });
    });
  }

  /** Waits until every frame given so far is acknowledged. Rejects with the first refusal since the last `flush`. */
  async flush(): Promise<void> {
    if (this.#sentCount > this.#acknowledgedCount + this.#refusedCount) {
      this.#owner.given();
      const count = this.#sentCount;
      await new Promise<void>((done) => this.#flushing.push({ count, done }));
    }
    const error = this.#error;
    this.#error = undefined;
    if (error !== undefined) throw error;
  }

  readonly #settled: Settled = (frameCount, _published, error) => {
    if (error === undefined) {
      this.#acknowledgedCount += frameCount;
    } else {
      this.#refusedCount += frameCount;
      this.#error ??= error;
    }
    const settled = this.#acknowledgedCount + this.#refusedCount;
    while (this.#flushing.length > 0 && this.#flushing[0]!.count <= settled) {
      this.#flushing.shift()!.done();
    }
  };
}
