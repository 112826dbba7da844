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
  KEYS_OUT,
  POOL_KEYS,
} from '../layout';
import { area, connectionAt, giveRow, rowAt, takeRow } from './rows';

/** The row of a connection's keys, or 0 where its frames are checked only. */
// @ts-ignore: decorator
@inline export function keysOf(connection: usize): usize {
  const row = load<u32>(connection, CONNECTION_KEYS);
  return row ? rowAt(POOL_KEYS, row) : 0;
}

/** From the next frame on both directions are keyed, by what lies in AREA_NEW_KEYS. False: no row is left. */
export function openKeys(slot: u32): bool {
  const given = area + AREA_NEW_KEYS;
  const row = takeRow(POOL_KEYS);
  if (row) {
    const at = rowAt(POOL_KEYS, row);
    memory.fill(at, 0, KEYS_BYTES);
    memory.copy(at + KEYS_IN, given, KEY_SECRET_BYTES);
    memory.copy(at + KEYS_OUT, given + KEY_SECRET_BYTES, KEY_SECRET_BYTES);
    store<u32>(connectionAt(slot), row, CONNECTION_KEYS);
  }
  memory.fill(given, 0, 2 * KEY_SECRET_BYTES);
  return row != 0;
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
  if (!keys) return checkFrame(frame, byteCount);
  const whole = checkKeyedHeader(frame, byteCount);
  if (whole <= 0 || <u32>whole > byteCount) return whole < 0 ? whole : 0;
  const counter = load<u64>(keys + KEYS_IN, KEY_COUNTER);
  if (!tagFits(keys + KEYS_IN, counter, frame)) return -CODE_BAD_TAG;
  store<u64>(keys + KEYS_IN, counter + 1, KEY_COUNTER);
  return whole;
}
