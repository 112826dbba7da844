// What one would write without a kernel of one's own: the header by Buffer or DataView calls, and a ready check.
// Each has `encode(at, payloadBytes)` and `check(at, payloadBytes)` on the same bytes as the kernel.
import { createHmac, timingSafeEqual } from 'node:crypto';
import zlib from 'node:zlib';
import xxhash from 'xxhash-wasm';

const HEADER_BYTES = 40;
const MAGIC = 0x534d;
const KEY = Buffer.alloc(32, 7);

function bufferHeader(bytes, at, payloadBytes) {
  bytes.writeUInt16LE(MAGIC, at);
  bytes.writeUInt8(1, at + 2);
  bytes.writeUInt8(0x20, at + 3);
  bytes.writeUInt32LE(0, at + 4);
  bytes.writeUInt32LE(1, at + 8);
  bytes.writeUInt32LE(payloadBytes, at + 12);
  bytes.writeBigUInt64LE(1n, at + 16);
  bytes.writeBigUInt64LE(0n, at + 24);
}

/** `hash(bytes)` answers a u32. */
function checkedBy(bytes, hash) {
  const part = (start, end) => bytes.subarray(start, end);
  return {
    encode(at, payloadBytes) {
      bufferHeader(bytes, at, payloadBytes);
      bytes.writeUInt32LE(hash(part(at + HEADER_BYTES, at + HEADER_BYTES + payloadBytes)), at + 32);
      bytes.writeUInt32LE(hash(part(at, at + 36)), at + 36);
    },
    check(at, payloadBytes) {
      return (
        bytes.readUInt16LE(at) === MAGIC &&
        bytes.readUInt32LE(at + 12) === payloadBytes &&
        bytes.readUInt32LE(at + 36) === hash(part(at, at + 36)) &&
        bytes.readUInt32LE(at + 32) ===
          hash(part(at + HEADER_BYTES, at + HEADER_BYTES + payloadBytes))
      );
    },
  };
}

/** The header by DataView, and no check at all: the least that JavaScript can do. */
function headerOnly(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return {
    encode(at, payloadBytes) {
      view.setUint16(at, MAGIC, true);
      view.setUint8(at + 2, 1);
      view.setUint8(at + 3, 0x20);
      view.setUint32(at + 4, 0, true);
      view.setUint32(at + 8, 1, true);
      view.setUint32(at + 12, payloadBytes, true);
      view.setBigUint64(at + 16, 1n, true);
      view.setBigUint64(at + 24, 0n, true);
    },
    check(at, payloadBytes) {
      return view.getUint16(at, true) === MAGIC && view.getUint32(at + 12, true) === payloadBytes;
    },
  };
}

function taggedByHmac(bytes) {
  const tag = (at, payloadBytes) =>
    createHmac('sha256', KEY)
      .update(bytes.subarray(at, at + 32))
      .update(bytes.subarray(at + HEADER_BYTES, at + HEADER_BYTES + payloadBytes))
      .digest()
      .subarray(0, 8);
  return {
    encode(at, payloadBytes) {
      bufferHeader(bytes, at, payloadBytes);
      bytes.set(tag(at, payloadBytes), at + 32);
    },
    check: (at, payloadBytes) =>
      timingSafeEqual(tag(at, payloadBytes), bytes.subarray(at + 32, at + 40)),
  };
}

/** By name, over `bytes`. */
export async function alternatives(bytes) {
  const { h64Raw } = await xxhash();
  const low = (part) => Number(h64Raw(part) & 0xffffffffn);
  return {
    'DataView, no check': headerOnly(bytes),
    // Node.js has it from 20.15 and 22.2.
    ...(zlib.crc32 && { 'Buffer, zlib.crc32': checkedBy(bytes, (part) => zlib.crc32(part)) }),
    'Buffer, xxhash-wasm': checkedBy(bytes, low),
    'Buffer, createHmac': taggedByHmac(bytes),
  };
}
