// Topology:  N sockets of the generator --> peer; each said one greeting, got its answer, and is silent.
//
// Measures what an idle connection costs the peer: its resident memory with N connections held, less
// what it was before, over N; and the same of the last four fifths alone ("later"), for a first burst also
// makes a process larger once: code is compiled, buffers and a garbage collector's nursery grow. VmRSS and smaps_rollup are the peer's own; socket buffers and slab are the
// whole machine's, hold both ends of every connection, and are told apart for that reason.
//
// Void when a connection was lost while it was held.
import { setTimeout as delay } from 'node:timers/promises';
import { memoryOf, openFilesMax, planCpus } from '../lib/machine.mjs';
import { holdConnections } from '../lib/loadgen.mjs';
import { count, median, printTable } from '../lib/report.mjs';
import { absence, inRounds, ownFailure } from '../lib/runs.mjs';
import { voidCell } from '../lib/timed.mjs';

const SETTLE_STEP_MS = 100;
const SETTLE_STEPS_ALIKE = 5;
const SETTLE_STEPS_MAX = 30;
/** In a smoke run the figures mean nothing, so nothing is waited for. */
const SMOKE_STEPS = 1;
/** One in so many is held before the others. */
const FIRST_PART = 5;
/** What a process needs open besides its connections. */
const OTHER_FILES = 100;

/** Reads until resident memory stands still, for at most 3 s. */
async function settledMemory(pid, stepsMax) {
  let last = memoryOf(pid);
  for (let steps = 0, alike = 0; steps < stepsMax && alike < SETTLE_STEPS_ALIKE; steps++) {
    await delay(SETTLE_STEP_MS);
    const now = memoryOf(pid);
    alike = now.rssBytes === last.rssBytes ? alike + 1 : 0;
    last = now;
  }
  return last;
}

async function holdOnce(peer, definition, cpus, options) {
  const stepsMax = options.smoke ? SMOKE_STEPS : SETTLE_STEPS_MAX;
  const before = await settledMemory(peer.pid, stepsMax);
  const hold = (connections) =>
    holdConnections({
      port: peer.port,
      protocol: definition.protocol,
      cpu: cpus.generator,
      connections,
      hello: options.hello,
    });
  const firstCount = Math.ceil(options.connections / FIRST_PART);
  const laterCount = options.connections - firstCount;
  const first = await hold(firstCount);
  const between = await settledMemory(peer.pid, stepsMax);
  const later = await hold(laterCount);
  const during = await settledMemory(peer.pid, stepsMax);
  const ends = [await later.release(), await first.release()];
  const after = await settledMemory(peer.pid, stepsMax);
  const per = (field) => (during[field] - before[field]) / options.connections;
  return {
    ...ends[0],
    up: first.up.up + later.up.up,
    lost: ends[0].lost + ends[1].lost,
    before,
    between,
    during,
    after,
    rssPerConnection: per('rssBytes'),
    rssPerLaterConnection: (during.rssBytes - between.rssBytes) / laterCount,
    rollupRssPerConnection: per('rollupRssBytes'),
    anonymousPerConnection: per('rollupAnonymousBytes'),
    socketBufferPerConnection: per('machineSocketBufferBytes'),
    slabPerConnection: per('machineSlabBytes'),
  };
}

const MIB = 1024 * 1024;

export async function idle(options) {
  if (options.connections + OTHER_FILES > openFilesMax()) {
    throw new Error(
      `${options.connections} connections need more open files than the limit of ${openFilesMax()} ` +
        '(ulimit -n): raise it, or lower --connections',
    );
  }
  const cpus = planCpus();
  const names = [...options.peers.filter((name) => !name.startsWith('relay')), 'answer'];
  const results = await inRounds(
    names,
    options.idleRounds,
    { cpus: cpus.peer },
    (peer, definition) => holdOnce(peer, definition, cpus, options),
    { topic: `${options.connections} connections` },
  );
  const figures = names.map((name) => {
    const result = results[name];
    const lost = result.runs.reduce((sum, run) => sum + run.lost, 0);
    const voidBecause = lost > 0 ? [`${lost} connections were lost`] : [];
    const figure = { peer: name, connections: options.connections, voidBecause, ...result, lost };
    if (result.runs.length > 0) {
      figure.bytesPerConnection = median(result.runs.map((run) => run.rssPerConnection));
      figure.bytesPerLaterConnection = median(result.runs.map((run) => run.rssPerLaterConnection));
    }
    return { ...figure, ownFailure: ownFailure(name, result, lost > 0) };
  });
  printTable(
    `idle connections, ${count(options.connections)} held; bytes per connection, medians`,
    ['peer', 'RSS before', 'RSS held', 'RSS', 'later', 'smaps', 'anon.', 'sockets*', 'slab*', ''],
    figures.map(({ peer, runs, ...result }) => {
      if (!runs.length) return [peer, ...Array(8).fill('-'), absence(result)];
      const of = (pick, digits = 0) => count(median(runs.map(pick)), digits);
      return [
        peer,
        `${of((run) => run.before.rssBytes / MIB, 1)} MiB`,
        `${of((run) => run.during.rssBytes / MIB, 1)} MiB`,
        of((run) => run.rssPerConnection),
        of((run) => run.rssPerLaterConnection),
        of((run) => run.rollupRssPerConnection),
        of((run) => run.anonymousPerConnection),
        of((run) => run.socketBufferPerConnection),
        of((run) => run.slabPerConnection),
        voidCell(result),
      ];
    }),
  );
  console.log("* the kernel's, of the whole machine and both ends of each connection");
  return { cpus, connections: options.connections, figures };
}
