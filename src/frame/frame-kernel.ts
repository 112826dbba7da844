/**
 * One instance of the frame kernel on a private memory of a fixed size (it never grows, so views and
 * buffers that the operating system reads into stay valid). Areas are handed out once and never taken back.
 */
import { readFileSync } from 'node:fs';
import { FRAME_ALIGN_BYTES, KEY_BYTES, KEY_SECRET_BYTES } from './layout.js';

/** What `kernel/index.ts` exports; all values are u32 but `scanStopped`'s, and words below 0 are taken modulo 2^32. */
interface FrameKernelExports {
  xxh64Low(at: number, byteCount: number): number;
  xxh64High(): number;
  encode(
    frame: number,
    type: number,
    flags: number,
    code: number,
    stream: number,
    payloadBytes: number,
    sequenceLow: number,
    sequenceHigh: number,
    timestampLow: number,
    timestampHigh: number,
  ): number;
  /** As `encode`, with the tag of the key at `key` in place of the checks. */
  encodeKeyed(
    frame: number,
    type: number,
    flags: number,
    code: number,
    stream: number,
    payloadBytes: number,
    sequenceLow: number,
    sequenceHigh: number,
    timestampLow: number,
    timestampHigh: number,
    key: number,
  ): number;
  siphashLow(key: number, at: number, byteCount: number): number;
  scan(
    at: number,
    byteCount: number,
    table: number,
    framesMax: number,
    typesLow: number,
    typesHigh: number,
  ): number;
  scanKeyed(
    at: number,
    byteCount: number,
    table: number,
    framesMax: number,
    typesLow: number,
    typesHigh: number,
    key: number,
  ): number;
  scanStopped(): number;
  scanBytes(): number;
}

const WASM_PAGE_BYTES = 65536;
/** Byte 0 is never handed out: an offset of 0 is a bug, not an area. */
const FIRST_BYTE_OFFSET = 64;

let compiled: WebAssembly.Module | undefined;

/** Compiled once a process. The path fits from `src/frame` (tests) as from `dist/frame`. */
function kernelModule(): WebAssembly.Module {
  compiled ??= new WebAssembly.Module(
    readFileSync(new URL('../../dist/frame/kernel.wasm', import.meta.url)),
  );
  return compiled;
}

export class FrameKernel {
  readonly call: FrameKernelExports;
  /** The whole memory, as a Buffer and by element. */
  readonly bytes: Buffer;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  readonly u64: BigUint64Array;
  #nextByteOffset = FIRST_BYTE_OFFSET;

  /** @param areaBytes the sum of what `reserve` will be asked for, each rounded up to 8 bytes */
  constructor(areaBytes: number) {
    const pages = Math.ceil((FIRST_BYTE_OFFSET + areaBytes) / WASM_PAGE_BYTES);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    const instance = new WebAssembly.Instance(kernelModule(), {
      env: { memory, abort: () => undefined },
    });
    this.call = instance.exports as unknown as FrameKernelExports;
    this.bytes = Buffer.from(memory.buffer);
    this.u16 = new Uint16Array(memory.buffer);
    this.u32 = new Uint32Array(memory.buffer);
    this.u64 = new BigUint64Array(memory.buffer);
  }

  /** The byte offset of an area of `byteCount` bytes, 8-aligned. Throws RangeError: the sum was planned too small. */
  reserve(byteCount: number): number {
    const at = this.#nextByteOffset;
    const end = at + Math.ceil(byteCount / FRAME_ALIGN_BYTES) * FRAME_ALIGN_BYTES;
    if (end > this.bytes.length) throw new RangeError('the frame kernel has no such area left');
    this.#nextByteOffset = end;
    return at;
  }

  /** XXH64 (seed 0) of `byteCount` bytes at `at`. */
  xxh64(at: number, byteCount: number): bigint {
    const low = BigInt(this.call.xxh64Low(at, byteCount) >>> 0);
    return (BigInt(this.call.xxh64High() >>> 0) << 32n) | low;
  }

  /** SipHash-2-4 of `byteCount` bytes at `at`, under the key whose area (`FrameKey`) is at `key`. */
  siphash(key: number, at: number, byteCount: number): bigint {
    const low = BigInt(this.call.siphashLow(key, at, byteCount) >>> 0);
    return (BigInt(this.call.xxh64High() >>> 0) << 32n) | low;
  }
}

/** The key of one direction of one connection after another: where it lies in the kernel's memory, and whether it is set. */
export class FrameKey {
  static readonly areaBytes = KEY_BYTES;
  readonly byteOffset: number;
  readonly #kernel: FrameKernel;
  #isSet = false;

  constructor(kernel: FrameKernel) {
    this.#kernel = kernel;
    this.byteOffset = kernel.reserve(KEY_BYTES);
  }

  get isSet(): boolean {
    return this.#isSet;
  }

  /** From the next frame on the direction is keyed by these 16 bytes, and its frames count from 0. */
  set(secret: Uint8Array): void {
    if (secret.length !== KEY_SECRET_BYTES) throw new RangeError('a key has 16 bytes');
    this.clear();
    this.#kernel.bytes.set(secret, this.byteOffset);
    this.#isSet = true;
  }

  /** Wipes it. */
  clear(): void {
    this.#kernel.bytes.fill(0, this.byteOffset, this.byteOffset + KEY_BYTES);
    this.#isSet = false;
  }
}
