import fc from 'fast-check';
import { expect, test } from 'vitest';
import { subjectPattern } from '../../src/config/kinds.js';
import { patternFault } from '../../src/frame/subject.js';

test('a pattern is what the protocol takes in a subscription', () => {
  const piece = fc.constantFrom(
    'a',
    'é',
    '.',
    '*',
    '>',
    ' ',
    '\u007f',
    '\ud800',
    '\u0001',
    'x'.repeat(120),
  );
  const { type } = subjectPattern();
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 6 }), (pieces) => {
      const text = pieces.join('');
      expect(type.safeParse(text).success).toBe(patternFault(text) === undefined);
    }),
    { numRuns: 3_000 },
  );
});
