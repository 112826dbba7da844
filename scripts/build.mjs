// Builds dist/ from nothing: the kernels by AssemblyScript, everything else by the TypeScript compiler.
//
//   node scripts/build.mjs              the package
//   node scripts/build.mjs --kernels    the kernels only
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const out = join(root, 'dist');

/**
 * Each kernel module. `shared` imports a shared memory of any size (the broker's arena); the others
 * import a private one (the client library, which needs no threads). `chaos` compiles in the random
 * delays and deaths that the thread tests need; that build is for tests alone and is not packed.
 */
const kernels = [
  {
    entry: 'src/frame/kernel/index.ts',
    out: 'dist/frame/kernel.wasm',
    shared: false,
    chaos: false,
  },
  {
    entry: 'src/shards/kernel/index.ts',
    out: 'dist/shards/kernel.wasm',
    shared: true,
    chaos: false,
  },
  {
    entry: 'src/shards/kernel/index.ts',
    out: 'build/kernel-chaos.wasm',
    shared: true,
    chaos: true,
  },
];

async function buildKernel({ entry, out: target, shared, chaos }) {
  const files = new Map();
  const { error, stderr } = await asc.main(
    [
      entry,
      '--outFile',
      target,
      '-O3',
      '--noAssert',
      '--runtime',
      'stub',
      '--importMemory',
      '--enable',
      'bulk-memory',
      '--enable',
      'simd',
      ...(shared
        ? [
            '--enable',
            'threads',
            '--sharedMemory',
            '--initialMemory',
            '1',
            '--maximumMemory',
            '65536',
          ]
        : ['--initialMemory', '1']),
    ],
    {
      readFile(name, baseDir) {
        const path = join(baseDir, name);
        try {
          const text = readFileSync(path, 'utf8');
          return chaos && relative(root, path) === 'src/ring/kernel/chaos.ts'
            ? text.replace('CHAOS: bool = false', 'CHAOS: bool = true')
            : text;
        } catch {
          return null;
        }
      },
      writeFile(name, contents) {
        files.set(name, contents);
      },
      listFiles: () => [],
      baseDir: root,
    },
  );
  if (error) throw new Error(`${entry}: ${error.message}\n${stderr.toString()}`);
  for (const [name, contents] of files) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), contents);
  }
  refuseDataSection(target);
}

/** A data section would be written over the shared memory again by every thread's instance. */
function refuseDataSection(name) {
  const bytes = readFileSync(join(root, name));
  const DATA_SECTION = 11;
  for (let at = 8; at < bytes.length;) {
    const id = bytes[at++];
    let size = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      size |= (byte & 0x7f) << shift;
      if ((byte & 0x80) === 0) break;
    }
    if (id === DATA_SECTION && size > 1) throw new Error(`${name} has a data section`);
    at += size;
  }
}

const kernelsOnly = process.argv.includes('--kernels');
if (!kernelsOnly) rmSync(out, { recursive: true, force: true });
for (const kernel of kernels) await buildKernel(kernel);
if (!kernelsOnly) {
  execFileSync(
    process.execPath,
    [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json'],
    {
      cwd: root,
      stdio: 'inherit',
    },
  );
  chmodSync(join(out, 'main.js'), 0o755);
}
