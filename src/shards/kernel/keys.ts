// The keys of connections, each pair in a row of this shard's own area that no other thread reads, and that is
// wiped before it is given back.
import { checkFrame, checkKeyedHeader } from '../../frame/kernel/frame';
import { tagFits } from '../../frame/kernel/siphash';
import { KEY_COUNTER, KEY_SECRET_BYTES } from '../../frame/layout';
import { CODE_BAD_TAG } from '../../frame/codes';
import {
  AREA_NEW_KEYS,
  CONNECTION_KEYS,
  KEYS_BYTES,
  KEYS_IN,
  KEYS_NONE,
  KEYS_OUT,
  POOL_KEYS,
} from '../layout';
import { area, connectionAt, giveRow, rowAt, takeRow } from './rows';
import { IS_MIXED, versionOf } from './versions';

/** The row of a connection whose frames are made for it alone, or 0 where they are sent as they lie in the log. */
// @ts-ignore: decorator
@inline export function makingOf(connection: usize): usize {
  const row = load<u32>(connection, CONNECTION_KEYS);
  return row ? rowAt(POOL_KEYS, row) : 0;
}

/** The row of a connection's keys, or 0 where its frames are checked only. */
// @ts-ignore: decorator
@inline export function keysOf(connection: usize): usize {
  const at = makingOf(connection);
  return IS_MIXED && at && !isKeyed(at) ? 0 : at;
}

/** Whether the frames of a row get tags; else they are made because of their version, with checks. */
// @ts-ignore: decorator
@inline export function isKeyed(making: usize): bool {
  return !IS_MIXED || load<u32>(making, KEYS_NONE) == 0;
}

/** From the next frame on both directions are keyed, by what lies in AREA_NEW_KEYS. False: no row is left. */
export function openKeys(slot: u32): bool {
  const given = area + AREA_NEW_KEYS;
  const at = openMaking(slot);
  if (at) {
    memory.copy(at + KEYS_IN, given, KEY_SECRET_BYTES);
    memory.copy(at + KEYS_OUT, given + KEY_SECRET_BYTES, KEY_SECRET_BYTES);
  }
  memory.fill(given, 0, 2 * KEY_SECRET_BYTES);
  return at != 0;
}

function openMaking(slot: u32): usize {
  const row = takeRow(POOL_KEYS);
  if (!row) return 0;
  const at = rowAt(POOL_KEYS, row);
  memory.fill(at, 0, KEYS_BYTES);
  store<u32>(connectionAt(slot), row, CONNECTION_KEYS);
  return at;
}

/** From the next frame on, a connection without keys gets frames that are made for it. False: no row is left. */
export function openVersion(slot: u32): bool {
  const at = openMaking(slot);
  if (at) store<u32>(at, 1, KEYS_NONE);
  return at != 0;
}

/** The connection ends. */
export function closeKeys(slot: u32): void {
  const connection = connectionAt(slot);
  const row = load<u32>(connection, CONNECTION_KEYS);
  if (!row) return;
  memory.fill(rowAt(POOL_KEYS, row), 0, KEYS_BYTES);
  giveRow(POOL_KEYS, row);
  store<u32>(connection, 0, CONNECTION_KEYS);
}

/** A frame at which `ingest` stopped is handled: the next one is due. */
export function frameHandled(slot: u32): void {
  const keys = keysOf(connectionAt(slot));
  if (keys) store<u64>(keys + KEYS_IN, load<u64>(keys + KEYS_IN, KEY_COUNTER) + 1, KEY_COUNTER);
}

/** Judges one frame of this connection, as `checkFrame` does, and by its tag where it is keyed; counts it then. */
export function checkOf(slot: u32, frame: usize, byteCount: u32): i32 {
  const keys = keysOf(connectionAt(slot));
  const version = versionOf(connectionAt(slot));
  if (!keys) return checkFrame(frame, byteCount, version);
  const whole = checkKeyedHeader(frame, byteCount, version);
  if (whole <= 0 || <u32>whole > byteCount) return whole < 0 ? whole : 0;
  const counter = load<u64>(keys + KEYS_IN, KEY_COUNTER);
  if (!tagFits(keys + KEYS_IN, counter, frame)) return -CODE_BAD_TAG;
  store<u64>(keys + KEYS_IN, counter + 1, KEY_COUNTER);
  return whole;
}
