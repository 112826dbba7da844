// What becomes of the bytes that a client sends, as docs/PROTOCOL.md has it and as plainly: frame by frame, without runs,
// logs or memory. The oracle of the fuzzer for `ingest`; it shares nothing with src.
import * as naive from './naive.mjs';

const TYPE_DATA = 0x20;
const ACK_REQUESTED = 1;
const CODE = {
  badMagic: 1,
  unsupportedVersion: 2,
  unknownType: 3,
  frameTooLarge: 4,
  headerCorrupt: 5,
  payloadCorrupt: 6,
  badTag: 7,
  unexpected: 8,
  malformed: 9,
  unknownStream: 10,
  authRequired: 12,
};
const FATAL = [1, 2, 3, 4, 5, 7, 8, 12];
/** Of the handshake, and what is harmless before its end. */
const STRANGER_TYPES = [0x01, 0x04, 0x05, 0x06, 0x08];
const STRANGER_BYTES_MAX = 4096;

const low32 = (hash) => Number(hash & 0xffffffffn);
const wholeBytes = (frame) => (40 + frame.readUInt32LE(12) + 7) & ~7;
const isPayloadWhole = (frame) =>
  frame.readUInt32LE(32) === low32(naive.xxh64(frame.subarray(40, 40 + frame.readUInt32LE(12))));

export const isFatal = (code) => FATAL.includes(code);

/** One connection: `key` is set where it is keyed; `opened` are the streams that it may publish on. */
export class IngestModel {
  /** Frames handled, whatever became of them: the counter of the next one. */
  handled = 0n;
  /** Whether a DATA frame was looked at. */
  hasStarted = false;
  /** By stream: the highest number, the number that is to be acknowledged with its place, and the payloads taken. */
  streams = new Map();
  taken = 0;
  takenBytes = 0;
  #key;
  #isStranger;

  constructor({ key, isStranger = false, opened }) {
    this.#key = key;
    this.#isStranger = isStranger;
    for (const stream of opened)
      this.streams.set(stream, { number: 0n, ack: 0n, ackPlace: 0, payloads: [] });
  }

  /**
   * What is due for the bytes at the front: `more` bytes, `data` that is to be taken, a `control` frame, or a `fault` with
   * its code. `bytes` are those of the frame, 0 where its header cannot be believed.
   */
  verdict(bytes) {
    const fault = this.#formFault(bytes);
    if (fault === 0) return { kind: 'more', bytes: 0 };
    if (fault !== undefined)
      return { kind: 'fault', code: fault, bytes: this.#believed(bytes, fault) };
    const whole = wholeBytes(bytes);
    if (this.#key === undefined && !isPayloadWhole(bytes)) {
      return { kind: 'fault', code: CODE.payloadCorrupt, bytes: whole };
    }
    if (bytes[3] !== TYPE_DATA) return { kind: 'control', bytes: whole };
    const code = this.#dataFault(bytes);
    return code === undefined
      ? { kind: 'data', bytes: whole }
      : { kind: 'fault', code, bytes: whole };
  }

  #formFault(bytes) {
    if (!this.#isStranger) return naive.faultOf(bytes, this.#key, this.handled);
    const fault = naive.faultOf(bytes, undefined, 0n);
    if (
      fault !== undefined &&
      fault !== 0 &&
      fault < CODE.frameTooLarge &&
      fault !== CODE.unknownType
    )
      return fault;
    if (bytes.length < 40) return fault;
    if (bytes.readUInt32LE(12) > STRANGER_BYTES_MAX) return CODE.frameTooLarge;
    if (fault !== undefined && fault !== 0) return fault;
    return STRANGER_TYPES.includes(bytes[3]) ? fault : CODE.authRequired;
  }

  /** An unknown type has a header that holds, unless it is keyed: of such a frame nothing is believed before its tag. */
  #believed(bytes, fault) {
    const isHeaderWhole = fault === CODE.unknownType || fault === CODE.authRequired;
    return isHeaderWhole && this.#key === undefined ? wholeBytes(bytes) : 0;
  }

  #dataFault(frame) {
    const stream = frame.readUInt32LE(8);
    if (stream === 0) return CODE.unexpected;
    const publication = this.streams.get(stream);
    if (publication === undefined) return CODE.unknownStream;
    const isAsked = (frame.readUInt16LE(4) & ACK_REQUESTED) !== 0;
    return isAsked && frame.readBigUInt64LE(16) <= publication.number ? CODE.malformed : undefined;
  }

  /** The frame at the front was looked at, so far as its verdict says. */
  look(bytes, { kind, code }) {
    const isOfStream = [CODE.payloadCorrupt, CODE.unexpected, CODE.malformed, CODE.unknownStream];
    const wasLookedAt = kind === 'data' || isOfStream.includes(code);
    if (wasLookedAt && bytes[3] === TYPE_DATA) this.hasStarted = true;
  }

  /** The frame at the front was handled, as its verdict says. */
  handle(bytes, { kind, code }) {
    this.handled++;
    const publication = this.streams.get(bytes.length < 12 ? 0 : bytes.readUInt32LE(8));
    const isData = kind === 'data' || (code === CODE.payloadCorrupt && bytes[3] === TYPE_DATA);
    if (!isData || publication === undefined) return;
    // A frame that was damaged on the way had its number all the same.
    const number = bytes.readBigUInt64LE(16);
    if (number > publication.number) publication.number = number;
    if (kind !== 'data') return;
    const payload = bytes.subarray(40, 40 + bytes.readUInt32LE(12));
    publication.payloads.push(payload.toString('hex'));
    this.taken++;
    this.takenBytes += wholeBytes(bytes);
    if ((bytes.readUInt16LE(4) & ACK_REQUESTED) === 0) return;
    publication.ack = number;
    publication.ackPlace = publication.payloads.length;
  }
}
