// README.md's figures, from a result that `npm run perf` wrote:
//
//   node perf/figures.mjs perf/results/NAME.json           puts them between the marks in README.md
//   node perf/figures.mjs perf/results/NAME.json --check   fails when README.md says something else
//
// It computes nothing but ratios of medians that are in the file; a figure that is void is said to be so, and
// where a peer is ahead that is said too. `--readme FILE` takes another file than README.md.
import { readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { format } from 'prettier';
import { scriptOptions } from './lib/command-line.mjs';
import { behind, comparisons, metrics } from './lib/compare.mjs';
import { series } from './lib/page/theme.mjs';
import { count, percent, ratio } from './lib/report.mjs';

const BEGIN = '<!-- figures -->';
const END = '<!-- /figures -->';
const OURS = 'memorystreamer';
const README = join(import.meta.dirname, '..', 'README.md');

function table(head, rows) {
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

const titleOf = (peer) => series[peer]?.title ?? peer;
const isVoid = (figure) => figure.voidBecause.length > 0;

/** What README shows: a table for each, a row for each point, a column for each peer. */
const shown = [
  ['throughput', 'frames/s', 'One publisher to one subscriber, one shard; frames a second:'],
  ['fanin', 'frames/s', 'Ten publishers to one subscriber on one stream; frames a second:'],
  [
    'fanout',
    'deliveries/s',
    'One publisher to ten subscribers; deliveries a second of all together:',
  ],
  [
    'streams',
    'frames/s',
    'Ten publishers to ten subscribers on ten streams, one shard; frames a second:',
  ],
  [
    'latency',
    'p50 us',
    'Latency at fixed rates, from the intended moment of sending; microseconds at the median:',
  ],
  ['latency', 'p99 us', 'The same at the 99th percentile:'],
  ['rtt', 'p50 us', 'Question and answer between two clients; microseconds at the median:'],
  ['connect', 'cycles/s', 'Connections made, greeted, answered and closed, a second:'],
  ['connect', 'CPU us', 'CPU of the broker for each of them, microseconds:'],
  ['idle', 'bytes', 'Memory of the broker’s process for each idle connection, bytes:'],
  [
    'idle',
    'bytes, later',
    'The same of the last four fifths alone, without what a first burst costs a process once, bytes:',
  ],
  [
    'storm',
    'all back, us',
    'Subscribers that all reconnect at once; microseconds until the last is back:',
  ],
];

/** The figure, how many times better ours is, and whether it is void. */
function cellOf(metric, figure, ours) {
  if (!figure || figure.missing) return 'missing';
  const value = metric.value(figure);
  if (!Number.isFinite(value)) return figure.failed ? 'failed' : '-';
  const digits = value < 100 ? 1 : 0;
  const mark = isVoid(figure) ? ' (void)' : '';
  const mine = ours ? metric.value(ours) : NaN;
  const better = metric.better === 'higher' ? mine / value : value / mine;
  const isPeer = figure !== ours && !/^(relay|answer)/.test(figure.peer);
  const compared = isPeer && better > 0 && Number.isFinite(better) ? ` (**${ratio(better)}**)` : '';
  return `${count(value, digits)}${compared}${mark}`;
}

function tableOf(results, [scenario, name, sentence]) {
  const figures = results[scenario]?.figures ?? [];
  const metric = metrics.find((one) => one.scenario === scenario && one.name === name);
  const peers = [...new Set(figures.map(({ peer }) => peer))].filter(
    (peer) => !/^relay-/.test(peer),
  );
  const points = [...new Set(figures.map((figure) => metric.point(figure)))];
  if (figures.length === 0) return null;
  const hasCeiling = scenario === 'throughput';
  const rows = points.map((point) => {
    const at = (peer) => figures.find((one) => one.peer === peer && metric.point(one) === point);
    const ours = at(OURS);
    const cells = peers.map((peer) => cellOf(metric, at(peer), ours));
    return [point, ...cells, ...(hasCeiling ? [percent(ours?.ceilingPart)] : [])];
  });
  const head = ['', ...peers.map(titleOf), ...(hasCeiling ? ['of the ceiling'] : [])];
  return `${sentence}\n\n${table(head, rows)}`;
}

function whoIsAhead(results) {
  const compared = comparisons(results);
  if (compared.length === 0) return null;
  const voids = compared.filter((one) => one.isVoid).length;
  const ahead = behind(results).map(
    ({ scenario, metric, point, peer, ratio: part }) =>
      `${titleOf(peer)} in ${scenario}, ${metric}, at ${point} (${ratio(1 / part)})`,
  );
  const said =
    ahead.length > 0
      ? `Ahead of MemoryStreamer: ${ahead.join('; ')}.`
      : 'No peer is ahead in a valid comparison of these.';
  const valid =
    voids > 0
      ? ` ${voids} of ${compared.length} comparisons are [void](perf/README.md#when-a-figure-is-void).`
      : '';
  return `${said}${valid}`;
}

function machineOf({ machine: m, natsServer, peers = [] }, file) {
  const commit = m.commit.slice(0, 10);
  const versions = peers
    .map(({ version }) => version)
    .filter((version) => version !== 'this commit');
  const beside = versions.length > 0 ? [...new Set(versions)].join('; ') : natsServer;
  return (
    `Measured ${m.date.slice(0, 10)} on ${m.cpu}, ${m.cpusAllowed.length} CPUs, Linux ${m.kernel}, ` +
    `Node.js ${m.node}, commit ${commit}, beside ${beside}, in the same run; every frame verified by ` +
    `the broker, broker and generator pinned to a CPU each. Command: \`${m.command}\`; every single run is in ` +
    `\`perf/results/${basename(file)}\`. In brackets: how many times better MemoryStreamer is. "Of the ceiling" is ` +
    `the part of what the same generator reaches against a bare relay in C that checks nothing. ` +
    `[What each peer checks and promises](perf/README.md#the-peers) differs.`
  );
}

async function main() {
  const {
    files,
    check,
    readme: readmeFile = README,
  } = scriptOptions(
    'node perf/figures.mjs perf/results/NAME.json [--check] [--readme FILE]',
    { check: 'flag', readme: 'text' },
    'result',
  );
  const [file] = files;
  const whole = JSON.parse(readFileSync(file, 'utf8'));
  const parts = [
    machineOf(whole, file),
    ...shown.map((one) => tableOf(whole.results, one)),
    whoIsAhead(whole.results),
  ].filter(Boolean);
  const readme = readFileSync(readmeFile, 'utf8');
  const from = readme.indexOf(BEGIN);
  const to = readme.indexOf(END);
  if (from < 0 || to < from) throw new Error(`README.md has no ${BEGIN} … ${END}`);
  const text = `${readme.slice(0, from)}${BEGIN}\n\n${parts.join('\n\n')}\n\n${readme.slice(to)}`;
  const options = { parser: 'markdown', printWidth: 100, singleQuote: true };
  const formatted = await format(text, options);
  if (!check) writeFileSync(readmeFile, formatted);
  else if (formatted !== readme) throw new Error('README.md does not say what the result says');
}

await main();
