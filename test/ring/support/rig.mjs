// What the two sides of the thread tests share: where a thread's own area lies, how it is woken, and
// how frames are told apart.
//
// A word of shared memory stands for the eventfd, so that these tests need no system call: `signal` adds
// to it and notifies, `block` waits until it is not 0 and sets it to 0.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { instantiateKernel } from '../../../dist/ring/kernel.js';

export const AREA_BYTES = 2 * 1024 * 1024;
const CELL_WAKE = 0;
const CELL_RESTART = 128;
const CELL_ATTEMPTED = 1024;
const CELL_ACKNOWLEDGED = 1536;
const CURSORS = 4096;
export const SOURCE = 65536;
export const SOURCE_BYTES = 1024 * 1024;
/** Random bytes that payloads are copied from. */
export const NOISE = SOURCE + SOURCE_BYTES;
export const NOISE_BYTES = 512 * 1024;

/** Phases, in a word of the shared area. */
export const PHASE_WAIT = 0;
export const PHASE_RUN = 1;
export const PHASE_STOP_APPENDING = 2;
export const PHASE_STOP = 3;

const root = new URL('../../../', import.meta.url);
export const pathOf = (name) => fileURLToPath(new URL(name, root));

export function loadKernel(path, memory) {
  return instantiateKernel(readFileSync(path), memory);
}

/** mulberry32: a small random generator; the same seed gives the same numbers. */
export function makeRandom(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
  return {
    below: (count) => next() % count,
    /** True once in `oneIn` times; never for 0. */
    oneIn: (oneIn) => oneIn > 0 && next() % oneIn === 0,
  };
}

/** A frame's publisher and number stand in the header's stream field, which the ring passes on. */
const NUMBER_BITS = 26;
export const NUMBER_MASK = 2 ** NUMBER_BITS - 1;
export const identityOf = (thread, number) => ((thread << NUMBER_BITS) | number) >>> 0;
export const publisherOf = (identity) => identity >>> NUMBER_BITS;
export const numberOf = (identity) => identity & NUMBER_MASK;

export class Area {
  constructor(memory, geometry, thread) {
    this.at = geometry.shardsByteOffset + (thread - 1) * geometry.shardBytes;
    this.words = new Int32Array(memory.buffer);
    this.phaseIndex = geometry.sharedByteOffset >>> 2;
    this.wakeIndex = (this.at + CELL_WAKE) >>> 2;
    this.restartIndex = (this.at + CELL_RESTART) >>> 2;
  }

  cursor(stream) {
    return this.at + CURSORS + stream * 64;
  }

  phase() {
    return Atomics.load(this.words, this.phaseIndex);
  }

  setPhase(phase) {
    Atomics.store(this.words, this.phaseIndex, phase);
    Atomics.notify(this.words, this.phaseIndex);
  }

  awaitStart() {
    Atomics.wait(this.words, this.phaseIndex, PHASE_WAIT);
  }

  signal() {
    Atomics.add(this.words, this.wakeIndex, 1);
    Atomics.notify(this.words, this.wakeIndex);
  }

  /** True when it was signalled, false when the time ran out. */
  block(timeoutMs) {
    if (Atomics.exchange(this.words, this.wakeIndex, 0) !== 0) return true;
    const how = Atomics.wait(this.words, this.wakeIndex, 0, timeoutMs);
    Atomics.exchange(this.words, this.wakeIndex, 0);
    return how !== 'timed-out';
  }

  /** A simulated death ends here, until control has recovered from it. */
  awaitRestart() {
    Atomics.wait(this.words, this.restartIndex, 0);
    Atomics.store(this.words, this.restartIndex, 0);
  }

  restart() {
    Atomics.store(this.words, this.restartIndex, 1);
    Atomics.notify(this.words, this.restartIndex);
  }

  attempted(stream) {
    return Atomics.load(this.words, ((this.at + CELL_ATTEMPTED) >>> 2) + stream);
  }

  setAttempted(stream, number) {
    Atomics.store(this.words, ((this.at + CELL_ATTEMPTED) >>> 2) + stream, number);
  }

  acknowledged(stream) {
    return Atomics.load(this.words, ((this.at + CELL_ACKNOWLEDGED) >>> 2) + stream);
  }

  setAcknowledged(stream, number) {
    Atomics.store(this.words, ((this.at + CELL_ACKNOWLEDGED) >>> 2) + stream, number);
  }
}
