// A result as one page that needs nothing else: no network, no script, charts drawn here.
import { behind, comparisons } from '../compare.mjs';
import { count } from '../report.mjs';
import { history } from './charts.mjs';
import { sections, table } from './sections.mjs';
import { el, escape, ratioText } from './svg.mjs';
import { styleSheet } from './theme.mjs';

const HASH_LETTERS = 7;

function facts({ machine, smoke }) {
  const commit =
    machine.commit.slice(0, 10) + (machine.uncommittedChanges ? ' and uncommitted changes' : '');
  const memory = `${Math.round(machine.memoryBytes / 2 ** 30)} GiB`;
  const lines = [
    `${machine.date.slice(0, 16).replace('T', ' ')} UTC · commit ${commit} · Node.js ${machine.node} · ` +
      `${machine.cpu}, CPUs ${machine.cpusAllowed.join(', ')}, ${memory} · Linux ${machine.kernel} · ` +
      `load before ${machine.loadAverageBefore.join(' ')}`,
  ];
  return [
    el('p', { class: 'facts' }, escape(lines[0]), '<br>', el('code', {}, escape(machine.command))),
    smoke &&
      el(
        'p',
        { class: 'warning' },
        'A smoke run: it shows that everything works, and nothing about speed.',
      ),
  ];
}

function tiles({ results }) {
  const all = comparisons(results).filter(({ ratio }) => Number.isFinite(ratio));
  const pick = (scenario, metric) =>
    all.filter((one) => one.scenario === scenario && one.metric === metric && one.peer === 'nats');
  const chosen = [
    ...pick('throughput', 'frames/s').filter(({ point }) => /^(16|128|1024) B$/.test(point)),
    ...pick('fanout', 'deliveries/s').slice(0, 1),
    ...pick('latency', 'p99 us').slice(-1),
    ...pick('connect', 'cycles/s').slice(-1),
  ];
  return el(
    'div',
    { class: 'tiles' },
    chosen.map(({ scenario, metric, point, ratio, isVoid }) =>
      el(
        'div',
        { class: 'tile' },
        el('b', {}, ratioText(ratio)),
        el(
          'span',
          {},
          escape(`${scenario} ${metric}, ${point}, to nats-server${isVoid ? ' (void)' : ''}`),
        ),
      ),
    ),
  );
}

function whoIsAhead({ results }) {
  const all = comparisons(results);
  const valid = all.filter(({ isVoid }) => !isVoid).length;
  const ahead = behind(results);
  if (all.length === 0) return '';
  const voids =
    valid < all.length &&
    el(
      'p',
      { class: 'warning' },
      `${count(all.length - valid)} of ${count(all.length)} comparisons are void: each figure says why.`,
    );
  if (ahead.length === 0) {
    return [
      voids,
      el('p', {}, 'In no valid comparison is another broker ahead of MemoryStreamer.'),
    ];
  }
  const rows = ahead.map(({ scenario, metric, point, peer, ours, theirs, ratio }) => [
    `${scenario}, ${point}`,
    metric,
    peer,
    Number(theirs.toPrecision(4)),
    Number(ours.toPrecision(4)),
    ratioText(ratio),
  ]);
  return [
    voids,
    el('h3', {}, 'Where another broker is ahead of MemoryStreamer'),
    table(['what', 'figure', 'who', 'theirs', 'ours', 'ratio'], rows),
  ];
}

function peersTable({ peers = [] }) {
  const shown = peers.filter(({ name }) => !name.startsWith('relay-'));
  const rows = shown.map(({ title, version, checks, promises, settings }) => [
    title,
    version,
    checks,
    promises,
    settings,
  ]);
  return el(
    'section',
    { id: 'peers' },
    el('h2', {}, 'What each of them checks and promises'),
    el(
      'p',
      { class: 'soft' },
      'They do not do the same work: a figure is worth as much as what a message through it is promised.',
    ),
    table(['peer', 'version', 'checks', 'promises', 'as started'], rows),
  );
}

const HISTORY_SIZES = [16, 128, 1024];

const valid = (figures, peer, size) =>
  figures.find(
    (one) =>
      one.peer === peer &&
      one.payloadBytes === size &&
      one.framesPerSecond > 0 &&
      one.voidBecause.length === 0,
  );

/** A run on a noisy machine is no step of the history. */
function isComparable(figures, size) {
  return valid(figures, 'memorystreamer', size) && valid(figures, 'nats', size);
}

/** MemoryStreamer's throughput over nats-server's in the same run, by commit: a ratio holds on another machine too. */
function historyOf(all) {
  const steps = all
    .map(({ machine, results }) => ({ machine, figures: results.throughput?.figures ?? [] }))
    .filter(({ figures }) => HISTORY_SIZES.some((size) => isComparable(figures, size)));
  const lines = HISTORY_SIZES.map((size) => ({
    label: `${count(size)} B`,
    points: steps.flatMap(({ machine, figures }, step) => {
      if (!isComparable(figures, size)) return [];
      const [ours, nats] = [valid(figures, 'memorystreamer', size), valid(figures, 'nats', size)];
      const value = ours.framesPerSecond / nats.framesPerSecond;
      const said = `${machine.date.slice(0, 10)}, ${machine.commit.slice(0, HASH_LETTERS)}, ${size} B: ${value.toFixed(2)}x`;
      return [{ step, value, said }];
    }),
  })).filter(({ points }) => points.length > 0);
  if (lines.length === 0) return '';
  const names = steps.map(({ machine }) => machine.commit.slice(0, HASH_LETTERS));
  return el(
    'section',
    { id: 'history' },
    el('h2', {}, 'Over commits'),
    el(
      'p',
      { class: 'soft' },
      'Throughput over nats-server’s in the same run, from every result that is kept and valid, oldest first.',
    ),
    el(
      'div',
      { class: 'grid wide' },
      el(
        'figure',
        {},
        history(lines, names, (value) => `${value.toFixed(1)}x`, 'throughput ratio over commits'),
      ),
    ),
  );
}

/** The page of `whole`; `stored` are the results kept so far, which make its history. */
export function pageOf(whole, stored = []) {
  const same = ({ machine }) => machine.date === whole.machine.date;
  const all = whole.smoke || stored.some(same) ? stored : [...stored, whole];
  const body = [
    el('h1', {}, 'MemoryStreamer, measured beside its peers'),
    facts(whole),
    tiles(whole),
    whoIsAhead(whole),
    sections(whole.results),
    historyOf(all),
    peersTable(whole),
  ];
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<link rel="icon" href="data:,">
<title>MemoryStreamer: figures of ${escape(whole.machine.commit.slice(0, 10))}</title>
<style>${styleSheet()}</style></head><body><main>${body.flat(Infinity).filter(Boolean).join('\n')}</main></body></html>
`;
}
