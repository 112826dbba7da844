import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, it } from 'vitest';
import { perfModule, root } from '../module.js';
import { result } from './page/result.js';

const { resultText, storedResults } = await perfModule<{
  resultText: (whole: unknown) => string;
  storedResults: (folder: string) => { name: string; machine: { date: string } }[];
}>('lib/results.mjs');

const folder = mkdtempSync(join(tmpdir(), 'memorystreamer-results-'));
afterAll(() => rmSync(folder, { recursive: true }));

it('a result is JSON that says the same when it is read again', () => {
  const values = fc.jsonValue({ maxDepth: 4 });
  fc.assert(
    fc.property(fc.dictionary(fc.string(), values), (whole) => {
      expect(JSON.parse(resultText(whole))).toEqual(JSON.parse(JSON.stringify(whole)));
    }),
  );
});

it('each run stands on a line of its own', () => {
  const text = resultText({ runs: [{ a: 1, b: [1, 2] }, { a: 2 }], curve: [[1, 2]] });
  expect(text.split('\n')).toContain('  {"a":1,"b":[1,2]},');
  expect(text).toContain('"curve": [[1,2]]');
});

it('the history is in the order of dates, and passes over other files', () => {
  const at = (date: string) => ({ ...result, machine: { ...result.machine, date } });
  writeFileSync(join(folder, 'a.json'), resultText(at('2026-02-01T00:00:00.000Z')));
  writeFileSync(join(folder, 'b.json'), resultText(at('2026-01-01T00:00:00.000Z')));
  writeFileSync(join(folder, 'other.json'), '{"tool":"something else"}');
  writeFileSync(join(folder, 'page.html'), '<html>');
  expect(storedResults(folder).map(({ name }) => name)).toEqual(['b.json', 'a.json']);
});

it('the results that are kept can be read', () => {
  expect(storedResults(join(root, 'perf', 'results')).length).toBeGreaterThan(0);
});
