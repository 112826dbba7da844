/**
 * Segments that have been free for a while give their pages back, so that a burst does not stay in the
 * process' memory for ever.
 *
 * Invariant: a segment is control's own while its pages are given back; it reads as zeros afterwards, as the
 * directory of a free segment must.
 */
import type { RingKernel } from '../ring/kernel.js';
import type { Sys } from '../sys/sys.js';

/** Looks, one a second, that must find a segment free. */
export const IDLE_LOOKS_MIN = 10;
/** Segments that one look gives back at the most: the rest waits for the next. */
const RELEASES_PER_LOOK = 256;

export type IdleKernel = Pick<
  RingKernel,
  'claimIdle' | 'freeSegment' | 'segmentAt' | 'segmentCapacity'
>;

/**
 * One look at all segments. Answers the bytes that were given back. `isKept` says of a segment, by its byte offset, that
 * it keeps its pages.
 */
export function releaseIdlePages(
  kernel: IdleKernel,
  sys: Pick<Sys, 'releasePages'>,
  isKept: (byteOffset: number) => boolean,
): number {
  let released = 0;
  let segment = 0;
  for (let i = 0; i < RELEASES_PER_LOOK; i++) {
    segment = kernel.claimIdle(segment + 1, IDLE_LOOKS_MIN);
    if (segment === 0) break;
    const at = kernel.segmentAt(segment) >>> 0;
    const bytes = kernel.segmentCapacity(segment);
    if (!isKept(at) && sys.releasePages(at, bytes) === 0) released += bytes;
    kernel.freeSegment(segment);
  }
  return released;
}
