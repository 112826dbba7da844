/** Figures as people read them: three digits that count, and a unit. */

const DIGITS = 3;
const UNITS = [
  [1e9, 's'],
  [1e6, 'ms'],
  [1e3, 'us'],
] as const;

/** A duration in nanoseconds, as `8.45us`. */
export function durationText(ns: number): string {
  for (const [unitNs, unit] of UNITS) {
    // Also what would be rounded up to a whole one.
    if (Number(ns.toPrecision(DIGITS)) >= unitNs) return `${threeDigits(ns / unitNs)}${unit}`;
  }
  return `${Math.round(ns)}ns`;
}

/** A number of things, rounded to a whole one: `1,234,567`. */
export function countText(count: number): string {
  return Math.round(count).toLocaleString('en-US');
}

function threeDigits(value: number): string {
  if (value >= 10 ** DIGITS) return Math.round(value).toString();
  const rounded = Number(value.toPrecision(DIGITS));
  const decimals = Math.max(0, DIGITS - 1 - Math.floor(Math.log10(rounded)));
  return rounded.toFixed(decimals);
}
