/**
 * What control does after a thread has ended without warning (its `exit` event has come): the log on which
 * it was at work is mended, its segments, pins and waits are given back, and everybody is told everything.
 *
 * Invariant: deaths on one arena are recovered one after another; a thread is marked dead at once.
 */
import { MemoryStreamerError } from '../errors.js';
import type { RingKernel } from './kernel.js';

/** No turn of a live thread takes nearly as long; one that does is stuck, and waiting on would hide it. */
export const GRACE_MS_MAX = 10_000;

export type RecoveryKernel = Pick<
  RingKernel,
  | 'isAlive'
  | 'isSleeping'
  | 'recoverLock'
  | 'recoverPins'
  | 'recoverSnapshot'
  | 'recoverStream'
  | 'recoverThread'
  | 'recoverUnlock'
  | 'recoveredHoles'
  | 'recoveredLostSequences'
  | 'recoveredSeals'
  | 'setAlive'
  | 'tellAll'
  | 'turnOf'
>;

export interface Recovery {
  /** Control's own instance: it holds what one recovery remembers between its steps. */
  kernel: RecoveryKernel;
  /** The thread that has ended; it must run no more. */
  dead: number;
  /** All threads, control (0) among them. */
  threads: number;
  /** Writes the eventfd of a thread, whether it sleeps or not. */
  signal: (thread: number) => void;
  /** Lets the event loop go round once. */
  pause: () => Promise<void>;
  /** How long the live threads have, in ms, to begin a new turn. */
  graceMsMax?: number;
  /** A clock that never goes back, in ms. */
  nowMs?: () => number;
}

export interface Recovered {
  /** How long it took, without the wait for other deaths. */
  milliseconds: number;
  /** Claims without a commit that became GAP. */
  holes: number;
  /** Sequences that nobody will ever see: they were never acknowledged. */
  lostSequences: number;
  /** Seals that the dead thread had still to write. */
  seals: number;
}

const queues = new WeakMap<RecoveryKernel, Promise<unknown>>();

/**
 * Recovers from the death of one thread. Deaths that come while another is being recovered wait for it.
 * Rejects with MS_ERR_SHARD_LOST when a live thread begins no new turn within the grace.
 */
export function recoverDeadThread(recovery: Recovery): Promise<Recovered> {
  const { kernel, dead } = recovery;
  // At once: another recovery may be waiting for this thread's turn, or for a lock that it held.
  kernel.setAlive(dead, false);
  const before = queues.get(kernel) ?? Promise.resolve();
  const mine = before.then(() => recoverNow(recovery));
  queues.set(
    kernel,
    mine.catch(() => undefined),
  );
  return mine;
}

async function recoverNow(recovery: Recovery): Promise<Recovered> {
  const { kernel, dead } = recovery;
  const nowMs = recovery.nowMs ?? ((): number => performance.now());
  const startMs = nowMs();
  const holes = kernel.recoveredHoles();
  const lostSequences = kernel.recoveredLostSequences();
  const seals = kernel.recoveredSeals();
  const deadline = makeDeadline(nowMs, startMs + (recovery.graceMsMax ?? GRACE_MS_MAX));
  const stream = kernel.recoverThread(dead);
  if (stream !== 0) await mendStream(recovery, stream, deadline);
  kernel.recoverPins(dead);
  if (stream !== 0) kernel.recoverUnlock(stream);
  kernel.tellAll();
  signalEverybody(recovery);
  return {
    milliseconds: nowMs() - startMs,
    holes: kernel.recoveredHoles() - holes,
    lostSequences: kernel.recoveredLostSequences() - lostSequences,
    seals: kernel.recoveredSeals() - seals,
  };
}

async function mendStream(recovery: Recovery, stream: number, deadline: Deadline): Promise<void> {
  const { kernel, pause } = recovery;
  while (!kernel.recoverLock(stream)) {
    deadline(`the lock of stream ${stream} is not given back`);
    await pause();
  }
  try {
    kernel.recoverSnapshot(stream);
    // First the snapshot, then the turns: what is claimed below the snapshot was claimed in these turns.
    const turns = Array.from({ length: recovery.threads }, (_, thread) => kernel.turnOf(thread));
    // Only now: a thread may block with its flag taken by the dead one, who never signalled it.
    signalEverybody(recovery);
    for (let thread = 1; thread < recovery.threads; thread++) {
      while (isInTurn(recovery, thread, turns[thread]!)) {
        deadline(`thread ${thread} begins no new turn`);
        await pause();
      }
    }
    kernel.recoverStream(stream);
  } catch (error) {
    kernel.recoverUnlock(stream);
    throw error;
  }
}

/** Whether a live thread is still in the turn in which the snapshot saw it. */
function isInTurn({ kernel, dead }: Recovery, thread: number, turn: number): boolean {
  return (
    thread !== dead &&
    kernel.isAlive(thread) !== 0 &&
    kernel.turnOf(thread) === turn &&
    kernel.isSleeping(thread) === 0
  );
}

function signalEverybody({ kernel, threads, signal }: Recovery): void {
  for (let thread = 1; thread < threads; thread++) {
    if (kernel.isAlive(thread) !== 0) signal(thread);
  }
}

/** Throws once the time is over. */
type Deadline = (what: string) => void;

function makeDeadline(nowMs: () => number, atMs: number): Deadline {
  return (what) => {
    if (nowMs() < atMs) return;
    throw new MemoryStreamerError(
      'MS_ERR_SHARD_LOST',
      `the log of a shard that ended cannot be mended: ${what}; restart the broker`,
    );
  };
}
