// One fresh process: what loading configuration files or folders costs, or what is kept of it. Answers one line of JSON.
// What it loads with is what the command runs: the scripts of dist/bundle/, with V8's code (src/bundle.ts).
//
//   node perf/probes/config-load.mjs time LOADS PATH…
//   node --expose-gc --no-flush-bytecode --single-threaded perf/probes/config-load.mjs memory LOADS PATH…
//
// With those flags a collection forgets no code that has not run for a while, and no thread compiles any beside: both
// would count as what was kept.
import { readdirSync, statSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { setImmediate as turn } from 'node:timers/promises';
import { Bundle } from '../../dist/bundle.js';

const HISTORY = 40;
const [what, loads, ...paths] = process.argv.slice(2);

const importStart = performance.now();
const bundle = new Bundle(new URL('../../dist/bundle/', import.meta.url));
const { loadConfiguration } = bundle.load('load.cjs');
const isFolder = (path) => statSync(path).isDirectory();
const files = paths.flatMap((path) => (isFolder(path) ? readdirSync(path) : [path]));
const kinds = new Set(files.map((path) => path.split('.').at(-1)));
if (kinds.has('yaml')) bundle.load('yaml.cjs');
if (kinds.has('toml')) bundle.load('toml.cjs');
const importMs = performance.now() - importStart;

const sources = paths.flatMap((path) => [isFolder(path) ? '--config-dir' : '--config', path]);
const load = (...flags) => loadConfiguration({ argv: [...sources, ...flags], env: {} });

async function time() {
  if (!bundle.hasCode('load.cjs')) throw new Error('no code of this Node.js: npm run build');
  const before = process.cpuUsage();
  const coldMs = await timed();
  const { user, system } = process.cpuUsage(before);
  const warm = [];
  for (let at = 0; at < Number(loads); at++) warm.push(await timed());
  warm.sort((a, b) => a - b);
  return {
    importMs,
    coldMs,
    coldCpuMs: (user + system) / 1000,
    warmMs: warm[warm.length >> 1],
    warmMsMax: warm.at(-1),
  };
}

async function timed() {
  const start = performance.now();
  await load();
  return performance.now() - start;
}

async function memory() {
  const retained = await secondOf(() => heldBy(manyResults));
  return {
    retained: Math.round(retained / Number(loads)),
    history: await secondOf(() => heldBy(fullReloader)),
  };
}

async function manyResults() {
  const kept = [];
  for (let at = 0; at < Number(loads); at++) kept.push(await load());
  if (kept.at(-1).digest !== kept[0].digest) throw new Error('two loads of the same differ');
  return kept;
}

/** One after so many reloads, each of which changed two keys, that its history is full. */
async function fullReloader() {
  const { Reloader } = bundle.load('reload.cjs');
  const { systemClock: clock } = bundle.load('clock.cjs');
  const log = { info: () => {}, warn: () => {} };
  const apply = () => Promise.resolve();
  let count = 0;
  const next = () =>
    load('--limits-subscriptions', `${++count}`, '--heartbeat-interval', `${100 + count}`);
  const reloader = new Reloader({ current: await next(), load: next, apply, log, clock });
  for (let at = 0; at < HISTORY; at++) await reloader.reload('perf');
  if (reloader.history.at(-1).result !== 'applied') throw new Error('a reload was not applied');
  return reloader;
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

console.log(JSON.stringify(await (what === 'time' ? time() : memory())));
