/** A shard's meters (layout.ts) as anybody else reads them: the shard goes on, and is not asked. */
import { PROTOCOL_ERRORS } from '../frame/names.js';
import { Histogram, type HistogramShape } from '../histogram.js';
import * as layout from './layout.js';

export interface ShardMeters {
  readonly shard: number;
  /** ns from one return of epoll_wait to the next, without the time asleep, of turns in which there was something to do. */
  readonly turnNs: Histogram;
  /**
   * ns from the beginning of the turn in which a frame came to the end of the turn that handed it to a socket, or a
   * reading of the clock within that: of the oldest frame of each run that one send carries. Frames that were there before
   * the subscription do not count.
   */
  readonly appendToSendNs: Histogram;
  /** DATA frames taken from the bytes of one receive, as far as no control frame lies between them. */
  readonly framesPerReceive: Histogram;
  /** DATA frames that one send carried. */
  readonly framesPerSend: Histogram;
  /** The longest turn, whatever it did, since this was read last. */
  readonly longestTurnNs: number;
  /** ERROR frames sent, by the name of their code; those of which there were none are left out. */
  readonly errors: Readonly<Record<string, number>>;
}

const SHAPE: HistogramShape = {
  subBucketBits: layout.METER_SUB_BUCKET_BITS,
  valueBits: layout.METER_VALUE_BITS,
};

/**
 * Everything since the broker began, also of threads that had this shard's number before; counts that grow meanwhile may be
 * seen a little before others. `longestTurnNs` alone begins again: one reader has it.
 */
export function takeMeters(memory: WebAssembly.Memory, shard: number, areaAt: number): ShardMeters {
  const longs = new BigUint64Array(memory.buffer);
  return {
    shard,
    turnNs: read(longs, areaAt, layout.METER_TURN),
    appendToSendNs: read(longs, areaAt, layout.METER_DELAY),
    framesPerReceive: read(longs, areaAt, layout.METER_RECEIVED),
    framesPerSend: read(longs, areaAt, layout.METER_SENT),
    // Pairs with the plain store in `turnTook`, which is made for what is greater only.
    longestTurnNs: Number(Atomics.exchange(longs, (areaAt + layout.AREA_LONGEST_TURN) / 8, 0n)),
    errors: errorsOf(memory, areaAt),
  };
}

function errorsOf(memory: WebAssembly.Memory, areaAt: number): Record<string, number> {
  const counts = new Uint32Array(memory.buffer, areaAt + layout.AREA_ERROR_COUNTS);
  const named = PROTOCOL_ERRORS.map(
    ({ code, name }) => [name, Atomics.load(counts, code)] as const,
  );
  return Object.fromEntries(named.filter(([, count]) => count > 0));
}

function read(longs: BigUint64Array, areaAt: number, meter: number): Histogram {
  const at = areaAt + layout.AREA_METERS + meter * layout.METER_BYTES;
  // Atomic, so that no count is seen half written.
  const number = (byteOffset: number) => Number(Atomics.load(longs, (at + byteOffset) / 8));
  const counts = Array.from({ length: layout.METER_BUCKETS }, (_, bucket) =>
    number(layout.METER_FIRST_BUCKET + bucket * 8),
  );
  return Histogram.of(SHAPE, counts, {
    sum: number(layout.METER_SUM),
    max: number(layout.METER_MAX),
  });
}
