// The candidate (the working tree) beside a base commit: is anything slower? perf/README.md tells how it judges.
//
//   npm run perf:gate -- main
//   npm run perf:gate -- --help
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { BuildFailed, commitOf, takeCommit, takeWorkingTree } from './gate/builds.mjs';
import { compareInRounds, looks } from './gate/comparison.mjs';
import { measureRound, sizes } from './gate/measure.mjs';
import { metrics } from './gate/metrics.mjs';
import * as report from './gate/report.mjs';
import { seededRandom } from './gate/statistics.mjs';
import { compileLoadgen } from './lib/loadgen.mjs';
import { describeMachine, goFirst } from './lib/machine.mjs';
import { printTable } from './lib/report.mjs';

const EXIT = { pass: 0, regression: 1, void: 2, usage: 64 };

const help = `npm run perf:gate -- BASE [options]

  BASE               a commit, branch or tag; the working tree, as it is, is compared with it
  --quick            shorter rounds: about a minute on a quiet machine
  --smoke            one tiny round, which judges nothing: that it works
  --rounds N         at most N rounds, looked at once (default: ${looks.full.join(', ')} rounds, as needed)
  --seed N           of the order within pairs (default: from the clock)
  --json FILE        the whole comparison
  --markdown FILE    the table for a comment

Exit status: 0 nothing is slower, 1 something is, 2 could not be measured, 64 wrong command line.
`;

class Usage extends Error {}

function wholeNumber(text, name, least) {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < least) {
    throw new Usage(`--${name} wants a whole number from ${least}, not "${text}"`);
  }
  return value;
}

function parse() {
  const text = { type: 'string' };
  const flag = { type: 'boolean', default: false };
  const options = { help: flag, quick: flag, smoke: flag, json: text, markdown: text };
  try {
    return parseArgs({ allowPositionals: true, options: { ...options, rounds: text, seed: text } });
  } catch (error) {
    throw new Usage(error.message);
  }
}

function readCommandLine() {
  const { values, positionals } = parse();
  if (values.help) return { help: true };
  if (positionals.length !== 1) throw new Usage('name one BASE, such as main or a tag');
  const kind = values.smoke ? 'smoke' : values.quick ? 'quick' : 'full';
  let plan = looks[kind] ?? [1];
  if (values.rounds !== undefined) plan = [wholeNumber(values.rounds, 'rounds', 1)];
  const seed =
    values.seed === undefined ? Date.now() % 2 ** 31 : wholeNumber(values.seed, 'seed', 0);
  return { base: positionals[0], kind, plan, seed, json: values.json, markdown: values.markdown };
}

/** Everything of one comparison of two builds: `builds` is [base, candidate]. */
export async function runGate(builds, { kind, plan, seed }, say = console.log) {
  const machine = { ...describeMachine(), nice: goFirst() };
  const random = seededRandom(seed);
  const begun = process.hrtime.bigint();
  const seconds = () => Number(process.hrtime.bigint() - begun) / 1e9;
  const paths = builds.map(({ path }) => path);
  const nextRound = async (index) => {
    const round = await measureRound(paths, sizes[kind], random);
    say(`  round ${index + 1} of ${plan[0]} to ${plan.at(-1)}, ${seconds().toFixed(0)} s`);
    return round;
  };
  const onLook = (open, decided) => {
    if (decided) return;
    say(`  not clear yet: ${open.map(({ metric }) => metric.title).join('; ')}`);
  };
  const found = await compareInRounds(plan, nextRound, onLook);
  const [base, candidate] = builds;
  return {
    machine,
    base,
    candidate,
    seed,
    kind,
    plan,
    seconds: seconds(),
    ...found,
    measured: found.rounds,
    rounds: found.rounds.length,
  };
}

export function show(whole) {
  for (const [name, text] of report.circumstances(whole)) console.log(`${name.padEnd(12)} ${text}`);
  printTable(
    'base and candidate, medians of the rounds',
    report.columns,
    report.rowsOf(whole.comparisons),
  );
  console.log(report.footnote);
  console.log(`\n${report.sentenceOf(whole)}`);
}

function write(path, text) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

async function main() {
  const request = readCommandLine();
  if (request.help) {
    console.log(help);
    return 0;
  }
  const commit = commitOf(request.base);
  console.log(`building ${commit.slice(0, 12)} and the working tree`);
  compileLoadgen();
  const builds = [takeCommit(commit), takeWorkingTree()];
  console.log(`measuring ${metrics.length} metrics, seed ${request.seed}`);
  const whole = await runGate(builds, request);
  show(whole);
  if (request.json) write(request.json, `${JSON.stringify(whole, null, 2)}\n`);
  if (request.markdown) write(request.markdown, report.markdownOf(whole));
  return EXIT[whole.outcome];
}

if (process.argv[1] === import.meta.filename) {
  try {
    process.exitCode = await main();
  } catch (error) {
    if (error instanceof Usage) {
      console.error(`perf:gate: ${error.message}\n\n${help}`);
      process.exitCode = EXIT.usage;
    } else {
      const what = error instanceof BuildFailed ? '' : 'VOID: could not be measured: ';
      console.error(`perf:gate: ${what}${error.message}`);
      process.exitCode = EXIT.void;
    }
  }
}
