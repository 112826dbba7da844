/** One thread's part of a bench, in the test's own thread. */
import { MessageChannel } from 'node:worker_threads';
import { onTestFinished } from 'vitest';
import { Board } from '../../../src/cli/bench/board.js';
import { Stage } from '../../../src/cli/bench/stage.js';
import type { BenchTask } from '../../../src/cli/bench/task.js';
import { TestServer } from '../../support/server.js';

export const RUN = 77;

/** A stage that goes as soon as it is ready; `main` is the port that would be the main thread's. */
export function makeStage() {
  const { port1, port2: main } = new MessageChannel();
  const stage = new Stage(new Board(), port1);
  main.on('message', () => main.postMessage('go'));
  onTestFinished(() => {
    stage.close();
    main.close();
  });
  return { stage, main };
}

/** A server, and a task for it. */
export async function makeTask(
  kind: BenchTask['kind'],
  subject: string,
  more: Partial<BenchTask> = {},
): Promise<{ server: TestServer; task: BenchTask }> {
  const server = await TestServer.start();
  onTestFinished(() => server.close());
  const task: BenchTask = {
    kind,
    url: server.url,
    identity: {},
    subjects: [subject],
    sizeBytes: 16,
    rate: undefined,
    count: undefined,
    durationMs: undefined,
    warmupMs: 0,
    ack: 'bulk',
    window: 1,
    from: 'new',
    run: RUN,
    ...more,
  };
  return { server, task };
}
