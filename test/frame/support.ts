import { readFileSync } from 'node:fs';
import { FrameDecoder, FrameEncoder } from '../../src/frame/codec.js';
import { FrameKernel } from '../../src/frame/frame-kernel.js';
import { TYPES_FROM_CLIENT, TYPES_FROM_SERVER, type TypeMask } from '../../src/frame/names.js';

export interface ValidVector {
  name: string;
  hex: string;
  type: string;
  flags?: number;
  code?: number;
  stream: number;
  sequence: string;
  timestamp: string;
  payload: string;
}

export interface Vectors {
  xxh64: { length: number; hash: string }[];
  siphash24: { key: string; length: number; tag: string }[];
  'hmac-sha256': {
    secret: string;
    keyId: string;
    helloPayload: string;
    challengePayload: string;
    clientProof: string;
    serverProof: string;
    clientToServerKey: string;
    serverToClientKey: string;
  };
  keyed: { name: string; key: string; counter: number; hex: string; ok: boolean }[];
  valid: ValidVector[];
  largest: { header: string; sha256: string };
  invalid: { name: string; hex: string; error: string; note: string }[];
}

/** The contract's vectors; where the file is missing, every test that needs it fails. */
export function readVectors(): Vectors {
  const file = new URL('../../docs/vectors.json', import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8')) as Vectors;
}

export const ANY_TYPE: TypeMask = [
  (TYPES_FROM_CLIENT[0] | TYPES_FROM_SERVER[0]) >>> 0,
  (TYPES_FROM_CLIENT[1] | TYPES_FROM_SERVER[1]) >>> 0,
];

export const CAPACITY_BYTES = 2 * 65536;

export function newDecoder(types: TypeMask = ANY_TYPE, capacityBytes = CAPACITY_BYTES) {
  return new FrameDecoder(
    new FrameKernel(FrameDecoder.areaBytes(capacityBytes)),
    types,
    capacityBytes,
  );
}

export function newEncoder(capacityBytes = CAPACITY_BYTES) {
  return new FrameEncoder(new FrameKernel(FrameEncoder.areaBytes(capacityBytes)), capacityBytes);
}

export interface Decoded {
  type: number;
  flags: number;
  code: number;
  stream: number;
  sequence: bigint;
  timestamp: bigint;
  payload: string;
  damaged: boolean;
}

/** The frames that are whole now, with their fields copied. */
export function takeFrames(decoder: FrameDecoder): Decoded[] {
  const frames: Decoded[] = [];
  while (decoder.next()) {
    const { type, flags, code, stream, sequence, timestamp, damaged } = decoder;
    const payload = decoder.payload.toString('hex');
    frames.push({ type, flags, code, stream, sequence, timestamp, payload, damaged });
  }
  return frames;
}

/** Feeds `chunks` one after another and answers all frames. */
export function decodeAll(decoder: FrameDecoder, chunks: Iterable<Uint8Array>): Decoded[] {
  const frames: Decoded[] = [];
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length;) {
      at += decoder.push(chunk.subarray(at));
      frames.push(...takeFrames(decoder));
    }
  }
  return frames;
}

/** Payload byte i = (31 i + 7) mod 256, as the vectors have it. */
export function pattern(byteCount: number): Uint8Array {
  return Uint8Array.from({ length: byteCount }, (_, i) => (31 * i + 7) & 0xff);
}
