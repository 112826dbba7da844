import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  ALL_ALLOWED,
  keepsAll,
  NOTHING_ALLOWED,
  permits,
  type Rule,
} from '../../src/shards/permissions.js';

const publish = (rule: Rule) => ({ ...ALL_ALLOWED, publish: rule });

describe('whether everything that was allowed still is', () => {
  test.each<[string, Rule, Rule, boolean]>([
    ['the same', { allow: ['a.*'], deny: ['b'] }, { allow: ['a.*'], deny: ['b'] }, true],
    ['all, as before', {}, {}, true],
    ['all, after a part', { allow: ['a'] }, {}, true],
    ['a part, after all', {}, { allow: ['a'] }, false],
    ['all said in words', {}, { allow: ['>'] }, true],
    ['one more', { allow: ['a'] }, { allow: ['a', 'b'] }, true],
    ['one less', { allow: ['a', 'b'] }, { allow: ['a'] }, false],
    ['a wider one', { allow: ['a.b'] }, { allow: ['a.>'] }, true],
    ['a narrower one', { allow: ['a.>'] }, { allow: ['a.*'] }, false],
    ['nothing, after nothing', { allow: [] }, { allow: [] }, true],
    ['denied too', {}, { deny: ['a'] }, false],
    ['denied no more', { deny: ['a'] }, {}, true],
    ['denied more narrowly', { deny: ['a.>'] }, { deny: ['a.b'] }, true],
    ['denied more widely', { deny: ['a.b'] }, { deny: ['a.>'] }, false],
    ['denied what was never allowed', { allow: ['a.*'] }, { allow: ['a.*'], deny: ['b'] }, true],
    ['denied a part of what was', { allow: ['a.*'] }, { allow: ['a.*'], deny: ['a.b'] }, false],
  ])('%s', (_, before, after, isKept) => {
    expect(keepsAll(publish(before), publish(after))).toBe(isKept);
  });

  test('each action counts', () => {
    for (const action of ['publish', 'subscribe', 'create'] as const) {
      const less = { ...ALL_ALLOWED, [action]: { allow: ['a'] } };
      expect(keepsAll(ALL_ALLOWED, less)).toBe(false);
      expect(keepsAll(less, ALL_ALLOWED)).toBe(true);
    }
    expect(keepsAll(ALL_ALLOWED, NOTHING_ALLOWED)).toBe(false);
  });

  test('where it says yes, no subject is let through that is not any more', () => {
    const part = fc.constantFrom('a', 'b', '*');
    const pattern = fc
      .tuple(fc.array(part, { minLength: 1, maxLength: 2 }), fc.boolean())
      .map(([parts, isOpen]) => [...parts, ...(isOpen ? ['>'] : [])].join('.'));
    const patterns = fc.option(fc.array(pattern, { maxLength: 2 }), { nil: undefined });
    const rule = fc
      .tuple(patterns, patterns)
      .map(([allow, deny]): Rule => ({ ...(allow && { allow }), ...(deny && { deny }) }));
    const subjects = ['a', 'b', 'a.a', 'a.b', 'b.a', 'b.b', 'a.b.a', 'b.b.b', 'a.a.a.a'];
    let kept = 0;
    fc.assert(
      fc.property(rule, rule, (before, after) => {
        if (!keepsAll(publish(before), publish(after))) return;
        kept++;
        for (const subject of subjects) {
          if (permits(before, subject)) expect(permits(after, subject)).toBe(true);
        }
      }),
      { numRuns: 2_000 },
    );
    expect(kept).toBeGreaterThan(100);
  });
});
