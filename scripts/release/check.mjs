// Checks that version, lock file, changelog and tag agree.
//
//   node scripts/release/check.mjs                what must hold at any time
//   node scripts/release/check.mjs --tag v1.2.3   what must hold for a release of that tag
//   node scripts/release/check.mjs --notes FILE   besides writes what the changelog says of package.json's version
//   node scripts/release/check.mjs --repository URL   besides whether package.json names that repository: npm
//                                                 publishes no provenance for one that does not
//   node scripts/release/check.mjs --folder DIR   another project
//
// Exit codes: 0 they agree, 1 they do not, 2 wrong flags or files.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { conclude, flags, readJson, readLock, refuse } from '../security/shared.mjs';
import { changelogFaults, isEmpty, readChangelog } from './changelog.mjs';

const options = flags({
  tag: { type: 'string' },
  notes: { type: 'string' },
  repository: { type: 'string' },
});
const { version, repository } = readJson(join(options.folder, 'package.json'));
const lock = readLock(options.folder);
const changelog = readChangelog(changelogText());
const section = changelog.sections.find(({ name }) => name === version);

const faults = [
  ...changelogFaults(changelog),
  ...versionFaults(),
  ...tagFaults(),
  ...repositoryFaults(),
];
if (options.notes !== undefined && faults.length === 0) {
  if (section === undefined) refuse(`CHANGELOG.md has no section [${version}] to take notes from`);
  writeFileSync(options.notes, `${section.body.trim()}\n`);
}
conclude(faults, `version ${version}, its lock file and its changelog agree`);

function changelogText() {
  try {
    return readFileSync(join(options.folder, 'CHANGELOG.md'), 'utf8');
  } catch (error) {
    return refuse(`CHANGELOG.md: cannot be read: ${error.message}`);
  }
}

function versionFaults() {
  return [lock.version, lock.packages[''].version]
    .filter((each) => each !== version)
    .slice(0, 1)
    .map((each) => `package-lock.json: version ${each}, but package.json has ${version}`);
}

/** A tag is a promise: of this version, described, newest, and with nothing unreleased left over. */
function tagFaults() {
  if (options.tag === undefined) return [];
  const found = [];
  if (options.tag !== `v${version}`) {
    found.push(`the tag is ${options.tag}, but package.json has ${version}`);
  }
  if (section === undefined) found.push(`CHANGELOG.md: it has no section [${version}]`);
  else if (isEmpty(section)) found.push(`CHANGELOG.md: [${version}] says nothing`);
  else if (changelog.sections[1] !== section) {
    found.push(`CHANGELOG.md: [${version}] does not follow [Unreleased]`);
  }
  if (changelog.sections[0] && !isEmpty(changelog.sections[0])) {
    found.push('CHANGELOG.md: something stands under [Unreleased]');
  }
  return found;
}

function repositoryFaults() {
  if (options.repository === undefined) return [];
  const url = (repository?.url ?? repository ?? 'none').replace(/^git\+/, '').replace(/\.git$/, '');
  if (url === options.repository) return [];
  return [`package.json: its repository is ${url}, but this is ${options.repository}`];
}
