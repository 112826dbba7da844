// What the stream log costs, without sockets: appending, reading, and both at once.
//
//   one:      [thread 1] --append--> (stream 1)
//   shared:   [thread 1] --append--> (stream 1) <--append-- [thread 2]
//   apart:    [thread 1] --append--> (stream 1)   (stream 2) <--append-- [thread 2]
//   read:     (stream 1) --peek, advance--> [thread 1]      of a log that is there already
//   through:  [thread 1] --append--> (stream 1) --peek, advance--> [thread 2], which blocks when it is empty
//
//   node perf/ring.mjs [--smoke] [--only one,shared,apart,read,through] [--frame-bytes 168] [--frames-each N] [--json]
//
// Figures are of frames of 168 bytes (a payload of 128), headers finished and checked as the broker does,
// rotation and reclaim included. Void when the machine has fewer free cores than the topology has threads,
// or when it is a debug build. Medians of 5 rounds, and the range.
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { readFileSync } from 'node:fs';
import { createArena } from '../dist/ring/arena.js';
import { instantiateKernel } from '../dist/ring/kernel.js';
import {
  CURSOR_SPAN_ADDRESS,
  CURSOR_SPAN_BYTES,
  FROM_FIRST,
  FROM_NEW,
  ON_FULL_BLOCK,
  SPAN_DATA,
} from '../dist/ring/layout.js';
import { scriptOptions } from './lib/command-line.mjs';

const AREA_BYTES = 1024 * 1024;
const SOURCE = 65536;
const LIMIT_BYTES = 16 * 1024 * 1024;
const ARENA_BYTES = 40 * 1024 * 1024;
const ANY = 0x7fffffff;
const kernelPath = fileURLToPath(new URL('../dist/shards/kernel.wasm', import.meta.url));

const TOPOLOGIES = ['one', 'shared', 'apart', 'read', 'through'];

/** Words at the start of the shared area. */
const START = 0;
const ENDED = 32;
const WAKES = 64;

function loadKernel(memory, thread) {
  const kernel = instantiateKernel(readFileSync(kernelPath), memory);
  kernel.attach(thread);
  return kernel;
}

function writeRun(kernel, at, frames, frameBytes) {
  for (let i = 0; i < frames; i++) {
    kernel.encode(at + i * frameBytes, 0x20, 0, 0, 1, frameBytes - 40, 1, 0, 1, 0);
  }
}

function appendRuns(kernel, stream, source, frames, bytes, runs, whenFull) {
  const time = 1_700_000_000_000_000_000n;
  for (let run = 0; run < runs; run++) {
    let taken = kernel.append(stream, source, frames, bytes, time);
    while (taken < frames) {
      whenFull();
      const done = (bytes / frames) * taken;
      taken += kernel.append(stream, source + done, frames - taken, bytes - done, time);
    }
  }
}

function worker() {
  const { memory, geometry, thread, job } = workerData;
  const kernel = loadKernel(memory, thread);
  const area = geometry.shardsByteOffset + (thread - 1) * geometry.shardBytes;
  const words = new Int32Array(memory.buffer);
  const shared = geometry.sharedByteOffset >>> 2;
  const wake = (t) => {
    Atomics.add(words, shared + WAKES + t * 32, 1);
    Atomics.notify(words, shared + WAKES + t * 32);
  };
  const signalOwed = () => {
    for (let owed = kernel.takeWakes(0) >>> 0; owed !== 0; owed &= owed - 1) {
      wake(31 - Math.clz32(owed & -owed));
    }
  };
  const block = () => {
    signalOwed();
    while (kernel.nextNews() >= 0) return;
    if (!kernel.prepareToSleep()) return;
    if (Atomics.exchange(words, shared + WAKES + thread * 32, 0) === 0) {
      Atomics.wait(words, shared + WAKES + thread * 32, 0, 1000);
      Atomics.exchange(words, shared + WAKES + thread * 32, 0);
    }
    kernel.wokenUp();
  };
  const { frames, frameBytes, runs, warmUp, stream } = job;
  const cursor = area;
  const readAll = (until) => {
    const view = new Int32Array(memory.buffer);
    let seen = 0;
    while (seen < until) {
      if (kernel.peek(cursor, 65536, true, ANY) !== SPAN_DATA) {
        block();
        continue;
      }
      const bytes = view[(cursor + CURSOR_SPAN_BYTES) >>> 2];
      seen += bytes / frameBytes;
      kernel.advance(cursor, bytes);
      signalOwed();
    }
    return seen;
  };
  if (job.kind === 'read') {
    kernel.subscribeThread(stream);
    kernel.seek(cursor, stream, FROM_NEW, 0n);
  } else {
    writeRun(kernel, area + SOURCE, frames, frameBytes);
  }
  const work =
    job.kind === 'read'
      ? (count) => readAll(count * frames)
      : (count) =>
          appendRunsAndSignal(kernel, stream, area + SOURCE, frames, frameBytes, count, block);
  function appendRunsAndSignal(k, s, at, n, each, count, whenFull) {
    const time = 1_700_000_000_000_000_000n;
    const bytes = n * each;
    for (let run = 0; run < count; run++) {
      let taken = k.append(s, at, n, bytes, time);
      while (taken < n) {
        whenFull();
        taken += k.append(s, at + taken * each, n - taken, bytes - taken * each, time);
      }
      if (job.signals) signalOwed();
    }
    signalOwed();
  }
  if (warmUp !== 0) work(warmUp);
  parentPort.postMessage({ ready: true });
  Atomics.wait(words, shared + START, 0);
  const from = process.hrtime.bigint();
  work(runs);
  const nanoseconds = Number(process.hrtime.bigint() - from);
  Atomics.add(words, shared + ENDED, 1);
  parentPort.postMessage({ nanoseconds });
}

async function inThreads(jobs) {
  const threads = jobs.length + 1;
  const { memory, geometry } = createArena({
    bytes: ARENA_BYTES,
    threads,
    streams: 8,
    shardBytes: AREA_BYTES,
    sharedBytes: 65536,
    nodes: 1,
  });
  const control = loadKernel(memory, 0);
  control.createStream(1, LIMIT_BYTES, ON_FULL_BLOCK, 1n);
  control.createStream(2, LIMIT_BYTES, ON_FULL_BLOCK, 1n);
  const words = new Int32Array(memory.buffer);
  const shared = geometry.sharedByteOffset >>> 2;
  const results = [];
  const workers = jobs.map((job, i) => {
    control.setAlive(i + 1, true);
    const one = new Worker(new URL(import.meta.url), {
      workerData: { memory, geometry, thread: i + 1, job },
    });
    const messages = [];
    one.on('message', (message) => messages.push(message));
    const ended = new Promise((resolve, reject) => {
      one.on('exit', resolve);
      one.on('error', reject);
    });
    return { one, messages, ended };
  });
  const { setTimeout: sleep } = await import('node:timers/promises');
  while (workers.some(({ messages }) => messages.length === 0)) await sleep(1);
  Atomics.store(words, shared + START, 1);
  Atomics.notify(words, shared + START);
  await Promise.all(workers.map(({ ended }) => ended));
  for (const { messages } of workers) results.push(messages[1].nanoseconds);
  return results;
}

/** Reading a log that is there already, touching each frame's length or not. */
function readBack(frames, frameBytes, rounds) {
  const { memory, geometry } = createArena({
    bytes: ARENA_BYTES,
    threads: 2,
    streams: 8,
    shardBytes: AREA_BYTES,
    sharedBytes: 4096,
    nodes: 1,
  });
  const kernel = loadKernel(memory, 0);
  kernel.createStream(1, LIMIT_BYTES, ON_FULL_BLOCK, 1n);
  const source = geometry.shardsByteOffset + SOURCE;
  writeRun(kernel, source, frames, frameBytes);
  const runs = Math.floor((LIMIT_BYTES * 0.8) / (frames * frameBytes + 8));
  appendRuns(kernel, 1, source, frames, frames * frameBytes, runs, () => {
    throw new Error('full');
  });
  const cursor = geometry.shardsByteOffset;
  const words = new Uint32Array(memory.buffer);
  const figures = [];
  for (let round = 0; round < rounds; round++) {
    kernel.seek(cursor, 1, FROM_FIRST, 0n);
    let bytes = 0;
    const from = process.hrtime.bigint();
    while (kernel.peek(cursor, 65536, true, ANY) === SPAN_DATA) {
      const span = words[(cursor + CURSOR_SPAN_BYTES) >>> 2];
      bytes += span + (words[(cursor + CURSOR_SPAN_ADDRESS) >>> 2] & 0);
      kernel.advance(cursor, span);
    }
    figures.push(Number(process.hrtime.bigint() - from) / (bytes / frameBytes));
    kernel.closeCursor(cursor);
  }
  return figures;
}

function rangeOf(figures) {
  const sorted = [...figures].sort((a, b) => a - b);
  return { low: sorted[0], middle: sorted[sorted.length >> 1], high: sorted.at(-1) };
}

function summary(figures, digits = 0) {
  const { low, middle, high } = rangeOf(figures);
  return `${middle.toFixed(digits)} (${low.toFixed(digits)}–${high.toFixed(digits)})`;
}

async function main() {
  const values = scriptOptions(
    `node perf/ring.mjs [--smoke] [--only ${TOPOLOGIES}] [--frame-bytes 168] [--frames-each N] [--json]`,
    {
      smoke: 'flag',
      only: TOPOLOGIES,
      'frame-bytes': 'count',
      'frames-each': 'count',
      json: 'flag',
    },
  );
  const only = new Set(values.only ?? TOPOLOGIES);
  const frameBytes = values['frame-bytes'] ?? 168;
  const rounds = values.smoke ? 1 : 5;
  const framesEach = values.smoke ? 20_000 : (values['frames-each'] ?? 3_000_000);
  const say = values.json ? () => {} : console.log;
  const results = [];
  say(`node ${process.version}, ${cpus()[0].model}, ${cpus().length} cores`);
  say(`frames of ${frameBytes} bytes; medians of ${rounds} rounds (range)`);
  for (const frames of [1, 8, 64]) {
    const runs = Math.ceil(framesEach / frames);
    const job = {
      kind: 'append',
      frames,
      frameBytes,
      runs,
      warmUp: Math.ceil(runs / 5),
      stream: 1,
    };
    const perRun = async (jobs) => {
      const figures = [];
      for (let i = 0; i < rounds; i++)
        figures.push(...(await inThreads(jobs)).map((t) => t / runs));
      return figures;
    };
    const line = [];
    const tell = (name, figures, unit, digits = 0) => {
      results.push({ frames, name, unit, roundCount: rounds, ...rangeOf(figures) });
      line.push(`${name} ${summary(figures, digits)} ${unit}`);
    };
    if (only.has('one')) tell('one', await perRun([job]), 'ns');
    if (only.has('shared')) tell('shared', await perRun([job, job]), 'ns each');
    if (only.has('apart')) tell('apart', await perRun([job, { ...job, stream: 2 }]), 'ns each');
    if (only.has('read')) tell('read', readBack(frames, frameBytes, rounds), 'ns/frame', 2);
    if (only.has('through')) {
      const figures = [];
      for (let i = 0; i < rounds; i++) {
        const both = [
          { ...job, warmUp: 0, signals: true },
          { ...job, warmUp: 0, kind: 'read' },
        ];
        const [, reading] = await inThreads(both);
        figures.push((runs * frames * 1000) / reading);
      }
      tell('through', figures, 'M frames/s', 1);
    }
    say(`run of ${String(frames).padStart(2)}: ${line.join('; ')}`);
  }
  if (values.json) console.log(JSON.stringify(results));
}

if (isMainThread) await main();
else worker();
