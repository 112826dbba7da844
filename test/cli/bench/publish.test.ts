import { expect, test } from 'vitest';
import { benchPublish } from '../../../src/cli/bench/publish.js';
import { CODE_LIMIT_EXCEEDED, TYPE_DATA } from '../../../src/frame/codes.js';
import { makeStage, makeTask } from './support.js';

test.each(['bulk', 'each', 'none'] as const)(
  'with --ack %s and a rate nothing more is published once it is over',
  async (ack) => {
    const { server, task } = await makeTask('pub', 'a', { ack, rate: 0.001, count: 9 });
    const { stage } = makeStage();
    const first = server.next(TYPE_DATA);
    const published = benchPublish(task, stage);
    await first;
    stage.stop();
    expect((await published).perConnection).toEqual([1]);
    expect(stage.board.counts.sent).toBe(1);
    expect(server.stream('a').frames).toHaveLength(1);
  },
);

test('it ends at once where it is over before it began', async () => {
  const { server, task } = await makeTask('pub', 'a', { count: 9 });
  const { stage } = makeStage();
  stage.stop();
  expect((await benchPublish(task, stage)).perConnection).toEqual([0]);
  expect(server.stream('a').frames).toHaveLength(0);
});

test.each(['bulk', 'each', 'none'] as const)(
  'with --ack %s a rate is of all connections together',
  async (ack) => {
    const more = { ack, subjects: ['a', 'b'], rate: 200, count: 5 };
    const { server, task } = await makeTask('pub', 'a', more);
    const { stage } = makeStage();
    const { perConnection, elapsedMs } = await benchPublish(task, stage);
    expect(perConnection).toEqual([2, 3]);
    // The second connection begins half an interval of 10 ms late, and has three.
    expect(elapsedMs).toBeGreaterThanOrEqual(25);
    expect(server.received.filter(({ type }) => type === TYPE_DATA)).toHaveLength(5);
  },
);

test('a frame that is refused ends it with the refusal, long before all are published', async () => {
  const count = 1_000_000;
  const { server, task } = await makeTask('pub', 'a', { count, sizeBytes: 1000 });
  server.sink = true;
  server.refusedNumbers.set(1n, CODE_LIMIT_EXCEEDED);
  const { stage } = makeStage();
  await expect(benchPublish(task, stage)).rejects.toMatchObject({
    code: 'MS_ERR_REFUSED',
    protocolCode: 'LIMIT_EXCEEDED',
  });
  expect(stage.board.counts.sent).toBeLessThan(count / 2);
  // What was acknowledged until then is known.
  expect(stage.board.counts.acknowledged).toBeGreaterThan(0);
});
