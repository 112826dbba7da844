// What it costs to load a configuration.
//
//   files ──read──▶ nodes ──merge──▶ values ──check──▶ frozen object, provenance, digest
//
// Every figure comes from a process of its own, in which the modules are imported first; that time is told apart.
// `cold` is the first load of the process, `warm` the median of the next 50; `CPU` is what the first one took of the
// processor, which other processes disturb less than its time. A file of each kind is loaded, and ten of them, each with all
// groups of keys and overrides for 3 subjects. `retained` is what the heap holds more after a forced collection, over how
// many results are alive; libraries and their caches were there before. `history` is the same of a reloader whose history is
// full, with what is live. Void where others used the machine.
//
//   npm run perf:config               a table
//   node perf/config.mjs --smoke      one round, for the tests
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setImmediate as turn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { noiseIn, watchOthers } from './lib/noise.mjs';

const LOAD_MS_MAX = 10;
const RETAINED_BYTES_MAX = 100 * 1024;
const isSmoke = process.argv.includes('--smoke');
const WARM_LOADS = isSmoke ? 4 : 50;
const OVERRIDES = 3;
const KEPT = isSmoke ? 4 : 100;
const HISTORY = 40;

async function child(argv) {
  const importStart = performance.now();
  const { loadConfiguration } = await import('../dist/config/load.js');
  const kinds = new Set(argv.map((path) => path.split('.').at(-1)));
  if (kinds.has('yaml')) await import('../dist/config/yaml.js');
  if (kinds.has('toml')) await import('../dist/config/toml.js');
  const importMs = performance.now() - importStart;
  const files = argv.flatMap((path) => ['--config', path]);
  const load = (...flags) => loadConfiguration({ argv: [...files, ...flags], env: {} });
  const timed = async () => {
    const start = performance.now();
    const result = await load();
    return { result, ms: performance.now() - start };
  };
  const before = process.cpuUsage();
  const cold = await timed();
  const { user, system } = process.cpuUsage(before);
  const warm = [];
  for (let at = 0; at < WARM_LOADS; at++) warm.push((await timed()).ms);
  warm.sort((a, b) => a - b);
  const keep = async () => {
    const kept = [];
    for (let at = 0; at < KEPT; at++) kept.push(await load());
    if (kept.at(-1).digest !== cold.result.digest) throw new Error('two loads of the same differ');
    return kept;
  };
  const retained = await secondOf(() => heldBy(keep));
  const figures = {
    importMs,
    coldMs: cold.ms,
    coldCpuMs: (user + system) / 1000,
    warmMs: warm[WARM_LOADS / 2],
    warmMsMax: warm.at(-1),
    retained: Math.round(retained / KEPT),
    history: await secondOf(() => historyBytes(load)),
  };
  process.stdout.write(JSON.stringify(figures));
}

/** What a reloader holds after so many reloads, each of which changed two keys, that its history is full. */
async function historyBytes(load) {
  const { Reloader } = await import('../dist/config/reload.js');
  const { systemClock: clock } = await import('../dist/clock.js');
  const log = { info: () => {}, warn: () => {} };
  const apply = () => Promise.resolve();
  let count = 0;
  const next = () =>
    load('--limits-subscriptions', `${++count}`, '--heartbeat-interval', `${100 + count}`);
  return heldBy(async () => {
    const reloader = new Reloader({ current: await next(), load: next, apply, log, clock });
    for (let at = 0; at < HISTORY; at++) await reloader.reload('perf');
    if (reloader.history.at(-1).result !== 'applied') throw new Error('a reload was not applied');
    return reloader;
  });
}

/** The first time leaves behind what V8 has made of the code. */
async function secondOf(run) {
  await run();
  return run();
}

/** What the heap has less once nobody holds what `make` answers: so nothing else counts that came with it. */
async function heldBy(make) {
  const held = { value: await make() };
  // The frame that made it is gone, and what it held with it.
  await turn();
  const before = heapBytes();
  held.value = undefined;
  await turn();
  return before - heapBytes();
}

function heapBytes() {
  for (let round = 0; round < 4; round++) globalThis.gc();
  return process.memoryUsage().heapUsed;
}

const COLUMNS = {
  importMs: ['import ms', 1],
  coldMs: ['cold ms', 2],
  coldCpuMs: ['CPU ms', 2],
  warmMs: ['warm ms', 2],
  warmMsMax: ['warm max', 2],
  retained: ['retained bytes', 0],
  history: ['history bytes', 0],
};
const LIMITS = {
  coldMs: LOAD_MS_MAX,
  warmMs: LOAD_MS_MAX,
  retained: RETAINED_BYTES_MAX,
  history: RETAINED_BYTES_MAX,
};

function printRow(first, cells) {
  const widths = Object.values(COLUMNS).map(([title]) => title.length);
  const padded = cells.map((cell, at) => cell.padStart(widths[at]));
  console.log(`| ${[first.padEnd(7), ...padded].join(' | ')} |`);
}

function parent(rounds) {
  const folder = mkdtempSync(join(tmpdir(), 'perf-config-'));
  const othersPart = watchOthers();
  try {
    printRow(
      'files',
      Object.values(COLUMNS).map(([title]) => title),
    );
    for (const ending of ['json', 'yaml', 'toml']) {
      for (const count of [1, 10]) measure(folder, ending, count, rounds);
    }
    const noise = noiseIn([{ othersPart: othersPart() }]);
    if (noise.length > 0) console.log(`VOID: ${noise.join(', ')}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function measure(folder, ending, count, rounds) {
  const paths = Array.from({ length: count }, (_, at) => join(folder, `${at}.${ending}`));
  paths.forEach((path, at) => writeFileSync(path, text(ending, at)));
  const runs = Array.from({ length: rounds }, () => run(paths));
  const median = (name) => runs.map((each) => each[name]).sort((a, b) => a - b)[rounds >> 1];
  const cells = Object.entries(COLUMNS).map(([name, [, digits]]) => median(name).toFixed(digits));
  printRow(`${count} ${ending}`, cells);
  const broken = Object.keys(LIMITS).filter((name) => median(name) >= LIMITS[name]);
  if (broken.length > 0) console.log(`  beyond its limit: ${broken.join(', ')}`);
}

function run(paths) {
  const argv = [
    '--expose-gc',
    // Else a collection also forgets code that has not run for a while, which would count as the result's.
    '--no-flush-bytecode',
    fileURLToPath(import.meta.url),
    '--child',
    ...paths,
    ...(isSmoke ? ['--smoke'] : []),
  ];
  return JSON.parse(execFileSync(process.execPath, argv, { encoding: 'utf8' }));
}

function text(ending, at) {
  const overrides = Array.from({ length: OVERRIDES }, (_, index) => ({
    subject: `part${index}.of${at}.>`,
    retention: { bytes: '1MiB' },
    onFull: 'evict',
  }));
  if (ending === 'toml') {
    const items = overrides.map(
      ({ subject }) =>
        `[[streams.overrides]]\nsubject = "${subject}"\nretention.bytes = "1MiB"\nonFull = "evict"\n`,
    );
    return `shards = ${at + 1}\nlog.level = "warn"\n[memory]\narena = "64MiB"\n${items.join('')}`;
  }
  const object = {
    shards: at + 1,
    memory: { arena: '64MiB' },
    log: { level: 'warn' },
    limits: { connections: 100 + at },
    streams: { default: { retention: { bytes: '1MiB' } }, overrides },
  };
  if (ending === 'json') return JSON.stringify(object, null, 2);
  const items = overrides.map(
    ({ subject }) =>
      `    - subject: '${subject}'\n      retention: { bytes: 1MiB }\n      onFull: evict\n`,
  );
  return `shards: ${at + 1} # of this part\nmemory: { arena: 64MiB }\nlog:\n  level: warn\nlimits:\n  connections: ${100 + at}\nstreams:\n  default: { retention: { bytes: 1MiB } }\n  overrides:\n${items.join('')}`;
}

if (process.argv[2] === '--child')
  await child(process.argv.slice(3).filter((path) => path !== '--smoke'));
else parent(isSmoke ? 1 : 7);
