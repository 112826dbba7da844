// Topology:  one thread, the broker's kernel over a shared memory, frames side by side in place.
//
// Measures nanoseconds a frame for making one (`encode`: header, padding, both checks) and for judging
// one (`check`: the protocol's order, both checks), called from JavaScript frame by frame, so the call's
// own 3 ns are within. The frames of one size take 256 KiB together: the cache's figure, as in a broker
// that has just received them.
//
// Void when a frame does not check (it ends the run), or when the rounds spread widely (the machine was busy).
//
// Beside the kernel stand the same two works in C (loadgen/codec.c: gcc -O2, without the calls from JavaScript), and by what
// Node.js and npm offer (alternatives/codec.mjs): void as a comparison of hashes, since none of them checks the
// same; what is compared is the work of a whole frame.
//
// XXH64 takes eight multiplications of 64 bits for 32 bytes. How long those take if a core does one a cycle, at the clock that
// this run finds, is told beside the largest payloads.
//
// Then many frames go through the client's encoder and decoder, checked and keyed, and what the heap has grown by is told.
import { PerformanceObserver } from 'node:perf_hooks';
import { setImmediate } from 'node:timers';
import { alternatives } from '../alternatives/codec.mjs';
import { loadCodec, loadKernel } from '../lib/kernel.mjs';
import { runLoadgen } from '../lib/loadgen.mjs';
import { noiseIn } from '../lib/noise.mjs';
import { progress } from '../lib/progress.mjs';
import { count, median, percent, printTable, spread } from '../lib/report.mjs';
import { voidCell } from '../lib/timed.mjs';

const HEADER_BYTES = 40;
const PAYLOAD_SIZES = [0, 40, 128, 1024, 2048, 16384, 65496];
const WORKING_SET_BYTES = 256 * 1024;

/**
 * Calls `once` (which handles `frames` frames) for a round's time; answers nanoseconds of CPU time a frame, which is what a
 * thread that nobody disturbs takes.
 */
function timed(frames, roundMs, once) {
  let passes = 0;
  const start = process.cpuUsage();
  let elapsedUs;
  do {
    once();
    passes++;
    const { user, system } = process.cpuUsage(start);
    elapsedUs = user + system;
  } while (elapsedUs < roundMs * 1000);
  return (elapsedUs * 1e3) / (passes * frames);
}

/** `codec` has `encode(at, payloadBytes)`, `check(at, payloadBytes)` and may have `rewind()`, called before each pass. */
function measure(codec, payloadBytes, { codecRounds, codecMs }) {
  const frameBytes = (HEADER_BYTES + payloadBytes + 7) & ~7;
  const frames = Math.max(1, Math.floor(WORKING_SET_BYTES / frameBytes));
  const end = frames * frameBytes;
  const rewind = codec.rewind ?? (() => undefined);
  const encodeAll = () => {
    rewind();
    for (let at = 0; at < end; at += frameBytes) codec.encode(at, payloadBytes);
  };
  const checkAll = () => {
    rewind();
    for (let at = 0; at < end; at += frameBytes) {
      if (!codec.check(at, payloadBytes)) throw new Error(`frame at ${at} does not check`);
    }
  };
  const rounds = { encode: [], check: [] };
  // One unmeasured round lets the JavaScript engine finish compiling.
  for (let round = -1; round < codecRounds; round++) {
    const encodeNs = timed(frames, codecMs, encodeAll);
    const checkNs = timed(frames, codecMs, checkAll);
    if (round < 0) continue;
    rounds.encode.push(encodeNs);
    rounds.check.push(checkNs);
  }
  return rounds;
}

/** The figures of one codec at every size, printed as a table. */
function figuresOf(name, title, codec, options) {
  const figures = PAYLOAD_SIZES.map((payloadBytes) => {
    progress(name, `${payloadBytes} B`);
    const { encode, check } = measure(codec, payloadBytes, options);
    const rate = (samples) => (payloadBytes + HEADER_BYTES) / median(samples);
    return {
      peer: name,
      payloadBytes,
      encodeNs: median(encode),
      encodeSpread: spread(encode),
      encodeGigabytesPerSecond: rate(encode),
      checkNs: median(check),
      checkSpread: spread(check),
      checkGigabytesPerSecond: rate(check),
      roundCount: encode.length,
      voidBecause: noiseIn([{}], Math.max(spread(encode), spread(check))),
      rounds: { encode, check },
    };
  });
  printTable(
    title,
    ['payload', 'encode ns', 'spread', 'GB/s', 'check ns', 'spread', 'GB/s', ''],
    figures.map((figure) => [
      `${figure.payloadBytes} B`,
      count(figure.encodeNs, 1),
      percent(figure.encodeSpread),
      count(figure.encodeGigabytesPerSecond, 2),
      count(figure.checkNs, 1),
      percent(figure.checkSpread),
      count(figure.checkGigabytesPerSecond, 2),
      voidCell(figure),
    ]),
  );
  return figures;
}

/** The same work in C, and how long the multiplications of each payload's hash take at the machine's clock. */
async function inC({ codecMs }) {
  const rows = [];
  for (const payloadBytes of PAYLOAD_SIZES) {
    progress('C', `${payloadBytes} B`);
    const seconds = (codecMs * 5) / 1000;
    const checked = await runLoadgen('codec', { size: payloadBytes, seconds });
    const keyed = await runLoadgen('codec', { size: payloadBytes, seconds, 'key-id': 'any' });
    rows.push({ checked, keyed });
  }
  const { cycleNs } = rows[0].checked;
  printTable(
    `the same in C, gcc -O2; a cycle takes ${count(cycleNs, 3)} ns (${count(1 / cycleNs, 2)} GHz)`,
    [
      'payload',
      'encode ns',
      'check ns',
      'keyed encode ns',
      'check ns',
      'multiplications alone, ns',
    ],
    rows.map(({ checked, keyed }) => [
      `${checked.payloadBytes} B`,
      ...[checked.encodeNs, checked.checkNs, keyed.encodeNs, keyed.checkNs].map((ns) =>
        count(ns, 1),
      ),
      count(checked.multiplicationsNs, 0),
    ]),
  );
  return rows;
}

/** What a frame costs the heap, from the client's encoder to its decoder. */
async function heap(frames, isKeyed) {
  let collections = 0;
  const observer = new PerformanceObserver((list) => (collections += list.getEntries().length));
  observer.observe({ entryTypes: ['gc'] });
  const { encoder, decoder } = await loadCodec(WORKING_SET_BYTES, undefined, isKeyed);
  const payload = new Uint8Array(128).fill(7);
  const pass = (count) => {
    let seen = 0;
    let bytes = 0;
    while (seen < count) {
      while (encoder.putBytes(0x20, 0, 1, seen, payload, 0, payload.length));
      const wire = encoder.view();
      for (let at = 0; at < wire.length;) {
        at += decoder.push(at === 0 ? wire : wire.subarray(at));
        while (decoder.next()) {
          if (decoder.damaged) throw new Error('a frame is damaged');
          bytes += decoder.payloadBytes;
          seen++;
        }
      }
      encoder.clear();
    }
    return { seen, bytes };
  };
  pass(frames / 10);
  const before = process.memoryUsage().heapUsed;
  const { seen } = pass(frames);
  const grown = process.memoryUsage().heapUsed - before;
  await new Promise((resolve) => setImmediate(resolve));
  observer.disconnect();
  const heapBytesPerFrame = grown / seen;
  console.log(
    `\n${seen} frames of 128 B, ${isKeyed ? 'keyed' : 'checked'}, through encoder and decoder: the heap is ${count(grown / 1024, 0)} KiB larger ` +
      `(${heapBytesPerFrame.toFixed(3)} bytes a frame), ${collections} collections`,
  );
  return { isKeyed, frames: seen, heapBytesPerFrame, collections };
}

export async function codec(options) {
  const kernel = loadKernel(WORKING_SET_BYTES);
  const bytes = new Uint8Array(kernel.memory.buffer);
  for (let i = 0; i < bytes.length; i++) bytes[i] = (31 * i + 7) & 0xff;
  const wholeFrame = (payloadBytes) => (HEADER_BYTES + payloadBytes + 7) & ~7;
  const checked = {
    encode: kernel.encode,
    check: (at, payloadBytes) => kernel.check(at, wholeFrame(payloadBytes)) > 0,
  };
  const { keyed } = await loadCodec(WORKING_SET_BYTES);
  const plain = Buffer.alloc(WORKING_SET_BYTES, 7);
  const figures = [
    ...figuresOf('checked', 'checked frames in place, one thread; medians', checked, options),
    ...figuresOf('keyed', 'keyed frames (siphash-2-4) in place', keyed, options),
    ...Object.entries(await alternatives(plain)).flatMap(([name, other]) =>
      figuresOf(name, name, other, options),
    ),
  ];
  const c = await inC(options);
  const heaps = [];
  for (const isKeyed of [false, true]) heaps.push(await heap(options.codecHeapFrames, isKeyed));
  return { figures, c, heap: heaps };
}
