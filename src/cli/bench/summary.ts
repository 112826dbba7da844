/** What a bench has found, from the boards and answers of its threads; and what speaks against it. */
import type { Histogram } from '../../histogram.js';
import { summed, type Board, type Counts } from './board.js';
import type { BenchPlan } from './options.js';
import type { BenchResult } from './task.js';

export interface Summary {
  readonly counts: Counts;
  /** ns */
  readonly times: Histogram;
  /** ns */
  readonly lag: Histogram;
  readonly elapsedMs: number;
  /** Frames that count. */
  readonly frames: number;
  readonly framesPerSecond: number;
  readonly bytesPerSecond: number;
  readonly perConnection: readonly number[];
  /** The part of the time in which the busiest thread did something. */
  readonly busy: number;
  /** Frames that did not come and that no gap told of. */
  readonly lost: number;
  /** The broker, or what lies between, did not keep what it promises. */
  readonly isBroken: boolean;
  /** What to know before believing the figures. */
  readonly remarks: readonly string[];
}

/** Percentiles by name, and how many parts lie above each. */
export const PERCENTILES = [
  ['p50', 0.5],
  ['p90', 0.9],
  ['p99', 0.99],
  ['p99.9', 0.999],
  ['p99.99', 0.9999],
] as const;

/** A percentile with fewer values behind it says nothing. */
const BEHIND_MIN = 5;
/** What 1 - 0.9999 is not exactly. */
const ROUNDING = 1e-6;
const BUSY_MAX = 0.9;
const LAG_PART_MAX = 0.2;
const RATE_PART_MIN = 0.95;

/** Undefined where too few values lie behind it. */
export function percentileOf(histogram: Histogram, part: number): number | undefined {
  const behind = histogram.count * (1 - part);
  return behind < BEHIND_MIN - ROUNDING ? undefined : histogram.valueAt(part);
}

export function summaryOf(
  plan: BenchPlan,
  boards: readonly Board[],
  results: readonly BenchResult[],
): Summary {
  const { counts, times, lag } = summed(boards);
  const elapsedMs = Math.max(0, ...results.map((result) => result.elapsedMs));
  const busy = Math.max(0, ...results.map((result) => result.busy));
  const frames = framesOf(plan, counts, times);
  const seconds = elapsedMs / 1000;
  const framesPerSecond = seconds > 0 ? frames / seconds : 0;
  const bytes = plan.kind === 'sub' ? counts.receivedBytes : frames * plan.sizeBytes;
  const lost = lostOf(plan, counts);
  const found = { counts, times, lag, elapsedMs, frames, framesPerSecond, busy, lost };
  return {
    ...found,
    bytesPerSecond: seconds > 0 ? bytes / seconds : 0,
    perConnection: results.flatMap((result) => result.perConnection),
    isBroken: lost > 0 || counts.disordered > 0,
    remarks: remarksOf(plan, found),
  };
}

function framesOf({ kind, ack }: BenchPlan, counts: Counts, times: Histogram): number {
  if (kind === 'pub') return ack === 'none' ? counts.sent : counts.acknowledged;
  return kind === 'sub' ? counts.received : times.count;
}

/** What was sent by this run; of others' frames the client tells every gap. */
function lostOf({ kind }: BenchPlan, { sent, received, skipped }: Counts): number {
  return kind === 'latency' ? Math.max(0, sent - received - skipped) : 0;
}

type Found = Pick<Summary, 'counts' | 'times' | 'lag' | 'elapsedMs' | 'busy' | 'framesPerSecond'>;

function remarksOf(plan: BenchPlan, found: Found): string[] {
  const { counts, times, lag, busy, framesPerSecond } = found;
  const remarks: string[] = [];
  if ((plan.kind === 'pub' || plan.kind === 'sub') && busy > BUSY_MAX) {
    remarks.push('this tool was at its limit; try more --connections and --threads');
  }
  if (plan.kind === 'latency') {
    const [late, whole] = [lag.valueAt(0.99), times.valueAt(0.99)];
    if (late > whole * LAG_PART_MAX) {
      remarks.push('this tool was late itself: its own lag is much of the latency');
    }
  }
  if (plan.rate !== undefined && framesPerSecond < plan.rate * RATE_PART_MIN) {
    remarks.push('the rate was not reached');
  }
  if (counts.foreign > 0) {
    remarks.push(`${counts.foreign} frames of others came on this subject, and do not count`);
  }
  return remarks;
}
