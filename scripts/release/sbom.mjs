// Writes the bill of materials of the package (CycloneDX, JSON): every package that a user installs with it, by
// `npm sbom`, and refuses one that lacks a package, a version or a licence.
//
//   node scripts/release/sbom.mjs FILE [FOLDER]    of the project in FOLDER, this one unless it is given
//
// Exit codes: 0 written, 1 incomplete, 2 wrong command line, or no answer from npm.
import { writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import {
  conclude,
  npmJson,
  packagesOf,
  readJson,
  readLock,
  refuse,
  root,
} from '../security/shared.mjs';

const NPM_MS = 60_000;

const [file, folder = root, ...rest] = process.argv.slice(2);
if (file === undefined || rest.length > 0) refuse('the name of one FILE is wanted');

const { name } = readJson(join(folder, 'package.json'));
// npm sbom knows no --json; its answer is JSON without it.
// Its --omit dev leaves out what a tool needs as well as the package: what is not installed is taken out here.
const args = ['sbom', '--sbom-format', 'cyclonedx', '--package-lock-only'];
const { answer, fault } = npmJson(folder, args, NPM_MS);
if (fault !== undefined) refuse(`npm sbom: ${fault}`);
// npm names the project after the folder that it lies in.
answer.metadata.component.name = name;

const production = packagesOf(readLock(folder)).filter(({ entry }) => entry.dev !== true);
const shipped = new Set(production.map(({ name: each, version }) => `${each}@${version}`));
answer.components = answer.components.filter((each) =>
  shipped.has(`${fullName(each)}@${each.version}`),
);
const references = new Set(answer.components.map((each) => each['bom-ref']));
references.add(answer.metadata.component['bom-ref']);
answer.dependencies = answer.dependencies
  .filter(({ ref }) => references.has(ref))
  .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((on) => references.has(on)) }));

const listed = new Map(
  answer.components.map((each) => [`${fullName(each)}@${each.version}`, each]),
);
const findings = production.flatMap(({ name: each, version }) => {
  const component = listed.get(`${each}@${version}`);
  if (component === undefined) return [`${each}@${version} is missing`];
  const isLicensed = component.licenses?.some(
    ({ license, expression }) => expression ?? license?.id ?? license?.name,
  );
  return isLicensed ? [] : [`${each}@${version} has no licence`];
});
if (findings.length === 0) writeFileSync(file, `${JSON.stringify(answer, null, 2)}\n`);
conclude(findings, `${basename(file)}: ${listed.size} packages`);

function fullName({ group, name: each }) {
  return group === undefined ? each : `${group}/${each}`;
}
