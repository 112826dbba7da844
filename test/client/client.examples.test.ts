import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startServer } from './support.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);
let folder: string;

/** Compiled as a user would, against the built package. */
beforeAll(() => {
  // Inside the project, where the package finds itself by its own name.
  mkdirSync(join(root, 'build'), { recursive: true });
  folder = mkdtempSync(join(root, 'build/examples-'));
  const files = readdirSync(join(root, 'docs/examples')).map((name) =>
    join(root, 'docs/examples', name),
  );
  execFileSync(process.execPath, [
    join(root, 'node_modules/typescript/bin/tsc'),
    ...['--ignoreConfig', '--strict', '--target', 'ES2023', '--module', 'NodeNext'],
    ...['--types', 'node', '--skipLibCheck', '--rootDir', join(root, 'docs/examples')],
    ...['--outDir', folder, ...files],
  ]);
}, 60_000);

afterAll(() => rmSync(folder, { recursive: true }));

async function output(name: string, url: string): Promise<string> {
  const { stdout } = await run(process.execPath, [join(folder, name), url]);
  return stdout;
}

it('publish, then subscribe', async () => {
  const { url } = await startServer();
  expect(await output('publish.js', url)).toBe('orders.eu 1\n');
  expect(await output('publish.js', url)).toBe('orders.eu 2\n');
  expect(await output('subscribe.js', url)).toBe(
    'orders.eu 1 a new order\norders.eu 2 a new order\n',
  );
});

it('hello', async () => {
  const { url } = await startServer();
  expect(await output('hello.js', url)).toBe('hello 1 hi\n');
});

it('request', async () => {
  const { url } = await startServer();
  expect(await output('request.js', url)).toBe('HELLO\n');
});
