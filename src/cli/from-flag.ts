/** Where a subscription begins, as `--from` has it. */
import type { From } from '../frame/payloads.js';
import { usageError } from './client-options.js';

const U64_MAX = 2n ** 64n - 1n;

/** Throws MS_ERR_USAGE. */
export function fromOf(text: string): From {
  if (text === 'new' || text === 'first' || text === 'last') return text;
  const [, place, digits = ''] = /^(seq|last|time):([0-9]{1,20})$/.exec(text) ?? [];
  const value = digits === '' ? -1n : BigInt(digits);
  if (value >= 0n && value <= U64_MAX) {
    if (place === 'seq') return { sequence: value };
    return place === 'last' ? { last: value } : { time: value };
  }
  throw usageError(
    `--from ${JSON.stringify(text)}: new, first, last, seq:N, last:N or time:NS is wanted`,
  );
}
