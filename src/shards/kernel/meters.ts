// Meters: what a shard counts of its own doing, in histograms whose buckets widen with their values. One writer,
// plain stores: who reads meanwhile sees some counts a little before others.
import {
  AREA_CLOCK,
  AREA_LONGEST_TURN,
  AREA_METERED_SENDS,
  AREA_METERS,
  METERED,
  METERED_SENDS_MAX,
  METER_BYTES,
  METER_DELAY,
  METER_FIRST_BUCKET,
  METER_MAX,
  METER_SUB_BUCKET_BITS,
  METER_SUM,
  METER_TURN,
  METER_VALUE_BITS,
} from '../layout';
import { beginTurn } from '../../ring/kernel/news';
import { area } from './rows';

/** The bucket of a value, as `bucketOf` in src/histogram.ts. */
// @ts-ignore: decorator
@inline function bucketOf(value: u64): usize {
  if (value >= (<u64>1) << METER_VALUE_BITS) value = ((<u64>1) << METER_VALUE_BITS) - 1;
  // Below two rows of buckets each value has its own.
  const shift = 63 - METER_SUB_BUCKET_BITS - clz<u64>(value | (1 << METER_SUB_BUCKET_BITS));
  return <usize>((shift << METER_SUB_BUCKET_BITS) + (value >> shift));
}

export function meter(which: u32, value: u64): void {
  if (!METERED) return;
  const at = area + AREA_METERS + <usize>which * METER_BYTES;
  const bucket = at + (bucketOf(value) << 3);
  store<u64>(bucket, load<u64>(bucket, METER_FIRST_BUCKET) + 1, METER_FIRST_BUCKET);
  store<u64>(at, load<u64>(at, METER_SUM) + value, METER_SUM);
  if (value > load<u64>(at, METER_MAX)) store<u64>(at, value, METER_MAX);
}

/** A turn took so many ns, in which the shard was awake; `worked` is 0 where there was nothing to do in it. */
export function turnTook(ns: f64, worked: i32): void {
  if (!METERED) return;
  const value = ns > 0 ? <u64>ns : 0;
  if (worked) meter(METER_TURN, value);
  // Control takes it by an exchange for 0: a value that is lost by that was not above what control got.
  if (value > load<u64>(area, AREA_LONGEST_TURN)) store<u64>(area, value, AREA_LONGEST_TURN);
}

/**
 * A new turn begins (`beginTurn` of the ring's kernel). The one before it had sent by `sentNs` what it sent; the one before
 * that took `tookNs`, as `turnTook` has it: how long a turn took is known once the next one has waited.
 */
export function turnBegins(tookNs: f64, worked: i32, sentNs: f64): void {
  turnTook(tookNs, worked);
  sendsEnd(sentNs);
  beginTurn();
}

let sends: u32 = 0;

/** A run is sent whose oldest frame came at `timestamp`; how late that was is known at the next reading of the clock. */
export function meterSend(timestamp: u64): void {
  if (!METERED) return;
  if (sends == METERED_SENDS_MAX) return;
  store<u64>(area + AREA_METERED_SENDS + (<usize>sends << 3), timestamp);
  sends++;
}

/** The clock is read, so many ns after the turn began: what was sent since it was read last has been sent by now. */
export function sendsEnd(ns: f64): void {
  const clock = load<u64>(area, AREA_CLOCK) + (ns > 0 ? <u64>ns : 0);
  for (let i: u32 = 0; i < sends; i++) {
    const came = load<u64>(area + AREA_METERED_SENDS + (<usize>i << 3));
    // The clocks of two threads are read at different times, and the machine's may be set back.
    meter(METER_DELAY, clock > came ? clock - came : 0);
  }
  sends = 0;
}
