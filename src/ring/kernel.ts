/**
 * The ring's kernel as JavaScript calls it: one instance a thread, all on the same arena. Offsets that
 * come back are signed 32-bit numbers in JavaScript's eyes: `>>> 0` makes them offsets again.
 */
export interface RingKernel {
  /** Reads the arena's geometry; `thread` is this instance's number (0 = control). First of all calls. */
  attach(thread: number): void;

  /** Frames taken of a run of whole, checked DATA frames; fewer = the log is full, news will tell. */
  append(
    stream: number,
    sourceByteOffset: number,
    frameCount: number,
    byteCount: number,
    timestampNs: bigint,
  ): number;
  appendedBytes(): number;
  rotationCount(): number;
  lostSwapCount(): number;
  fullLogCount(): number;
  reclaimedCount(): number;
  flapCount(): number;

  subscribeThread(stream: number): void;
  unsubscribeThread(stream: number): void;
  /** SEEK_OK, SEEK_RESET, or SEEK_BUSY (2: not placed; again in a later turn). */
  seek(cursorByteOffset: number, stream: number, from: number, argument: bigint): number;
  /** SPAN_NONE, SPAN_DATA or SPAN_GAP. */
  peek(
    cursorByteOffset: number,
    bytesMax: number,
    mayCross: number | boolean,
    framesMax: number,
  ): number;
  advance(cursorByteOffset: number, sentBytes: number): number;
  takeGap(cursorByteOffset: number): bigint;
  detach(cursorByteOffset: number): void;
  closeCursor(cursorByteOffset: number): void;
  cursorSequence(cursorByteOffset: number): bigint;
  firstSequenceOf(stream: number): bigint;
  nextSequenceOf(stream: number): bigint;

  /** Next stream with news, 0 = the pool, -1 = none. */
  nextNews(): number;
  /** Non-zero: nothing is new, this thread may block. */
  prepareToSleep(): number;
  wokenUp(): void;
  beginTurn(): void;
  /** Threads (bits 0–31, or 32–63 with `high`) to which an eventfd signal is owed; taken once. */
  takeWakes(high: number | boolean): number;

  createStream(stream: number, limitBytes: number, onFull: number, epoch: bigint): number;
  freeCount(): number;
  /** A segment, now control's own, that was found free by so many looks since it was used; 0 = none. */
  claimIdle(fromSegment: number, looksMin: number): number;
  freeSegment(segment: number): void;
  segmentAt(segment: number): number;
  segmentCapacity(segment: number): number;
  chainLength(stream: number): number;

  setAlive(thread: number, alive: number | boolean): void;
  isAlive(thread: number): number;
  isSleeping(thread: number): number;
  turnOf(thread: number): number;
  recoverThread(dead: number): number;
  recoverLock(stream: number): number;
  recoverSnapshot(stream: number): void;
  recoverStream(stream: number): void;
  recoverPins(dead: number): void;
  recoverUnlock(stream: number): void;
  tellAll(): void;
  recoveredHoles(): number;
  recoveredLostSequences(): number;
  recoveredSeals(): number;

  seedChaos(seed: number): void;
  setDeathOneIn(oneIn: number): void;
}

/** Instantiates a kernel on the arena. `bytes` is the compiled module. */
export function instantiateKernel(bytes: Uint8Array, memory: WebAssembly.Memory): unknown {
  const module = new WebAssembly.Module(bytes);
  const abort = (): never => {
    throw new Error('a kernel aborted');
  };
  return new WebAssembly.Instance(module, { env: { memory, abort } }).exports;
}
