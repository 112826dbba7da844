/** `bench pub` in one thread: connections that publish as fast as they can, or at a rate. */
import type { Client } from '../../client/client.js';
import { systemClock } from '../../clock.js';
import { withClients } from '../with-client.js';
import type { Stage } from './stage.js';
import { shares, type AckMode, type BenchResult, type BenchTask } from './task.js';

const NS_PER_MS = 1e6;
/** For the broker to take in what it was sent without asking for acknowledgements. */
const LAST_PING_MS = 60_000;

/** One connection, and what it has to do. */
interface Lane {
  readonly client: Client;
  readonly subject: string;
  readonly payload: Buffer;
  readonly window: number;
  readonly stage: Stage;
  /** Frames published so far. */
  published: number;
  /** Whether another one is to be published; where there is a rate, resolves when it is due. */
  readonly isDue: () => boolean | Promise<boolean>;
}

const PUBLISHERS: Readonly<Record<AckMode, (lane: Lane) => Promise<void>>> = {
  bulk: publishInBulk,
  each: publishEach,
  none: publishUnacknowledged,
};

export async function benchPublish(task: BenchTask, stage: Stage): Promise<BenchResult> {
  const { url, identity, subjects } = task;
  return withClients('bench', url, identity, subjects.length, async (clients) => {
    // An unknown or forbidden subject is told before anything is measured.
    await Promise.all(clients.map((client, i) => client.publisher(subjects[i]!)));
    await stage.ready();
    stage.stopAfter(task.durationMs);
    const counts = task.count === undefined ? [] : shares(task.count, clients.length);
    const lanes = clients.map((client, i) => laneOf(task, stage, client, i, counts[i]));
    await Promise.all(lanes.map(PUBLISHERS[task.ack]));
    return stage.result(lanes.map(({ published }) => published));
  });
}

function laneOf(
  { subjects, sizeBytes, window, rate }: BenchTask,
  stage: Stage,
  client: Client,
  index: number,
  count = Infinity,
): Lane {
  const startMs = systemClock.monotonicMs();
  const intervalMs = rate === undefined ? 0 : (1000 * subjects.length) / rate;
  // Connections take turns within an interval.
  const phaseMs = (intervalMs * index) / subjects.length;
  let issued = 0;
  const isDue = (): boolean | Promise<boolean> => {
    if (stage.isStopped || issued >= count) return false;
    if (intervalMs === 0) {
      issued++;
      return true;
    }
    const dueMs = startMs + phaseMs + issued++ * intervalMs;
    return dueMs <= systemClock.monotonicMs() || stage.until(dueMs);
  };
  const payload = Buffer.alloc(sizeBytes, 'x');
  return { client, subject: subjects[index]!, payload, window, stage, published: 0, isDue };
}

async function publishInBulk(lane: Lane): Promise<void> {
  const { board } = lane.stage;
  const publisher = await lane.client.publisher(lane.subject);
  let acknowledged = 0;
  const note = () => {
    board.add('acknowledged', publisher.acknowledgedCount - acknowledged);
    acknowledged = publisher.acknowledgedCount;
  };
  for (let due = lane.isDue(); due !== false; due = lane.isDue()) {
    if (due !== true && !(await due)) break;
    const taken = publisher.send(lane.payload);
    lane.published++;
    board.add('sent');
    if (taken === true) continue;
    await taken;
    note();
    if (publisher.refusedCount > 0) break;
  }
  await publisher.flush();
  note();
}

/** As many at once as the window has frames, each waiting for its own acknowledgement. */
async function publishEach(lane: Lane): Promise<void> {
  const { client, subject, payload, stage } = lane;
  const { board } = stage;
  const loop = async () => {
    for (let due = lane.isDue(); due !== false; due = lane.isDue()) {
      if (due !== true && !(await due)) break;
      const beganMs = systemClock.monotonicMs();
      lane.published++;
      board.add('sent');
      await client.publish(subject, payload, { ack: true });
      board.add('acknowledged');
      board.times.record((systemClock.monotonicMs() - beganMs) * NS_PER_MS);
    }
  };
  await Promise.all(Array.from({ length: lane.window }, loop));
}

async function publishUnacknowledged(lane: Lane): Promise<void> {
  const { client, subject, payload, stage } = lane;
  for (let due = lane.isDue(); due !== false; due = lane.isDue()) {
    if (due !== true && !(await due)) break;
    await client.publish(subject, payload);
    lane.published++;
    stage.board.add('sent');
  }
  // Its answer comes when the broker has taken in all that was sent before.
  await client.ping({ timeoutMs: LAST_PING_MS });
}
