import fc from 'fast-check';
import { expect, test } from 'vitest';
import { shares } from '../../../src/cli/bench/task.js';

test('parts are whole, as even as they can be, and make up the whole', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 1e9 }),
      fc.integer({ min: 1, max: 500 }),
      (total, parts) => {
        const found = shares(total, parts);
        expect(found).toHaveLength(parts);
        expect(found.reduce((sum, part) => sum + part, 0)).toBe(total);
        expect(Math.max(...found) - Math.min(...found)).toBeLessThanOrEqual(1);
      },
    ),
  );
});
