// The one place here that knows what the kernel's exports look like to JavaScript.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { projectRoot } from './paths.mjs';

const TYPE_DATA = 0x20;
const PAGES_MAX = 65536;
/** Parameters of `encode` where u64 values come as two words each, and where they come as BigInts. */
const ENCODE_PARAMETERS_WORDS = 10;
const ENCODE_PARAMETERS_BIGINT = 6;

function encoderOf(encode) {
  if (encode.length === ENCODE_PARAMETERS_WORDS) {
    return (frame, payloadBytes) => encode(frame, TYPE_DATA, 0, 0, 1, payloadBytes, 1, 0, 1, 0);
  }
  if (encode.length === ENCODE_PARAMETERS_BIGINT) {
    return (frame, payloadBytes) => encode(frame, BigInt(TYPE_DATA), 1, payloadBytes, 1n, 1n);
  }
  throw new Error(
    `the kernel's encode() takes ${encode.length} parameters: teach perf/lib/kernel.mjs`,
  );
}

/**
 * The kernel of a build (this tree's, unless said) over a shared memory of its own of `bytes`. `check(frame, bytes)` answers the bytes
 * of a good frame; `encode(frame, payloadBytes)` makes a DATA frame around the payload at `frame + 40`.
 */
export function loadKernel(bytes, build = projectRoot) {
  const pages = Math.ceil(bytes / 65536) + 1;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: PAGES_MAX, shared: true });
  const path = join(build, 'dist', 'shards', 'kernel.wasm');
  const module = new WebAssembly.Module(readFileSync(path));
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  const { check } = exports;
  return { memory, check, encode: encoderOf(exports.encode) };
}

/** The client's encoder and decoder, keyed or not, and its kernel's keyed frames over `bytes` from offset 0 of their area. */
export async function loadCodec(bytes, build = projectRoot, isKeyed = false) {
  const load = (name) => import(pathToFileURL(join(build, 'dist', 'frame', name)).href);
  const { FrameDecoder, FrameEncoder } = await load('codec.js');
  const { FrameKernel, FrameKey } = await load('frame-kernel.js');
  const { TYPES_FROM_CLIENT } = await load('names.js');
  const capacity = 256 * 1024;
  const areas = FrameEncoder.areaBytes(capacity) + FrameDecoder.areaBytes(capacity);
  const kernel = new FrameKernel(areas + bytes + 3 * FrameKey.areaBytes + 64);
  const secret = Uint8Array.from({ length: 16 }, (_, i) => i);
  const [key, sendKey, receiveKey] = [1, 2, 3].map(() => new FrameKey(kernel));
  if (isKeyed) for (const one of [sendKey, receiveKey]) one.set(secret);
  const encoder = new FrameEncoder(kernel, capacity, sendKey);
  const decoder = new FrameDecoder(kernel, TYPES_FROM_CLIENT, capacity, receiveKey);
  const start = kernel.reserve(bytes);
  const table = kernel.reserve(8);
  const [low, high] = TYPES_FROM_CLIENT;
  const { call } = kernel;
  const keyed = {
    /** Counters begin at 0 again. */
    rewind: () => key.set(secret),
    encode: (at, payloadBytes) =>
      call.encodeKeyed(start + at, TYPE_DATA, 0, 0, 1, payloadBytes, 1, 0, 1, 0, key.byteOffset),
    check: (at, payloadBytes) =>
      call.scanKeyed(start + at, (47 + payloadBytes) & ~7, table, 1, low, high, key.byteOffset) ===
      1,
  };
  return { encoder, decoder, keyed };
}
