// Birth of a stream. By control only, which is the one writer of the stream table.
import {
  SEGMENT_BASE_SEQUENCE,
  SEGMENT_CAPACITY_BEFORE,
  SEGMENT_FIRST_TIMESTAMP,
  SEGMENT_ORDINAL,
  SEGMENT_PREVIOUS,
  SEGMENT_STREAM,
  STATE_CHAIN,
  STREAM_COUNT_BYTE_OFFSET,
  STREAM_EPOCH,
  STREAM_HEAD,
  STREAM_LIMIT_BYTES,
  STREAM_LOCK,
  STREAM_ON_FULL,
  STREAM_SUBSCRIBERS,
  STREAM_TAIL,
  STREAM_WAITERS,
} from '../layout';
import { CLASS_SMALL, segmentRow, stateAt, streamRow } from './memory';
import { takeSegment } from './pool';
import { reclaimPool } from './reclaim';
import { makeTail } from './words';

/**
 * Makes stream `stream` (the next number) with sequences from 1. Its subject is already written. False:
 * no segment is free, and none can be taken back.
 */
export function createStream(stream: u32, limitBytes: u32, onFull: u32, epoch: u64): bool {
  let segment = takeSegment(CLASS_SMALL, 0);
  while (!segment) {
    if (!reclaimPool()) return false;
    segment = takeSegment(CLASS_SMALL, 0);
  }
  const fields = segmentRow(segment);
  store<u64>(fields, 1, SEGMENT_BASE_SEQUENCE);
  store<u64>(fields, 0, SEGMENT_CAPACITY_BEFORE);
  store<u32>(fields, 0, SEGMENT_ORDINAL);
  store<u32>(fields, 0, SEGMENT_PREVIOUS);
  atomic.store<u32>(fields, stream, SEGMENT_STREAM);
  store<u64>(fields, 0, SEGMENT_FIRST_TIMESTAMP);
  const row = streamRow(stream);
  store<u32>(row, limitBytes, STREAM_LIMIT_BYTES);
  atomic.store<u32>(row, onFull, STREAM_ON_FULL);
  store<u64>(row, epoch, STREAM_EPOCH);
  atomic.store<u64>(row, 0, STREAM_SUBSCRIBERS);
  atomic.store<u64>(row, 0, STREAM_WAITERS);
  atomic.store<u32>(row, 0, STREAM_LOCK);
  atomic.store<u32>(stateAt(segment), STATE_CHAIN | stream);
  atomic.store<u32>(row, segment, STREAM_HEAD);
  atomic.store<u64>(row, makeTail(segment, 0, 0, 0), STREAM_TAIL);
  atomic.store<u32>(STREAM_COUNT_BYTE_OFFSET, stream);
  return true;
}
