// Verifying keyed frames one after another, where several that lie side by side are judged at once.
import { TYPE_DATA } from '../codes';
import { PROTOCOL_VERSION, TYPE_BYTE_OFFSET } from '../layout';
import { checkKeyedHeader } from './frame';
import { tagFits } from './siphash';
import { tagsFit } from './siphash-lanes';

/** How many frames from the next one on are judged already, and a bit for each that bears its tag. */
let judged: u32 = 0;
let fitting: u32 = 0;

/** What comes next are other bytes, or another counter. */
// @ts-ignore: decorator
@inline export function beginVerifying(): void {
  judged = 0;
}

/**
 * Whether the whole frame at `at` bears the tag that is due with `counter`. To be called for one frame after the other
 * from `beginVerifying` on, while nobody changes their bytes, which end at `end`.
 */
// @ts-ignore: decorator
@inline export function nextTagFits(
  key: usize,
  counter: u64,
  at: usize,
  end: usize,
  version: u32 = PROTOCOL_VERSION,
): bool {
  if (judged == 0) judge(key, counter, at, end, version);
  const fits = (fitting & 1) != 0;
  fitting >>= 1;
  judged--;
  return fits;
}

/** The place behind the DATA frame at `at`, if it is whole; else 0. After a frame of another type the run would end anyway. */
// @ts-ignore: decorator
@inline function behindData(at: usize, end: usize, version: u32): usize {
  const whole = checkKeyedHeader(at, <u32>(end - at), version);
  return whole > 0 && <usize>whole <= end - at && load<u8>(at, TYPE_BYTE_OFFSET) == TYPE_DATA ? at + whole : 0;
}

function judge(key: usize, counter: u64, at: usize, end: usize, version: u32): void {
  const second = behindData(at, end, version);
  const third = second ? behindData(second, end, version) : 0;
  if (third && behindData(third, end, version)) {
    fitting = tagsFit(key, counter, at, second, third);
    judged = 3;
  } else {
    fitting = tagFits(key, counter, at) ? 1 : 0;
    judged = 1;
  }
}
