import { expect, test } from 'vitest';
import { nearest } from '../../src/config/nearest.js';

const NAMES = ['listen.host', 'listen.port', 'limits.streams'];

test.each([
  ['listen.prot', 'listen.port'],
  ['listen.hosts', 'listen.host'],
  ['LISTEN.PORT', 'listen.port'],
  ['limit.stream', 'limits.streams'],
])('%s is near %s', (wrong, right) => {
  expect(nearest(wrong, NAMES)).toBe(right);
});

test('a beginning stands for the whole, and the whole for a beginning', () => {
  expect(nearest('prof', ['port', 'profile'])).toBe('profile');
  expect(nearest('publish', ['serve', 'pub', 'sub'])).toBe('pub');
  expect(nearest('zz', ['zzzzzzzz'])).toBeUndefined();
});

test('nothing is near what has half of its letters wrong', () => {
  expect(nearest('tls.certificate', NAMES)).toBeUndefined();
  expect(nearest('', NAMES)).toBeUndefined();
});

test('a very long name costs little', () => {
  expect(nearest('x'.repeat(1_000_000), ['y'.repeat(1_000_000)])).toBeDefined();
});
