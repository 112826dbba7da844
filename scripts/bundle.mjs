// Puts the command together as scripts in dist/bundle/, from what the TypeScript compiler has written to dist/, with the
// libraries that it is built on; then has it run once in a process of its own (scripts/bundle-code.mjs), which keeps
// what V8 has compiled. src/bundle.ts loads both.
//
// One script for the beginning, and one for whatever is imported when it is needed only. What stays a package of its own:
// koffi, which is a binary; piscina and pino, which start threads from files of their own.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { root } from './kernels.mjs';

const dist = join(root, 'dist');
const folder = join(dist, 'bundle');

const EXTERNAL = ['koffi', 'pino', 'pino-pretty', 'piscina'];

/** By the script's name: the command, and what is measured by itself (perf/probes/config-load.mjs). */
const ENTRIES = {
  dispatch: 'cli/dispatch.js',
  clock: 'clock.js',
  load: 'config/load.js',
  reload: 'config/reload.js',
  toml: 'config/toml.js',
  yaml: 'config/yaml.js',
};

/** Of each script, by which src/bundle.ts has it run. */
const PARAMETERS = 'exports, require, module, moduleUrl';

const LICENCES = 'LICENCES.txt';

export async function buildBundle() {
  const rolldown = await bundler();
  if (rolldown === undefined) return;
  const build = await rolldown({
    input: Object.fromEntries(
      Object.entries(ENTRIES).map(([name, path]) => [name, join(dist, path)]),
    ),
    platform: 'node',
    external: EXTERNAL,
    plugins: [placesOfModules],
    // Its warning of slow plugins comes and goes with what else the machine does.
    checks: { bundlerTimings: false },
    onLog(level, log) {
      if (level === 'warn') throw new Error(log.message);
    },
  });
  const { output } = await build.generate({
    format: 'cjs',
    strict: true,
    // For readers there are the modules.
    comments: false,
    entryFileNames: '[name].cjs',
    chunkFileNames: '[name].cjs',
  });
  await build.close();
  mkdirSync(folder);
  for (const { fileName, code } of output) {
    writeFileSync(join(folder, fileName), `(function (${PARAMETERS}) {${code}})\n`);
  }
  const modules = output.flatMap(({ moduleIds }) => moduleIds);
  writeFileSync(join(folder, LICENCES), licencesOf(packagesOf(modules)));
  makeCode();
}

/** Undefined on a Node.js that the command runs on, by its modules, but that is too old for rolldown (20.12 to 20.18). */
async function bundler() {
  try {
    const { rolldown } = await import('rolldown');
    return rolldown;
  } catch (error) {
    const why = error.message.split('\n')[0].slice(0, 80);
    console.error(
      `rolldown does not run on Node.js ${process.version}, so there is no bundle: ${why}`,
    );
    return undefined;
  }
}

/** A module finds files beside it also where its text has become part of a script elsewhere. */
const placesOfModules = {
  name: 'places-of-modules',
  transform(code, id) {
    if (!code.includes('import.meta.url')) return null;
    const path = relative(dist, id);
    if (path.startsWith('..')) throw new Error(`${id} asks where it is`);
    return { code: code.replaceAll('import.meta.url', `moduleUrl(${JSON.stringify(path)})`) };
  },
};

/** Folders of the packages of which something is in `modules`. */
function packagesOf(modules) {
  const folders = modules.map((id) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(id)?.[0]);
  return [...new Set(folders.filter((folder) => folder !== undefined))].sort();
}

/** What a licence asks for wherever the package is passed on: its name, and its text whole. */
function licencesOf(folders) {
  const parts = folders.map((folder) => {
    const { name, version, license } = JSON.parse(
      readFileSync(join(folder, 'package.json'), 'utf8'),
    );
    const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
    if (file === undefined) throw new Error(`${name} has no text of its licence`);
    const text = readFileSync(join(folder, file), 'utf8').trim();
    return `${name} ${version} (${license})\n\n${text}\n`;
  });
  const line = `\n${'-'.repeat(80)}\n\n`;
  return `What the scripts in this folder hold of other packages.\n${line}${parts.join(line)}`;
}

/** Without the environment: counts of what runs would become part of the code, options of V8 make it another's. */
function makeCode() {
  execFileSync(process.execPath, [join(import.meta.dirname, 'bundle-code.mjs'), folder], {
    env: { NODE_V8_COVERAGE: '' },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}
