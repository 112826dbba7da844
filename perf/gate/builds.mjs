// Builds of a commit or of the working tree, kept under build/gate/ by commit and content, so that the next run
// with the same sources uses them again.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { buildDirectory, projectRoot } from '../lib/paths.mjs';

/** All that a build reads. Tests, documents and benchmarks change nothing in it. */
const INPUTS = [
  'src',
  'scripts',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'tsconfig.kernel.json',
];
const KEY_CHARACTERS = 12;
const gateDirectory = join(buildDirectory, 'gate');

export class BuildFailed extends Error {}

function git(...args) {
  const options = { cwd: projectRoot, stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 2 ** 28 };
  return execFileSync('git', args, options);
}

/** The full id of the commit that a name stands for; throws BuildFailed where it is none. */
export function commitOf(name) {
  try {
    return git('rev-parse', '--verify', '--quiet', '--end-of-options', `${name}^{commit}`)
      .toString()
      .trim();
  } catch {
    throw new BuildFailed(
      `"${name}" is no commit here (in a shallow clone it may be missing: git fetch it first)`,
    );
  }
}

function extract(commit, folder) {
  const there = git('ls-tree', '--name-only', commit).toString().split('\n');
  const inputs = INPUTS.filter((path) => there.includes(path));
  const input = git('archive', '--format=tar', commit, '--', ...inputs);
  execFileSync('tar', ['-x', '-C', folder], { input });
}

/** A build of the commit. Builds of other `kind`s are folders of their own, whatever their content. */
export function takeCommit(commit, kind = 'commit') {
  return fill(kind, commit, (folder) => extract(commit, folder));
}

/**
 * The working tree as it is, with what is not committed but not ignored either. `changes` is a list of `{file, from, to}`,
 * made in the copy alone; each must be found once.
 */
export function takeWorkingTree(changes = []) {
  const commit = commitOf('HEAD');
  return fill(changes.length > 0 ? 'changed' : 'tree', commit, (folder) => {
    const listed = git('ls-files', '-z', '-co', '--exclude-standard', '--', ...INPUTS);
    for (const path of new Set(listed.toString().split('\0').filter(Boolean))) {
      // A file that is deleted but not committed so is listed still.
      if (existsSync(join(projectRoot, path))) copy(projectRoot, folder, path);
    }
    for (const change of changes) applyChange(folder, change);
  });
}

export function applyChange(folder, { file, from, to }) {
  const path = join(folder, file);
  const parts = readFileSync(path, 'utf8').split(from);
  if (parts.length !== 2) throw new BuildFailed(`${file} has "${from}" ${parts.length - 1} times`);
  writeFileSync(path, parts.join(to));
}

/** A commit with a patch on top, which must fit. */
export function takePatched(commit, patch) {
  return fill('patched', commit, (folder) => {
    extract(commit, folder);
    applyPatch(folder, patch);
  });
}

export function applyPatch(folder, patch) {
  // A folder inside a repository: without this git looks for the patch's files from the repository's root.
  const env = { ...process.env, GIT_CEILING_DIRECTORIES: dirname(folder) };
  const options = { cwd: folder, env, stdio: ['ignore', 'inherit', 'pipe'] };
  for (const check of [['--check'], []]) {
    try {
      execFileSync('git', ['apply', ...check, patch], options);
    } catch (error) {
      throw new BuildFailed(`${patch} does not fit: ${error.stderr}`);
    }
  }
}

function copy(from, to, path) {
  mkdirSync(dirname(join(to, path)), { recursive: true });
  cpSync(join(from, path), join(to, path));
}

/** Puts sources into a fresh folder, then finds or makes the build of that content. */
function fill(kind, commit, put) {
  mkdirSync(gateDirectory, { recursive: true });
  const folder = join(gateDirectory, `.fresh-${kind}-${process.pid}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  try {
    put(folder);
    const content = contentOf(folder);
    const key = `${kind}-${commit.slice(0, KEY_CHARACTERS)}-${content}-node${process.versions.modules}`;
    const kept = join(gateDirectory, key);
    const reused = existsSync(kept);
    if (!reused) {
      build(folder);
      renameSync(folder, kept);
    }
    return { path: kept, commit, content, reused };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function filesBelow(folder, path = '') {
  return readdirSync(join(folder, path), { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const inner = path ? `${path}/${entry.name}` : entry.name;
      return entry.isDirectory() ? filesBelow(folder, inner) : [inner];
    });
}

function contentOf(folder) {
  const hash = createHash('sha256');
  for (const path of filesBelow(folder)) {
    const bytes = readFileSync(join(folder, path));
    hash.update(`${path}\0${bytes.length}\0`).update(bytes);
  }
  return hash.digest('hex').slice(0, KEY_CHARACTERS);
}

function build(folder) {
  const same = (path) =>
    readFileSync(join(folder, path)).equals(readFileSync(join(projectRoot, path)));
  const options = { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] };
  try {
    if (same('package-lock.json')) shareModules(folder);
    else execFileSync('npm', ['ci', '--prefer-offline', '--ignore-scripts', '--no-audit'], options);
    execFileSync(process.execPath, ['scripts/build.mjs'], options);
  } catch (error) {
    throw new BuildFailed(`the build failed: ${error.stderr || error.stdout || error.message}`);
  }
}

/** The same packages by links; `.bin` is the build's own, because the build writes into it. */
function shareModules(folder) {
  const modules = join(projectRoot, 'node_modules');
  mkdirSync(join(folder, 'node_modules'));
  for (const name of readdirSync(modules)) {
    if (name.startsWith('.')) continue;
    symlinkSync(join(modules, name), join(folder, 'node_modules', name));
  }
}
