// The four kinds of chart, as SVG. Every mark bears its figure in a title, which a pointer shows and a reader speaks.
import { apart, decades, duration, el, linear, logarithmic, text } from './svg.mjs';
import { series } from './theme.mjs';

const titleOf = (peer) => series[peer]?.title ?? peer;
const classOf = (peer) => `s-${peer in series ? peer : 'relay'}`;
const ownClass = (peer) => (peer === 'memorystreamer' ? 'own' : null);
const tip = (content) => el('title', {}, content.replace(/[&<>]/g, ''));

const BARS = { width: 390, row: 24, bar: 14, left: 126, right: 112 };

const ABSENT_CHARACTERS_MAX = 38;

/** What does not fit stands in the table. */
function clipped(said) {
  return said.length > ABSENT_CHARACTERS_MAX
    ? `${said.slice(0, ABSENT_CHARACTERS_MAX - 1)}…`
    : said;
}

/** `rows`: { peer, value, label, ratio, isVoid, absent }; bars begin at 0, so that their lengths can be compared. */
export function bars(rows, name) {
  const { width, row, bar, left, right } = BARS;
  const values = rows.map(({ value }) => value).filter(Number.isFinite);
  const scale = linear([0, Math.max(...values, Number.MIN_VALUE)], [0, width - left - right]);
  const lines = rows.map((one, i) => {
    const middle = i * row + row / 2;
    const head = text(
      { x: left - 8, y: middle + 4, 'text-anchor': 'end', class: ownClass(one.peer) },
      titleOf(one.peer),
    );
    if (!Number.isFinite(one.value)) {
      return el(
        'g',
        {},
        head,
        text({ x: left, y: middle + 4, class: 'soft' }, clipped(one.absent)),
      );
    }
    const length = Math.max(0, scale(one.value));
    const said = `${titleOf(one.peer)}: ${one.label}${one.isVoid ? `, void: ${one.isVoid}` : ''}`;
    const mark = el(
      'rect',
      {
        class: 'bar',
        x: left,
        y: middle - bar / 2,
        width: length,
        height: bar,
        rx: Math.min(2, length / 2),
        'data-peer': one.peer,
        'data-value': String(one.value),
      },
      tip(said),
    );
    return el(
      'g',
      { class: `${classOf(one.peer)}${one.isVoid ? ' void' : ''}` },
      head,
      mark,
      text({ x: left + length + 6, y: middle + 4, class: 'num' }, one.label),
      one.ratio &&
        text({ x: width, y: middle + 4, 'text-anchor': 'end', class: 'soft num' }, one.ratio),
    );
  });
  const height = rows.length * row;
  return el(
    'svg',
    { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': name },
    el('line', { class: 'axis', x1: left, x2: left, y1: 0, y2: height }),
    lines,
  );
}

const PLOT = { width: 520, height: 300, left: 52, right: 140, top: 8, bottom: 34 };

function frame(marks, xTicks, yTicks, xTitle, name) {
  const { width, height, left, right, bottom } = PLOT;
  const horizontal = yTicks.map(({ at, label }) => [
    el('line', { class: 'axis', x1: left, x2: width - right, y1: at, y2: at }),
    text({ x: left - 6, y: at + 4, 'text-anchor': 'end', class: 'soft num' }, label),
  ]);
  const vertical = xTicks.map(({ at, label }) => [
    el('line', { class: 'axis', x1: at, x2: at, y1: height - bottom, y2: height - bottom + 4 }),
    text({ x: at, y: height - bottom + 16, 'text-anchor': 'middle', class: 'soft num' }, label),
  ]);
  const axisTitle = text(
    { x: (left + width - right) / 2, y: height - 2, 'text-anchor': 'middle', class: 'soft' },
    xTitle,
  );
  return el(
    'svg',
    { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': name },
    horizontal,
    vertical,
    axisTitle,
    marks,
  );
}

const PERCENTILES = [
  [1, '0 %'],
  [10, '90 %'],
  [100, '99 %'],
  [1000, '99.9 %'],
  [1e4, '99.99 %'],
  [1e5, '99.999 %'],
  [1e6, '99.9999 %'],
];

/** Latency by percentile; across, one in how many messages took longer, on a logarithmic scale. */
export function curves(lines, name) {
  const { width, height, left, right, top, bottom } = PLOT;
  const points = lines.flatMap(({ curve }) => curve);
  const oneInMax = Math.max(10, ...points.map(([oneIn]) => oneIn));
  const ticks = decades(
    Math.min(...points.map(([, us]) => us)),
    Math.max(...points.map(([, us]) => us)),
  );
  const x = logarithmic([1, oneInMax], [left, width - right]);
  const y = logarithmic([ticks[0], ticks.at(-1)], [height - bottom, top]);
  const ends = apart(
    lines.map(({ curve }) => y(curve.at(-1)[1])),
    14,
    [top + 4, height - bottom],
  );
  const marks = lines.map(({ peer, curve, isVoid }, i) => {
    const path = curve.map(([oneIn, us]) => `${x(oneIn).toFixed(1)},${y(us).toFixed(1)}`).join(' ');
    const end = curve.at(-1);
    return el(
      'g',
      { class: classOf(peer) },
      el(
        'polyline',
        {
          class: `curve ${ownClass(peer) ?? ''}`.trim(),
          points: path,
          'stroke-dasharray': series[peer]?.dash ?? null,
          'data-peer': peer,
        },
        tip(`${titleOf(peer)}: up to ${duration(end[1])}`),
      ),
      el('circle', { class: 'dot', cx: x(end[0]), cy: y(end[1]), r: 3.5 }),
      el('line', {
        class: 'axis',
        x1: x(end[0]) + 4,
        y1: y(end[1]),
        x2: width - right + 14,
        y2: ends[i],
      }),
      text(
        { x: width - right + 17, y: ends[i] + 4, class: ownClass(peer) },
        `${titleOf(peer)}${isVoid ? ' *' : ''}`,
      ),
    );
  });
  return frame(
    marks,
    PERCENTILES.filter(([oneIn]) => oneIn <= oneInMax * 1.01).map(([oneIn, label]) => ({
      at: x(oneIn),
      label,
    })),
    ticks.map((us) => ({ at: y(us), label: duration(us) })),
    'of the messages took at most',
    name,
  );
}

const RIDGE = { width: 520, row: 42, left: 130, right: 12, bottom: 34 };

/** A histogram for each peer, one below the other on one logarithmic axis; heights are shares of that peer's messages. */
export function histograms(rows, name) {
  const { width, row, left, right, bottom } = RIDGE;
  const bins = rows.flatMap((one) => one.bins);
  const ticks = decades(
    Math.min(...bins.map(([us]) => us)),
    Math.max(...bins.map(([us]) => us * 1.2)),
  );
  const x = logarithmic([ticks[0], ticks.at(-1)], [left, width - right]);
  const height = rows.length * row + bottom;
  const base = height - bottom;
  const areas = rows.map(({ peer, bins: own, p50Us }, i) => {
    const floor = (i + 1) * row;
    const highest = Math.max(...own.map(([, share]) => share));
    const y = linear([0, highest], [floor, floor - row + 8]);
    const step = 2 ** 0.25;
    const outline = own.flatMap(([us, share]) => [
      `${x(us).toFixed(1)},${y(share).toFixed(1)}`,
      `${x(us * step).toFixed(1)},${y(share).toFixed(1)}`,
    ]);
    const from = `${x(own[0][0]).toFixed(1)},${floor}`;
    const to = `${x(own.at(-1)[0] * step).toFixed(1)},${floor}`;
    return el(
      'g',
      { class: classOf(peer) },
      el('line', { class: 'axis', x1: left, x2: width - right, y1: floor, y2: floor }),
      el(
        'polygon',
        { class: 'area', points: [from, ...outline, to].join(' '), 'data-peer': peer },
        tip(`${titleOf(peer)}: half of them within ${duration(p50Us)}`),
      ),
      text(
        { x: left - 8, y: floor - 4, 'text-anchor': 'end', class: ownClass(peer) },
        titleOf(peer),
      ),
    );
  });
  const axis = ticks.map((us) => [
    el('line', { class: 'axis', x1: x(us), x2: x(us), y1: 0, y2: base + 4 }),
    text({ x: x(us), y: base + 17, 'text-anchor': 'middle', class: 'soft num' }, duration(us)),
  ]);
  return el(
    'svg',
    { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': name },
    axis,
    areas,
    text(
      { x: (left + width) / 2, y: height - 2, 'text-anchor': 'middle', class: 'soft' },
      'latency',
    ),
  );
}

/** About four round values from 0 to `highest`. */
function roundTicks(highest) {
  const rough = highest / 4;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * unit).find((one) => one >= rough);
  return Array.from({ length: Math.floor(highest / step) + 1 }, (_, i) => i * step);
}

const HISTORY_DASHES = [null, '7 3', '2 3'];

/** `lines`: { label, points: [{ step, value, said }] }; across, one step for each commit, whose names are `steps`. */
export function history(lines, steps, format, name) {
  const { width, height, left, right, top, bottom } = PLOT;
  const values = lines.flatMap(({ points }) => points.map(({ value }) => value));
  const x = linear([0, Math.max(1, steps.length - 1)], [left + 12, width - right - 12]);
  const y = linear([0, Math.max(...values) * 1.08], [height - bottom, top]);
  const ends = apart(
    lines.map(({ points }) => y(points.at(-1).value)),
    14,
    [top + 4, height - bottom],
  );
  const marks = lines.map(({ label, points }, i) =>
    el(
      'g',
      { class: classOf('memorystreamer') },
      el('polyline', {
        class: 'curve',
        'stroke-dasharray': HISTORY_DASHES[i % HISTORY_DASHES.length],
        points: points.map(({ step, value }) => `${x(step)},${y(value)}`).join(' '),
      }),
      points.map(({ step, value, said }) =>
        el(
          'circle',
          { class: 'dot', cx: x(step), cy: y(value), r: 4, 'data-value': String(value) },
          tip(said),
        ),
      ),
      text({ x: width - right + 8, y: ends[i] + 4 }, label),
    ),
  );
  const every = Math.ceil(steps.length / 6);
  const xTicks = steps
    .map((label, step) => ({ at: x(step), label }))
    .filter((_, step) => step % every === 0 || step === steps.length - 1);
  const yTicks = roundTicks(Math.max(...values)).map((value) => ({
    at: y(value),
    label: format(value),
  }));
  return frame(marks, xTicks, yTicks, 'commit', name);
}
