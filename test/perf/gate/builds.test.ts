import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../../..');
const patch = join(root, 'perf/gate/slow-down.patch');
const patched = 'src/shards/kernel/ingest.ts';

const path = pathToFileURL(join(root, 'perf/gate/builds.mjs')).href;
const { applyChange, applyPatch, commitOf } = (await import(path)) as {
  applyChange: (folder: string, change: { file: string; from: string; to: string }) => void;
  applyPatch: (folder: string, patch: string) => void;
  commitOf: (name: string) => string;
};

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'memorystreamer-builds-'));
  cpSync(join(root, 'src'), join(folder, 'src'), { recursive: true });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it('the planted slow-down fits the sources as they are, and changes the data path alone', () => {
  applyPatch(folder, patch);
  const { stdout } = spawnSync('diff', ['-rq', 'src', join(folder, 'src')], { cwd: root });
  expect(stdout.toString().trim().split('\n')).toEqual([
    `Files ${patched} and ${join(folder, patched)} differ`,
  ]);
});

it('a patch that does not fit is told, and nothing is changed', () => {
  const file = join(folder, patched);
  const other = readFileSync(file, 'utf8').replaceAll('framesIn', 'framesTaken');
  writeFileSync(file, other);
  expect(() => applyPatch(folder, patch)).toThrow(/slow-down\.patch does not fit/);
  expect(readFileSync(file, 'utf8')).toBe(other);
});

it('a change is made where it fits exactly once, and else is told', () => {
  const file = 'src/shards/layout.ts';
  const meters = { file, from: 'METERED = true', to: 'METERED = false' };
  applyChange(folder, meters);
  const changed = readFileSync(join(folder, file), 'utf8');
  expect(changed).toBe(
    readFileSync(join(root, file), 'utf8').replace('METERED = true', 'METERED = false'),
  );
  expect(changed).toContain('METERED = false');
  expect(() => applyChange(folder, meters)).toThrow(`${file} has "METERED = true" 0 times`);
  expect(() => applyChange(folder, { file, from: 'export', to: '' })).toThrow(/" \d\d+ times/);
  expect(readFileSync(join(folder, file), 'utf8')).toBe(changed);
});

it('a name that is no commit is told', () => {
  expect(commitOf('HEAD')).toMatch(/^[0-9a-f]{40}$/);
  expect(() => commitOf('no-such-branch')).toThrow('"no-such-branch" is no commit here');
});
