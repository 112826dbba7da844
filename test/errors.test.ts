import { expect, test } from 'vitest';
import { asError } from '../src/errors.js';

test('an error is itself, and whatever else is thrown is told as text', () => {
  const error = new TypeError('bug');
  expect(asError(error)).toBe(error);
  expect(asError('text')).toEqual(new Error('text'));
  expect(asError(undefined)).toEqual(new Error('undefined'));
});
