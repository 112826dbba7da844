// Rounds: every peer once in each, A B C A B C …, so that a drift of the machine falls on all alike.
import { cpuSecondsOf } from './machine.mjs';
import { PeerMissing, peers } from './peers.mjs';

/** Starts the peer alone, runs `measure(peer, definition)`, and ends it whatever happens. */
async function withPeer(name, startOptions, measure) {
  const definition = peers[name];
  const peer = await definition.start(startOptions);
  try {
    const cpuBefore = cpuSecondsOf(peer.pid);
    const result = await measure(peer, definition);
    return { ...result, peerCpuSeconds: cpuSecondsOf(peer.pid) - cpuBefore };
  } finally {
    await peer.stop();
  }
}

/**
 * Runs `measure` in `rounds` rounds over `names`. Answers `{ name: { runs, missing, failed } }`: a peer that
 * is missing or that failed is not tried again, and says why.
 */
export async function inRounds(names, rounds, startOptions, measure) {
  const results = Object.fromEntries(
    names.map((name) => [name, { runs: [], missing: null, failed: null }]),
  );
  for (let round = 0; round < rounds; round++) {
    for (const name of names) {
      const result = results[name];
      if (result.missing || result.failed) continue;
      try {
        result.runs.push(await withPeer(name, startOptions, measure));
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
