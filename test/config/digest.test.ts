import { describe, expect, test } from 'vitest';
import { diff } from '../../src/config/digest.js';
import { TABLE } from '../../src/config/table.js';
import { load } from './support/sources.js';

describe('what became of a list', () => {
  const of = async (...items: object[]) =>
    load({ argv: ['--streams-overrides', JSON.stringify(items)] });
  const a = { subject: 'a' };
  const b = { subject: 'b' };

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

test('a plain value says all by itself', async () => {
  const [before, after] = [await load(), await load({ argv: ['--shards', '2'] })];
  expect(diff(before, after, TABLE)).toEqual([
    { key: 'shards', apply: 'restart', before: 'auto', after: '2' },
  ]);
  expect(diff(after, after, TABLE)).toEqual([]);
});
