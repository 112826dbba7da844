/**
 * Bytes in and out of a stream of the fake, with the faults that may strike there.
 *
 * Invariant: a fault that makes less of a call than it could be tells readiness again, as the kernel
 * does when the rest arrives or room is made.
 */
import type { FakeFaults, FaultSource } from './fake-faults.js';
import type { FakeStream } from './fake-files.js';
import { EAGAIN, ECONNRESET, EPIPE, EPOLLIN, EPOLLOUT } from './sys.js';

export interface Span {
  readonly byteOffset: number;
  readonly byteCount: number;
}

/** How many bytes of up to `byteCount` a receive takes; 0 at the end of the stream; `-errno`. */
export function readableBytes(
  stream: FakeStream,
  byteCount: number,
  faults: FakeFaults,
  chance: FaultSource,
): number {
  if (!stream.broken && chance.strikes(faults.readReset)) {
    stream.cutOff();
    return -ECONNRESET;
  }
  const waiting = Math.min(stream.inbox.bytes, byteCount);
  if (waiting === 0) return endOfStream(stream);
  if (chance.strikes(faults.readWouldBlock)) {
    stream.rearm(EPOLLIN);
    return -EAGAIN;
  }
  if (waiting === 1 || !chance.strikes(faults.shortRead)) return waiting;
  stream.rearm(EPOLLIN);
  return chance.between(1, waiting - 1);
}

function endOfStream(stream: FakeStream): number {
  if (stream.error !== 0) return -stream.takeError();
  return stream.endReceived || stream.broken ? 0 : -EAGAIN;
}

/** How many bytes of `byteCount` a send takes, or `-errno`. */
export function writableBytes(
  stream: FakeStream,
  byteCount: number,
  faults: FakeFaults,
  chance: FaultSource,
): number {
  if (!stream.broken && chance.strikes(faults.writeBroken)) {
    stream.cutOff();
    return -EPIPE;
  }
  const status = stream.sendStatus();
  if (status < 0 || byteCount === 0) return status;
  if (chance.strikes(faults.writeWouldBlock)) {
    stream.rearm(EPOLLOUT);
    return -EAGAIN;
  }
  const taken = Math.min(stream.roomBytes(), byteCount);
  if (taken < byteCount) stream.awaitRoom();
  if (taken === 0) return -EAGAIN;
  if (taken === 1 || !chance.strikes(faults.shortWrite)) return taken;
  stream.rearm(EPOLLOUT);
  return chance.between(1, taken - 1);
}

/** The first `byteCount` bytes of the spans, as spans; empty ones left out. */
export function firstBytesOf(spans: readonly Span[], byteCount: number): Span[] {
  const taken: Span[] = [];
  let left = byteCount;
  for (const span of spans) {
    const part = Math.min(left, span.byteCount);
    if (part > 0) taken.push({ byteOffset: span.byteOffset, byteCount: part });
    left -= part;
  }
  return taken;
}
