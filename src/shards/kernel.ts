/** The broker's kernel as JavaScript calls it, and how an instance of it is made. */
import { readFileSync } from 'node:fs';
import { instantiateKernel, type RingKernel } from '../ring/kernel.js';

export interface BrokerKernel extends RingKernel {
  /** Begins a life of a shard on its area; all its tables are empty afterwards. */
  openArea(areaByteOffset: number): void;
  openQueue(): void;
  takeRow(pool: number): number;
  giveRow(pool: number, row: number): void;
  freeRows(pool: number): number;
  rowAt(pool: number, row: number): number;
  /** Copies bytes that belong to this thread alone. */
  copyBytes(toByteOffset: number, fromByteOffset: number, byteCount: number): void;
  /** Not 0: news of this stream is listed by `collectNews`. */
  setStreamFlag(stream: number, value: number): void;

  /** INGEST_DONE, INGEST_CONTROL, INGEST_FULL or INGEST_FAULT; see `ingestStopped…`. */
  /** Makes a frame of the payload at `byteOffset + 40`; u64 values as two words, low first. Answers its bytes. */
  encode(
    byteOffset: number,
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
  /** Bytes of the whole, checked frame; 0 = more bytes are needed; else a negated error code. */
  check(byteOffset: number, byteCount: number): number;
  /** As `check`, of a frame of this connection: by its tag where it is keyed, and then counted. */
  checkOf(slot: number, byteOffset: number, byteCount: number): number;
  /** Keys both directions from their next frame on, by the 32 bytes in AREA_NEW_KEYS, which it wipes. 0: no row is left. */
  openKeys(slot: number): number;
  /** For a connection without keys whose version is not that of logs: its frames are made for it from the next one on. 0: no row is left. */
  openVersion(slot: number): number;
  /** Wipes the keys, if there are any. */
  closeKeys(slot: number): void;
  /** The frame at which `ingest` stopped is handled: the next one is due. */
  frameHandled(slot: number): void;
  ingest(slot: number, byteOffset: number, endByteOffset: number): number;
  ingestStoppedAt(): number;
  ingestStoppedBytes(): number;
  ingestStoppedCode(): number;
  ingestedFrames(): number;
  ingestedBytes(): number;

  /** Row of the publication; 0 = no row is left. */
  addPublication(slot: number, stream: number): number;
  findPublication(slot: number, stream: number): number;
  dropPublications(slot: number): void;

  /** Where a control frame of so many bytes goes; 0 = no room. */
  outRoom(slot: number, bytes: number): number;
  outFrame(
    slot: number,
    typeAndCode: number,
    stream: number,
    payloadBytes: number,
    sequence: bigint,
  ): void;
  dropOutput(slot: number): void;
  /** Turns what is to be acknowledged into frames, as far as there is room. */
  writeAcks(slot: number): void;

  wantSend(slot: number): void;
  nextToSend(): number;
  queueIsEmpty(): number;
  dropFromQueue(slot: number): void;
  gather(slot: number): number;
  gatheredBytes(): number;
  sent(slot: number, bytes: number): void;
  announceNeeded(): number;
  clearAnnounce(cursor: number): void;
  collectNews(): number;
  isDrained(slot: number): number;
  dropRest(slot: number): void;

  openCursor(slot: number, stream: number, subscription: number, flags: number): number;
  cursorAt(cursor: number): number;
  wakeCursor(cursor: number): void;
  /** 0: the rest of a half-sent frame found no place, the connection must end. */
  endCursor(cursor: number): number;
  endCursors(slot: number): number;

  somebodyWaits(stream: number): number;
  moveOn(stream: number, tick: number, ticksMax: number): number;
  hopelessConnection(): number;
  movedOnCount(): number;
  toldGaps(): number;
  deliveredFrames(): number;
  deliveredBytes(): number;

  /** A turn took so many ns awake; `worked`: there was something to do in it. */
  turnTook(ns: number, worked: boolean): void;
  /** `turnTook` of the turn before the last, `sendsEnd` of the last one, and `beginTurn`: by one call. */
  turnBegins(tookNs: number, worked: boolean, sentNs: number): void;
  /** What was sent since the last call was sent by so many ns after the turn began. */
  sendsEnd(ns: number): void;
}

/** An instance for the calling thread, attached as thread `thread`. `file` is another build, for tests. */
export function loadKernel(
  memory: WebAssembly.Memory,
  thread: number,
  file: URL = new URL('./kernel.wasm', import.meta.url),
): BrokerKernel {
  const kernel = instantiateKernel(readFileSync(file), memory) as BrokerKernel;
  kernel.attach(thread);
  return kernel;
}
