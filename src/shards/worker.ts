/**
 * A shard's thread: one endless task of its pool.
 *
 * Invariant: a fault ends the thread, never only the task: what the shard has claimed is recovered by control
 * once the thread is gone, and a thread that lives on after its shard could still write.
 */
import { randomBytes } from 'node:crypto';
import { setImmediate as yieldToNode } from 'node:timers/promises';
import { threadId } from 'node:worker_threads';
import { systemClock } from '../clock.js';
import { createLinuxSys } from '../sys/linux.js';
import { ASKED_TOGETHER, Inbox, Outbox } from './batches.js';
import { loadKernel } from './kernel.js';
import type { ControlLink, ControlMessage, ShardMessage } from './messages.js';
import { SettingsPage } from './settings.js';
import { Shard } from './shard.js';
import { SharedArea } from './shared.js';
import type { MemoryRange, ShardTask } from './task.js';

/** Node's own event loop has its turn so often; nothing of the data path waits for it. */
const YIELD_MS = 100;
/** No system has smaller pages. */
const PAGE_BYTES_MIN = 4096;

export default async function runShard(task: ShardTask): Promise<void> {
  const { port } = task;
  const outbox = new Outbox<ShardMessage>(port, ASKED_TOGETHER);
  const inbox = new Inbox<ControlMessage>(port);
  try {
    const shard = makeShard(task, {
      post: (message) => outbox.post(message),
      receive: () => inbox.take(),
    });
    outbox.post({ type: 'ready', threadId });
    let yieldedMs = systemClock.monotonicMs();
    while (shard.turn()) {
      outbox.flush();
      if (shard.awakeMs - yieldedMs < YIELD_MS) continue;
      await yieldToNode();
      yieldedMs = systemClock.monotonicMs();
      shard.awakeMs = yieldedMs;
    }
    outbox.flush();
    shard.close();
    port.close();
  } catch (error) {
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    outbox.post({
      type: 'log',
      level: 'error',
      message: 'shard failed',
      fields: { shard: task.thread, reason },
    });
    process.exit(1);
  }
}

/** Others may be at work in it: a byte is written as it is, and as one atomic step. */
function touch(memory: WebAssembly.Memory, { byteOffset, byteCount }: MemoryRange): void {
  const bytes = new Uint8Array(memory.buffer, byteOffset, byteCount);
  for (let at = 0; at < byteCount; at += PAGE_BYTES_MIN) Atomics.or(bytes, at, 0);
}

function makeShard(task: ShardTask, control: ControlLink): Shard {
  const sys = createLinuxSys(task.memory);
  // Before any memory is touched: the kernel places a page on the node of the thread that touches it first.
  const status = sys.setAffinity([task.cpu]);
  if (status < 0) {
    const fields = { shard: task.thread, cpu: task.cpu, errno: -status };
    control.post({ type: 'log', level: 'warn', message: 'shard not pinned', fields });
  }
  for (const range of task.prefault) touch(task.memory, range);
  return new Shard({
    thread: task.thread,
    memory: task.memory,
    kernel: loadKernel(task.memory, task.thread),
    sys,
    shared: new SharedArea(task.memory, task.sharedAt, task.slots),
    control,
    clock: systemClock,
    settings: task.settings,
    principals: task.principals,
    settingsPage: new SettingsPage(task.memory, task.sharedAt),
    randomBytes,
    areaAt: task.areaAt,
    streamsAt: task.streamsAt,
    eventfds: task.eventfds,
  });
}
