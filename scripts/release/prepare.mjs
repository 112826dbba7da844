// Makes the next version, for a person to look at and commit: package.json, package-lock.json and CHANGELOG.md.
//
//   node scripts/release/prepare.mjs major|minor|patch|VERSION [--folder DIR]
//
// What stands under [Unreleased] becomes the section of the version, dated today (UTC); nothing there is refused.
//
// Exit codes: 0 done, 1 refused and nothing changed, 2 wrong command line or files.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { readJson, refuse, root } from '../security/shared.mjs';
import { changelogFaults, isEmpty, readChangelog, writeChangelog } from './changelog.mjs';

const STEP = /^(major|minor|patch|\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?)$/;

const { folder, step } = commandLine();
const file = join(folder, 'CHANGELOG.md');
const changelog = readChangelog(readFileSync(file, 'utf8'));
const [unreleased] = changelog.sections;
const faults = changelogFaults(changelog);
if (faults.length === 0 && isEmpty(unreleased)) {
  faults.push('CHANGELOG.md: nothing stands under [Unreleased], so there is nothing to release');
}
const before = readJson(join(folder, 'package.json')).version;
if (step === before && changelog.sections.some(({ name }) => name === step)) {
  faults.push(`CHANGELOG.md: ${step} is released already`);
}
if (faults.length > 0) {
  console.error(faults.join('\n'));
  process.exit(1);
}
// npm knows how versions count; the first release has the version that package.json was born with.
if (step !== before) bump();
const { version } = readJson(join(folder, 'package.json'));
const date = new Date().toISOString().slice(0, 10);
changelog.sections.splice(
  0,
  1,
  { name: 'Unreleased', body: '' },
  { name: version, date, body: unreleased.body },
);
writeFileSync(file, writeChangelog(changelog));
console.log(`${before} → ${version}; look at it, commit it, then tag it v${version}`);

function commandLine() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { folder: { type: 'string', default: root } },
    });
    const [given = ''] = positionals;
    if (positionals.length === 1 && STEP.test(given)) return { folder: values.folder, step: given };
  } catch (error) {
    return refuse(error.message);
  }
  return refuse('one of major, minor, patch or a version is wanted');
}

function bump() {
  try {
    const args = ['version', '--no-git-tag-version', '--ignore-scripts', step];
    execFileSync('npm', args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  } catch (error) {
    console.error(`npm version: ${String(error.stderr).trim()}`);
    process.exit(1);
  }
}
