// Shows that the kernels are reproducible: builds them again from a copy of the sources in another folder, in
// another process, and compares with dist/ byte for byte. Exit code 1 where a kernel differs.
//
//   node scripts/check-kernels.mjs        after `npm run build`
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const kernels = ['dist/frame/kernel.wasm', 'dist/shards/kernel.wasm'];

const digest = (file) => createHash('sha256').update(readFileSync(file)).digest('hex');

const copy = mkdtempSync(join(tmpdir(), 'kernels-of-another-folder-'));
let failed = false;
try {
  for (const name of ['src', 'scripts', 'package.json', 'tsconfig.kernel.json']) {
    cpSync(join(root, name), join(copy, name), { recursive: true });
  }
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  execFileSync(process.execPath, ['scripts/build.mjs', '--kernels'], {
    cwd: copy,
    stdio: 'inherit',
    env: { ...process.env, TZ: 'Pacific/Kiritimati', LC_ALL: 'C', SOURCE_DATE_EPOCH: '' },
  });
  for (const kernel of kernels) {
    const [here, there] = [digest(join(root, kernel)), digest(join(copy, kernel))];
    const same = here === there;
    failed ||= !same;
    console.log(same ? `${here}  ${kernel}` : `${kernel} differs: ${here} here, ${there} there`);
  }
} finally {
  rmSync(copy, { recursive: true });
}
if (failed) {
  console.error(
    'kernels are not reproducible: dist/ is stale, or the build depends on its surroundings',
  );
  process.exitCode = 1;
}
