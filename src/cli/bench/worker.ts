/** A thread of a bench: its part of the connections. */
import { parentPort, workerData } from 'node:worker_threads';
import { asError, MemoryStreamerError } from '../../errors.js';
import { Board } from './board.js';
import { benchLatency } from './latency.js';
import { benchPublish } from './publish.js';
import { benchRtt } from './rtt.js';
import { Stage } from './stage.js';
import { benchSubscribe } from './subscribe.js';
import type { BenchKind, BenchResult, BenchTask, FromWorker } from './task.js';

const ROLES: Readonly<Record<BenchKind, (task: BenchTask, stage: Stage) => Promise<BenchResult>>> =
  { pub: benchPublish, sub: benchSubscribe, latency: benchLatency, rtt: benchRtt };

const { task, buffer } = workerData as { task: BenchTask; buffer: SharedArrayBuffer };
const port = parentPort!;
const post = (message: FromWorker): void => port.postMessage(message);
const stage = new Stage(new Board(buffer), port);
try {
  post({ type: 'done', result: await ROLES[task.kind](task, stage) });
} catch (thrown) {
  const error = asError(thrown);
  const { message, stack } = error;
  const code = error instanceof MemoryStreamerError ? error.code : undefined;
  post({ type: 'failed', message, code, stack });
} finally {
  stage.close();
}
