// News between threads: "stream S has something for you" in a bitmap of two levels, and the flag by
// which a blocked thread is found and woken.
//
// Invariant: a thread that blocks has no news that was told before it said that it sleeps.
import {
  ALIVE_MASK_BYTE_OFFSET,
  NEWS_WORDS,
  SUMMARY_WORDS,
  THREAD_NEWS,
  THREAD_SLEEPING,
  THREAD_SUMMARY,
  THREAD_TURN,
} from '../layout';
import { me, threadRow } from './memory';
import { chaos } from './chaos';

/** The pool has free segments again, or somebody waits for some. */
export const POOL_NEWS: u32 = 0;

/** Threads whose `sleeping` flag this one took: the caller owes each an eventfd signal. */
let owedWakes: u64 = 0;

/** Tells `thread` that `stream` has news. With `force` also when the bits look set already (recovery). */
export function tell(thread: u32, stream: u32, force: bool): void {
  const row = threadRow(thread);
  const word = row + (<usize>(stream >> 6) << 3);
  const bit: u64 = <u64>1 << <u64>(stream & 63);
  // A set bit means that the thread has not taken the word yet, and will see what we did before this load.
  if (!force && atomic.load<u64>(word, THREAD_NEWS) & bit) return;
  chaos(4000);
  const before = atomic.or<u64>(word, bit, THREAD_NEWS);
  if (!force && before & bit) return;
  chaos(4000);
  const index = stream >> 6;
  atomic.or<u64>(row + (<usize>(index >> 6) << 3), <u64>1 << <u64>(index & 63), THREAD_SUMMARY);
  chaos(4000);
  // Pairs with `prepareToSleep`: it stores `sleeping`, then looks at the summary; we wrote the summary first.
  if (atomic.load<u32>(row, THREAD_SLEEPING) != 0 && atomic.xchg<u32>(row, 0, THREAD_SLEEPING) != 0) {
    if (thread != me) owedWakes |= <u64>1 << <u64>thread;
  }
}

export function tellMask(mask: u64, stream: u32, force: bool): void {
  while (mask) {
    tell(<u32>ctz(mask), stream, force);
    mask &= mask - 1;
  }
}

export function tellEverybody(stream: u32): void {
  tellMask(atomic.load<u64>(ALIVE_MASK_BYTE_OFFSET), stream, false);
}

/** Bits 0–31 (`high` false) or 32–63 of the threads that must be signalled now; taken once. */
export function takeWakes(high: bool): u32 {
  const taken = high ? <u32>(owedWakes >> 32) : <u32>owedWakes;
  owedWakes &= high ? 0xffffffff : ~(<u64>0xffffffff);
  return taken;
}

let summaryIndex: u32 = SUMMARY_WORDS;
let summary: u64 = 0;
let wordIndex: u32 = 0;
let word: u64 = 0;

/** The next stream with news for this thread, 0 for the pool, or -1. Call it until it answers -1. */
export function nextNews(): i32 {
  const row = threadRow(me);
  while (true) {
    if (word) {
      const bit = <u32>ctz(word);
      word &= word - 1;
      return <i32>((wordIndex << 6) + bit);
    }
    if (summary) {
      const bit = <u32>ctz(summary);
      summary &= summary - 1;
      wordIndex = (summaryIndex << 6) + bit;
      // By exchange, before the stream is looked at: what comes later sets the bit again.
      word = atomic.xchg<u64>(row + (<usize>wordIndex << 3), 0, THREAD_NEWS);
      chaos(4000);
      continue;
    }
    if (++summaryIndex >= <u32>SUMMARY_WORDS) {
      summaryIndex = <u32>-1;
      if (!hasNews()) return -1;
      continue;
    }
    if (atomic.load<u64>(row + (<usize>summaryIndex << 3), THREAD_SUMMARY)) {
      summary = atomic.xchg<u64>(row + (<usize>summaryIndex << 3), 0, THREAD_SUMMARY);
      chaos(4000);
    }
  }
}

// @ts-ignore: decorator
@inline function hasNews(): bool {
  const row = threadRow(me);
  for (let i: usize = 0; i < <usize>SUMMARY_WORDS; i++) {
    if (atomic.load<u64>(row + (i << 3), THREAD_SUMMARY)) return true;
  }
  return false;
}

/** Says that this thread is about to block. False: there is news, don't. */
export function prepareToSleep(): bool {
  const row = threadRow(me);
  atomic.store<u32>(row, 1, THREAD_SLEEPING);
  chaos(50);
  if (word == 0 && summary == 0 && !hasNews()) return true;
  atomic.store<u32>(row, 0, THREAD_SLEEPING);
  return false;
}

export function wokenUp(): void {
  atomic.store<u32>(threadRow(me), 0, THREAD_SLEEPING);
}

/** A new turn begins: whatever this thread had claimed in the last one is committed. */
export function beginTurn(): void {
  const row = threadRow(me);
  atomic.store<u32>(row, load<u32>(row, THREAD_TURN) + 1, THREAD_TURN);
}

/** Forgets what was taken but not handled: for a thread number that begins a new life. */
export function forgetNews(thread: u32): void {
  const row = threadRow(thread);
  for (let i: usize = 0; i < <usize>SUMMARY_WORDS; i++) atomic.store<u64>(row + (i << 3), 0, THREAD_SUMMARY);
  for (let i: usize = 0; i < <usize>NEWS_WORDS; i++) atomic.store<u64>(row + (i << 3), 0, THREAD_NEWS);
  atomic.store<u32>(row, 0, THREAD_SLEEPING);
  if (thread == me) {
    word = 0;
    summary = 0;
    owedWakes = 0;
  }
}
