import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ENTRY, runNode, type Outcome } from './cli/processes.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** Nothing counts what runs: that would be somebody who looks at the modules. */
const ENV = { NODE_V8_COVERAGE: '' };

const folder = mkdtempSync(join(tmpdir(), 'start-'));
const FRAME = join(folder, 'frame.json');

/** A copy of the build in which no module but those of the start is left. */
beforeAll(() => {
  writeFileSync(FRAME, '{"type":"OPEN","sequence":1,"json":{"subject":"a"}}\n');
  for (const path of [
    ...['package.json', 'dist/main.js', 'dist/start.js', 'dist/bundle.js', 'dist/bundle'],
    'dist/frame/kernel.wasm',
  ]) {
    cpSync(join(ROOT, path), join(folder, path), { recursive: true });
  }
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

function run(argv: readonly string[], env = {}, options: readonly string[] = []): Outcome {
  return runNode([...options, join(folder, 'dist/main.js'), ...argv], { ...ENV, ...env });
}

describe('the bundle alone', () => {
  test.each([
    ['--version'],
    ['--help'],
    ['serve', '--help'],
    ['pub', '--help'],
    ['sub', '--help'],
    ['ping', '--help'],
    ['bench', '--help'],
    ['config', '--help'],
    ['frame', '--help'],
    ['config', 'schema'],
    ['config', 'init'],
    ['frame', 'encode', FRAME],
    ['ping', '--url', 'ms://127.0.0.1:1', '--timeout', '100'],
    ['publish'],
  ])('%s %s does as the modules do', (...argv) => {
    const outcome = run(argv);
    const options = ['--no-deprecation'];
    expect(outcome).toEqual(runNode([...options, ENTRY, ...argv], ENV));
    expect(outcome.stdout + outcome.stderr).not.toBe('');
  });

  test.each([
    ['a.json', '{"shards": 2}'],
    ['a.yaml', 'shards: 2'],
    ['a.toml', 'shards = 2'],
  ])('reads %s', (name, text) => {
    const file = join(folder, name);
    writeFileSync(file, text);
    const { code, stdout, stderr } = run(['config', 'print', '--config', file]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^shards: 2/m);
  });
});

test.each([
  ['an option of Node.js', {}, ['--enable-source-maps']],
  ['NODE_OPTIONS', { NODE_OPTIONS: '--enable-source-maps' }, []],
  ['counts of what runs', { NODE_V8_COVERAGE: join(folder, 'counts') }, []],
])('%s wants the modules', (_what, env, options) => {
  const { code, stderr } = run(['--version'], env, options);
  expect(code).toBe(1);
  expect(stderr).toContain("Cannot find module '");
  expect(stderr).toContain('dist/cli/dispatch.js');
});

test('without a bundle there are the modules', () => {
  const bare = join(folder, 'bare');
  for (const name of ['main', 'start', 'bundle', 'version', 'errors']) {
    cpSync(join(ROOT, `dist/${name}.js`), join(bare, `dist/${name}.js`));
  }
  for (const name of ['package.json', 'dist/cli', 'dist/config']) {
    cpSync(join(ROOT, name), join(bare, name), { recursive: true });
  }
  const { code, stdout } = runNode([join(bare, 'dist/main.js'), '--version'], ENV);
  expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^\d/) as string });
});
