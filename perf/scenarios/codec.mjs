// Topology:  one thread, the broker's kernel over a shared memory, frames side by side in place.
//
// Measures nanoseconds a frame for making one (`encode`: header, padding, both checks) and for judging
// one (`check`: the protocol's order, both checks), called from JavaScript frame by frame, so the call's
// own 3 ns are within. The frames of one size take 256 KiB together: the cache's figure, as in a broker
// that has just received them.
//
// Void when a frame does not check (it ends the run), or when the rounds spread widely (the machine was busy).
import { performance } from 'node:perf_hooks';
import { loadKernel } from '../lib/kernel.mjs';
import { noiseIn } from '../lib/noise.mjs';
import { progress } from '../lib/progress.mjs';
import { count, median, percent, printTable, spread } from '../lib/report.mjs';
import { voidCell } from '../lib/timed.mjs';

const HEADER_BYTES = 40;
const PAYLOAD_SIZES = [0, 40, 128, 1024, 16384, 65496];
const WORKING_SET_BYTES = 256 * 1024;

/** Calls `once` (which handles `frames` frames) for a round's time; answers nanoseconds a frame. */
function timed(frames, roundMs, once) {
  let passes = 0;
  const start = performance.now();
  let elapsed;
  do {
    once();
    passes++;
    elapsed = performance.now() - start;
  } while (elapsed < roundMs);
  return (elapsed * 1e6) / (passes * frames);
}

function measure(kernel, payloadBytes, { codecRounds, codecMs }) {
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
  for (let round = -1; round < codecRounds; round++) {
    const encodeNs = timed(frames, codecMs, encodeAll);
    const checkNs = timed(frames, codecMs, checkAll);
    if (round < 0) continue;
    rounds.encode.push(encodeNs);
    rounds.check.push(checkNs);
  }
  return rounds;
}

export function codec(options) {
  const kernel = loadKernel(WORKING_SET_BYTES);
  new Uint8Array(kernel.memory.buffer).forEach((_, i, bytes) => (bytes[i] = (31 * i + 7) & 0xff));
  const figures = PAYLOAD_SIZES.map((payloadBytes) => {
    progress(`${payloadBytes} B`, '');
    const { encode, check } = measure(kernel, payloadBytes, options);
    return {
      peer: 'memorystreamer',
      payloadBytes,
      encodeNs: median(encode),
      checkNs: median(check),
      encodeSpread: spread(encode),
      checkSpread: spread(check),
      checkGigabytesPerSecond: (payloadBytes + HEADER_BYTES) / median(check),
      voidBecause: noiseIn([{}], Math.max(spread(encode), spread(check))),
      roundCount: encode.length,
      rounds: { encode, check },
    };
  });
  printTable(
    'frame codec in place, one thread; medians',
    ['payload', 'encode ns', 'spread', 'check ns', 'spread', 'check GB/s', ''],
    figures.map((figure) => [
      `${figure.payloadBytes} B`,
      count(figure.encodeNs, 1),
      percent(figure.encodeSpread),
      count(figure.checkNs, 1),
      percent(figure.checkSpread),
      count(figure.checkGigabytesPerSecond, 2),
      voidCell(figure),
    ]),
  );
  return { figures };
}
