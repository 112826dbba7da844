/** The acceptor's thread. */
import { setImmediate as yieldToNode } from 'node:timers/promises';
import { receiveMessageOnPort, workerData } from 'node:worker_threads';
import { systemClock } from '../clock.js';
import { loadKernel } from '../shards/kernel.js';
import { SharedArea } from '../shards/shared.js';
import { createLinuxSys } from '../sys/linux.js';
import { Acceptor } from './acceptor.js';
import type { AcceptorOrder, AcceptorTask } from './task.js';

const YIELD_MS = 100;

const task = workerData as AcceptorTask;
const sys = createLinuxSys(task.memory);
const acceptor = new Acceptor({
  ...task,
  sys,
  // Thread 0 by number, but it encodes a frame and nothing else: it touches no ring.
  kernel: loadKernel(task.memory, 0),
  shared: new SharedArea(task.memory, task.sharedAt, task.slots),
  nowMs: () => systemClock.monotonicMs(),
  log: (level, message, fields) => task.port.postMessage({ level, message, fields }),
});

/** Does what control has asked for. False: the end. */
function obey(): boolean {
  for (;;) {
    const order = receiveMessageOnPort(task.port)?.message as AcceptorOrder | undefined;
    if (order === undefined) return true;
    if (order.type === 'end') return false;
    if (order.type === 'unbar') acceptor.unbar();
    else acceptor.bar(order.address, order.forMs);
  }
}

let yieldedMs = systemClock.monotonicMs();
while (obey()) {
  acceptor.turn();
  const nowMs = systemClock.monotonicMs();
  if (nowMs - yieldedMs < YIELD_MS) continue;
  yieldedMs = nowMs;
  await yieldToNode();
}
acceptor.close();
task.port.close();
