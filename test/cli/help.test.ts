import { expect, test } from 'vitest';
import { runEntry } from './processes.js';

// The outside contract: scripts and people rely on these words. A change here is one on purpose.
test.each([
  ['general', ['--help']],
  ['serve', ['serve', '--help']],
  ['pub', ['pub', '--help']],
  ['sub', ['sub', '--help']],
  ['ping', ['ping', '--help']],
  ['bench', ['bench', '--help']],
  ['config', ['config', '--help']],
  ['frame', ['frame', '--help']],
])('the help of %s is what it was', async (name, argv) => {
  const { code, stdout, stderr } = runEntry(argv);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  await expect(stdout).toMatchFileSnapshot(`fixtures/help/${name}.txt`);
});
