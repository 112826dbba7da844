// Compiles one kernel by AssemblyScript; scripts/build.mjs and scripts/mutate-ring.mjs use it.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

export const root = join(dirname(fileURLToPath(import.meta.url)), '..');

/**
 * `shared`: it imports a shared memory of any size (the broker's arena); else a private one (the client
 * library, which needs no threads). `replace` is a list of `{file, from, to}`: changes of the sources for
 * this build alone; each must be found. `names`: functions keep their names, for profiles; the code is the same.
 * `optimize: false` keeps every branch of the source a branch.
 */
export async function buildKernel({
  entry,
  out: target,
  shared,
  replace = [],
  names = false,
  optimize = true,
}) {
  const files = new Map();
  const missing = new Set(replace);
  const { error, stderr } = await asc.main(
    [
      entry,
      '--outFile',
      target,
      ...(optimize ? ['-O3'] : []),
      '--noAssert',
      '--runtime',
      'stub',
      '--importMemory',
      ...(names ? ['--debug'] : []),
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
          return changed(readFileSync(path, 'utf8'), relative(root, path), replace, missing);
        } catch (problem) {
          if (problem.code === 'ENOENT') return null;
          throw problem;
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
  for (const { file, from } of missing) throw new Error(`${file} does not contain: ${from}`);
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

function changed(text, file, replace, missing) {
  for (const change of replace) {
    if (change.file !== file || !text.includes(change.from)) continue;
    missing.delete(change);
    text = text.replace(change.from, () => change.to);
  }
  return text;
}
