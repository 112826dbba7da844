// What ran of each source: V8's counts of every process and thread that wrote some, added up.
//
// All of them ran the build in dist/, so counts of one script are of one text and add up exactly; source maps
// then lead to src/. A source that nothing loaded is counted too, as one of which nothing ran.
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { mergeScriptCovs } from '@bcoe/v8-coverage';
import { parse } from 'acorn';
import { convert } from 'ast-v8-to-istanbul';
import coverage from 'istanbul-lib-coverage';
import { filesBelow } from './files.mjs';

/** Counts of so many processes are added at once: each is small, and all of them together are not. */
const BATCH = 64;

/** One entry for each source under src/, by its path. */
export async function measure(root, countsFolder) {
  const scripts = readCounts(root, countsFolder);
  const measured = [];
  for (const file of filesBelow(root, 'src', '.ts').filter(isCounted)) {
    measured.push(await measureFile(root, file, scripts));
  }
  return measured;
}

/** AssemblyScript is compiled to WebAssembly, which V8 does not count by the lines of a source. */
export function isKernel(file) {
  return file.includes('/kernel/');
}

function isCounted(file) {
  return !isKernel(file) && !file.endsWith('.d.ts');
}

function readCounts(root, folder) {
  const built = pathToFileURL(join(root, 'dist')).href + '/';
  const sources = pathToFileURL(join(root, 'src')).href + '/';
  const found = new Map();
  for (const name of readdirSync(folder).filter((each) => each.endsWith('.json'))) {
    for (const script of scriptsOf(join(folder, name))) {
      const url = script.url.startsWith('/') ? pathToFileURL(script.url).href : script.url;
      if (url.startsWith(sources))
        throw new Error(`${url} ran past the build: its counts would be lost`);
      if (url.startsWith(built)) add(found, url.split('?')[0], script);
    }
  }
  return new Map(
    [...found].map(([url, scripts]) => [fileURLToPath(url), mergeScriptCovs(scripts)]),
  );
}

/** A process that is killed while it writes leaves half a file; the tests kill some on purpose. */
function scriptsOf(path) {
  const text = readFileSync(path, 'utf8');
  try {
    return JSON.parse(text).result;
  } catch {
    console.log(`passed over: a process was killed while it wrote ${basename(path)}`);
    return [];
  }
}

function add(found, url, script) {
  const scripts = [...(found.get(url) ?? []), { ...script, url }];
  found.set(url, scripts.length < BATCH ? scripts : [mergeScriptCovs(scripts)]);
}

async function measureFile(root, file, scripts) {
  const path = join(root, file.replace(/^src/, 'dist').replace(/\.ts$/, '.js'));
  const code = readFileSync(path, 'utf8');
  const script = scripts.get(path);
  const data = await convert({
    code,
    ast: parse(code, { ecmaVersion: 'latest', sourceType: 'module' }),
    sourceMap: JSON.parse(readFileSync(`${path}.map`, 'utf8')),
    coverage: { url: pathToFileURL(path).href, functions: script?.functions ?? nothingRan(code) },
  });
  const own = data[join(root, file)];
  if (own === undefined) return empty(file, script !== undefined);
  return { file, isLoaded: script !== undefined, ...places(own) };
}

function nothingRan(code) {
  const ranges = [{ startOffset: 0, endOffset: code.length, count: 0 }];
  return [{ functionName: '', isBlockCoverage: true, ranges }];
}

/** A file of types alone. */
function empty(file, isLoaded) {
  return { file, isLoaded, lines: { total: 0, missed: [] }, branches: { total: 0, missed: [] } };
}

/** How many lines and branches there are, and the lines on which the missed ones begin. */
function places(data) {
  const byLine = Object.entries(coverage.createFileCoverage(data).getLineCoverage());
  const missedLines = byLine.filter(([, count]) => count === 0).map(([line]) => Number(line));
  const branches = Object.entries(data.b).flatMap(([id, counts]) =>
    counts.map((count, arm) => ({ count, line: lineOf(data.branchMap[id], arm) })),
  );
  const missedBranches = branches.filter(({ count }) => count === 0).map(({ line }) => line);
  return {
    lines: { total: byLine.length, missed: missedLines },
    branches: { total: branches.length, missed: missedBranches },
  };
}

/** An `else` that is not written has no place of its own: its `if` stands for it. */
function lineOf(branch, arm) {
  return branch.locations[arm]?.start?.line ?? branch.loc.start.line;
}
