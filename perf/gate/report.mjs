// The comparison for people: a table for the terminal, the same for a comment, and the sentence above it.
import { count } from '../lib/report.mjs';
import { changeOf } from './metrics.mjs';
import { median } from './statistics.mjs';

const OUTCOMES = {
  pass: 'PASS: nothing that decides is slower',
  regression: 'REGRESSION',
  void: 'VOID: this comparison says nothing, and is no pass',
};

function signedPercent(part) {
  if (!Number.isFinite(part)) return '?';
  return `${part >= 0 ? '+' : ''}${(part * 100).toFixed(1)} %`;
}

function digitsOf(value) {
  return value >= 1000 ? 0 : value >= 100 ? 1 : 2;
}

function figure(values, unit) {
  const middle = median(values);
  return `${count(middle, digitsOf(middle))} ${unit}`;
}

/** One row of cells for each metric. */
export function rowsOf(comparisons) {
  return comparisons.map(({ metric, pairs, result }) => {
    if (!result) return [metric.title, '-', '-', '-', '-', '-', '-', 'not measured'];
    const ends = [changeOf(metric, result.low), changeOf(metric, result.high)].sort(
      (a, b) => a - b,
    );
    const limit = metric.worse === 'more' ? metric.threshold : -metric.threshold;
    const more = result.roundsMore ? ` (about ${result.roundsMore} more rounds)` : '';
    return [
      metric.title,
      figure(
        pairs.map(([base]) => base),
        metric.unit,
      ),
      figure(
        pairs.map(([, candidate]) => candidate),
        metric.unit,
      ),
      signedPercent(changeOf(metric, result.estimate)),
      Number.isFinite(result.low) ? ends.map(signedPercent).join(' … ') : 'unbounded',
      `${(result.spread * 100).toFixed(1)} %`,
      `${signedPercent(limit)}${metric.deciding ? '' : ' *'}`,
      result.verdict + more,
    ];
  });
}

export const columns = ['', 'base', 'candidate', 'change', 'interval', 'noise', 'limit', 'verdict'];
export const footnote =
  '* on the wall’s clock, which other work on the machine changes: fails when clearly slower, passes when unclear';

export function sentenceOf({ outcome, why }) {
  return why ? `${OUTCOMES[outcome]}: ${why}` : OUTCOMES[outcome];
}

export function circumstances({ machine, base, candidate, seed, rounds, seconds }) {
  return [
    ['base', `${base.commit} (${base.content})`],
    ['candidate', `${candidate.commit} (${candidate.content})`],
    ['Node.js', machine.node],
    ['CPU', `${machine.cpu}, CPUs ${machine.cpusAllowed.join(',')}, Linux ${machine.kernel}`],
    ['load before', `${machine.loadAverageBefore.join(' ')}; measured at nice ${machine.nice}`],
    ['seed', String(seed)],
    ['rounds', `${rounds} in ${seconds.toFixed(0)} s`],
  ];
}

export function markdownOf(whole) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  const escaped = (cell) => String(cell).replaceAll('|', '\\|').replaceAll('*', '\\*');
  return [
    `### Performance: ${sentenceOf(whole)}`,
    '',
    line(columns),
    line(['---', '---:', '---:', '---:', '---:', '---:', '---:', '---']),
    ...rowsOf(whole.comparisons).map((cells) => line(cells.map(escaped))),
    '',
    escaped(footnote),
    '',
    ...circumstances(whole).map(([name, text]) => `- ${name}: ${escaped(text)}`),
    '',
  ].join('\n');
}
