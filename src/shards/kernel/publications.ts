// The streams that a connection has opened for publishing, found by (connection, stream).
import {
  CONNECTION_ACKS,
  CONNECTION_PUBLICATION_COUNT,
  CONNECTION_PUBLICATION_LAST,
  CONNECTION_PUBLICATIONS,
  POOL_PUBLICATIONS,
  PUBLICATION_ACK_NEXT,
  PUBLICATION_ACK_NUMBER,
  PUBLICATION_CHAIN_NEXT,
  PUBLICATION_CONNECTION,
  PUBLICATION_NEXT,
  PUBLICATION_NUMBER,
  PUBLICATION_STREAM,
} from '../layout';
import { bucketMask, bucketsAt, connectionAt, giveRow, rowAt, takeRow } from './rows';

// @ts-ignore: decorator
@inline function bucketAt(slot: u32, stream: u32): usize {
  const hash = (slot * 0x9e3779b1) ^ (stream * 0x85ebca77);
  return bucketsAt + (<usize>((hash ^ (hash >> 15)) & bucketMask) << 2);
}

/** The row of a stream that this connection has opened, or 0. */
export function findPublication(slot: u32, stream: u32): u32 {
  const connection = connectionAt(slot);
  const last = load<u32>(connection, CONNECTION_PUBLICATION_LAST);
  if (last && load<u32>(rowAt(POOL_PUBLICATIONS, last), PUBLICATION_STREAM) == stream) return last;
  let row = load<u32>(bucketAt(slot, stream));
  while (row) {
    const at = rowAt(POOL_PUBLICATIONS, row);
    if (load<u32>(at, PUBLICATION_STREAM) == stream && load<u32>(at, PUBLICATION_CONNECTION) == slot) {
      store<u32>(connection, row, CONNECTION_PUBLICATION_LAST);
      return row;
    }
    row = load<u32>(at, PUBLICATION_CHAIN_NEXT);
  }
  return 0;
}

/** Lets a connection publish on a stream. Answers 0 when the shard has no row left. */
export function addPublication(slot: u32, stream: u32): u32 {
  const known = findPublication(slot, stream);
  if (known) return known;
  const row = takeRow(POOL_PUBLICATIONS);
  if (!row) return 0;
  const at = rowAt(POOL_PUBLICATIONS, row);
  const connection = connectionAt(slot);
  const bucket = bucketAt(slot, stream);
  store<u32>(at, load<u32>(bucket), PUBLICATION_CHAIN_NEXT);
  store<u32>(bucket, row);
  store<u32>(at, stream, PUBLICATION_STREAM);
  store<u32>(at, slot, PUBLICATION_CONNECTION);
  store<u32>(at, load<u32>(connection, CONNECTION_PUBLICATIONS), PUBLICATION_NEXT);
  store<u32>(connection, row, CONNECTION_PUBLICATIONS);
  store<u64>(at, 0, PUBLICATION_NUMBER);
  store<u64>(at, 0, PUBLICATION_ACK_NUMBER);
  store<u32>(at, 0, PUBLICATION_ACK_NEXT);
  store<u32>(connection, load<u32>(connection, CONNECTION_PUBLICATION_COUNT) + 1, CONNECTION_PUBLICATION_COUNT);
  return row;
}

function unchain(row: u32): void {
  const at = rowAt(POOL_PUBLICATIONS, row);
  let link = bucketAt(load<u32>(at, PUBLICATION_CONNECTION), load<u32>(at, PUBLICATION_STREAM));
  while (load<u32>(link) != row) link = rowAt(POOL_PUBLICATIONS, load<u32>(link)) + PUBLICATION_CHAIN_NEXT;
  store<u32>(link, load<u32>(at, PUBLICATION_CHAIN_NEXT));
}

/** Forgets all that a connection has opened. */
export function dropPublications(slot: u32): void {
  const connection = connectionAt(slot);
  let row = load<u32>(connection, CONNECTION_PUBLICATIONS);
  while (row) {
    const next = load<u32>(rowAt(POOL_PUBLICATIONS, row), PUBLICATION_NEXT);
    unchain(row);
    giveRow(POOL_PUBLICATIONS, row);
    row = next;
  }
  store<u32>(connection, 0, CONNECTION_PUBLICATIONS);
  store<u32>(connection, 0, CONNECTION_PUBLICATION_LAST);
  store<u32>(connection, 0, CONNECTION_ACKS);
  store<u32>(connection, 0, CONNECTION_PUBLICATION_COUNT);
}
