import fc from 'fast-check';
import { expect, test } from 'vitest';
import { matches } from '../../src/frame/subject.js';
import { SubjectIndex } from '../../src/shards/subject-index.js';

const token = fc.constantFrom('a', 'b', 'c');
const subject = fc.array(token, { minLength: 1, maxLength: 4 }).map((tokens) => tokens.join('.'));
const pattern = fc
  .tuple(
    fc.array(fc.oneof(token, fc.constant('*')), { minLength: 0, maxLength: 4 }),
    fc.constantFrom('', '>'),
  )
  .map(([tokens, rest]) => [...tokens, ...(rest ? [rest] : [])].join('.'))
  .filter((text) => text !== '');

test('it finds exactly the values whose pattern covers the subject, after any additions and removals', () => {
  const step = fc.record({
    isAddition: fc.boolean(),
    pattern,
    value: fc.integer({ min: 1, max: 4 }),
  });
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 40 }),
      fc.array(subject, { minLength: 1 }),
      (steps, subjects) => {
        const index = new SubjectIndex<number>();
        const model = new Set<string>();
        for (const { isAddition, pattern, value } of steps) {
          const key = `${pattern} ${value}`;
          if (isAddition) {
            index.add(pattern, value);
            model.add(key);
          } else {
            index.remove(pattern, value);
            model.delete(key);
          }
          for (const subject of subjects) {
            const wanted = new Set<number>();
            for (const entry of model) {
              const [text, number] = entry.split(' ');
              if (matches(text!, subject)) wanted.add(Number(number));
            }
            expect([...index.match(subject)].sort()).toEqual([...wanted].sort());
          }
        }
      },
    ),
    { numRuns: 300 },
  );
});

test('what match answers is the caller’s own', () => {
  const index = new SubjectIndex<number>();
  index.add('a', 1);
  index.match('a').clear();
  expect([...index.match('a')]).toEqual([1]);
});
