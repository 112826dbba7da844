// One process, one build: CPU time of loading its configuration for the first time, then of its codec.
//
//   node perf/gate/probe.mjs BUILD [SLICES]     answers one line of JSON
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { loadKernel } from '../lib/kernel.mjs';

const HEADER_BYTES = 40;
const PAYLOAD_BYTES = 128;
const FRAME_BYTES = HEADER_BYTES + PAYLOAD_BYTES;
const FRAMES = 1024;
const PASSES_A_SLICE = 30;
const WARM_UP_SLICES = 10;

const build = process.argv[2];
const slices = Number(process.argv[3] ?? 15);

/**
 * CPU time of this thread alone: the compiler's and the collector's threads are not in it. The kernel brings the
 * account of a running thread up to date at its next tick, or when it is asked as `cpuUsage` asks it.
 */
function threadNs() {
  process.cpuUsage();
  return Number(readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')[0]);
}

const before = threadNs();
const loader = await import(pathToFileURL(join(build, 'dist/config/load.js')).href);
const sources = { argv: ['--port', '0', '--shards', '1'], env: { HOME: '/' } };
// Builds up to 0.1.0's beginnings load without files of other formats, at once.
const config = loader.loadConfiguration
  ? (await loader.loadConfiguration(sources)).values
  : loader.loadConfig(sources);
const configMs = (threadNs() - before) / 1e6;
if (config.listen.port !== 0) throw new Error('the configuration was not loaded');

const kernel = loadKernel(FRAMES * FRAME_BYTES, build);
new Uint8Array(kernel.memory.buffer).forEach((_, i, bytes) => (bytes[i] = (31 * i + 7) & 0xff));

function encodeAll() {
  for (let i = 0; i < FRAMES; i++) kernel.encode(i * FRAME_BYTES, PAYLOAD_BYTES);
}

function checkAll() {
  for (let i = 0; i < FRAMES; i++) {
    if (kernel.check(i * FRAME_BYTES, FRAME_BYTES) !== FRAME_BYTES)
      throw new Error('a frame does not check');
  }
}

/** Nanoseconds a frame in the best slice: others on the machine can only add to it. */
function bestOf(pass) {
  let best = Infinity;
  for (let slice = -WARM_UP_SLICES; slice < slices; slice++) {
    const start = threadNs();
    for (let i = 0; i < PASSES_A_SLICE; i++) pass();
    const ns = (threadNs() - start) / (PASSES_A_SLICE * FRAMES);
    if (slice >= 0) best = Math.min(best, ns);
  }
  return best;
}

const encodeNs = bestOf(encodeAll);
const checkNs = bestOf(checkAll);
console.log(JSON.stringify({ configMs, encodeNs, checkNs }));
