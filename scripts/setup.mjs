// Sets a fresh clone up for work: installs what package-lock.json says, builds, and lets git call the hooks of
// .githooks. Can be run again at any time. Uses nothing but Node.js and npm.
//
//   node scripts/setup.mjs
import { execFileSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

function run(file, ...argv) {
  console.log(`> ${file} ${argv.join(' ')}`);
  execFileSync(file, argv, { cwd: root, stdio: 'inherit' });
}

try {
  run('npm', 'ci');
  run('npm', 'run', '--silent', 'build');
  run('git', 'config', 'core.hooksPath', '.githooks');
} catch (error) {
  console.error(`set-up failed: ${error.message}`);
  process.exit(1);
}
console.log('ready; npm test runs the tests, CONTRIBUTING.md says more');
