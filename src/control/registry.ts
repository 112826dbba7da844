/**
 * Which streams there are, and which shards want which of them. Control is the only writer of the stream
 * table, and OPEN, SUBSCRIBE and UNSUBSCRIBE of all shards pass through here one after another.
 *
 * Invariant: nobody is told the id of a new stream before every shard with a subscription that covers it has
 * placed its cursors, so that a stream's first frame is missed by nobody.
 */
import { Buffer } from 'node:buffer';
import type { StreamOverride } from '../config/table.js';
import { CODE_FORBIDDEN, CODE_LIMIT_EXCEEDED } from '../frame/codes.js';
import { hasWildcard, matches } from '../frame/subject.js';
import type { RingKernel } from '../ring/kernel.js';
import {
  ON_FULL_BLOCK,
  ON_FULL_EVICT,
  STREAM_BYTES,
  STREAM_SUBJECT,
  STREAM_SUBJECT_BYTES,
} from '../ring/layout.js';
import type { ConnectionRef, ControlMessage } from '../shards/messages.js';
import { SubjectIndex } from '../shards/subject-index.js';

export interface StreamDefaults {
  readonly retentionBytes: number;
  readonly onFull: 'block' | 'evict';
  /** The first whose subject covers a new stream's has a say over the two above. */
  readonly overrides: readonly StreamOverride[];
}

export interface RegistryOptions {
  readonly memory: WebAssembly.Memory;
  readonly kernel: Pick<RingKernel, 'createStream'>;
  readonly streamsAt: number;
  readonly streamsMax: number;
  /** Of streams that are born, until `setDefaults`. */
  readonly defaults: StreamDefaults;
  /** A value that grows: the epoch of a stream born now. */
  readonly epoch: () => bigint;
  readonly send: (shard: number, message: ControlMessage) => void;
}

interface Birth {
  readonly subject: string;
  /** Shards that have still to place their cursors. */
  readonly waiting: Set<number>;
  readonly asked: { shard: number; ref: ConnectionRef }[];
}

export class Registry {
  readonly #options: RegistryOptions;
  #defaults: StreamDefaults;
  readonly #streams = new Map<string, number>();
  readonly #births = new Map<number, Birth>();
  readonly #index = new SubjectIndex<number>();
  /** By shard: how often it wants a pattern. */
  readonly #wanted = new Map<number, Map<string, number>>();

  constructor(options: RegistryOptions) {
    this.#options = options;
    this.#defaults = options.defaults;
  }

  /** For streams that are born from now on. */
  setDefaults(defaults: StreamDefaults): void {
    this.#defaults = defaults;
  }

  get streamCount(): number {
    return this.#streams.size;
  }

  /** A connection of `shard` wants to publish on `subject`, and may make it or not. */
  open(shard: number, ref: ConnectionRef, subject: string, mayCreate = true): void {
    const known = this.#streams.get(subject);
    if (known !== undefined) {
      const birth = this.#births.get(known);
      if (birth) birth.asked.push({ shard, ref });
      else this.#options.send(shard, { type: 'opened', ref, subject, stream: known });
      return;
    }
    if (!mayCreate) {
      const text = `this connection may not create the stream ${subject}`;
      this.#options.send(shard, { type: 'refused', ref, code: CODE_FORBIDDEN, text });
      return;
    }
    const stream = this.#create(subject);
    if (typeof stream === 'string') {
      this.#options.send(shard, { type: 'refused', ref, code: CODE_LIMIT_EXCEEDED, text: stream });
      return;
    }
    const waiting = this.#index.match(subject);
    const birth: Birth = { subject, waiting, asked: [{ shard, ref }] };
    this.#births.set(stream, birth);
    for (const interested of waiting) {
      this.#options.send(interested, { type: 'born', stream, subject });
    }
    if (waiting.size === 0) this.#delivered(stream, birth);
  }

  /** The new stream's id, or why there is none. */
  #create(subject: string): number | string {
    const { streamsMax, memory, kernel, streamsAt, epoch } = this.#options;
    const stream = this.#streams.size + 1;
    if (stream > streamsMax) return `this broker has its ${streamsMax} streams already`;
    const row = streamsAt + stream * STREAM_BYTES;
    const bytes = Buffer.from(subject);
    new Uint8Array(memory.buffer).set(bytes, row + STREAM_SUBJECT);
    new Uint32Array(memory.buffer)[(row + STREAM_SUBJECT_BYTES) >>> 2] = bytes.length;
    const { retentionBytes, onFull } = this.#settingsOf(subject);
    const policy = onFull === 'evict' ? ON_FULL_EVICT : ON_FULL_BLOCK;
    const limitBytes = Math.min(retentionBytes, 0xffff_ffff);
    if (kernel.createStream(stream, limitBytes, policy, epoch()) === 0) {
      return 'no memory is left for another stream';
    }
    this.#streams.set(subject, stream);
    return stream;
  }

  #settingsOf(subject: string): Omit<StreamDefaults, 'overrides'> {
    const { retentionBytes, onFull, overrides } = this.#defaults;
    const override = overrides.find(({ subject: pattern }) => matches(pattern, subject));
    return {
      retentionBytes: override?.retention?.bytes ?? retentionBytes,
      onFull: override?.onFull ?? onFull,
    };
  }

  /** `shard` has placed its cursors on a new stream. */
  attached(shard: number, stream: number): void {
    const birth = this.#births.get(stream);
    if (!birth) return;
    birth.waiting.delete(shard);
    if (birth.waiting.size === 0) this.#delivered(stream, birth);
  }

  #delivered(stream: number, birth: Birth): void {
    this.#births.delete(stream);
    for (const { shard, ref } of birth.asked) {
      this.#options.send(shard, { type: 'opened', ref, subject: birth.subject, stream });
    }
  }

  /** One more subscription of `shard`. */
  subscribe(shard: number, ref: ConnectionRef, pattern: string): void {
    let wanted = this.#wanted.get(shard);
    if (!wanted) {
      wanted = new Map();
      this.#wanted.set(shard, wanted);
    }
    const count = wanted.get(pattern) ?? 0;
    wanted.set(pattern, count + 1);
    if (count === 0) this.#index.add(pattern, shard);
    this.#options.send(shard, {
      type: 'subscribed',
      ref,
      pattern,
      streams: this.#covered(pattern),
    });
  }

  #covered(pattern: string): number[] {
    if (!hasWildcard(pattern)) {
      const stream = this.#streams.get(pattern);
      return stream === undefined ? [] : [stream];
    }
    const streams: number[] = [];
    for (const [subject, stream] of this.#streams) {
      if (matches(pattern, subject)) streams.push(stream);
    }
    return streams;
  }

  /** One subscription of `shard` less. */
  unsubscribe(shard: number, pattern: string): void {
    const wanted = this.#wanted.get(shard);
    const count = wanted?.get(pattern) ?? 0;
    if (count > 1) {
      wanted!.set(pattern, count - 1);
    } else if (count === 1) {
      wanted!.delete(pattern);
      this.#index.remove(pattern, shard);
    }
  }

  /** A shard is dead: it wants nothing, and nobody waits for it. */
  forgetShard(shard: number): void {
    for (const pattern of this.#wanted.get(shard)?.keys() ?? []) this.#index.remove(pattern, shard);
    this.#wanted.delete(shard);
    for (const stream of [...this.#births.keys()]) this.attached(shard, stream);
  }
}
