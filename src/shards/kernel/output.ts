// Control frames on their way out: a short chain of blocks for each connection that has some.
import { encodeFrame, encodeKeyedFrame } from '../../frame/kernel/frame';
import { FRAME_HEADER_BYTES } from '../../frame/layout';
import { TYPE_ACK } from '../../frame/codes';
import {
  CONNECTION_ACKS,
  CONNECTION_OUT_BLOCKS,
  CONNECTION_OUT_HEAD,
  CONNECTION_OUT_TAIL,
  KEYS_OUT,
  OUT_BLOCKS_MAX,
  OUT_BLOCK_BYTES,
  OUT_HEADER_BYTES,
  OUT_NEXT,
  OUT_READ,
  OUT_WRITE,
  POOL_OUT_BLOCKS,
  POOL_PUBLICATIONS,
  PUBLICATION_ACK_NEXT,
  PUBLICATION_ACK_NUMBER,
  PUBLICATION_ACK_SEQUENCE,
  PUBLICATION_STREAM,
} from '../layout';
import { keysOf } from './keys';
import { connectionAt, giveRow, rowAt, takeRow } from './rows';
import { versionOf } from './versions';

/**
 * Where a control frame of `bytes` bytes (header and padding included, at most OUT_FRAME_BYTES_MAX) is to be
 * written for this connection; 0 = it has too much waiting already, or the shard has no block left.
 */
export function outRoom(slot: u32, bytes: u32): usize {
  const connection = connectionAt(slot);
  const tail = load<u32>(connection, CONNECTION_OUT_TAIL);
  if (tail) {
    const at = rowAt(POOL_OUT_BLOCKS, tail);
    const write = load<u32>(at, OUT_WRITE);
    if (write + bytes <= <u32>OUT_BLOCK_BYTES) return at + write;
  }
  const count = load<u32>(connection, CONNECTION_OUT_BLOCKS);
  if (count >= <u32>OUT_BLOCKS_MAX) return 0;
  const block = takeRow(POOL_OUT_BLOCKS);
  if (!block) return 0;
  const at = rowAt(POOL_OUT_BLOCKS, block);
  store<u32>(at, 0, OUT_NEXT);
  store<u32>(at, OUT_HEADER_BYTES, OUT_READ);
  store<u32>(at, OUT_HEADER_BYTES, OUT_WRITE);
  if (tail) store<u32>(rowAt(POOL_OUT_BLOCKS, tail), block, OUT_NEXT);
  else store<u32>(connection, block, CONNECTION_OUT_HEAD);
  store<u32>(connection, block, CONNECTION_OUT_TAIL);
  store<u32>(connection, count + 1, CONNECTION_OUT_BLOCKS);
  return at + OUT_HEADER_BYTES;
}

/** Completes the frame whose payload lies behind the header's place in `outRoom`'s answer. */
export function outFrame(
  slot: u32,
  typeAndCode: u32,
  stream: u32,
  payloadBytes: u32,
  sequence: u64,
): void {
  const connection = connectionAt(slot);
  const at = rowAt(POOL_OUT_BLOCKS, load<u32>(connection, CONNECTION_OUT_TAIL));
  const write = load<u32>(at, OUT_WRITE);
  const type = typeAndCode & 0xff;
  const code = typeAndCode >> 8;
  const keys = keysOf(connection);
  const version = versionOf(connection);
  // Keyed frames are counted in the order in which they leave: control frames when they are written, for all
  // that is written leaves before any DATA that is gathered later.
  const bytes = keys
    ? encodeKeyedFrame(at + write, type, 0, code, stream, payloadBytes, sequence, 0, keys + KEYS_OUT, version)
    : encodeFrame(at + write, type, 0, code, stream, payloadBytes, sequence, 0, version);
  store<u32>(at, write + bytes, OUT_WRITE);
}

/** A frame whose payload is one u64 (ACK, GAP). False: no room now. */
export function outNumber(slot: u32, type: u32, stream: u32, sequence: u64, value: u64): bool {
  const at = outRoom(slot, FRAME_HEADER_BYTES + 8);
  if (!at) return false;
  store<u64>(at, value, FRAME_HEADER_BYTES);
  outFrame(slot, type, stream, 8, sequence);
  return true;
}

/** Turns what is to be acknowledged into frames, as far as there is room. */
export function writeAcks(slot: u32): void {
  const connection = connectionAt(slot);
  let row = load<u32>(connection, CONNECTION_ACKS);
  while (row) {
    const at = rowAt(POOL_PUBLICATIONS, row);
    const number = load<u64>(at, PUBLICATION_ACK_NUMBER);
    const stream = load<u32>(at, PUBLICATION_STREAM);
    if (!outNumber(slot, TYPE_ACK, stream, number, load<u64>(at, PUBLICATION_ACK_SEQUENCE))) break;
    store<u64>(at, 0, PUBLICATION_ACK_NUMBER);
    row = load<u32>(at, PUBLICATION_ACK_NEXT);
  }
  store<u32>(connection, row, CONNECTION_ACKS);
}

/** `bytes` of the control frames are sent, from the front. */
export function outSent(slot: u32, bytes: u32): void {
  const connection = connectionAt(slot);
  while (true) {
    const head = load<u32>(connection, CONNECTION_OUT_HEAD);
    if (!head) return;
    const at = rowAt(POOL_OUT_BLOCKS, head);
    const left = load<u32>(at, OUT_WRITE) - load<u32>(at, OUT_READ);
    if (bytes < left) {
      store<u32>(at, load<u32>(at, OUT_READ) + bytes, OUT_READ);
      return;
    }
    bytes -= left;
    dropHead(connection, head);
    if (bytes == 0) return;
  }
}

function dropHead(connection: usize, head: u32): void {
  const next = load<u32>(rowAt(POOL_OUT_BLOCKS, head), OUT_NEXT);
  store<u32>(connection, next, CONNECTION_OUT_HEAD);
  if (!next) store<u32>(connection, 0, CONNECTION_OUT_TAIL);
  store<u32>(connection, load<u32>(connection, CONNECTION_OUT_BLOCKS) - 1, CONNECTION_OUT_BLOCKS);
  giveRow(POOL_OUT_BLOCKS, head);
}

/** Drops all that waits. */
export function dropOutput(slot: u32): void {
  const connection = connectionAt(slot);
  for (let head = load<u32>(connection, CONNECTION_OUT_HEAD); head; head = load<u32>(connection, CONNECTION_OUT_HEAD)) {
    dropHead(connection, head);
  }
}
