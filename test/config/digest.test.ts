import { describe, expect, test } from 'vitest';
import { diff, digestOf, shownShort } from '../../src/config/digest.js';
import { TABLE, type StreamOverride, type TableRow } from '../../src/config/table.js';
import { load } from './support/sources.js';

describe('what became of a list', () => {
  const of = async (...items: object[]) =>
    load({ argv: ['--streams-overrides', JSON.stringify(items)] });
  const a = { subject: 'a' };
  const b = { subject: 'b' };

  test('ten names are told, and of more how many', async () => {
    const many = (count: number) =>
      Array.from({ length: count }, (_, at) => ({ subject: `s${at}` }));
    const added = async (count: number) =>
      diff(await of(), await of(...many(count)), TABLE)[0]!.items;
    const ten = 'added s0, s1, s2, s3, s4, s5, s6, s7, s8, s9';
    expect(await added(10)).toBe(ten);
    expect(await added(11)).toBe(`${ten} and 1 more`);
  });

  test.each<[string, object[], object[]]>([
    ['added b', [a], [a, b]],
    ['removed a', [a, b], [b]],
    ['changed b', [a, b], [a, { ...b, onFull: 'evict' }]],
    ['added c; removed a; changed b', [a, b], [{ ...b, onFull: 'evict' }, { subject: 'c' }]],
    ['in another order', [a, b], [b, a]],
    ['changed a', [a], [a, a]],
  ])('%s', async (items, before, after) => {
    const [change, ...others] = diff(await of(...before), await of(...after), TABLE);
    expect(others).toEqual([]);
    expect(change).toEqual({
      ...{ key: 'streams.overrides', apply: 'hot', items },
      ...{ before: JSON.stringify(before), after: JSON.stringify(after) },
    });
  });
});

test('the order in which fields were written is nothing, that of a list’s items counts', async () => {
  const { flat, secrets } = await load();
  const digest = (...overrides: StreamOverride[]) =>
    digestOf(TABLE, { ...flat, 'streams.overrides': overrides }, secrets);
  const a: StreamOverride = { subject: 'a', retention: { bytes: 65_536 }, onFull: 'evict' };
  const b: StreamOverride = { onFull: 'evict', retention: { bytes: 65_536 }, subject: 'a' };
  const c: StreamOverride = { ...a, subject: 'c' };
  expect(digest(b)).toBe(digest(a));
  expect(digest(c)).not.toBe(digest(a));
  expect(digest(a, c)).not.toBe(digest(c, a));
});

test('a value of more than 200 characters is cut', () => {
  const row = { ...TABLE[0]!, show: String } satisfies TableRow;
  expect(shownShort(row, 'x'.repeat(200))).toBe('x'.repeat(200));
  expect(shownShort(row, 'x'.repeat(201))).toBe(`${'x'.repeat(200)}…`);
});

test('a plain value says all by itself', async () => {
  const [before, after] = [await load(), await load({ argv: ['--shards', '2'] })];
  expect(diff(before, after, TABLE)).toEqual([
    { key: 'shards', apply: 'restart', before: 'auto', after: '2' },
  ]);
  expect(diff(after, after, TABLE)).toEqual([]);
});
