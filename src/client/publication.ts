/**
 * One subject that is published to: its OPEN on the present connection, the numbers of its frames, what
 * waits for room and what waits for its ACK. Frames leave in the order in which they were given.
 */
import { MemoryStreamerError } from '../errors.js';
import type { FrameDecoder } from '../frame/codec.js';
import { TYPE_DATA, TYPE_OPEN, TYPE_OPENED } from '../frame/codes.js';
import { FLAG_ACK_REQUESTED } from '../frame/layout.js';
import { parseOpened, type Opened } from '../frame/payloads.js';
import { ResendLog } from './resend-log.js';
import type { Transport } from './transport.js';

/** Where an acknowledged frame lies. */
export interface Published {
  /** As it was published. */
  readonly subject: string;
  /** The stream's id on this broker. */
  readonly stream: number;
  /** The frame's sequence in its stream; an upper bound where `exact` is false. */
  readonly sequence: bigint;
  /**
   * Whether `sequence` is this frame's own. One ACK may stand for many frames and names the last one's
   * sequence; those of the others follow from it only where no other publisher's frames lay between.
   */
  readonly exact: boolean;
}

/**
 * Told when `frameCount` frames are in the stream's log (`published` is the last of them), or with `error`
 * that they never will be for all that is known. Each frame is told once. Who gives the same function for
 * many frames is told of many at once.
 */
export type Settled = (
  frameCount: number,
  published: Published | undefined,
  error?: MemoryStreamerError,
) => void;

/** A frame that found no room yet; `accepted` is told when it has, or why it never will. */
export interface Waiting {
  readonly source: Uint8Array;
  readonly start: number;
  readonly end: number;
  readonly settled: Settled | undefined;
  readonly accepted: (error?: MemoryStreamerError) => void;
}

/** Frames with consecutive numbers that wait for their ACK, and whom to tell. */
interface Unacked {
  first: number;
  last: number;
  readonly settled: Settled;
}

/** What all publications of a client share. */
export interface PublishingContext {
  readonly unackedBytesMax: number;
  /** Whether frames are kept for another connection. */
  readonly resend: boolean;
  /** Bytes that all resend logs hold. */
  heldBytes: number;
  /** OPENED is in: ACKs and ERRORs of this stream id go to `publication`. */
  opened(stream: number, opened: Opened, publication: Publication): void;
  /** The broker refused the subject; the publication is at its end. */
  refused(publication: Publication): void;
}

export class Publication {
  readonly subject: string;
  readonly #context: PublishingContext;
  readonly #log = new ResendLog(1);
  readonly #waiting: Waiting[] = [];
  /** In the order of their numbers. */
  readonly #unacked: Unacked[] = [];
  #unackedHead = 0;
  /** Frames in the log that the broker refused: not sent again. */
  readonly #refused = new Set<number>();
  #transport: Transport | undefined;
  #stream = 0;
  readonly #openWaiters: ((error?: MemoryStreamerError) => void)[] = [];
  #nextNumber = 1;
  /** First frame of the log that this connection has not been sent. */
  #resendNumber = 1;
  /** Number and sequence of the last ACK of this connection, or number 0. */
  #ackedNumber = 0;
  #ackedSequence = 0n;

  constructor(subject: string, context: PublishingContext) {
    this.subject = subject;
    this.#context = context;
  }

  /** Whether nothing waits for room or for an ACK. */
  get idle(): boolean {
    return this.#waiting.length === 0 && this.#unackedHead === this.#unacked.length;
  }

  /** A connection is there: OPENs the subject on it, then sends again what was not acknowledged. */
  attach(transport: Transport): void {
    this.#transport = transport;
    this.#stream = 0;
    this.#ackedNumber = 0;
    this.#resendNumber = this.#log.firstNumber;
    transport.request(TYPE_OPEN, { subject: this.subject }, (frame, error) => {
      if (frame !== undefined) {
        this.#opened(frame);
      } else if (error?.code === 'MS_ERR_REFUSED') {
        this.abandon(error);
        this.#context.refused(this);
      }
      // A lost connection is told to all by `detach` or `abandon`.
    });
  }

  #opened(frame: FrameDecoder): void {
    const opened = frame.type === TYPE_OPENED ? parseOpened(frame.payload) : undefined;
    if (opened === undefined || frame.stream === 0) {
      this.#transport?.fail(
        new MemoryStreamerError(
          'MS_ERR_PROTOCOL',
          `the broker's OPENED of ${this.subject} does not fit`,
        ),
      );
      return;
    }
    this.#stream = frame.stream;
    this.#context.opened(frame.stream, opened, this);
    for (const waiter of this.#openWaiters.splice(0)) waiter();
    this.pump();
  }

  /** Calls `told` once OPENED is in, or it is known that it will not come. */
  whenOpen(told: (error?: MemoryStreamerError) => void): void {
    if (this.#stream !== 0) told();
    else this.#openWaiters.push(told);
  }

  /** The connection is gone, and another one will come. */
  detach(): void {
    this.#transport = undefined;
    this.#stream = 0;
  }

  /**
   * Gives a frame with the bytes `start` … `end` of `source`. True: it was taken, and `source` may be
   * changed. False: nothing was taken, there is no room now or something waits already.
   */
  offer(source: Uint8Array, start: number, end: number, settled: Settled | undefined): boolean {
    return this.#waiting.length === 0 && this.#take(source, start, end, settled);
  }

  /** As `offer`, once there is room: `source` belongs to the client until `accepted` is called. */
  wait(waiting: Waiting): void {
    this.#waiting.push(waiting);
  }

  #take(source: Uint8Array, start: number, end: number, settled: Settled | undefined): boolean {
    const transport = this.#transport;
    const context = this.#context;
    if (transport?.live !== true || this.#stream === 0) return false;
    if (this.#resendNumber < this.#nextNumber && context.resend && !this.#sendAgain()) return false;
    if (settled !== undefined && context.heldBytes >= context.unackedBytesMax) return false;
    const block = transport.outbox.blockFor(end - start);
    if (block === undefined) return false;
    if (settled === undefined) {
      block.putBytes(TYPE_DATA, 0, this.#stream, 0, source, start, end);
      return true;
    }
    const number = this.#nextNumber++;
    block.putBytes(TYPE_DATA, FLAG_ACK_REQUESTED, this.#stream, number, source, start, end);
    const last = this.#unacked.at(-1);
    if (last?.settled === settled && last.last === number - 1) last.last = number;
    else this.#unacked.push({ first: number, last: number, settled });
    if (context.resend) {
      const before = this.#log.heldBytes;
      this.#log.append(source, start, end);
      context.heldBytes += this.#log.heldBytes - before;
    }
    this.#resendNumber = this.#nextNumber;
    return true;
  }

  /** Sends what an earlier connection left without ACK. False: no room for all of it yet. */
  #sendAgain(): boolean {
    const { outbox } = this.#transport!;
    this.#resendNumber = this.#log.visit(this.#resendNumber, (number, bytes, start, end) => {
      if (this.#refused.has(number)) return true;
      const block = outbox.blockFor(end - start);
      if (block === undefined) return false;
      block.putBytes(TYPE_DATA, FLAG_ACK_REQUESTED, this.#stream, number, bytes, start, end);
      return true;
    });
    return this.#resendNumber === this.#nextNumber;
  }

  /** Sends what waits, as far as there is room. */
  pump(): void {
    if (this.#transport?.live !== true || this.#stream === 0) return;
    if (this.#resendNumber < this.#nextNumber && this.#context.resend && !this.#sendAgain()) return;
    let taken = 0;
    for (const { source, start, end, settled } of this.#waiting) {
      if (!this.#take(source, start, end, settled)) break;
      taken++;
    }
    for (const { accepted } of this.#waiting.splice(0, taken)) accepted();
  }

  /** An ACK: all frames up to `number` are in the log, that one as `sequence`. */
  acked(number: number, sequence: bigint): void {
    const stream = this.#stream;
    // With as many sequences given as frames acknowledged, all of them are ours.
    const run = number - this.#ackedNumber;
    const exact = this.#ackedNumber > 0 && sequence - this.#ackedSequence === BigInt(run);
    while (this.#unackedHead < this.#unacked.length) {
      const entry = this.#unacked[this.#unackedHead]!;
      if (entry.first > number) break;
      const last = Math.min(entry.last, number);
      const frameCount = last - entry.first + 1;
      entry.first = last + 1;
      if (last === entry.last) this.#unackedHead++;
      const own = exact && last > this.#ackedNumber;
      entry.settled(frameCount, {
        subject: this.subject,
        stream,
        sequence: own ? sequence - BigInt(number - last) : sequence,
        exact: own || last === number,
      });
    }
    this.#ackedNumber = number;
    this.#ackedSequence = sequence;
    this.#forgetSettled();
  }

  /** An ERROR for the frame `number`. False: no such frame waits for its ACK. */
  refused(number: number, error: MemoryStreamerError): boolean {
    const at = this.#unacked.findIndex(
      ({ first, last }, index) => index >= this.#unackedHead && first <= number && number <= last,
    );
    if (at < 0) return false;
    const { first, last, settled } = this.#unacked[at]!;
    const around = [
      { first, last: number - 1, settled },
      { first: number + 1, last, settled },
    ];
    this.#unacked.splice(at, 1, ...around.filter((entry) => entry.first <= entry.last));
    if (this.#context.resend) this.#refused.add(number);
    settled(1, undefined, error);
    // Its number is given to no frame of the stream: what follows is not exact until the next ACK.
    this.#ackedNumber = 0;
    this.#forgetSettled();
    return true;
  }

  #forgetSettled(): void {
    const first = this.#unacked[this.#unackedHead]?.first ?? this.#nextNumber;
    const before = this.#log.heldBytes;
    this.#log.release(first - 1);
    for (const number of this.#refused) if (number < first) this.#refused.delete(number);
    this.#context.heldBytes += this.#log.heldBytes - before;
    // Also when all are settled: `take` extends the last one that waits.
    if (this.#unackedHead * 2 >= this.#unacked.length) {
      this.#unacked.splice(0, this.#unackedHead);
      this.#unackedHead = 0;
    }
  }

  /** Everything that waits will never be: tells each of them `error`. */
  abandon(error: MemoryStreamerError): void {
    this.detach();
    const unacked = this.#unacked.splice(0).slice(this.#unackedHead);
    this.#unackedHead = 0;
    const waiting = this.#waiting.splice(0);
    this.#resendNumber = this.#nextNumber;
    this.#forgetSettled();
    for (const waiter of this.#openWaiters.splice(0)) waiter(error);
    for (const { first, last, settled } of unacked) settled(last - first + 1, undefined, error);
    for (const { accepted } of waiting) accepted(error);
  }
}
