import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, it } from 'vitest';
import { runNode } from '../cli/processes.js';
import { result } from './lib/page/result.js';
import { root } from './module.js';

const SCRIPT = join(root, 'perf', 'figures.mjs');
const folder = mkdtempSync(join(tmpdir(), 'memorystreamer-figures-'));
const readme = join(folder, 'README.md');
const file = join(folder, 'example.json');
afterAll(() => rmSync(folder, { recursive: true }));

beforeEach(() => {
  writeFileSync(file, JSON.stringify(result));
  writeFileSync(readme, 'before\n\n<!-- figures -->\n\nold\n\n<!-- /figures -->\n\nafter\n');
});

const figures = (...more: string[]) => runNode([SCRIPT, file, '--readme', readme, ...more]);

/** The cells of the row that begins with `point`, of the table behind `sentence`. */
function row(sentence: string, point: string) {
  const behind = readFileSync(readme, 'utf8').split(sentence)[1] ?? '';
  const line = behind.split('\n').find((one) => one.startsWith(`| ${point} `));
  return line
    ?.split('|')
    .map((cell) => cell.trim())
    .slice(1, -1);
}

it('puts the figures of every peer between the marks, and leaves the rest', () => {
  expect(figures()).toMatchObject({ code: 0, stderr: '' });
  const text = readFileSync(readme, 'utf8');
  expect(text).toMatch(/^before\n\n<!-- figures -->\n/);
  expect(text).toMatch(/<!-- \/figures -->\n\nafter\n$/);
  expect(text).not.toContain('old');
  expect(row('One publisher to one subscriber', '16 B')).toEqual([
    '16 B',
    '8,000,000',
    '2,000,000 (**4.00x**)',
    '1,000,000 (**8.00x**)',
    'missing',
    '400,000 (**20.00x**) (void)',
    '16,000,000',
    '20 %',
  ]);
  expect(row('at the median', '10000/s')?.slice(0, 4)).toEqual([
    '10000/s',
    '40.0',
    '60.0 (**1.50x**)',
    '30.0 (**0.75x**)',
  ]);
});

it('says where a peer is ahead', () => {
  figures();
  const text = readFileSync(readme, 'utf8').replace(/\s+/g, ' ');
  expect(text).toContain(
    'Ahead of MemoryStreamer: redis-server in latency, p50 us, at 10000/s (1.33x)',
  );
});

it('--check passes when README.md says what the result says, and fails when it does not', () => {
  figures();
  expect(figures('--check').code).toBe(0);
  writeFileSync(readme, readFileSync(readme, 'utf8').replace('8,000,000', '9,000,000'));
  expect(figures('--check')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('does not say what the result says') as string,
  });
});
