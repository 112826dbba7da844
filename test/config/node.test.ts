import fc from 'fast-check';
import { expect, test } from 'vitest';
import { lineAndColumn, Lines } from '../../src/config/node.js';

/** As one counts by hand. */
function counted(text: string, at: number): string {
  const before = text.slice(0, at).split('\n');
  return `${before.length}:${before.at(-1)!.length + 1}`;
}

test('a place is counted in lines and columns from 1', () => {
  const text = 'a\n\nbc\r\n';
  expect([0, 1, 2, 3, 5, 7].map((at) => lineAndColumn(text, at))).toEqual([
    ...['1:1', '1:2', '2:1', '3:1', '3:3', '4:1'],
  ]);
  expect(lineAndColumn('', 0)).toBe('1:1');
});

test('it is found as one counts, in any text', () => {
  const text = fc.string({ unit: fc.constantFrom('a', '\n', '\r', '😀') });
  fc.assert(
    fc.property(text, fc.array(fc.nat(), { maxLength: 5 }), (some, places) => {
      const lines = new Lines(some);
      for (const place of places) {
        const at = place % (some.length + 1);
        expect(lines.placeOf(at)).toBe(counted(some, at));
      }
    }),
  );
});
