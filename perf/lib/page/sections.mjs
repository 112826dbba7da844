// A section of the page for each scenario: a sentence, charts, and the figures as a table.
import { metrics } from '../compare.mjs';
import { count, percent } from '../report.mjs';
import { bars, curves, histograms } from './charts.mjs';
import { duration, el, escape, ratioText, short } from './svg.mjs';

const BARE_TWIN = /^relay-/;

function absent({ missing, failed }) {
  if (missing) return 'MISSING: not installed';
  return failed ? `FAILED: ${failed.split('\n')[0]}` : 'no figure';
}

function figureBox(title, chart, caption) {
  return el(
    'figure',
    {},
    el('h3', {}, escape(title)),
    chart,
    caption && el('figcaption', {}, escape(caption)),
  );
}

/** Set right, as numbers are. */
const NUMERIC = /^(-|[\d.,]+( ?%|x)?)$/;

function table(head, rows) {
  const cell = (name) => (value, i) =>
    el(
      name,
      { class: i > 0 && typeof value === 'string' && !NUMERIC.test(value) ? 'text' : null },
      escape(value),
    );
  return el(
    'div',
    { class: 'scroll' },
    el(
      'table',
      {},
      el('tr', {}, head.map(cell('th'))),
      rows.map((row) => el('tr', {}, row.map(cell('td')))),
    ),
  );
}

function figuresTable(figures, columns) {
  const names = ['peer', ...Object.keys(columns), 'rounds', 'remark'];
  const rows = figures.map((figure) => [
    figure.peer,
    ...Object.values(columns).map((pick) => {
      const value = pick(figure);
      if (typeof value !== 'number') return value ?? '-';
      return Number.isInteger(value) ? value : Number(value.toPrecision(4));
    }),
    figure.runs?.length ?? figure.roundCount,
    figure.missing || figure.failed
      ? absent(figure)
      : figure.voidBecause.map((w) => `void: ${w}`).join('; '),
  ]);
  return el('details', {}, el('summary', {}, 'All figures'), table(names, rows));
}

function section(id, title, sentence, ...content) {
  return el(
    'section',
    { id },
    el('h2', {}, escape(title)),
    el('p', { class: 'soft' }, escape(sentence)),
    content,
  );
}

function groups(figures, metric) {
  const byPoint = new Map();
  for (const figure of figures) {
    const point = metric.point(figure);
    byPoint.set(point, [...(byPoint.get(point) ?? []), figure]);
  }
  return [...byPoint];
}

/** One panel of bars for each point of `metric`. Where ours is better the ratio says by how much, else too. */
function barPanels(figures, metric, label) {
  const shown = figures.filter(({ peer }) => !BARE_TWIN.test(peer));
  const panels = groups(shown, metric).map(([point, members]) => {
    const ours = members.find(({ peer }) => peer === 'memorystreamer');
    const mine = ours ? metric.value(ours) : NaN;
    const rows = members.map((figure) => {
      const value = metric.value(figure);
      const ratio = metric.better === 'higher' ? mine / value : value / mine;
      const isBare = /^(relay|answer)$/.test(figure.peer);
      return {
        peer: figure.peer,
        value,
        label: Number.isFinite(value) ? label(value) : '',
        ratio:
          figure === ours || isBare || !Number.isFinite(ratio) || ratio <= 0
            ? null
            : ratioText(ratio),
        isVoid: figure.voidBecause.join(', ') || null,
        absent: absent(figure),
      };
    });
    return figureBox(point, bars(rows, `${metric.scenario}, ${metric.name}, ${point}`));
  });
  return el('div', { class: 'grid' }, panels);
}

const metricOf = (scenario, name) =>
  metrics.find((metric) => metric.scenario === scenario && (!name || metric.name === name));

const barsSaid =
  'Bars begin at 0; at the right how many times better MemoryStreamer is. Pale bars are void, and say why when pointed at.';

function throughputLike(id, title, sentence, { figures }) {
  return section(
    id,
    title,
    `${sentence} ${barsSaid}`,
    barPanels(figures, metricOf(id), (value) => `${short(value)}/s`),
    figuresTable(figures, {
      'payload B': (f) => f.payloadBytes,
      'frames/s': (f) => f.framesPerSecond,
      'MB/s': (f) => f.megabytesPerSecond,
      spread: (f) => percent(f.spread),
      'of ceiling': (f) => percent(f.ceilingPart),
      'peer CPU': (f) => percent(f.peerCpu),
    }),
  );
}

const LATENCY_COLUMNS = {
  samples: (f) => f.samples,
  'p50 us': (f) => f.p50Us,
  'p90 us': (f) => f.p90Us,
  'p99 us': (f) => f.p99Us,
  'p99.9 us': (f) => f.p999Us,
  'p99.99 us': (f) => f.p9999Us,
  'max us': (f) => f.maxUs,
  spread: (f) => percent(f.spread),
};

/** The curve and, beside it, the histograms of figures that were measured together. */
function timePanels(title, figures) {
  const missed = (figure) => figure.voidBecause.some((why) => why.startsWith('rate not reached'));
  const drawn = figures.filter((figure) => figure.curve?.length > 1 && !missed(figure));
  if (drawn.length === 0) return el('p', {}, escape(`${title}: nothing to draw.`));
  const left = figures
    .filter((figure) => !drawn.includes(figure))
    .map((one) => `${one.peer} (${missed(one) ? 'rate not reached' : absent(one)})`);
  const isVoid = (figure) => figure.voidBecause.length > 0;
  const notes = [
    drawn.some(isVoid) && '* void; “All figures” says why.',
    left.length > 0 && `Not drawn: ${left.join(', ')}.`,
  ];
  const lines = drawn.map((figure) => ({ ...figure, isVoid: isVoid(figure) }));
  return [
    figureBox(
      `${title}: by percentile`,
      curves(lines, `latency by percentile, ${title}`),
      notes.filter(Boolean).join(' '),
    ),
    figureBox(`${title}: how often`, histograms(drawn, `latency histograms, ${title}`)),
  ];
}

function latency({ figures }) {
  const points = groups(figures, metricOf('latency'));
  return section(
    'latency',
    'Latency at fixed rates',
    'From the moment a message was meant to be sent until it arrived: what falls due during a stall counts with all its waiting. The bare relay shows the machine’s own share.',
    el(
      'div',
      { class: 'grid wide' },
      points.map(([, members]) => timePanels(`${count(members[0].rate)} messages/s`, members)),
    ),
    figuresTable(figures, { 'rate/s': (f) => f.rate, ...LATENCY_COLUMNS }),
  );
}

function rtt({ figures }) {
  return section(
    'rtt',
    'Question and answer',
    'One question at a time between two clients: there and back, so two passes through the broker.',
    el('div', { class: 'grid wide' }, timePanels('there and back', figures)),
    figuresTable(figures, LATENCY_COLUMNS),
  );
}

function connect({ figures }) {
  return section(
    'connect',
    'Connections made',
    `Connect, greeting, answer, close; and what CPU each costs the broker. ${barsSaid}`,
    barPanels(figures, metricOf('connect', 'cycles/s'), (value) => `${short(value)}/s`),
    el('h3', {}, 'CPU of the broker for each'),
    barPanels(figures, metricOf('connect', 'CPU us'), duration),
    figuresTable(figures, {
      outstanding: (f) => f.outstanding,
      'cycles/s': (f) => f.cyclesPerSecond,
      'CPU us': (f) => f.cpuUs,
      'p50 us': (f) => f.p50Us,
      'p99 us': (f) => f.p99Us,
      spread: (f) => percent(f.spread),
      'of ceiling': (f) => percent(f.ceilingPart),
    }),
  );
}

const bytes = (value) => `${short(value)}${value >= 1000 ? '' : ' '}B`;

function idle({ figures }) {
  return section(
    'idle',
    'Memory of an idle connection',
    `What the process grew by, for each connection held; the kernel’s own buffers are not in it. Shorter is better. ${barsSaid}`,
    barPanels(figures, metricOf('idle', 'bytes'), bytes),
    figures.some(({ bytesPerLaterConnection: later }) => Number.isFinite(later)) && [
      el('h3', {}, 'Of the later ones, without what a first burst costs a process once'),
      barPanels(figures, metricOf('idle', 'bytes, later'), bytes),
    ],
    figuresTable(figures, {
      connections: (f) => f.connections,
      'bytes each': (f) => f.bytesPerConnection,
      'bytes each, later': (f) => f.bytesPerLaterConnection,
    }),
  );
}

function storm({ figures }) {
  return section(
    'storm',
    'Reconnect storm',
    `All subscribers lose their connections and come back at once: until the last has its subscription. Shorter is better. ${barsSaid}`,
    barPanels(figures, metricOf('storm'), duration),
    figuresTable(figures, {
      clients: (f) => f.connections,
      'all back us': (f) => f.backUs,
      'p50 us': (f) => f.p50Us,
      'p99 us': (f) => f.p99Us,
      'one message to all us': (f) => f.allReachedUs,
      spread: (f) => percent(f.spread),
    }),
  );
}

/** What has no peer to be compared with is a table alone. */
const alone = {
  generator: [
    'The load generator itself',
    'What it does against a bare relay in C is the most that it can measure of anything else; and it notices what is lost, changed or swapped.',
    {
      what: (f) => f.what,
      'messages/s': (f) => f.perSecond,
      'its CPU': (f) => (f.generatorCpu === undefined ? '-' : percent(f.generatorCpu)),
      'relay CPU': (f) => (f.peerCpu === undefined ? '-' : percent(f.peerCpu)),
      'own lag p99 us': (f) => f.sendLagP99Us,
      'p50 us': (f) => f.p50Us,
      spread: (f) => (f.spread === undefined ? '-' : percent(f.spread)),
    },
  ],
  replay: [
    'Replay from the log',
    'One subscriber that came late reads a whole stream.',
    {
      'payload B': (f) => f.payloadBytes,
      'frames/s': (f) => f.framesPerSecond,
      'MB/s': (f) => f.megabytesPerSecond,
      'first after us': (f) => f.firstUs,
      spread: (f) => percent(f.spread),
    },
  ],
  wakeup: [
    'Across shards',
    'The same latency with publisher and subscriber on one shard, and on two that share a CPU.',
    { shards: (f) => f.shards, ...LATENCY_COLUMNS },
  ],
  codec: [
    'Frame codec',
    'Nanoseconds of CPU time to make a frame, and to judge one, where it lies; beside what one would write without a kernel.',
    {
      'payload B': (f) => f.payloadBytes,
      'encode ns': (f) => f.encodeNs,
      'check ns': (f) => f.checkNs,
      'check GB/s': (f) => f.checkGigabytesPerSecond,
      spread: (f) => percent(f.checkSpread),
    },
  ],
  log: [
    'Stream log',
    'Appending and reading without sockets; frames of 168 bytes.',
    {
      topology: (f) => f.name,
      'frames in a run': (f) => f.frames,
      median: (f) => f.value,
      unit: (f) => f.unit,
      spread: (f) => percent(f.spread),
    },
  ],
  config: [
    'Configuration and start',
    'What a start takes, and reading the configuration in it.',
    { what: (f) => f.title, ms: (f) => f.ms, spread: (f) => percent(f.spread) },
  ],
  reload: [
    'Reload under full load',
    'A broker with 1,000 busy connections takes over changed configurations; one pair beside them says what a message takes.',
    {
      reloads: (f) => f.period,
      'frames/s': (f) => f.framesPerSecond,
      'longest gap between turns ms': (f) => f.gapMs,
      'p50 us': (f) => f.p50Us,
      'p99 us': (f) => f.p99Us,
      'max us': (f) => f.maxUs,
    },
  ],
};

function plain(id, { figures }) {
  const [title, sentence, columns] = alone[id];
  const open = figuresTable(figures, columns).replace('<details>', '<details open="">');
  return section(id, title, sentence, open);
}

const drawn = {
  throughput: (result) =>
    throughputLike(
      'throughput',
      'Throughput, one publisher to one subscriber',
      'Payloads a second on one shard, when more is always offered than is taken.',
      result,
    ),
  shards: (result) =>
    throughputLike(
      'shards',
      'Throughput on two shards',
      'Publisher and subscriber on different shards.',
      result,
    ),
  streams: (result) =>
    throughputLike(
      'streams',
      'Throughput, ten pairs on ten streams',
      'Ten publishers and ten subscribers side by side on one shard; all together.',
      result,
    ),
  fanin: (result) =>
    throughputLike(
      'fanin',
      'Fan-in, ten publishers to one subscriber',
      'All ten publish on one stream, which one subscriber reads.',
      result,
    ),
  fanout: (result) =>
    throughputLike(
      'fanout',
      'Fan-out, one publisher to ten subscribers',
      'Deliveries a second, of all ten together.',
      result,
    ),
  latency,
  rtt,
  connect,
  idle,
  storm,
};

/** The sections of all scenarios that were run, in their order. */
export function sections(results) {
  return Object.entries(results)
    .filter(([, result]) => result.figures?.length > 0)
    .map(([id, result]) => (drawn[id] ? drawn[id](result) : plain(id, result)));
}

export { table };
