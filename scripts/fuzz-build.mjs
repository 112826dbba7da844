// Builds what the fuzzer runs, into build/fuzz: src/frame and src/config/json.ts as JavaScript, and the frame kernel,
// all with edge counters. `--planted` (or `planted` below) puts a bug in, which the fuzzer's own test must find.
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { javascriptWithEdges } from './js-edges.mjs';
import { buildKernel, root } from './kernels.mjs';
import { withEdges } from './wasm-edges.mjs';

/** A sound frame is dropped if three header fields meet: changes without guidance do not come upon that. */
const PLANTED = {
  file: 'src/frame/kernel/index.ts',
  from: '(<u32>frame) | damaged);',
  to: `(<u32>frame) | damaged);
    if (load<u8>(frame, 8) == 0x4d) {
      if (load<u8>(frame, 17) == 0x53) {
        if (load<u8>(frame, 26) > 0xf0) store<u32>(table + ((<usize>frames) << 2), (<u32>frame) | DAMAGED);
      }
    }`,
};

/** Builds into `folder` (from the root); answers its path and which counters belong to which file. */
export async function buildForFuzzing(folder, planted = false) {
  const out = join(root, folder);
  rmSync(out, { recursive: true, force: true });
  const files = readdirSync(join(root, 'src/frame')).filter((name) => name.endsWith('.ts'));
  const modules = [...files.map((name) => `frame/${name}`), 'config/json.ts', 'config/node.ts'];
  const map = [];
  let next = 0;
  for (const name of modules) {
    const text = readFileSync(join(root, 'src', name), 'utf8');
    const { code, edges } = javascriptWithEdges(text, name, next);
    write(join(out, 'src', name.replace(/\.ts$/, '.js')), code);
    map.push({ name: `src/${name}`, first: next, edges });
    next += edges;
  }
  const kernel = `${folder}/plain.wasm`;
  await buildKernel({
    entry: 'src/frame/kernel/index.ts',
    out: kernel,
    shared: false,
    optimize: false,
    replace: planted ? [PLANTED] : [],
  });
  const wasm = withEdges(readFileSync(join(root, kernel)));
  // Where src/frame/frame-kernel.ts looks for it.
  write(join(out, 'dist/frame/kernel.wasm'), wasm.bytes);
  map.push({ name: 'src/frame/kernel', first: next, edges: wasm.edges });
  const built = { folder: out, edges: next + wasm.edges, javascriptEdges: next, map };
  write(join(out, 'edges.json'), JSON.stringify(built));
  cpSync(join(root, 'package.json'), join(out, 'package.json'));
  return built;
}

function write(path, content) {
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, content);
}
