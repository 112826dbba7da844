/**
 * Frames under a magnifying glass, sans-IO: bytes in, what each frame says out, and which check fails and
 * where. For people and tools that look at captures; it makes objects per frame, as the data path never does.
 *
 * It judges in the protocol's order (docs/PROTOCOL.md, section 1) and, behind those checks, the payload's form.
 */
import * as codes from './codes.js';
import { frameBytes } from './codec.js';
import { FrameKey, type FrameKernel } from './frame-kernel.js';
import * as layout from './layout.js';
import { errorName, isFatal, senderOf, typeName } from './names.js';
import { formFault } from './payload-form.js';

/** Room for the largest frame, and behind it for a read of any size up to as much again. */
const BUFFER_BYTES = 4 * layout.FRAME_BYTES_MAX;

/** Counter, tagged header and the largest payload side by side, with what a hash may read behind them. */
const MESSAGE_BYTES = 8 + layout.HEADER_TAGGED_BYTES + layout.FRAME_BYTES_MAX;

/** The key of the direction that is looked at, and the counter of its first keyed frame. */
export interface InspectorKey {
  /** 16 bytes. */
  readonly secret: Uint8Array;
  readonly counter: bigint;
}

export interface FrameField {
  readonly name: string;
  /** From the frame's first byte. */
  readonly offset: number;
  readonly bytes: number;
}

/** The header's fields in order; those of an unkeyed frame. */
export const HEADER_FIELDS: readonly FrameField[] = [
  { name: 'magic', offset: layout.MAGIC_BYTE_OFFSET, bytes: 2 },
  { name: 'version', offset: layout.VERSION_BYTE_OFFSET, bytes: 1 },
  { name: 'type', offset: layout.TYPE_BYTE_OFFSET, bytes: 1 },
  { name: 'flags', offset: layout.FLAGS_BYTE_OFFSET, bytes: 2 },
  { name: 'code', offset: layout.CODE_BYTE_OFFSET, bytes: 2 },
  { name: 'stream id', offset: layout.STREAM_BYTE_OFFSET, bytes: 4 },
  { name: 'payload length', offset: layout.PAYLOAD_LENGTH_BYTE_OFFSET, bytes: 4 },
  { name: 'sequence', offset: layout.SEQUENCE_BYTE_OFFSET, bytes: 8 },
  { name: 'timestamp', offset: layout.TIMESTAMP_BYTE_OFFSET, bytes: 8 },
  { name: 'payload check', offset: layout.PAYLOAD_CHECK_BYTE_OFFSET, bytes: 4 },
  { name: 'header check', offset: layout.HEADER_CHECK_BYTE_OFFSET, bytes: 4 },
];

/** A check that fails. */
export interface FrameFault {
  /** Name of the protocol's error code, or TRUNCATED: the input ends within a frame. */
  readonly error: string;
  /** Nothing that follows can be told apart into frames, or a receiver would not hear it. */
  readonly fatal: boolean;
  readonly field: string;
  /** The field's byte offset in the whole input. */
  readonly at: number;
  readonly expected: string;
  readonly found: string;
}

export interface InspectedFrame {
  /** Of its first byte in the whole input. */
  readonly offset: number;
  /** What there is of it: 40 bytes, or fewer where the input ends before. A copy. */
  readonly header: Buffer;
  /** The payload where it is whole, else empty. A copy. */
  readonly payload: Buffer;
  /** Bytes on the wire; 0 where the header cannot be trusted to say so. */
  readonly bytes: number;
  /** The fields as found, whether they can be trusted or not; undefined where the header is not whole. */
  readonly fields: HeaderFields | undefined;
  readonly fault: FrameFault | undefined;
  /** False for a keyed frame where there is no key to verify it by. */
  readonly isVerified: boolean;
}

export interface HeaderFields {
  readonly version: number;
  readonly type: number;
  readonly flags: number;
  readonly code: number;
  readonly stream: number;
  readonly payloadBytes: number;
  readonly sequence: bigint;
  readonly timestamp: bigint;
}

type Found = Omit<FrameFault, 'at'>;

export class FrameInspector {
  readonly #kernel: FrameKernel;
  readonly #from: 'client' | 'server' | undefined;
  readonly #start: number;
  #head: number;
  #tail: number;
  /** Of the byte at `#head` in the whole input. */
  #offset = 0;
  readonly #key: FrameKey;
  readonly #messageByteOffset: number;
  /** Of the keyed frame that is next; undefined without a key. */
  #counter: bigint | undefined;
  #isKeyed = false;
  #isOver = false;
  #framesUnverified = 0;

  static areaBytes(): number {
    return BUFFER_BYTES + MESSAGE_BYTES + FrameKey.areaBytes;
  }

  /**
   * @param from who sent it all, where that is known: then the other side's types are refused
   * @param key verifies the tags; from the first keyed frame on all must be keyed
   */
  constructor(kernel: FrameKernel, from?: 'client' | 'server', key?: InspectorKey) {
    this.#key = new FrameKey(kernel);
    this.#messageByteOffset = kernel.reserve(MESSAGE_BYTES);
    if (key !== undefined) {
      this.#key.set(key.secret);
      this.#counter = key.counter;
    }
    this.#kernel = kernel;
    this.#from = from;
    this.#start = kernel.reserve(BUFFER_BYTES);
    this.#head = this.#start;
    this.#tail = this.#start;
  }

  /** After a fatal fault nothing more is looked at. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Keyed frames whose tag was not looked at, because there is no key. */
  get framesUnverified(): number {
    return this.#framesUnverified;
  }

  /** Takes bytes of the input, as many as there is room for, and answers how many. Only after `next()` answered undefined. */
  push(bytes: Uint8Array): number {
    const { bytes: memory } = this.#kernel;
    memory.copyWithin(this.#start, this.#head, this.#tail);
    this.#tail -= this.#head - this.#start;
    this.#head = this.#start;
    const taken = Math.min(bytes.length, this.#start + BUFFER_BYTES - this.#tail);
    memory.set(bytes.subarray(0, taken), this.#tail);
    this.#tail += taken;
    return taken;
  }

  /** The next frame that can be judged with what is there, or undefined: more bytes are needed, or it is over. */
  next(): InspectedFrame | undefined {
    const there = this.#tail - this.#head;
    if (this.#isOver || there === 0) return undefined;
    const found = this.#startFault(there);
    if (found !== undefined) return this.#frame(found, 0);
    if (there < layout.FRAME_HEADER_BYTES) return undefined;
    const payloadBytes = this.#header().readUInt32LE(layout.PAYLOAD_LENGTH_BYTE_OFFSET);
    const fault = this.#headerFault(payloadBytes);
    if (fault !== undefined) return this.#frame(fault, 0);
    const whole = frameBytes(payloadBytes);
    if (there < whole) return undefined;
    return this.#frame(this.#payloadFault(payloadBytes), whole);
  }

  /** The input has ended: the fault of a frame that is not whole, or undefined. Only after `next()` answered undefined. */
  end(): InspectedFrame | undefined {
    const there = this.#tail - this.#head;
    if (this.#isOver || there === 0) return undefined;
    const isHeader = there < layout.FRAME_HEADER_BYTES;
    const wanted = isHeader
      ? layout.FRAME_HEADER_BYTES
      : frameBytes(this.#header().readUInt32LE(layout.PAYLOAD_LENGTH_BYTE_OFFSET));
    const field = isHeader ? 'header' : 'payload';
    const [expected, found] = [`${wanted} bytes`, `${there} bytes`];
    return this.#frame({ error: 'TRUNCATED', fatal: true, field, expected, found }, 0);
  }

  #header(): Buffer {
    const end = Math.min(this.#tail, this.#head + layout.FRAME_HEADER_BYTES);
    return this.#kernel.bytes.subarray(this.#head, end);
  }

  /** Magic and version, as soon as a byte of them is there. */
  #startFault(there: number): Found | undefined {
    const magic = this.#header().subarray(0, 2);
    const wanted = Buffer.from([layout.MAGIC & 0xff, layout.MAGIC >> 8]);
    if (!magic.equals(wanted.subarray(0, magic.length))) {
      return fault(codes.CODE_BAD_MAGIC, 'magic', wanted.toString('hex'), magic.toString('hex'));
    }
    const version = this.#header()[layout.VERSION_BYTE_OFFSET];
    if (there <= layout.VERSION_BYTE_OFFSET || version === layout.PROTOCOL_VERSION)
      return undefined;
    return fault(
      codes.CODE_UNSUPPORTED_VERSION,
      'version',
      `${layout.PROTOCOL_VERSION}`,
      `${version}`,
    );
  }

  #headerFault(payloadBytes: number): Found | undefined {
    if (payloadBytes > layout.PAYLOAD_BYTES_MAX) {
      const most = `at most ${layout.PAYLOAD_BYTES_MAX}`;
      return fault(codes.CODE_FRAME_TOO_LARGE, 'payload length', most, `${payloadBytes}`);
    }
    const header = this.#header();
    if ((header.readUInt16LE(layout.FLAGS_BYTE_OFFSET) & layout.FLAG_KEYED) === 0) {
      if (this.#isKeyed && this.#counter !== undefined) {
        return fault(codes.CODE_BAD_TAG, 'flags', 'KEYED', 'an unkeyed frame behind a keyed one');
      }
      const found = header.readUInt32LE(layout.HEADER_CHECK_BYTE_OFFSET);
      const expected = this.#check(this.#head, layout.HEADER_CHECKED_BYTES);
      if (found !== expected) {
        return fault(codes.CODE_HEADER_CORRUPT, 'header check', hex32(expected), hex32(found));
      }
    }
    return this.#typeFault(header[layout.TYPE_BYTE_OFFSET]!);
  }

  #typeFault(type: number): Found | undefined {
    const from = senderOf(type);
    if (from === undefined) {
      return fault(codes.CODE_UNKNOWN_TYPE, 'type', 'a type of section 2', typeName(type));
    }
    if (this.#from === undefined || from === 'either' || from === this.#from) return undefined;
    const expected = `what a ${this.#from} sends`;
    return fault(codes.CODE_UNKNOWN_TYPE, 'type', expected, typeName(type));
  }

  #payloadFault(payloadBytes: number): Found | undefined {
    const header = this.#header();
    const at = this.#head + layout.FRAME_HEADER_BYTES;
    if ((header.readUInt16LE(layout.FLAGS_BYTE_OFFSET) & layout.FLAG_KEYED) !== 0) {
      this.#isKeyed = true;
      const found = this.#tagFault(payloadBytes);
      if (found !== undefined) return found;
    } else {
      const found = header.readUInt32LE(layout.PAYLOAD_CHECK_BYTE_OFFSET);
      const expected = this.#check(at, payloadBytes);
      if (found !== expected) {
        return fault(codes.CODE_PAYLOAD_CORRUPT, 'payload check', hex32(expected), hex32(found));
      }
    }
    const type = header[layout.TYPE_BYTE_OFFSET]!;
    if (type === codes.TYPE_DATA && header.readUInt32LE(layout.STREAM_BYTE_OFFSET) === 0) {
      return fault(codes.CODE_UNEXPECTED, 'stream id', '1 or more', '0');
    }
    const payload = this.#kernel.bytes.subarray(at, at + payloadBytes);
    const form = formFault(type, payload, this.#from);
    return form && fault(form.code, 'payload', form.expected, form.found);
  }

  #tagFault(payloadBytes: number): Found | undefined {
    if (this.#counter === undefined) {
      this.#framesUnverified++;
      return undefined;
    }
    const { bytes } = this.#kernel;
    const at = this.#messageByteOffset;
    const headerEnd = this.#head + layout.HEADER_TAGGED_BYTES;
    const payloadAt = this.#head + layout.FRAME_HEADER_BYTES;
    bytes.writeBigUInt64LE(this.#counter, at);
    bytes.copy(bytes, at + 8, this.#head, headerEnd);
    bytes.copy(bytes, at + 8 + layout.HEADER_TAGGED_BYTES, payloadAt, payloadAt + payloadBytes);
    const byteCount = 8 + layout.HEADER_TAGGED_BYTES + payloadBytes;
    const tag = Buffer.alloc(8);
    tag.writeBigUInt64LE(this.#kernel.siphash(this.#key.byteOffset, at, byteCount));
    this.#counter++;
    const found = bytes.subarray(headerEnd, headerEnd + 8);
    if (tag.equals(found)) return undefined;
    return fault(codes.CODE_BAD_TAG, 'tag', tag.toString('hex'), found.toString('hex'));
  }

  #check(at: number, byteCount: number): number {
    return this.#kernel.call.xxh64Low(at, byteCount) >>> 0;
  }

  /** The frame at the head, with its fault; moves behind it where that is known. */
  #frame(found: Found | undefined, whole: number): InspectedFrame {
    const header = Buffer.from(this.#header());
    const fields = header.length < layout.FRAME_HEADER_BYTES ? undefined : fieldsOf(header);
    const at = this.#head + layout.FRAME_HEADER_BYTES;
    const payloadBytes = whole === 0 ? 0 : fields!.payloadBytes;
    const payload = Buffer.from(this.#kernel.bytes.subarray(at, at + payloadBytes));
    const offset = this.#offset;
    this.#offset += whole;
    this.#head += whole;
    if (found?.fatal === true) this.#isOver = true;
    return {
      offset,
      header,
      payload,
      bytes: whole,
      fields,
      isVerified: this.#counter !== undefined || ((fields?.flags ?? 0) & layout.FLAG_KEYED) === 0,
      fault: found && { ...found, at: offset + offsetOf(found.field) },
    };
  }
}

function fault(code: number, field: string, expected: string, found: string): Found {
  return { error: errorName(code), fatal: isFatal(code), field, expected, found };
}

function offsetOf(field: string): number {
  if (field === 'payload') return layout.FRAME_HEADER_BYTES;
  if (field === 'tag') return layout.TAG_BYTE_OFFSET;
  return HEADER_FIELDS.find(({ name }) => name === field)?.offset ?? 0;
}

/** As it lies on the wire, so that it can be compared with a dump. */
function hex32(value: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes.toString('hex');
}

function fieldsOf(header: Buffer): HeaderFields {
  return {
    version: header[layout.VERSION_BYTE_OFFSET]!,
    type: header[layout.TYPE_BYTE_OFFSET]!,
    flags: header.readUInt16LE(layout.FLAGS_BYTE_OFFSET),
    code: header.readUInt16LE(layout.CODE_BYTE_OFFSET),
    stream: header.readUInt32LE(layout.STREAM_BYTE_OFFSET),
    payloadBytes: header.readUInt32LE(layout.PAYLOAD_LENGTH_BYTE_OFFSET),
    sequence: header.readBigUInt64LE(layout.SEQUENCE_BYTE_OFFSET),
    timestamp: header.readBigUInt64LE(layout.TIMESTAMP_BYTE_OFFSET),
  };
}
