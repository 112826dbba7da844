import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hasWildcard, matches, patternFault, subjectFault } from '../../src/frame/subject.js';

describe('subjects', () => {
  it.each(['a', 'orders.eu', 'a.b.c.d', 'ü', '$SYS.x', 'a-b_c', 'x'.repeat(255), 'é'.repeat(127)])(
    '%j is one',
    (subject) => {
      expect(subjectFault(subject)).toBeUndefined();
      expect(patternFault(subject)).toBeUndefined();
      expect(hasWildcard(subject)).toBe(false);
    },
  );

  it.each([
    '',
    '.',
    'a.',
    '.a',
    'a..b',
    'a b',
    'a\tb',
    'a\u0000',
    'a\u007f',
    '\ud800',
    'x'.repeat(256),
    'é'.repeat(128),
    'a*',
    'a.b>',
    '*a.b',
    'a.>.b',
    '>.a',
  ])('%j is neither a subject nor a pattern', (text) => {
    expect(subjectFault(text)).toBeTypeOf('string');
    expect(patternFault(text)).toBeTypeOf('string');
  });

  it.each(['*', '>', 'a.*', '*.b', 'a.*.c', 'a.>', '*.>'])('%j is a pattern only', (pattern) => {
    expect(subjectFault(pattern)).toBeTypeOf('string');
    expect(patternFault(pattern)).toBeUndefined();
    expect(hasWildcard(pattern)).toBe(true);
  });
});

describe('matching', () => {
  it.each([
    ['a.b', 'a.b', true],
    ['a.b', 'a.c', false],
    ['a.b', 'a', false],
    ['a', 'a.b', false],
    ['*', 'a', true],
    ['*', 'a.b', false],
    ['a.*', 'a.b', true],
    ['a.*', 'a', false],
    ['a.*.c', 'a.b.c', true],
    ['a.*.c', 'a.b.d', false],
    ['>', 'a', true],
    ['>', 'a.b.c', true],
    ['a.>', 'a', false],
    ['a.>', 'a.b', true],
    ['a.>', 'a.b.c', true],
    ['*.>', 'a', false],
    ['*.>', 'a.b', true],
  ])('%j on %j: %j', (pattern, subject, expected) => {
    expect(matches(pattern, subject)).toBe(expected);
  });

  it('a subject matches itself, with any one token starred, and its prefixes with >', () => {
    const subjects = fc.array(fc.stringMatching(/^[a-c]{1,2}$/), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(subjects, fc.nat(4), (tokens, at) => {
        const subject = tokens.join('.');
        const index = at % tokens.length;
        expect(matches(subject, subject)).toBe(true);
        expect(matches(tokens.with(index, '*').join('.'), subject)).toBe(true);
        expect(matches([...tokens.slice(0, index), '>'].join('.'), subject)).toBe(true);
        expect(matches([...tokens, '>'].join('.'), subject)).toBe(false);
        expect(matches(tokens.with(index, 'd').join('.'), subject)).toBe(false);
      }),
    );
  });
});
