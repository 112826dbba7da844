/**
 * What a reload takes away only from a configuration that says so. A file that was lost, cut short or put in the
 * wrong place says nothing, and its defaults let everybody in.
 */
import type { Configuration } from './load.js';
import type { KeyName } from './table.js';

interface Guard {
  readonly key: KeyName;
  /** Whether the second value protects less than the first. */
  readonly isLess: (before: Configuration, after: Configuration) => boolean;
  /** What takes it away on purpose. */
  readonly explicit: string;
}

const GUARDS: readonly Guard[] = [
  {
    key: 'auth.required',
    isLess: (before, after) => before.values.auth.required && !after.values.auth.required,
    explicit: 'auth.required: false',
  },
  {
    key: 'auth.integrity',
    isLess: (before, after) =>
      before.values.auth.integrity !== 'any' && after.values.auth.integrity === 'any',
    explicit: 'auth.integrity: any',
  },
  {
    key: 'credentials',
    isLess: (before, after) =>
      before.values.credentials.length > 0 && after.values.credentials.length === 0,
    explicit: 'credentials: []',
  },
];

/** Why a reload from one to the other is refused, a line for each reason; none where it is not. */
export function takenAway(before: Configuration, after: Configuration): string[] {
  return GUARDS.filter(
    ({ key, isLess }) => isLess(before, after) && after.provenance.get(key)!.from === 'default',
  ).map(
    ({ key, explicit }) =>
      `${key}: is given no more, and its default protects less; allowed: ${explicit}, written out`,
  );
}
