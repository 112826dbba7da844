import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ENTRY, PRETEND, runNode } from './cli/processes.js';

test.each(['12.22.0', '18.20.4', '20.11.1'])('Node.js %s is told to be too old', (node) => {
  const { code, stdout, stderr } = runNode(['--import', PRETEND, ENTRY, '--version'], {
    PRETEND_NODE: node,
  });
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toMatch(/^memorystreamer: Node\.js 20\.12 or newer .*\(MS_ERR_NODE_VERSION\)\n$/);
  expect(stderr).toContain(`this is ${node};`);
});

test.each(['20.12.0', '22.0.0', '100.0.0'])('Node.js %s is new enough', (node) => {
  expect(runNode(['--import', PRETEND, ENTRY, '--version'], { PRETEND_NODE: node }).code).toBe(0);
});

test('an old Node.js can read the entry: no static import, no young syntax', () => {
  const text = readFileSync(ENTRY, 'utf8').replace(/^\s*\/\/.*$/gm, '');
  expect(text).not.toMatch(/^import\s/m);
  expect(text).not.toMatch(/\?\.|\?\?|\|\|=|&&=|#[a-z]|^await /m);
});
