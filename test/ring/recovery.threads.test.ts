/**
 * Real threads on one arena, some of which die. Each frame that is read is checked; what must hold at the
 * end is in support/stress.mjs. The long form is test/ring/campaign.mjs.
 */
import { describe, expect, it } from 'vitest';
import { SHAPES } from './support/shapes.mjs';
import { runStress } from './support/stress.mjs';

const MILLISECONDS = 1200;
// Another seed each day that it runs, and known afterwards: a failure prints it.
const seed = Math.floor(Date.now() / 86_400_000);

describe('threads on one arena', () => {
  it.each(Object.entries(SHAPES))('%s', async (_, shape) => {
    const options = { ...shape, seed, milliseconds: MILLISECONDS };
    const result = await runStress(options);
    const repeat = `node test/ring/campaign.mjs --json '${JSON.stringify(options)}'`;
    expect(result.error, repeat).toBe(null);
    expect(result.appended, repeat).toBeGreaterThan(0);
    if (shape.deathOneIn || shape.readerDeathOneIn) {
      expect(result.deaths, repeat).toBeGreaterThan(0);
    }
    if (shape.terminateEveryMs) expect(result.terminations, repeat).toBeGreaterThan(0);
  });
});
