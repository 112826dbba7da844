import { expect, test } from 'vitest';
import { benchRtt } from '../../../src/cli/bench/rtt.js';
import { writeStamp } from '../../../src/cli/bench/stamp.js';
import { TYPE_DATA } from '../../../src/frame/codes.js';
import { makeStage, makeTask, RUN } from './support.js';

function stamped(run: number, number: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(16));
  writeStamp(view, { run, number, dueMs: 0 });
  return new Uint8Array(view.buffer);
}

test('an answer of another run, or to another question, is none', async () => {
  const { server, task } = await makeTask('rtt', 'a', { count: 3 });
  // Nothing is answered by itself.
  server.sink = true;
  const { stage } = makeStage();
  const asked = server.next(TYPE_DATA);
  const measured = benchRtt(task, stage);
  await asked;
  server.append('a.answers', stamped(RUN + 1, 0));
  await expect.poll(() => stage.board.counts.foreign).toBe(1);
  server.append('a.answers', stamped(RUN, 9));
  await expect.poll(() => stage.board.counts.disordered).toBe(1);
  expect(stage.board.counts.received).toBe(0);
  const second = server.next(TYPE_DATA);
  server.append('a.answers', stamped(RUN, 0));
  await second;
  server.append('a.answers', stamped(RUN, 1));
  await expect.poll(() => stage.board.counts.sent).toBe(3);
  server.append('a.answers', stamped(RUN, 2));
  expect((await measured).perConnection).toEqual([3]);
  expect(stage.board.counts).toMatchObject({ sent: 3, received: 3, receivedBytes: 48 });
});

test('answers that nobody waits for are left alone', async () => {
  const { server, task } = await makeTask('rtt', 'a', { count: 1 });
  const { stage } = makeStage();
  server.append('a.answers', 'before anything is asked');
  expect((await benchRtt(task, stage)).perConnection).toEqual([1]);
  expect(stage.board.counts.foreign).toBe(0);
});
