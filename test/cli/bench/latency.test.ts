import { expect, test } from 'vitest';
import { benchLatency } from '../../../src/cli/bench/latency.js';
import { writeStamp } from '../../../src/cli/bench/stamp.js';
import { TYPE_DATA } from '../../../src/frame/codes.js';
import { makeStage, makeTask, RUN } from './support.js';

test('it ends after its duration, and sleeps where a frame is far off', async () => {
  const { server, task } = await makeTask('latency', 'a', { rate: 50, durationMs: 100 });
  const { stage } = makeStage();
  const { perConnection } = await benchLatency(task, stage);
  const { counts, times, lag } = stage.board;
  expect(counts.sent).toBeGreaterThan(0);
  // Due at 0, 20, 40, 60 and 80 ms; less only where this process stood still for longer than twice the time.
  expect(counts.sent).toBeLessThanOrEqual(5);
  expect(counts.received).toBe(counts.sent);
  expect(perConnection).toEqual([counts.sent]);
  expect([times.count, lag.count]).toEqual([counts.sent, counts.sent]);
  expect(server.stream('a').frames).toHaveLength(counts.sent);
});

test('more than the client takes is late, and comes all the same', async () => {
  const { server, task } = await makeTask('latency', 'a', {
    sizeBytes: 65_000,
    rate: 1_000_000,
    count: 400,
  });
  const { stage } = makeStage();
  await benchLatency(task, stage);
  expect(stage.board.counts).toMatchObject({ sent: 400, received: 400, disordered: 0 });
  expect(server.stream('a').frames).toHaveLength(400);
  // All were due at once, and the client holds 2 MiB.
  expect(stage.board.lag.max).toBeGreaterThan(stage.board.lag.valueAt(0));
});

test('what was due in time is sent though it is late, but not for ever', async () => {
  const { task } = await makeTask('latency', 'a', { rate: 1e9, durationMs: 50 });
  const { stage } = makeStage();
  const { elapsedMs } = await benchLatency(task, stage);
  expect(elapsedMs).toBeGreaterThanOrEqual(100);
  expect(stage.board.counts.sent).toBeLessThan(50_000_000);
  expect(stage.board.counts.received).toBe(stage.board.counts.sent);
});

test('a frame that is damaged on the way is skipped, as its gap tells', async () => {
  const { server, task } = await makeTask('latency', 'a', { rate: 100_000, count: 20 });
  server.damageNext = true;
  const { stage } = makeStage();
  await benchLatency(task, stage);
  expect(stage.board.counts).toMatchObject({ sent: 20, received: 19, skipped: 1 });
});

test('a frame that comes twice is out of order', async () => {
  const { server, task } = await makeTask('latency', 'a', { rate: 0.001, count: 5 });
  const { stage } = makeStage();
  const first = server.next(TYPE_DATA);
  const measured = benchLatency(task, stage);
  await first;
  const again = new DataView(new ArrayBuffer(16));
  writeStamp(again, { run: RUN, number: 0, dueMs: 0 });
  server.append('a', new Uint8Array(again.buffer));
  await expect.poll(() => stage.board.counts.received).toBe(2);
  stage.stop();
  await measured;
  expect(stage.board.counts).toMatchObject({ sent: 1, disordered: 1 });
});
