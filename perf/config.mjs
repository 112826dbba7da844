// What it costs to load a configuration.
//
//   files ──read──▶ nodes ──merge──▶ values ──check──▶ frozen object, provenance, digest
//
// Every figure comes from a process of its own, in which the modules are imported first; that time is told apart.
// `cold` is the first load of the process, `warm` the median of the next 50. A file of each kind is loaded, and ten
// of them, each with all groups of keys and overrides for 3 subjects. `retained` is what the heap holds more after
// a forced collection, over how many results are alive; libraries and their caches were there before. Void where
// the machine is busy: then `warm max` is many times `warm`.
//
//   npm run perf:config               a table
//   node perf/config.mjs --smoke      one round, for the tests
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';

const LOAD_MS_MAX = 10;
const RETAINED_BYTES_MAX = 100 * 1024;
const isSmoke = process.argv.includes('--smoke');
const WARM_LOADS = isSmoke ? 4 : 50;
const OVERRIDES = 3;
const KEPT = isSmoke ? 4 : 100;

if (process.argv[2] === '--child')
  await child(process.argv.slice(3).filter((path) => path !== '--smoke'));
else parent(isSmoke ? 1 : 7);

async function child(argv) {
  const importStart = performance.now();
  const { loadConfiguration } = await import('../dist/config/load.js');
  const kinds = new Set(argv.map((path) => path.split('.').at(-1)));
  if (kinds.has('yaml')) await import('../dist/config/yaml.js');
  if (kinds.has('toml')) await import('../dist/config/toml.js');
  const importMs = performance.now() - importStart;
  const load = async () => {
    const start = performance.now();
    const result = await loadConfiguration({
      argv: argv.flatMap((path) => ['--config', path]),
      env: {},
    });
    return { result, ms: performance.now() - start };
  };
  const cold = await load();
  const warm = [];
  for (let at = 0; at < WARM_LOADS; at++) warm.push((await load()).ms);
  warm.sort((a, b) => a - b);
  const kept = [];
  const before = heapBytes();
  for (let at = 0; at < KEPT; at++) kept.push((await load()).result);
  const retained = Math.round((heapBytes() - before) / KEPT);
  if (kept.at(-1).digest !== cold.result.digest) throw new Error('two loads of the same differ');
  const figures = {
    importMs,
    coldMs: cold.ms,
    warmMs: warm[WARM_LOADS / 2],
    warmMsMax: warm.at(-1),
    retained,
  };
  process.stdout.write(JSON.stringify(figures));
}

function heapBytes() {
  for (let round = 0; round < 4; round++) globalThis.gc();
  return process.memoryUsage().heapUsed;
}

function parent(rounds) {
  const folder = mkdtempSync(join(tmpdir(), 'perf-config-'));
  try {
    console.log('| files   | import ms | cold ms | warm ms | warm max | retained bytes |');
    console.log('| ------- | --------- | ------- | ------- | -------- | -------------- |');
    for (const ending of ['json', 'yaml', 'toml']) {
      for (const count of [1, 10]) {
        const paths = Array.from({ length: count }, (_, at) => join(folder, `${at}.${ending}`));
        paths.forEach((path, at) => writeFileSync(path, text(ending, at)));
        const runs = Array.from({ length: rounds }, () => run(paths));
        const median = (name) => runs.map((each) => each[name]).sort((a, b) => a - b)[rounds >> 1];
        const cells = [
          `${count} ${ending}`.padEnd(7),
          median('importMs').toFixed(1).padStart(9),
          median('coldMs').toFixed(2).padStart(7),
          median('warmMs').toFixed(2).padStart(7),
          median('warmMsMax').toFixed(2).padStart(8),
          String(median('retained')).padStart(14),
        ];
        console.log(`| ${cells.join(' | ')} |`);
        const broken = [
          ...['coldMs', 'warmMs'].filter((name) => median(name) >= LOAD_MS_MAX),
          ...(median('retained') >= RETAINED_BYTES_MAX ? ['retained'] : []),
        ];
        if (broken.length > 0) console.log(`  beyond its limit: ${broken.join(', ')}`);
      }
    }
    const load = loadavg()[0];
    console.log(`load average ${load.toFixed(1)} on ${availableParallelism()} CPUs`);
    if (load > availableParallelism()) console.log('VOID: something else had the machine');
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function run(paths) {
  const argv = [
    '--expose-gc',
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
