/** Which patterns cover one another, and which have a subject in common: against all subjects of a small alphabet. */
import { expect, test } from 'vitest';
import { covers, matches, overlaps } from '../../src/frame/subject.js';

/** All of one to `length` tokens. */
function sequences(tokens: readonly string[], length: number): string[] {
  if (length === 0) return [];
  const shorter = sequences(tokens, length - 1);
  const longest = shorter.filter((text) => text.split('.').length === length - 1);
  const begun = length === 1 ? [''] : longest.map((text) => `${text}.`);
  return [...shorter, ...begun.flatMap((text) => tokens.map((token) => text + token))];
}

// One token more than any pattern has, and one letter more, so that what only wildcards cover is there.
const subjects = sequences(['a', 'b', 'c'], 4);
const patterns = sequences(['a', 'b', '*', '>'], 3).filter((text) => !text.includes('>.'));
const coveredBy = new Map(
  patterns.map((pattern) => [pattern, new Set(subjects.filter((one) => matches(pattern, one)))]),
);

test('covers and overlaps say what the subjects say', () => {
  expect(patterns.length).toBeGreaterThan(50);
  for (const [pattern, wide] of coveredBy) {
    for (const [other, narrow] of coveredBy) {
      const common = [...narrow].filter((subject) => wide.has(subject)).length;
      const said = `${pattern} ${other} ${covers(pattern, other)} ${overlaps(pattern, other)}`;
      expect(said).toBe(`${pattern} ${other} ${common === narrow.size} ${common > 0}`);
    }
  }
});
