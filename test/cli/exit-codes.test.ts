import { expect, test } from 'vitest';
import { errorText, exitCodeOf } from '../../src/cli/exit-codes.js';
import { ERROR_CODES, MemoryStreamerError, type ErrorCode } from '../../src/errors.js';

test('every code of the table has this exit code', () => {
  const codes = (Object.keys(ERROR_CODES) as ErrorCode[]).map(
    (code) => `${code} ${exitCodeOf(new MemoryStreamerError(code, ''))}`,
  );
  expect(codes).toEqual([
    'MS_ERR_USAGE 2',
    'MS_ERR_CONFIG 3',
    'MS_ERR_RELOAD 1',
    'MS_ERR_NOT_LINUX 1',
    'MS_ERR_NODE_VERSION 1',
    'MS_ERR_MEMORY 1',
    'MS_ERR_LISTEN 4',
    'MS_ERR_SYSTEM 1',
    'MS_ERR_SHARD_LOST 1',
    'MS_ERR_UNREACHABLE 4',
    'MS_ERR_CONNECTION_LOST 4',
    'MS_ERR_CLOSED 1',
    'MS_ERR_TIMEOUT 4',
    'MS_ERR_REFUSED 5',
    'MS_ERR_PROTOCOL 1',
    'MS_ERR_UNTRUSTED 5',
    'MS_ERR_FRAME_TOO_LARGE 1',
    'MS_ERR_SUBJECT 2',
    'MS_ERR_INPUT 1',
  ]);
  expect(exitCodeOf(new Error('bug'))).toBe(1);
  expect(exitCodeOf('thrown text')).toBe(1);
});

test('an error of ours is one line for each of its lines', () => {
  expect(errorText(new MemoryStreamerError('MS_ERR_CONFIG', 'a\nb'))).toBe(
    'memorystreamer: a (MS_ERR_CONFIG)\nmemorystreamer: b (MS_ERR_CONFIG)\n',
  );
});

test('a bug shows its code and stack', () => {
  const bug = Object.assign(new Error('first\nsecond'), { code: 'EACCES' });
  expect(errorText(bug)).toMatch(/^memorystreamer: first \(EACCES\)\nError: first\nsecond\n +at /);
  expect(errorText(new TypeError('x'))).toContain('memorystreamer: x (TypeError)\n');
  expect(errorText('thrown text')).toBe('memorystreamer: thrown text (unexpected)\n');
});
