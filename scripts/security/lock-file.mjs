// Checks that package-lock.json pins what is installed: each package from the public registry, by version and
// SHA-512, and in step with package.json.
//
//   node scripts/security/lock-file.mjs [--folder DIR]
//
// Own code and not lockfile-lint, which looks at addresses only and passes an entry without one; entries may
// lack them here, and what then holds is the checksum.
//
// Exit codes: 0 it does, 1 it does not, 2 wrong flags or files.
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { conclude, flags, npmJson, packagesOf, readJson, readLock } from './shared.mjs';

const REGISTRY = 'https://registry.npmjs.org/';
const LOCK_FILE_VERSION = 3;
/** SHA-512 in base64. */
const INTEGRITY = /^sha512-[A-Za-z0-9+/]{86}==$/;
const EXACT_VERSION = /^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$/;
/** git, file, http and link dependencies are written with a colon or a slash; a range never is, but for an alias. */
const ALIAS = /^npm:/;
const NPM_MS = 60_000;

const { folder } = flags();
const lock = readLock(folder);
const manifest = readJson(join(folder, 'package.json'));
const packages = packagesOf(lock);

conclude(
  [...versionFaults(), ...packages.flatMap(packageFaults), ...sourceFaults(), ...stepFaults()],
  `package-lock.json pins ${packages.length} packages`,
);

function versionFaults() {
  const { lockfileVersion } = lock;
  if (lockfileVersion === LOCK_FILE_VERSION) return [];
  return [`package-lock.json: lockfileVersion ${lockfileVersion}, not ${LOCK_FILE_VERSION}`];
}

function packageFaults({ path, version, entry }) {
  const faults = [];
  if (entry.link === true) return [`${path}: it is a link to a folder`];
  if (!path.includes('node_modules/')) return [`${path}: it lies outside of node_modules`];
  if (!EXACT_VERSION.test(version)) faults.push(`${path}: ${version || 'no'} version`);
  if (!INTEGRITY.test(entry.integrity ?? '')) {
    faults.push(`${path}: its integrity is ${entry.integrity ?? 'missing'}, not sha512`);
  }
  if (entry.resolved !== undefined && !entry.resolved.startsWith(REGISTRY)) {
    faults.push(`${path}: it comes from ${entry.resolved}, not from ${REGISTRY}`);
  }
  return faults;
}

/** Dependencies, ours and others', that are no range of versions from the registry. */
function sourceFaults() {
  const all = [['package.json', manifest], ...Object.entries(lock.packages)];
  return all.flatMap(([where, { dependencies, devDependencies, optionalDependencies }]) =>
    Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies })
      .filter(([, range]) => /[:/]/.test(range.replace(ALIAS, '').replace(/^@[\w.-]+\//, '')))
      .map(
        ([name, range]) => `${where || 'package-lock.json'}: ${name} is ${range}, not a version`,
      ),
  );
}

/** What the lock file says of package.json, and whether what it pins satisfies what is asked for. */
function stepFaults() {
  const told = lock.packages[''];
  const fields = ['name', 'version', 'license', 'engines', 'dependencies'];
  const compared = [...fields, 'devDependencies', 'optionalDependencies', 'peerDependencies'];
  const faults = compared
    .filter((field) => !isDeepStrictEqual(told[field], manifest[field]))
    .map((field) => `package-lock.json: its ${field} are not those of package.json`);
  const { answer, fault } = npmJson(folder, ['ls', '--all', '--package-lock-only'], NPM_MS);
  if (fault !== undefined) return [...faults, `npm ls: ${fault}`];
  return [...faults, ...(answer.problems ?? []).map((each) => `npm ls: ${each}`)];
}
