import { expect, test } from 'vitest';
import { benchSubscribe } from '../../../src/cli/bench/subscribe.js';
import { makeStage, makeTask } from './support.js';

test('it ends at once where it is over before it began', async () => {
  const { task } = await makeTask('sub', 'a');
  const { stage } = makeStage();
  stage.stop();
  const { elapsedMs, perConnection } = await benchSubscribe(task, stage);
  expect({ elapsedMs: Math.round(elapsedMs), perConnection }).toEqual({
    elapsedMs: 0,
    perConnection: [0],
  });
});

test('of more frames than are wanted only those count, and pauses lie between arrivals', async () => {
  const { server, task } = await makeTask('sub', 'a', { from: 'first', count: 5 });
  for (let i = 0; i < 3; i++) server.append('a', 'xyz');
  const { stage } = makeStage();
  const subscribed = benchSubscribe(task, stage);
  await expect.poll(() => stage.board.counts.received).toBe(3);
  expect(stage.board.times.count).toBe(0);
  server.live[0]!.socket.cork();
  for (let i = 0; i < 4; i++) server.append('a', 'xyz');
  server.live[0]!.socket.uncork();
  expect((await subscribed).perConnection).toEqual([5]);
  expect(stage.board.counts).toMatchObject({ received: 5, receivedBytes: 15, disordered: 0 });
  expect(stage.board.times.count).toBeGreaterThan(0);
});
