// Checks that packages cannot run code when they are installed: .npmrc refuses install scripts, and every
// package that has one is on the reviewed list, install-scripts-reviewed.json ({name: why it works without}).
//
//   node scripts/security/install-scripts.mjs [--folder DIR] [--reviewed FILE]
//
// Exit codes: 0 it is so, 1 it is not, 2 wrong flags or files.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { conclude, flags, packagesOf, readJson, readList, readLock } from './shared.mjs';

const EVENTS = ['preinstall', 'install', 'postinstall'];

const { folder, reviewed: given } = flags({ reviewed: { type: 'string' } });
const reviewed = readList('install-scripts-reviewed.json', given);
const packages = packagesOf(readLock(folder));
const withScripts = packages.filter((each) => isMarked(each) || isScripted(each));

conclude(
  [...settingFaults(), ...withScripts.flatMap(reviewFaults), ...staleReviews()],
  `install scripts are refused; ${withScripts.length} packages have one, and work without`,
);

function isMarked({ entry }) {
  return entry.hasInstallScript === true;
}

/** Asked of the package itself, for a lock file can be written by hand. */
function isScripted({ path }) {
  const file = join(folder, path, 'package.json');
  if (!existsSync(file)) return false;
  const { scripts = {}, gypfile } = readJson(file);
  const isCompiled = gypfile !== false && existsSync(join(folder, path, 'binding.gyp'));
  return isCompiled || EVENTS.some((event) => scripts[event] !== undefined);
}

function settingFaults() {
  const file = join(folder, '.npmrc');
  const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : [];
  const last = lines.filter((line) => /^\s*ignore-scripts\s*=/.test(line)).pop();
  return /=\s*true\s*$/.test(last ?? '') ? [] : ['.npmrc: it does not say ignore-scripts=true'];
}

function reviewFaults(each) {
  const faults = [];
  const where = `${each.name}@${each.version} (${each.path})`;
  if (!isMarked(each)) {
    faults.push(`${where}: it has an install script, which the lock file conceals`);
  }
  if (!reviewed[each.name]) faults.push(`${where}: nobody has reviewed its install script`);
  return faults;
}

function staleReviews() {
  return Object.keys(reviewed)
    .filter((name) => !withScripts.some((each) => each.name === name))
    .map((name) => `install-scripts-reviewed.json: ${name} has no install script any more`);
}
