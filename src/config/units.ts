/**
 * Sizes and durations as people write them. Invariant: what is read is a whole, safe number of bytes or
 * milliseconds, computed in integers, so that "1.1s" is 1100 ms and never 1100.0000000000002.
 */
export const KIB = 1024;
export const MIB = 1024 * KIB;
export const GIB = 1024 * MIB;

const SIZE_UNITS: ReadonlyMap<string, number> = new Map([
  ['', 1],
  ['b', 1],
  ['kib', KIB],
  ['mib', MIB],
  ['gib', GIB],
]);

const DURATION_UNITS: ReadonlyMap<string, number> = new Map([
  ['', 1],
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
]);

// The digits are limited so that a whole number times its unit is checked, not silently rounded.
const QUANTITY = /^(\d{1,15})(?:\.(\d{1,6}))? ?([a-zA-Z]{0,3})$/;

/** The form of what `parseSize` and `parseDuration` read; not all that has it is a whole number. */
export const SIZE = /^\d{1,15}(\.\d{1,6})? ?([bB]|[kKmMgG][iI][bB])?$/;
export const DURATION = /^\d{1,15}(\.\d{1,6})? ?(ms|s|m|h)?$/;

/** Bytes of "512MiB", "1.5 GiB" or "65536" (B, KiB, MiB, GiB, in any case), or undefined. */
export function parseSize(text: string): number | undefined {
  return quantity(text, (unit) => SIZE_UNITS.get(unit.toLowerCase()));
}

/** Milliseconds of "250ms", "1.5s", "2m", "1h" or "1000", or undefined. */
export function parseDuration(text: string): number | undefined {
  return quantity(text, (unit) => DURATION_UNITS.get(unit));
}

/** The shortest text that `parseSize` reads back as the same number of bytes. */
export function formatSize(bytes: number): string {
  return inLargestUnit(bytes, [
    ['GiB', GIB],
    ['MiB', MIB],
    ['KiB', KIB],
    ['B', 1],
  ]);
}

/** The shortest text that `parseDuration` reads back as the same number of milliseconds. */
export function formatDuration(milliseconds: number): string {
  return inLargestUnit(milliseconds, [
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1_000],
    ['ms', 1],
  ]);
}

function quantity(text: string, scaleOf: (unit: string) => number | undefined): number | undefined {
  const [, whole, fraction = '', unit = ''] = QUANTITY.exec(text) ?? [];
  const scale = scaleOf(unit);
  if (whole === undefined || scale === undefined) return undefined;
  const divisor = 10 ** fraction.length;
  const scaledFraction = Number(fraction) * scale;
  if (scaledFraction % divisor !== 0) return undefined;
  const value = Number(whole) * scale + scaledFraction / divisor;
  return Number.isSafeInteger(value) ? value : undefined;
}

function inLargestUnit(value: number, units: readonly (readonly [string, number])[]): string {
  for (const [unit, scale] of units) {
    if (value !== 0 && value % scale === 0) return `${value / scale}${unit}`;
  }
  return String(value);
}
