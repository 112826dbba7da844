// The threads are those of the build in dist/.
import { expect, test } from 'vitest';
import type { Crew as CrewType } from '../../../src/cli/bench/crew.js';
import type { BenchTask } from '../../../src/cli/bench/task.js';
import { makeTask } from './support.js';

const path = new URL('../../../dist/cli/bench/crew.js', import.meta.url).href;
const { Crew } = (await import(path)) as { Crew: typeof CrewType };

test('all are ready before one begins, and end together', async () => {
  const { server, task } = await makeTask('pub', 'a', { count: 10 });
  const crew = new Crew([task, { ...task, subjects: ['b'] }]);
  await crew.ready;
  expect(server.streams.get('a')!.frames).toHaveLength(0);
  expect(crew.boards.map(({ counts }) => counts.sent)).toEqual([0, 0]);
  crew.go();
  const results = await crew.results;
  expect(results.map(({ perConnection }) => perConnection)).toEqual([[10], [10]]);
  expect(crew.boards.map(({ counts }) => counts.acknowledged)).toEqual([10, 10]);
});

test('a bug in a thread is told with its stack, and the others are ended', async () => {
  const { task } = await makeTask('sub', 'a');
  const broken = { ...task, kind: 'none' } as unknown as BenchTask;
  const crew = new Crew([task, broken]);
  await expect(crew.ready).rejects.toThrow('is not a function');
  await expect(crew.results).rejects.toMatchObject({
    stack: expect.stringContaining('worker.js') as string,
  });
});
