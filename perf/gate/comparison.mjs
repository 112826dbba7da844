// Rounds until every metric is clear or the limit is reached, and what they say together.
//
// The samples are looked at a fixed number of times. Each look uses its share of the error that is allowed (Bonferroni), so
// that looking again does not make a chance find likelier.
import { badness, metrics, thresholdLog } from './metrics.mjs';
import { judge } from './statistics.mjs';

/** The intervals of one metric cover the truth, over all looks together, with 1 - ERROR. */
const ERROR = 0.05;

/** Rounds at which the samples are looked at. The first suffices for a bounded interval. */
export const looks = { full: [8, 12, 18, 26], quick: [8, 12, 18, 26] };

/** One comparison by metric; `result` is null where nothing was measured. */
export function compare(rounds, alpha, last) {
  return metrics.map((metric) => {
    const pairs = rounds.flatMap((round) => (round[metric.id] ? [round[metric.id]] : []));
    if (pairs.length < rounds.length || pairs.length === 0) return { metric, pairs, result: null };
    const samples = pairs.map(([base, candidate]) => badness(metric, base, candidate));
    const result = judge(samples, { threshold: thresholdLog(metric), alpha, last });
    return { metric, pairs, result };
  });
}

/** `{ outcome: pass | regression | void, why }`. A regression that was shown is one, whatever else is unclear. */
export function outcomeOf(comparisons) {
  const titles = (wanted) =>
    comparisons
      .filter(({ metric, result }) => wanted(metric, result))
      .map(({ metric }) => metric.title)
      .join('; ');
  const slower = titles((_, result) => result?.verdict === 'slower');
  if (slower) return { outcome: 'regression', why: `worse in ${slower}` };
  const missing = titles((_, result) => result === null);
  if (missing) return { outcome: 'void', why: `not measured: ${missing}` };
  const unclear = titles(({ deciding }, result) => deciding && result.verdict === 'unclear');
  if (unclear) return { outcome: 'void', why: `too noisy: ${unclear}` };
  return { outcome: 'pass', why: '' };
}

/**
 * Calls `nextRound` until a look finds something slower, or leaves nothing unclear that decides, or is the
 * last. Wall-clock metrics alone do not prolong it.
 */
export async function compareInRounds(plan, nextRound, onLook = () => {}) {
  const rounds = [];
  const alpha = ERROR / plan.length;
  for (const [index, wanted] of plan.entries()) {
    while (rounds.length < wanted) rounds.push(await nextRound(rounds.length));
    const last = index === plan.length - 1;
    const comparisons = compare(rounds, alpha, last);
    const open = comparisons.filter(
      ({ metric, result }) => metric.deciding && (!result || result.verdict === 'unclear'),
    );
    const outcome = outcomeOf(comparisons);
    const decided = open.length === 0 || last || outcome.outcome === 'regression';
    onLook(open, decided);
    if (decided) return { rounds, comparisons, ...outcome };
  }
  throw new Error('a plan needs at least one look');
}
