/** What every implementation of the seam refuses before it acts: arguments that only a bug can pass. */
import { strict as assert } from 'node:assert';
import { EVENTS_MAX, SPANS_MAX, SPAN_BYTES, WAIT_MS_MAX } from './layout.js';

const U32_MAX = 0xffff_ffff;

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

/** Refuses a range that does not lie wholly inside of the arena. */
export function checkRange(byteOffset: number, byteCount: number, arenaBytes: number): void {
  if (isCount(byteOffset) && isCount(byteCount) && byteOffset + byteCount <= arenaBytes) return;
  assert.fail(
    `range ${byteOffset} + ${byteCount} is not inside of the arena's ${arenaBytes} bytes`,
  );
}

/** As `checkRange`, and refuses 0 bytes: receiving none would read like the end of the stream. */
export function checkFilledRange(byteOffset: number, byteCount: number, arenaBytes: number): void {
  checkRange(byteOffset, byteCount, arenaBytes);
  checkInteger('byteCount', byteCount, 1, arenaBytes);
}

/** As `checkRange`, and refuses a beginning that is no multiple of `alignBytes`. */
export function checkAlignedRange(
  byteOffset: number,
  byteCount: number,
  alignBytes: number,
  arenaBytes: number,
): void {
  checkRange(byteOffset, byteCount, arenaBytes);
  if (byteOffset % alignBytes === 0) return;
  assert.fail(`byte offset ${byteOffset} is not a multiple of ${alignBytes}`);
}

/** Refuses what is not an integer of `min` … `max`. */
export function checkInteger(name: string, value: number, min: number, max: number): void {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return;
  assert.fail(`${name} is ${value}, not an integer of ${min} … ${max}`);
}

/** Refuses a table of spans that is too long or lies outside of the arena; not what it points to. */
export function checkSpanTable(
  spansByteOffset: number,
  spanCount: number,
  arenaBytes: number,
): void {
  checkInteger('spanCount', spanCount, 1, SPANS_MAX);
  checkAlignedRange(spansByteOffset, spanCount * SPAN_BYTES, 4, arenaBytes);
}

export function checkHandle(slot: number, generation: number): void {
  checkInteger('slot', slot, 0, U32_MAX);
  checkInteger('generation', generation, 0, U32_MAX);
}

export function checkTimeout(timeoutMs: number): void {
  checkInteger('timeoutMs', timeoutMs, 0, WAIT_MS_MAX);
}

/** Refuses the index of an event that the last wait did not answer. */
export function checkEventIndex(index: number, eventCount: number): void {
  checkInteger('event index', index, 0, Math.min(eventCount, EVENTS_MAX) - 1);
}

/** Refuses a range of `releasePages` that is not made of whole pages. */
export function checkPages(
  byteOffset: number,
  byteCount: number,
  pageBytes: number,
  arenaBytes: number,
): void {
  checkAlignedRange(byteOffset, byteCount, pageBytes, arenaBytes);
  if (byteCount % pageBytes === 0) return;
  assert.fail(`byte count ${byteCount} is not a multiple of the page's ${pageBytes} bytes`);
}
