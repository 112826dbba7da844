// Prints where a thread's time went: own time by function, from a profile of `node --cpu-prof`, which writes one
// file for each thread (CPU.DATE.TIME.PID.THREAD.SERIAL.cpuprofile) when the process ends in order.
// Waiting for work counts as epoll_wait's time, so load the broker while it is profiled.
//
//   node --cpu-prof --cpu-prof-dir=build/profile dist/main.js --shards 1
//   node perf/profile.mjs build/profile/*.cpuprofile [--top 20]
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { scriptOptions } from './lib/command-line.mjs';

/** Own time in µs and share of the whole, largest first, of the functions of one profile. */
export function ownTimes({ nodes, samples, timeDeltas }) {
  const names = new Map();
  for (const { id, callFrame } of nodes) {
    const { functionName, url, lineNumber } = callFrame;
    const place = url === '' ? '' : ` ${basename(url)}:${lineNumber + 1}`;
    names.set(id, `${functionName || '(anonymous)'}${place}`);
  }
  const times = new Map();
  let total = 0;
  for (const [i, id] of samples.entries()) {
    const name = names.get(id);
    times.set(name, (times.get(name) ?? 0) + timeDeltas[i]);
    total += timeDeltas[i];
  }
  return [...times]
    .sort(([, a], [, b]) => b - a)
    .map(([name, us]) => ({ name, us, share: us / total }));
}

function main() {
  const usage = 'node perf/profile.mjs FILE... [--top N]';
  const { files, top = 20 } = scriptOptions(usage, { top: 'count' }, 'file of a profile');
  for (const file of files) {
    console.log(basename(file));
    const times = ownTimes(JSON.parse(readFileSync(file, 'utf8')));
    for (const { name, us, share } of times.slice(0, top)) {
      const ms = (us / 1000).toFixed(1);
      console.log(`${ms.padStart(10)} ms ${(share * 100).toFixed(1).padStart(5)} %  ${name}`);
    }
  }
}

if (process.argv[1] === new URL(import.meta.url).pathname) main();
