import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { runNode } from '../cli/processes.js';

const SCRIPT = fileURLToPath(new URL('../../scripts/configuration-docs.mjs', import.meta.url));

test('the documentation and the sample file are what the table says', () => {
  expect(runNode([SCRIPT, '--check'])).toEqual({ code: 0, stdout: '', stderr: '' });
});
