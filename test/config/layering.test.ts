import { expect, test } from 'vitest';
import { layered } from '../../src/config/layering.js';
import { KEYS, TABLE, type KeyName } from '../../src/config/table.js';

const given = (values: Partial<Record<KeyName, unknown>>) =>
  new Map(Object.entries(values).map(([key, value]) => [key as KeyName, { value }]));

test('what is given counts more than what was fitted, and that more than the table', () => {
  const fitted = new Map<KeyName, unknown>([
    ['limits.connections', 7],
    ['limits.streams', 8],
  ]);
  const values = layered(TABLE, fitted, given({ 'limits.streams': 9 }));
  expect(values['limits.connections']).toBe(7);
  expect(values['limits.streams']).toBe(9);
  expect(values['limits.publications']).toBe(KEYS['limits.publications'].standard);
});

test('nothing is left of what was laid before', () => {
  const standard = layered(TABLE, new Map(), new Map());
  const overrides = [{ subject: 'a', retention: { bytes: 65_536 } }];
  const other = layered(TABLE, new Map(), given({ shards: 3, 'streams.overrides': overrides }));
  expect(other).not.toEqual(standard);
  expect(layered(TABLE, new Map(), new Map())).toEqual(standard);
});

test('the values are frozen all the way down, and what was given is not', () => {
  const overrides = [{ subject: 'a', retention: { bytes: 65_536 } }];
  const values = layered(TABLE, new Map(), given({ 'streams.overrides': overrides }));
  expect(Object.isFrozen(values)).toBe(true);
  expect(Object.isFrozen(values['streams.overrides'][0]!.retention)).toBe(true);
  expect(Object.isFrozen(overrides)).toBe(false);
});

test('a part of the table is a table', () => {
  const part = TABLE.filter(({ key }) => key.startsWith('limits.'));
  expect(Object.keys(layered(part, new Map(), new Map()))).toEqual(part.map(({ key }) => key));
});
