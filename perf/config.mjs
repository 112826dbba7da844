// What it costs to load a configuration.
//
//   files ──read──▶ nodes ──merge──▶ values ──check──▶ frozen object, provenance, digest
//
// Every figure comes from a process of its own (perf/probes/config-load.mjs), in which what the command runs is imported first;
// that time is told apart. `cold` is the first load of the process, between the least and the greatest of the rounds, `warm` the
// median of the next 50; `CPU` is what the first one took of the processor, with what V8 compiles beside. A file of each kind
// is loaded, and ten of them, each with all that one has; and a folder with ten that have one matter each, as a `conf.d` is.
// `retained` is what the heap holds more after a forced collection, over how many results are alive; libraries and their
// caches were there before. `history` is the same of a reloader whose history is full, with what is live. Void where others
// used the machine.
//
//   npm run perf:config               a table, and a broker that reloads at full load (scenario `reload`)
//   node perf/config.mjs [--smoke] [--rounds N]
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { scriptOptions } from './lib/command-line.mjs';
import { describeMachine } from './lib/machine.mjs';
import { noiseIn, watchOthers } from './lib/noise.mjs';
import { projectRoot } from './lib/paths.mjs';
import { count, median, printTable } from './lib/report.mjs';

const { smoke = false, rounds = smoke ? 1 : 15 } = scriptOptions(
  'node perf/config.mjs [--smoke] [--rounds N]',
  { smoke: 'flag', rounds: 'count' },
);
const LIMITS = { coldMs: 10, warmMs: 10, retained: 100 * 1024, history: 100 * 1024 };
const WARM_LOADS = smoke ? 4 : 50;
const KEPT = smoke ? 4 : 100;
/** Of ten matters those that one file has. */
const OF_ONE_FILE = 5;
const PROBE = join(projectRoot, 'perf', 'probes', 'config-load.mjs');
const MEMORY_FLAGS = ['--expose-gc', '--no-flush-bytecode', '--single-threaded'];

const COLUMNS = {
  files: ({ name }) => name,
  'import ms': ({ importMs }) => count(importMs, 1),
  'cold ms': ({ coldMs }) => count(coldMs, 2),
  'from … to': ({ least, greatest }) => `${count(least, 2)} … ${count(greatest, 2)}`,
  'CPU ms': ({ coldCpuMs }) => count(coldCpuMs, 2),
  'warm ms': ({ warmMs }) => count(warmMs, 2),
  'warm max': ({ warmMsMax }) => count(warmMsMax, 2),
  'retained bytes': ({ retained }) => count(retained),
  'history bytes': ({ history }) => count(history),
};

const folder = mkdtempSync(join(tmpdir(), 'perf-config-'));
try {
  const cases = ['json', 'yaml', 'toml'].flatMap((ending) => [
    { name: `1 ${ending}`, paths: written(ending, 1), times: [] },
    { name: `10 ${ending}`, paths: written(ending, 10), times: [] },
    { name: `conf.d ${ending}`, paths: [writtenFolder(ending)], times: [] },
  ]);
  const othersPart = watchOthers();
  // One after the other in each round, so that a slow minute is no single case's.
  for (let round = 0; round < rounds; round++) {
    for (const { paths, times } of cases) times.push(probe([], 'time', WARM_LOADS, paths));
  }
  const noise = noiseIn([{ othersPart: othersPart() }]);
  const results = cases.map(({ name, paths, times }) => ({
    name,
    least: Math.min(...times.map(({ coldMs }) => coldMs)),
    greatest: Math.max(...times.map(({ coldMs }) => coldMs)),
    ...mediansOf(times),
    ...probe(MEMORY_FLAGS, 'memory', KEPT, paths),
  }));
  print(results);
  if (noise.length > 0) console.log(`VOID: ${noise.join(', ')}`);
} finally {
  rmSync(folder, { recursive: true });
}

function probe(flags, what, loads, paths) {
  const argv = [...flags, PROBE, what, String(loads), ...paths];
  return JSON.parse(execFileSync(process.execPath, argv, { encoding: 'utf8' }));
}

function mediansOf(times) {
  return Object.fromEntries(
    Object.keys(times[0]).map((name) => [name, median(times.map((each) => each[name]))]),
  );
}

function print(results) {
  const { cpu, cpusAllowed, node } = describeMachine();
  printTable(
    `Loading a configuration: ${cpu}, ${cpusAllowed.length} CPUs, Node.js ${node}, medians of ${rounds} processes`,
    Object.keys(COLUMNS),
    results.map((each) => Object.values(COLUMNS).map((cell) => cell(each))),
  );
  for (const each of results) {
    const broken = Object.keys(LIMITS).filter((name) => each[name] >= LIMITS[name]);
    if (broken.length > 0) console.log(`beyond its limit: ${broken.join(', ')} of ${each.name}`);
  }
}

function written(ending, files) {
  return Array.from({ length: files }, (_, at) => {
    const path = join(folder, `${at}.${ending}`);
    writeFileSync(path, text(ending, matters(at).slice(0, OF_ONE_FILE)));
    return path;
  });
}

function writtenFolder(ending) {
  const path = join(folder, `conf.d.${ending}`);
  mkdirSync(path);
  for (const [at, matter] of Object.entries(matters(0))) {
    writeFileSync(join(path, `${at}-${matter[0]}.${ending}`), text(ending, [matter]));
  }
  return path;
}

/** Ten, each a key or group and what it is. */
function matters(at) {
  const overrides = [0, 1, 2].map((index) => ({
    subject: `part${index}.of${at}.>`,
    retention: { bytes: '1MiB' },
    onFull: 'evict',
  }));
  return [
    ['shards', at + 1],
    ['memory', { arena: '64MiB' }],
    ['log', { level: 'warn' }],
    ['limits', { connections: 100 + at }],
    ['streams', { default: { retention: { bytes: '1MiB' } }, overrides }],
    ['listen', { port: 7000 + at }],
    ['slowConsumer', { timeout: '2s' }],
    ['heartbeat', { interval: '10s' }],
    ['shutdown', { grace: '3s' }],
    ['idle', { strategy: 'block' }],
  ];
}

function isObject(value) {
  return typeof value === 'object' && !Array.isArray(value);
}

/** As people write each of them. */
function text(ending, pairs) {
  if (ending === 'json') return JSON.stringify(Object.fromEntries(pairs), null, 2);
  return ending === 'yaml' ? yaml(pairs, '') : toml(pairs);
}

function yaml(pairs, indent) {
  const deeper = `${indent}  `;
  return pairs
    .map(([name, value]) => {
      if (isObject(value)) return `${indent}${name}:\n${yaml(Object.entries(value), deeper)}`;
      if (!Array.isArray(value)) return `${indent}${name}: ${value}\n`;
      const items = value.map((item) => yaml(Object.entries(item), `${deeper}  `));
      const marked = items.map((item) => item.replace(`${deeper}  `, `${deeper}- `));
      return `${indent}${name}:\n${marked.join('')}`;
    })
    .join('');
}

function toml(pairs) {
  const value = (each) => JSON.stringify(each);
  const dotted = (group, path) =>
    Object.entries(group).map(([name, each]) =>
      isObject(each) ? dotted(each, `${path}${name}.`) : `${path}${name} = ${value(each)}\n`,
    );
  return pairs
    .map(([name, group]) => {
      if (!isObject(group)) return `${name} = ${value(group)}\n`;
      const { overrides = [], ...others } = group;
      const tables = overrides.map((item) => `[[${name}.overrides]]\n${lines(dotted(item, ''))}`);
      return `[${name}]\n${lines(dotted(others, ''))}${tables.join('')}`;
    })
    .join('');
}

function lines(nested) {
  return nested.flat(Infinity).join('');
}
