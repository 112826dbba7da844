// Checks the licence of every package of the lock file against the reviewed list, licences-allowed.json.
// What is installed is asked itself; an optional package for another platform is taken at the lock file's word.
//
//   node scripts/security/licences.mjs [--folder DIR] [--allowed FILE]
//
// The list: `production` may be shipped to users; `development` may besides be used to build and test;
// `packages` holds what a package is known to be under, where it does not say so ({"name@version": {licence, reason}}).
//
// Exit codes: 0 all allowed, 1 a licence that is not allowed or not known, 2 wrong flags or files.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import satisfies from 'spdx-satisfies';
import { conclude, flags, packagesOf, readJson, readList, readLock } from './shared.mjs';

const { folder, allowed: given } = flags({ allowed: { type: 'string' } });
const allowed = readList('licences-allowed.json', given);
const packages = packagesOf(readLock(folder));

const findings = packages.flatMap((each) => {
  const fault = faultOf(each);
  return fault === undefined ? [] : [`${each.name}@${each.version}: ${fault}`];
});
conclude(findings, `the licences of ${packages.length} packages are allowed`);

function faultOf({ path, name, version, entry }) {
  const licence = licenceOf(path, name, version, entry);
  if (licence === undefined) return 'its licence is not known';
  const isForDevelopment = entry.dev === true || entry.devOptional === true;
  const list = isForDevelopment
    ? [...allowed.production, ...allowed.development]
    : allowed.production;
  try {
    if (satisfies(licence, list)) return undefined;
  } catch {
    return `${JSON.stringify(licence)} is not a licence that SPDX knows`;
  }
  return `${licence} is not allowed ${isForDevelopment ? 'for development' : 'in production'}`;
}

function licenceOf(path, name, version, entry) {
  const reviewed = allowed.packages[`${name}@${version}`];
  if (reviewed !== undefined) return reviewed.licence;
  const file = join(folder, path, 'package.json');
  if (!existsSync(file)) return entry.license;
  const { license, licenses } = readJson(file);
  if (typeof license === 'string') return license;
  // Before npm 3 a licence was an object, or a choice of several.
  if (typeof license?.type === 'string') return license.type;
  const choice = licenses?.map(({ type }) => type).join(' OR ');
  return choice === undefined || choice === '' ? undefined : choice;
}
