export interface NaiveFrame {
  type: number;
  flags: number;
  code: number;
  stream: number;
  sequence: bigint;
  timestamp: bigint;
  payload: string;
  damaged: boolean;
}
export function xxh64(bytes: Uint8Array): bigint;
export function siphash(key: Buffer, bytes: Uint8Array): bigint;
export function tagOf(key: Buffer, counter: bigint, frame: Buffer): bigint;
/** Sets the checks, or the tag, of the frame at the front of `bytes`. */
export function finish(bytes: Buffer, key?: Buffer, counter?: bigint): void;
export function decode(bytes: Buffer, key?: Buffer): { frames: NaiveFrame[]; fault: number };
