// Topology:  one thread, the broker's kernel over a shared memory, frames side by side in place.
//
// Measures nanoseconds a frame for making one (`encode`: header, padding, both checks) and for judging
// one (`check`: the protocol's order, both checks), called from JavaScript frame by frame, so the call's
// own 3 ns are within. The frames of one size take 256 KiB together: the cache's figure, as in a broker
// that has just received them.
//
// Void when a frame does not check, or when the rounds spread widely (the machine was busy).
//
//   node perf/codec.mjs [--smoke]
import { performance } from 'node:perf_hooks';
import { loadKernel } from './lib/kernel.mjs';
import { buildProject } from './lib/peers.mjs';
import { count, median, percent, printTable, spread } from './lib/report.mjs';

const HEADER_BYTES = 40;
const PAYLOAD_SIZES = [0, 40, 128, 1024, 16384, 65496];
const WORKING_SET_BYTES = 256 * 1024;
const smoke = process.argv.includes('--smoke');
const ROUNDS = smoke ? 1 : 5;
const ROUND_MS = smoke ? 1 : 150;

/** Calls `once` (which handles `frames` frames) for a round's time; answers nanoseconds a frame. */
function timed(frames, once) {
  let passes = 0;
  const start = performance.now();
  let elapsed;
  do {
    once();
    passes++;
    elapsed = performance.now() - start;
  } while (elapsed < ROUND_MS);
  return (elapsed * 1e6) / (passes * frames);
}

function measure(kernel, payloadBytes) {
  const frameBytes = (HEADER_BYTES + payloadBytes + 7) & ~7;
  const frames = Math.max(1, Math.floor(WORKING_SET_BYTES / frameBytes));
  const end = frames * frameBytes;
  const encodeAll = () => {
    for (let at = 0; at < end; at += frameBytes) kernel.encode(at, payloadBytes);
  };
  const checkAll = () => {
    for (let at = 0; at < end; at += frameBytes) {
      if (kernel.check(at, frameBytes) !== frameBytes)
        throw new Error(`frame at ${at} does not check`);
    }
  };
  const rounds = { encode: [], check: [] };
  // One unmeasured round lets the JavaScript engine finish compiling.
  for (let round = -1; round < ROUNDS; round++) {
    const encodeNs = timed(frames, encodeAll);
    const checkNs = timed(frames, checkAll);
    if (round < 0) continue;
    rounds.encode.push(encodeNs);
    rounds.check.push(checkNs);
  }
  return rounds;
}

buildProject();
const kernel = loadKernel(WORKING_SET_BYTES);
new Uint8Array(kernel.memory.buffer).forEach((_, i, bytes) => (bytes[i] = (31 * i + 7) & 0xff));
printTable(
  'frame codec in place, one thread; medians',
  ['payload', 'encode ns', 'spread', 'check ns', 'spread', 'check GB/s'],
  PAYLOAD_SIZES.map((payloadBytes) => {
    const { encode, check } = measure(kernel, payloadBytes);
    return [
      `${payloadBytes} B`,
      count(median(encode), 1),
      percent(spread(encode)),
      count(median(check), 1),
      percent(spread(check)),
      count((payloadBytes + HEADER_BYTES) / median(check), 2),
    ];
  }),
);
