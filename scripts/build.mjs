// Builds dist/ from nothing: the kernels by AssemblyScript, everything else by the TypeScript compiler, and of that the
// command as scripts that start sooner (scripts/bundle.mjs).
//
//   node scripts/build.mjs              the package
//   node scripts/build.mjs --kernels    the kernels only
//   node scripts/build.mjs --names      kernels whose functions have names, to read a profile by
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { buildBundle } from './bundle.mjs';
import { buildKernel, root } from './kernels.mjs';
import { secondVersion } from './second-version.mjs';

const out = join(root, 'dist');
const shard = { entry: 'src/shards/kernel/index.ts', shared: true };
const chaos = {
  file: 'src/ring/kernel/chaos.ts',
  from: 'CHAOS: bool = false',
  to: 'CHAOS: bool = true',
};
const steps = {
  file: 'src/ring/kernel/chaos.ts',
  from: 'STEPS: bool = false',
  to: 'STEPS: bool = true',
};

/** For the tests of how versions meet: version 1 under another number. */
const otherVersion = {
  file: 'src/frame/layout.ts',
  from: 'PROTOCOL_VERSION = 1',
  to: 'PROTOCOL_VERSION = 2',
};

/** Those in build/ are for tests alone and are not packed (src/ring/kernel/chaos.ts). */
const kernels = [
  { entry: 'src/frame/kernel/index.ts', out: 'dist/frame/kernel.wasm', shared: false },
  {
    entry: 'src/frame/kernel/index.ts',
    out: 'build/frame-kernel-v2.wasm',
    shared: false,
    replace: [otherVersion],
  },
  { ...shard, out: 'dist/shards/kernel.wasm' },
  { ...shard, out: 'build/kernel-chaos.wasm', replace: [chaos] },
  { ...shard, out: 'build/kernel-steps.wasm', replace: [steps] },
  { ...shard, out: 'build/kernel-v2.wasm', replace: secondVersion },
];

const kernelsOnly = process.argv.includes('--kernels');
const names = process.argv.includes('--names');
if (!kernelsOnly) rmSync(out, { recursive: true, force: true });
for (const kernel of kernels) await buildKernel({ ...kernel, names });
if (!kernelsOnly) {
  execFileSync(
    process.execPath,
    [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json'],
    {
      cwd: root,
      stdio: 'inherit',
    },
  );
  await buildBundle();
  chmodSync(join(out, 'main.js'), 0o755);
  linkCommand();
}

/**
 * `npx memorystreamer` in the clone finds this link. Without one npx makes a copy of its own in a cache, which
 * lacks the command for ever if it was made before the first build.
 */
function linkCommand() {
  const link = join(root, 'node_modules/.bin/memorystreamer');
  mkdirSync(dirname(link), { recursive: true });
  rmSync(link, { force: true });
  symlinkSync(relative(dirname(link), join(out, 'main.js')), link);
}
