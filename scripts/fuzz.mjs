// Fuzzes the frame decoder, the shard's way in, the handshake, subjects and the configuration's files, guided by coverage.
//
//   npm run fuzz -- [--target NAME,…] [--seconds N | --executions N] [--seed S] [--planted] [--blind] [--dry]
//
// Inputs that reach an edge that the kept corpus (test/fuzz/corpus) does not are added to it, the fewest that do.
// `--dry` adds nothing. `--planted` fuzzes a build with a bug, from nothing; `--blind` learns nothing, for comparison.
// It ends with 1 when an input breaks a rule: the input is printed, and the same seed and executions find it again.
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { Fuzzer } from '../test/fuzz/fuzzer.mjs';
import { loadTarget, TARGETS } from '../test/fuzz/targets.mjs';
import { scriptOptions } from '../perf/lib/command-line.mjs';
import { buildForFuzzing } from './fuzz-build.mjs';
import { root } from './kernels.mjs';

const USAGE =
  'npm run fuzz -- [--target NAME,…] [--seconds N | --executions N] [--seed S] [--planted] [--blind] [--dry]';
const CORPUS = join(root, 'test/fuzz/corpus');
const BATCH = 500;

/** The inputs that were kept for a target, in the order of their names. */
export function readCorpus(target) {
  const folder = join(CORPUS, target);
  try {
    return readdirSync(folder)
      .sort()
      .map((name) => readFileSync(join(folder, name)));
  } catch (error) {
    if (error.code === 'ENOENT') return [];
    throw error;
  }
}

function keep(target, inputs) {
  const folder = join(CORPUS, target);
  mkdirSync(folder, { recursive: true });
  for (const input of inputs) {
    const name = createHash('sha256').update(input).digest('hex').slice(0, 16);
    writeFileSync(join(folder, name), input);
  }
}

/** `file: reached of all edges`, for the files of which the target reached any. */
export function coverageOf(fuzzer, kernels, built) {
  const lineOf = (name, seen) => {
    const reached = seen.reduce((sum, bits) => sum + (bits === 0 ? 0 : 1), 0);
    return reached === 0 ? [] : [`${name}: ${reached} of ${seen.length}`];
  };
  return [
    ...built.map.flatMap(({ name, first, edges }) =>
      lineOf(name, fuzzer.seen[0].subarray(first, first + edges)),
    ),
    ...kernels.flatMap((kernel, i) => lineOf(`src/${kernel}/kernel`, fuzzer.seen[i + 1])),
  ];
}

/** Runs a target; answers the fuzzer, the kernels that it counts in, and the fault that it found, if any. */
export async function fuzz({
  name,
  built,
  seed,
  executions = Infinity,
  seconds = Infinity,
  isBlind = false,
  corpus = [],
}) {
  const { target, counters, kernels } = await loadTarget(name, built);
  const fuzzer = new Fuzzer({ target, counters, seed, isBlind });
  const end = performance.now() + seconds * 1000;
  let finding;
  try {
    fuzzer.start(corpus);
    while (fuzzer.executions < executions && performance.now() < end) {
      fuzzer.run(Math.min(BATCH, executions - fuzzer.executions));
    }
  } catch (error) {
    if (error.input === undefined) throw error;
    finding = error;
  }
  return { fuzzer, kernels, finding };
}

async function main() {
  const values = scriptOptions(USAGE, {
    target: Object.keys(TARGETS),
    seconds: 'seconds',
    executions: 'count',
    seed: 'seed',
    planted: 'flag',
    blind: 'flag',
    dry: 'flag',
  });
  const { target: names = Object.keys(TARGETS), executions = Infinity, seed = 1 } = values;
  const seconds = values.seconds ?? (values.executions === undefined ? 60 : Infinity);
  const isBlind = values.blind === true;
  const built = await buildForFuzzing('build/fuzz', values.planted === true);
  for (const name of names) {
    // A planted bug is to be found from nothing.
    const corpus = values.planted || isBlind ? [] : readCorpus(name);
    const start = performance.now();
    const { fuzzer, kernels, finding } = await fuzz({
      name,
      built,
      seed,
      seconds,
      executions,
      isBlind,
      corpus,
    });
    const elapsed = (performance.now() - start) / 1000;
    const perSecond = Math.round(fuzzer.executions / elapsed);
    for (const step of fuzzer.growth.filter(
      (_, i, all) => i % Math.ceil(all.length / 12) === 0 || i === all.length - 1,
    )) {
      console.log(`  after ${step.executions}: ${step.edges} edges, corpus ${step.corpus}`);
    }
    console.log(
      `${name}: seed ${seed}, ${fuzzer.executions} executions, ${perSecond}/s, ${fuzzer.edges} edges, corpus ${fuzzer.corpus.length}`,
    );
    for (const line of coverageOf(fuzzer, kernels, built)) console.log(`  ${line}`);
    if (finding !== undefined) {
      console.log(
        `${name}: FOUND after ${finding.executions} executions, seed ${seed}: ${finding.message}`,
      );
      console.log(`  input ${finding.input.toString('hex')}`);
      process.exitCode = 1;
    } else if (!values.planted && !isBlind && !values.dry) {
      keepNew(name, fuzzer, corpus);
    }
  }
}

/** Keeps the fewest inputs that reach what the kept ones do not. */
function keepNew(name, fuzzer, corpus) {
  const known = new Set(corpus.map((input) => input.toString('hex')));
  const fresh = fuzzer.minimised(corpus).filter((input) => !known.has(input.toString('hex')));
  keep(name, fresh);
  console.log(`  ${fresh.length} inputs added to ${corpus.length} kept ones`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
