import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { runNode } from '../cli/processes.js';

const SCRIPT = fileURLToPath(new URL('../../perf/profile.mjs', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'profile-'));
afterAll(() => rmSync(folder, { recursive: true }));

const node = (id: number, functionName: string, url: string, lineNumber: number) => ({
  id,
  callFrame: { functionName, url, lineNumber },
});

test('own time is summed over a function’s places in the tree, largest first', () => {
  const file = join(folder, 'CPU.1.0.001.cpuprofile');
  const nodes = [
    node(1, 'turn', 'file:///a/shard.js', 9),
    node(2, 'send', '', -1),
    node(3, 'turn', 'file:///a/shard.js', 9),
  ];
  const profile = { nodes, samples: [1, 2, 3], timeDeltas: [2000, 1000, 7000] };
  writeFileSync(file, JSON.stringify(profile));
  const { stdout } = runNode([SCRIPT, file]);
  expect(stdout).toBe(
    'CPU.1.0.001.cpuprofile\n       9.0 ms  90.0 %  turn shard.js:10\n       1.0 ms  10.0 %  send\n',
  );
  expect(runNode([SCRIPT, file, '--top', '1']).stdout.split('\n')).toHaveLength(3);
});
