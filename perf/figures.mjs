// README.md's figures, from a result that `npm run bench` wrote:
//
//   node perf/figures.mjs perf/results/NAME.json           puts them between the marks in README.md
//   node perf/figures.mjs perf/results/NAME.json --check   fails when README.md says something else
//
// It computes nothing but ratios of medians that are in the file; a figure that is void is said to be so.
import { readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { format } from 'prettier';
import { count, percent, ratio } from './lib/report.mjs';

const BEGIN = '<!-- figures -->';
const END = '<!-- /figures -->';
const README = join(import.meta.dirname, '..', 'README.md');

const [file, flag] = process.argv.slice(2);
if (!file) throw new Error('name a result: node perf/figures.mjs perf/results/NAME.json [--check]');
const result = JSON.parse(readFileSync(file, 'utf8'));

function table(head, rows) {
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

const find = (figures, peer, key, value) =>
  figures.find((figure) => figure.peer === peer && figure[key] === value);

function throughput({ figures }) {
  const ours = figures.filter(({ peer }) => peer === 'memorystreamer');
  const rows = ours.map((mine) => {
    const nats = find(figures, 'nats', 'payloadBytes', mine.payloadBytes);
    return [
      `${count(mine.payloadBytes)} B`,
      count(mine.framesPerSecond),
      count(mine.megabytesPerSecond),
      nats ? count(nats.framesPerSecond) : 'missing',
      nats ? `**${ratio(mine.framesPerSecond / nats.framesPerSecond)}**` : '-',
      percent(mine.ceilingPart),
      mine.voidBecause.length > 0 ? `void: ${mine.voidBecause.join(', ')}` : '',
    ];
  });
  const head = ['payload', 'frames/s', 'MB/s', 'nats-server', 'ratio', 'of the ceiling', ''];
  return `One publisher to one subscriber, one shard:\n\n${table(head, rows)}`;
}

function machine({ machine: m, natsServer }) {
  const commit = m.commit.slice(0, 10);
  return (
    `Measured ${m.date.slice(0, 10)} on ${m.cpu}, ${m.cpusAllowed.length} CPUs, Linux ${m.kernel}, ` +
    `Node.js ${m.node}, commit ${commit}, beside ${natsServer} in the same run; every frame verified by ` +
    `the broker, broker and generator pinned to a CPU each. Command: \`${m.command}\`; every single run is in ` +
    `\`perf/results/${basename(file)}\`. "Of the ceiling" is the part of what the same generator reaches ` +
    `against a bare relay in C that checks nothing.`
  );
}

const parts = [machine(result)];
if (result.results.throughput) parts.push(throughput(result.results.throughput));

const readme = readFileSync(README, 'utf8');
const from = readme.indexOf(BEGIN);
const to = readme.indexOf(END);
if (from < 0 || to < from) throw new Error(`README.md has no ${BEGIN} … ${END}`);
const text = `${readme.slice(0, from)}${BEGIN}\n\n${parts.join('\n\n')}\n\n${readme.slice(to)}`;
const formatted = await format(text, { parser: 'markdown', printWidth: 100, singleQuote: true });
if (flag === '--check') {
  if (formatted !== readme) throw new Error('README.md does not say what the result says');
} else {
  writeFileSync(README, formatted);
}
