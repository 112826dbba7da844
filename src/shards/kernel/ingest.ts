// Received bytes → checked frames → runs → logs. Control frames are left to JavaScript, one at a time and
// in their place among the others.
import {
  FLAGS_BYTE_OFFSET,
  FLAG_ACK_REQUESTED,
  KEY_COUNTER,
  PAYLOAD_BYTES_MAX,
  PAYLOAD_BYTES_MAX_BEFORE_AUTHENTICATION,
  SEQUENCE_BYTE_OFFSET,
  STREAM_BYTE_OFFSET,
  TYPE_BYTE_OFFSET,
} from '../../frame/layout';
import {
  CODE_AUTH_REQUIRED,
  CODE_BAD_TAG,
  CODE_MALFORMED,
  CODE_PAYLOAD_CORRUPT,
  CODE_UNEXPECTED,
  CODE_UNKNOWN_STREAM,
  CODE_UNKNOWN_TYPE,
  TYPE_ACK,
  TYPE_CREDIT,
  TYPE_DATA,
  TYPE_GOODBYE,
  TYPE_HELLO,
  TYPE_OPEN,
  TYPE_PING,
  TYPE_PONG,
  TYPE_PROOF,
  TYPE_SUBSCRIBE,
  TYPE_UNSUBSCRIBE,
} from '../../frame/codes';
import { checkHeader, checkKeyedHeader, frameBytes, payloadIsWhole } from '../../frame/kernel/frame';
import { beginVerifying, nextTagFits } from '../../frame/kernel/verify';
import { appendedBytes, appendedLastSequence, appendRun } from '../../ring/kernel/append';
import {
  AREA_CLOCK,
  CONNECTION_ACKS,
  CONNECTION_FLAGS,
  FLAG_STARTED,
  FLAG_STRANGER,
  INGEST_CONTROL,
  INGEST_DONE,
  INGEST_FAULT,
  INGEST_FULL,
  KEYS_IN,
  METER_RECEIVED,
  POOL_PUBLICATIONS,
  PUBLICATION_ACK_NEXT,
  PUBLICATION_ACK_NUMBER,
  PUBLICATION_ACK_SEQUENCE,
  PUBLICATION_NUMBER,
} from '../layout';
import { keysOf } from './keys';
import { meter } from './meters';
import { findPublication } from './publications';
import { area, connectionAt, rowAt } from './rows';
import { laterTypes, versionOf } from './versions';

let stoppedAt: usize = 0;
let stoppedBytes: u32 = 0;
let stoppedCode: u32 = 0;
let framesIn: u64 = 0;
let bytesIn: u64 = 0;

/** Where the last ingest stopped: the frame concerned, or the first byte that is not handled. */
export function ingestStoppedAt(): usize {
  return stoppedAt;
}

/** Bytes of the frame at which it stopped; 0 when that cannot be known (its header can't be trusted). */
export function ingestStoppedBytes(): u32 {
  return stoppedBytes;
}

/** Error code of a fault. */
export function ingestStoppedCode(): u32 {
  return stoppedCode;
}

/** DATA frames and their bytes, taken since this instance began. */
export function ingestedFrames(): f64 {
  return <f64>framesIn;
}
export function ingestedBytes(): f64 {
  return <f64>bytesIn;
}

/** Types that a client may send, besides DATA: one bit each. */
const CLIENT_TYPES: u64 =
  (<u64>1 << TYPE_HELLO) |
  (<u64>1 << TYPE_PROOF) |
  (<u64>1 << TYPE_PING) |
  (<u64>1 << TYPE_PONG) |
  (<u64>1 << TYPE_GOODBYE) |
  (<u64>1 << TYPE_OPEN) |
  (<u64>1 << TYPE_SUBSCRIBE) |
  (<u64>1 << TYPE_UNSUBSCRIBE) |
  (<u64>1 << TYPE_CREDIT) |
  (<u64>1 << TYPE_ACK);

/** Those of the handshake, and what is harmless before its end. */
const STRANGER_TYPES: u64 =
  (<u64>1 << TYPE_HELLO) |
  (<u64>1 << TYPE_PROOF) |
  (<u64>1 << TYPE_PING) |
  (<u64>1 << TYPE_PONG) |
  (<u64>1 << TYPE_GOODBYE);

function stop(at: usize, bytes: u32, code: u32, answer: i32): i32 {
  stoppedAt = at;
  stoppedBytes = bytes;
  stoppedCode = code;
  return answer;
}

// The run that is being gathered: neighbouring DATA frames of one publication, those with
// ACK_REQUESTED behind those without, so that the last frame is the one to be acknowledged.
let runAt: usize = 0;
let runFrames: u32 = 0;
let runBytes: u32 = 0;
let runStream: u32 = 0;
let runPublicationRow: u32 = 0;
let runPublication: usize = 0;
let runNumber: u64 = 0;
let runAcked: bool = false;
let runAckNumber: u64 = 0;
// Where the direction is keyed: the key, or 0, the counter of the run's first frame, and of the frame that is next.
let runKey: usize = 0;
let runCounter: u64 = 0;
let nextCounter: u64 = 0;

/** Appends the run. False: the log took only a part of it, and `runAt` is the first frame left. */
function flush(slot: u32, timestamp: u64): bool {
  if (runFrames == 0) return true;
  const publication = runPublication;
  const taken = appendRun(runStream, runAt, runFrames, runBytes, timestamp, runKey != 0);
  framesIn += taken;
  bytesIn += appendedBytes();
  if (taken == runFrames) {
    store<u64>(publication, runNumber, PUBLICATION_NUMBER);
    if (runAcked) owe(slot, publication, runAckNumber);
    runFrames = 0;
    return true;
  }
  if (taken) noteTaken(slot, publication, taken);
  runAt += appendedBytes();
  // What was not taken is verified again, from the bytes as they came, when it is handled again.
  nextCounter = runCounter + taken;
  return false;
}

/** Only the front of a run was taken: what its publisher's highest number is, and what is to be acknowledged. */
function noteTaken(slot: u32, publication: usize, taken: u32): void {
  let at = runAt;
  let number = load<u64>(publication, PUBLICATION_NUMBER);
  let acked: u64 = 0;
  for (let i: u32 = 0; i < taken; i++) {
    const given = load<u64>(at, SEQUENCE_BYTE_OFFSET);
    if (given > number) number = given;
    acked = load<u16>(at, FLAGS_BYTE_OFFSET) & FLAG_ACK_REQUESTED ? given : 0;
    at += frameBytes(at);
  }
  store<u64>(publication, number, PUBLICATION_NUMBER);
  if (acked) owe(slot, publication, acked);
}

/** Notes that the frame appended last is to be acknowledged; ACKs are cumulative, the newest stands for all. */
function owe(slot: u32, publication: usize, number: u64): void {
  if (load<u64>(publication, PUBLICATION_ACK_NUMBER) == 0) {
    const connection = connectionAt(slot);
    store<u32>(publication, load<u32>(connection, CONNECTION_ACKS), PUBLICATION_ACK_NEXT);
    store<u32>(connection, runPublicationRow, CONNECTION_ACKS);
  }
  store<u64>(publication, number, PUBLICATION_ACK_NUMBER);
  store<u64>(publication, appendedLastSequence(), PUBLICATION_ACK_SEQUENCE);
}

/**
 * Handles frames from `at` up to `end`, all of which arrived at the time in AREA_CLOCK. Answers INGEST_DONE (what is left is part of a frame),
 * INGEST_CONTROL (a whole, checked control frame), INGEST_FULL (a log took no more) or INGEST_FAULT. What
 * came before the place where it stopped is handled; that frame itself is counted by `frameHandled`.
 */
export function ingest(slot: u32, at: usize, end: usize): i32 {
  const before = framesIn;
  const answer = ingestAs(slot, at, end);
  if (framesIn != before) meter(METER_RECEIVED, framesIn - before);
  return answer;
}

function ingestAs(slot: u32, at: usize, end: usize): i32 {
  const connection = connectionAt(slot);
  runFrames = 0;
  runBytes = 0;
  runStream = 0;
  const keys = keysOf(connection);
  const version = versionOf(connection);
  if (keys) return ingestKeyed(slot, at, end, keys + KEYS_IN, version);
  runKey = 0;
  if (load<u32>(connection, CONNECTION_FLAGS) & FLAG_STRANGER) return ingestStranger(at, end);
  return walk(slot, at, end, false, version);
}

function ingestKeyed(slot: u32, at: usize, end: usize, key: usize, version: u32): i32 {
  runKey = key;
  nextCounter = load<u64>(key, KEY_COUNTER);
  beginVerifying();
  const answer = walk(slot, at, end, true, version);
  store<u64>(key, nextCounter, KEY_COUNTER);
  return answer;
}

/** Once for frames with checks and once for keyed ones: `keyed` is a constant in each, so that no frame pays for the choice. */
// @ts-ignore: decorator
@inline function walk(slot: u32, at: usize, end: usize, keyed: bool, version: u32): i32 {
  const timestamp = load<u64>(area, AREA_CLOCK);
  while (true) {
    const left = <u32>(end - at);
    const whole = keyed ? checkKeyedHeader(at, left, version) : checkHeader(at, left, PAYLOAD_BYTES_MAX, version);
    if (whole <= 0) {
      if (!flush(slot, timestamp)) return stop(runAt, 0, 0, INGEST_FULL);
      if (whole == 0) return stop(at, 0, 0, INGEST_DONE);
      return stop(at, 0, <u32>-whole, INGEST_FAULT);
    }
    const type = <u32>load<u8>(at, TYPE_BYTE_OFFSET);
    if (type != TYPE_DATA) {
      const known = type < 64 && ((CLIENT_TYPES | laterTypes(version)) >> <u64>type) & 1;
      if (!flush(slot, timestamp)) return stop(runAt, 0, 0, INGEST_FULL);
      // Of a keyed frame nothing may be quoted that its tag has not vouched for.
      if (!known) return stop(at, keyed ? 0 : <u32>whole, CODE_UNKNOWN_TYPE, INGEST_FAULT);
      if (<u32>whole > left) return stop(at, 0, 0, INGEST_DONE);
      if (keyed) {
        if (!nextTagFits(runKey, nextCounter, at, end, version)) return stop(at, 0, CODE_BAD_TAG, INGEST_FAULT);
      } else if (!payloadIsWhole(at)) {
        return stop(at, <u32>whole, CODE_PAYLOAD_CORRUPT, INGEST_FAULT);
      }
      return stop(at, <u32>whole, 0, INGEST_CONTROL);
    }
    if (<u32>whole > left) {
      if (!flush(slot, timestamp)) return stop(runAt, 0, 0, INGEST_FULL);
      return stop(at, 0, 0, INGEST_DONE);
    }
    if (keyed && !nextTagFits(runKey, nextCounter, at, end, version)) {
      if (!flush(slot, timestamp)) return stop(runAt, 0, 0, INGEST_FULL);
      return stop(at, 0, CODE_BAD_TAG, INGEST_FAULT);
    }
    const fault = joinRun(slot, at, <u32>whole, timestamp, keyed);
    if (fault < 0) return stop(runAt, 0, 0, INGEST_FULL);
    if (fault > 0) {
      if (!flush(slot, timestamp)) return stop(runAt, 0, 0, INGEST_FULL);
      return stop(at, <u32>whole, fault, INGEST_FAULT);
    }
    at += whole;
    if (keyed) nextCounter++;
  }
}

/** Before authentication: one frame at a time, small ones, and of few types. */
function ingestStranger(at: usize, end: usize): i32 {
  const left = <u32>(end - at);
  const whole = checkHeader(at, left, PAYLOAD_BYTES_MAX_BEFORE_AUTHENTICATION);
  if (whole == 0) return stop(at, 0, 0, INGEST_DONE);
  if (whole < 0) return stop(at, 0, <u32>-whole, INGEST_FAULT);
  const type = <u32>load<u8>(at, TYPE_BYTE_OFFSET);
  if (type >= 64 || ((STRANGER_TYPES >> <u64>type) & 1) == 0) {
    const known = type == TYPE_DATA || (type < 64 && (CLIENT_TYPES >> <u64>type) & 1);
    return stop(at, <u32>whole, known ? CODE_AUTH_REQUIRED : CODE_UNKNOWN_TYPE, INGEST_FAULT);
  }
  if (<u32>whole > left) return stop(at, 0, 0, INGEST_DONE);
  if (!payloadIsWhole(at)) return stop(at, <u32>whole, CODE_PAYLOAD_CORRUPT, INGEST_FAULT);
  return stop(at, <u32>whole, 0, INGEST_CONTROL);
}

/** Puts a DATA frame at the end of the run, or begins another one. 0 = done, -1 = a log is full, else an error code. */
// @ts-ignore: decorator
@inline function joinRun(slot: u32, at: usize, whole: u32, timestamp: u64, keyed: bool): i32 {
  const stream = load<u32>(at, STREAM_BYTE_OFFSET);
  const acked = (load<u16>(at, FLAGS_BYTE_OFFSET) & FLAG_ACK_REQUESTED) != 0;
  if (stream != runStream || (runAcked && !acked) || runFrames == 0) {
    if (!flush(slot, timestamp)) return -1;
    const fault = beginRun(slot, at, stream);
    if (fault) return keyed || payloadIsWhole(at) ? fault : CODE_PAYLOAD_CORRUPT;
    if (keyed) runCounter = nextCounter;
  }
  const number = load<u64>(at, SEQUENCE_BYTE_OFFSET);
  if (!keyed && !payloadIsWhole(at)) {
    if (number > runNumber) runNumber = number;
    if (runFrames == 0) store<u64>(runPublication, runNumber, PUBLICATION_NUMBER);
    return CODE_PAYLOAD_CORRUPT;
  }
  if (acked) {
    if (number <= runNumber) return CODE_MALFORMED;
    runAcked = true;
    runAckNumber = number;
  }
  if (number > runNumber) runNumber = number;
  runFrames++;
  runBytes += whole;
  return 0;
}

function beginRun(slot: u32, at: usize, stream: u32): i32 {
  runStream = 0;
  const connection = connectionAt(slot);
  store<u32>(connection, load<u32>(connection, CONNECTION_FLAGS) | FLAG_STARTED, CONNECTION_FLAGS);
  if (stream == 0) return CODE_UNEXPECTED;
  const row = findPublication(slot, stream);
  if (!row) return CODE_UNKNOWN_STREAM;
  runPublicationRow = row;
  runPublication = rowAt(POOL_PUBLICATIONS, row);
  runNumber = load<u64>(runPublication, PUBLICATION_NUMBER);
  runAt = at;
  runBytes = 0;
  runStream = stream;
  runAcked = false;
  return 0;
}
