// Builds what the fuzzer runs, into build/fuzz: src/frame and what else the targets need as JavaScript, the frame kernel and
// the shard's, all with edge counters. `planted` puts bugs in, which the fuzzer's own test must find.
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { javascriptWithEdges } from './js-edges.mjs';
import { buildKernel, root } from './kernels.mjs';
import { withEdges } from './wasm-edges.mjs';

/** A sound frame is dropped if three header fields meet: changes without guidance do not come upon that. */
const PLANTED_IN_DECODER = {
  file: 'src/frame/kernel/index.ts',
  from: '(<u32>frame) | damaged);',
  to: `(<u32>frame) | damaged);
    if (load<u8>(frame, 8) == 0x4d) {
      if (load<u8>(frame, 17) == 0x53) {
        if (load<u8>(frame, 26) > 0xf0) store<u32>(table + ((<usize>frames) << 2), (<u32>frame) | DAMAGED);
      }
    }`,
};

/** If two do, a number that was used may be used again. */
const PLANTED_IN_INGEST = {
  file: 'src/shards/kernel/ingest.ts',
  from: 'runFrames++;',
  to: `if (load<u8>(at, 27) == 0x40) {
      if (load<u8>(at, 30) > 0xf0) runNumber--;
    }
    runFrames++;`,
};

/** JavaScript beside src/frame, and what it imports. */
const MODULES = [
  ...['config/json.ts', 'config/node.ts', 'config/toml.ts', 'config/yaml.ts', 'errors.ts'],
  ...['ring/arena.ts', 'ring/layout.ts', 'shards/area.ts', 'shards/layout.ts'],
];

/** Builds into `folder` (from the root); answers its path and which counters belong to which file. */
export async function buildForFuzzing(folder, planted = false) {
  const out = join(root, folder);
  rmSync(out, { recursive: true, force: true });
  const files = readdirSync(join(root, 'src/frame')).filter((name) => name.endsWith('.ts'));
  const modules = [...files.map((name) => `frame/${name}`), ...MODULES];
  const map = [];
  let next = 0;
  for (const name of modules) {
    const text = readFileSync(join(root, 'src', name), 'utf8');
    const { code, edges } = javascriptWithEdges(text, name, next);
    write(join(out, 'src', name.replace(/\.ts$/, '.js')), code);
    map.push({ name: `src/${name}`, first: next, edges });
    next += edges;
  }
  const kernels = {
    // Where src/frame/frame-kernel.ts looks for it.
    frame: await instrumented(folder, 'frame', 'dist/frame/kernel.wasm', planted),
    shards: await instrumented(folder, 'shards', 'dist/shards/kernel.wasm', planted),
  };
  const built = { folder: out, javascriptEdges: next, map, kernels };
  write(join(out, 'edges.json'), JSON.stringify(built));
  cpSync(join(root, 'package.json'), join(out, 'package.json'));
  return built;
}

/** A kernel whose branches are all counted; answers its file in `folder` and how many there are. */
async function instrumented(folder, name, file, isPlanted) {
  const plain = `${folder}/${name}.wasm`;
  const planted = name === 'frame' ? PLANTED_IN_DECODER : PLANTED_IN_INGEST;
  await buildKernel({
    entry: `src/${name}/kernel/index.ts`,
    out: plain,
    shared: name === 'shards',
    optimize: false,
    replace: isPlanted ? [planted] : [],
  });
  const { bytes, edges } = withEdges(readFileSync(join(root, plain)));
  write(join(root, folder, file), bytes);
  return { file, edges };
}

function write(path, content) {
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, content);
}
