// Rounds: every peer once in each, A B C A B C …, so that a drift of the machine falls on all alike.
import { cpuSecondsOf } from './machine.mjs';
import { watchOthers } from './noise.mjs';
import { PeerMissing } from './servers.mjs';
import { peers } from './peers.mjs';
import { progress } from './progress.mjs';

/** Starts the peer alone, runs `warm` and `measure(peer, definition)`, and ends it whatever happens. */
async function withPeer(name, startOptions, warm, measure) {
  const definition = peers[name];
  const peer = await definition.start(startOptions);
  try {
    await warm?.(peer, definition);
    const cpuBefore = cpuSecondsOf(peer.pid);
    const othersPart = watchOthers(peer.pid);
    const result = await measure(peer, definition);
    return {
      ...result,
      peerCpuSeconds: cpuSecondsOf(peer.pid) - cpuBefore,
      othersPart: Number(othersPart().toFixed(3)),
    };
  } finally {
    await peer.stop();
  }
}

/** Relays that only say where the generator's limit is run once, but where `isAll` wants them as often as others. */
function roundsOf(name, rounds, isAll) {
  return name.startsWith('relay-') && !isAll ? 1 : rounds;
}

/**
 * Runs `measure` in `rounds` rounds over `names`. Answers `{ name: { runs, missing, failed } }`: a peer that
 * is missing or that failed is not tried again, and says why; nor is one whose run was `hopeless`. `warm` comes before
 * each, and is not measured.
 */
export async function inRounds(
  names,
  rounds,
  startOptions,
  measure,
  { topic, hopeless, isAll, warm } = {},
) {
  const results = Object.fromEntries(
    names.map((name) => [name, { runs: [], missing: null, failed: null }]),
  );
  for (let round = 0; round < rounds; round++) {
    for (const name of names) {
      const result = results[name];
      if (result.missing || result.failed || round >= roundsOf(name, rounds, isAll)) continue;
      if (hopeless && result.runs.some(hopeless)) continue;
      progress(topic ?? '', `${name}, round ${round + 1} of ${rounds}`);
      try {
        result.runs.push(await withPeer(name, startOptions, warm, measure));
      } catch (error) {
        result[error instanceof PeerMissing ? 'missing' : 'failed'] = error.message;
      }
    }
  }
  return results;
}

/** What a generator's report says against itself: [] when every message came, whole and in order. */
export function faultsOf(run) {
  const faults = [];
  if (run.delivered !== run.expected) faults.push(`delivered ${run.delivered} of ${run.expected}`);
  for (const name of ['gaps', 'reordered', 'misplaced', 'corrupt', 'strays', 'peerErrors']) {
    if (run[name] > 0) faults.push(`${name} ${run[name]}`);
  }
  if (run.error) faults.push(run.error);
  return faults;
}

/** The relays that bound what can be measured of `names`, behind them. */
export function withCeilings(names) {
  const wanted = names.flatMap((name) => (peers[name].ceiling ? [peers[name].ceiling] : []));
  return [...new Set([...names, ...wanted])].filter((name) => name !== 'answer');
}

/** Why a peer has no figure, as the table shows it. */
export function absence(result) {
  if (result.missing) return `MISSING: ${result.missing}`;
  if (result.failed) return `FAILED: ${result.failed.split('\n')[0]}`;
  return null;
}

/** True when something of this project's own did not work, as against a figure that is merely void. */
export function ownFailure(name, result, dirty) {
  return peers[name].own && (result.failed !== null || result.missing !== null || dirty);
}
