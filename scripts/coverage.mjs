// Runs all tests, counts which lines and branches of src/ ran in any process or thread of them, and judges that.
//
//   npm run coverage                      runs `npm test`, V8 counting, and judges
//   npm run coverage -- --raise           also writes what was reached as the new floor, and README's line
//   npm run coverage -- --base main       also refuses a floor below the one where this branch left that one
//   npm run coverage -- --counts FOLDER   judges what `NODE_V8_COVERAGE=FOLDER npm test` has left there
//
// Other options go to vitest. Exit code 1 where a test failed or the judgement did.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { isKernel, measure } from './coverage/counts.mjs';
import { filesBelow } from './coverage/files.mjs';
import * as rules from './coverage/rules.mjs';
import { excuse } from './coverage/unreachable.mjs';

const FLOOR = 'scripts/coverage/floor.json';
const UNREACHABLE = 'scripts/coverage/unreachable.json';
const PLACES_SHOWN = 40;

/**
 * Lines or branches by which two runs of one commit may differ: which thread comes first decides whether some of
 * them run.
 */
const NOISE = 6;

/** In README's line, of the total: numbers that noise changes are not worth a commit. */
const README_POINTS = 0.5;
const README_LINE = /([\d.]+) % of the lines and ([\d.]+) % of the branches/;

const { own, forTests } = readOptions(process.argv.slice(2));
const root = resolve(own.root ?? fileURLToPath(new URL('..', import.meta.url)));
const testsFailed = own.counts === undefined && !runTests();
const isGood = await judge(resolve(root, own.counts ?? 'build/coverage/counts'));
if (testsFailed || !isGood) process.exitCode = 1;

function readOptions(args) {
  const options = { base: 'string', counts: 'string', raise: 'boolean', root: 'string' };
  const { tokens, values } = parseArgs({
    args,
    strict: false,
    tokens: true,
    options: Object.fromEntries(Object.entries(options).map(([name, type]) => [name, { type }])),
  });
  const used = new Set();
  for (const token of tokens) {
    if (token.kind !== 'option' || options[token.name] === undefined) continue;
    used.add(token.index);
    if (token.value !== undefined && !token.inlineValue) used.add(token.index + 1);
  }
  return { own: values, forTests: args.filter((_, index) => !used.has(index)) };
}

/** Every process below inherits the variable, and every thread of theirs. */
function runTests() {
  const counts = join(root, 'build/coverage/counts');
  rmSync(counts, { recursive: true, force: true });
  mkdirSync(counts, { recursive: true });
  const env = { ...process.env, NODE_V8_COVERAGE: counts };
  const { status } = spawnSync('npm', ['test', '--', ...forTests], {
    cwd: root,
    stdio: 'inherit',
    env,
  });
  return status === 0;
}

async function judge(counts) {
  const measured = await measure(root, counts);
  const found = rules.sums(measured);
  const before = readJson(FLOOR, {});
  const errors = excuse(root, measured, readJson(UNREACHABLE, [])).map((text) => ({ text }));
  errors.push(...rules.belowThresholds(measured, found));
  if (own.raise) raise(found, before);
  const floor = own.raise ? readJson(FLOOR, {}) : before;
  errors.push(...rules.belowFloor(measured, found, floor, NOISE));
  if (own.base !== undefined) errors.push(...rules.lowered(floor, floorOf(own.base), found));
  errors.push(...staleReadme(found.total));

  report(measured, found);
  for (const error of errors) tell(error, measured);
  console.log(errors.length === 0 ? 'coverage: passed' : `coverage: failed (${errors.length})`);
  return errors.length === 0;
}

function raise(found, before) {
  const floor = rules.raised(found, before);
  writeFileSync(join(root, FLOOR), `${JSON.stringify(floor, null, 2)}\n`);
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  writeFileSync(join(root, 'README.md'), readme.replace(README_LINE, readmeText(found.total)));
}

function readmeText({ lines, branches }) {
  const [ofLines, ofBranches] = [lines, branches].map((sum) =>
    rules.written(rules.percent(sum), 1),
  );
  return `${ofLines} % of the lines and ${ofBranches} % of the branches`;
}

function staleReadme(total) {
  const line = README_LINE.exec(readFileSync(join(root, 'README.md'), 'utf8'));
  if (line === null) return [{ text: `README.md lacks its line: ${readmeText(total)}` }];
  const isNear = (text, sum) => Math.abs(Number(text) - rules.percent(sum)) <= README_POINTS;
  if (isNear(line[1], total.lines) && isNear(line[2], total.branches)) return [];
  return [{ text: `README.md is stale: it says ${line[0]}, these are ${readmeText(total)}` }];
}

/** The floor where this branch left the other one; nothing where there was none. */
function floorOf(base) {
  const git = (...args) => execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim();
  const left = git('merge-base', base, 'HEAD');
  if (git('ls-tree', left, FLOOR) === '') return {};
  return JSON.parse(git('show', `${left}:${FLOOR}`));
}

function report(measured, found) {
  const name = (text) => text.padEnd(36);
  const share = (sum) => `${rules.percent(sum).toFixed(2)} %`.padStart(9);
  const counted = ({ covered, total }) => `${covered}/${total}`.padStart(10);
  const row = (text, { lines, branches }) =>
    console.log(name(text) + share(lines) + counted(lines) + share(branches) + counted(branches));

  console.log(`${name('')}${'lines'.padStart(19)}${'branches'.padStart(19)}`);
  for (const each of measured) {
    const [own] = Object.entries(rules.sums([each])).filter(([part]) => part !== 'total');
    row(each.isLoaded ? each.file : `${each.file} (never loaded)`, own[1]);
  }
  for (const [part, sum] of Object.entries(found).filter(([part]) => part !== 'total'))
    row(part, sum);
  row('total', found.total);
  reportApart(measured);
  mkdirSync(join(root, 'build/coverage'), { recursive: true });
  const places = measured.flatMap((each) => placesOf(each).map((place) => `${place}\n`));
  writeFileSync(join(root, 'build/coverage/uncovered.txt'), places.join(''));
}

/** What is in no number above, and what is in them though it cannot run here. */
function reportApart(measured) {
  const kernels = filesBelow(root, 'src', '.ts').filter(isKernel);
  if (kernels.length > 0) {
    console.log(
      `not counted, ${kernels.length} sources of kernels: V8 counts no lines of WebAssembly. Models, interleavings and ` +
        'planted faults test them (npm run mutate:ring): ' +
        kernels.map((file) => file.replace(/^src\//, '')).join(', '),
    );
  }
  for (const { file, code, reason } of readJson(UNREACHABLE, [])) {
    console.log(`cannot run here: ${file}, ${code.split('\n')[0].trim()} (${reason})`);
  }
  const excused = measured.flatMap(({ lines, branches }) => [lines, branches]);
  const count = excused.reduce((sum, { excused: each = [] }) => sum + each.length, 0);
  if (count > 0)
    console.log(`of these, ${count} lines and branches count as missed in the numbers above`);
}

function tell({ text, files = [] }, measured) {
  console.error(`coverage: ${text}`);
  const places = measured.filter(({ file }) => files.includes(file)).flatMap(placesOf);
  for (const place of places.slice(0, PLACES_SHOWN)) console.error(`  ${place}`);
  if (places.length > PLACES_SHOWN) {
    console.error(`  and ${places.length - PLACES_SHOWN} more: build/coverage/uncovered.txt`);
  }
}

/** Each missed line, and each line that begins a missed branch and ran itself. */
function placesOf({ file, lines, branches }) {
  const left = ({ missed, excused = [] }) => missed.filter((line) => !excused.includes(line));
  const missed = new Set(left(lines));
  const branching = new Set(left(branches).filter((line) => !missed.has(line)));
  return [...missed, ...branching]
    .sort((a, b) => a - b)
    .map(
      (line) =>
        `${file}:${line} ${missed.has(line) ? 'did not run' : 'has a branch that did not run'}`,
    );
}

function readJson(path, otherwise) {
  const file = join(root, path);
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : otherwise;
}
