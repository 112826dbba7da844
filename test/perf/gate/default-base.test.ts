import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';

const path = join(import.meta.dirname, '../../../perf/gate/default-base.mjs');
const { defaultBase } = (await import(pathToFileURL(path).href)) as {
  defaultBase: (ask: (...args: string[]) => string) => string;
};

it('is the newest release before this commit', () => {
  const asked: string[] = [];
  const answer = defaultBase((...args) => {
    asked.push(args.join(' '));
    return args[0] === 'describe' ? 'v1.2.3' : 'c0ffee';
  });
  expect(answer).toBe('v1.2.3');
  // Of the commit before: a tag on this very commit would compare it with itself.
  expect(asked).toContain('describe --tags --match v[0-9]* --abbrev=0 c0ffee');
});

it('is the commit before, without a release', () => {
  const answer = defaultBase((...args) => {
    if (args[0] === 'describe') throw new Error('No names found');
    return 'c0ffee';
  });
  expect(answer).toBe('c0ffee');
});
