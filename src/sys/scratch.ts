/**
 * The memory beside the arena that the kernel reads and writes for one thread.
 *
 * Invariant: the regions are disjoint and lie inside of `Scratch`'s buffer, which lives and stays
 * where it is for as long as the `Scratch`.
 *
 *   one | value | length | sockaddr | msghdr | mask | iovecs (1,024) | events (256) | drain
 */
import { strict as assert } from 'node:assert';
import { CPUS_MAX, EVENTS_MAX, IOVEC_BYTES, MSGHDR_BYTES, SPANS_MAX } from './layout.js';
import { MSGHDR_IOVECS_BYTE_OFFSET, MSGHDR_IOVEC_COUNT_BYTE_OFFSET } from './layout.js';
import type { LinuxLayout } from './layout.js';
import type { Libc } from './libc.js';
import { writeU64 } from './words.js';

/** The larger of the two architectures' `epoll_event`. */
const EPOLL_EVENT_BYTES_MAX = 16;
/** What `discard` copies at most in one call from a socket that cannot drop without copying. */
export const DRAIN_BYTES = 65536;

const one = 0;
const value = one + 8;
const length = value + 24;
const sockaddr = length + 8;
const msghdr = sockaddr + 32;
const mask = msghdr + MSGHDR_BYTES;
const iovecs = mask + CPUS_MAX / 8;
const events = iovecs + SPANS_MAX * IOVEC_BYTES;
const drain = events + EVENTS_MAX * EPOLL_EVENT_BYTES_MAX;
const SCRATCH_BYTES = drain + DRAIN_BYTES;

/** Byte offsets in the scratch, and the u32 indices of those that JavaScript reads or writes. */
export const SCRATCH = {
  one,
  value,
  length,
  sockaddr,
  msghdr,
  mask,
  iovecs,
  events,
  drain,
  valueInt32Index: value / 4,
  lengthInt32Index: length / 4,
  iovecCountInt32Index: (msghdr + MSGHDR_IOVEC_COUNT_BYTE_OFFSET) / 4,
  iovecsInt32Index: iovecs / 4,
  eventsInt32Index: events / 4,
} as const;

/** The kernel writes a `long` into most of them. */
for (const byteOffset of [one, value, length, sockaddr, msghdr, mask, iovecs, events, drain]) {
  assert.equal(byteOffset % 8, 0);
}

export class Scratch {
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  /** Address of the first byte. */
  readonly base: number;

  constructor(libc: Libc, layout: LinuxLayout) {
    assert.ok(layout.epollEventBytes <= EPOLL_EVENT_BYTES_MAX);
    // An ArrayBuffer of its own: a small typed array may live on the heap, where it moves.
    const buffer = new ArrayBuffer(SCRATCH_BYTES);
    this.bytes = new Uint8Array(buffer);
    this.words = new Uint32Array(buffer);
    this.base = libc.address(this.bytes);
    writeU64(this.words, one / 4, 1);
    writeU64(this.words, (msghdr + MSGHDR_IOVECS_BYTE_OFFSET) / 4, this.base + iovecs);
  }

  /** The CPU mask, with no CPU in it. */
  clearedMask(): Uint8Array {
    return this.bytes.subarray(mask, iovecs).fill(0);
  }
}
