// The ring's benchmark runs here in a tiny size, so that it never rots; its figures are no verdict.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const run = promisify(execFile);
const script = join(import.meta.dirname, '..', '..', 'perf', 'ring.mjs');

it('measures every topology, with runs of 1, 8 and 64', async () => {
  const { stdout } = await run(process.execPath, [script, '--smoke']);
  const figures = /^run of +\d+: one [\d.]+.* shared .* apart .* read .* through [\d.]+/gm;
  expect(stdout.match(figures)).toHaveLength(3);
});
