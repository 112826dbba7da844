import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  formatDuration,
  formatSize,
  GIB,
  KIB,
  MIB,
  parseDuration,
  parseSize,
} from '../../src/config/units.js';

describe('sizes', () => {
  test.each([
    ['0', 0],
    ['65536', 65536],
    ['17B', 17],
    ['1KiB', KIB],
    ['512MiB', 512 * MIB],
    ['1 GiB', GIB],
    ['1.5gib', 1.5 * GIB],
    ['0.25KiB', 256],
  ])('%s is %d bytes', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  test.each(['', ' ', 'GiB', '1GB', '1G', '-1', '+1', '1e3', '0x10', '1.GiB', '.5GiB', '1  GiB'])(
    '%j is no size',
    (text) => {
      expect(parseSize(text)).toBeUndefined();
    },
  );

  test('a part of a byte is no size', () => {
    expect(parseSize('1.5B')).toBeUndefined();
    expect(parseSize('0.0001KiB')).toBeUndefined();
    expect(parseSize('999999999999999.000001B')).toBeUndefined();
  });

  test('what a double cannot hold exactly is no size', () => {
    expect(parseSize('999999999999999GiB')).toBeUndefined();
    expect(parseSize('9007199254740993')).toBeUndefined();
  });

  test('every size is read back from how it is shown', () => {
    fc.assert(
      fc.property(fc.nat({ max: 4 * GIB }), fc.constantFrom(1, KIB, MIB), (count, unit) => {
        const bytes = (count * unit) % (4 * GIB);
        expect(parseSize(formatSize(bytes))).toBe(bytes);
      }),
    );
  });

  test('the largest unit that divides is shown', () => {
    expect(formatSize(64 * MIB)).toBe('64MiB');
    expect(formatSize(GIB + 1)).toBe('1073741825B');
    expect(formatSize(0)).toBe('0');
  });
});

describe('durations', () => {
  test.each([
    ['0', 0],
    ['250', 250],
    ['250ms', 250],
    ['1s', 1_000],
    ['1.1s', 1_100],
    ['0.7s', 700],
    ['2m', 120_000],
    ['1h', 3_600_000],
  ])('%s is %d ms', (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds);
  });

  test.each(['', 's', '1d', '1S', '1M', '-5ms', '1.5ms', '1:30', 'Infinity', 'NaN'])(
    '%j is no duration',
    (text) => {
      expect(parseDuration(text)).toBeUndefined();
    },
  );

  test('every duration is read back from how it is shown', () => {
    fc.assert(
      fc.property(fc.nat({ max: 86_400_000 }), (milliseconds) => {
        expect(parseDuration(formatDuration(milliseconds))).toBe(milliseconds);
      }),
    );
  });
});
