// Runs every security check, also after one that failed, and says at the end how each went.
//
//   node scripts/security/run.mjs             advisories that could not be reached are a warning, and signatures
//                                             are left out: offline npm takes minutes to give up on them
//   node scripts/security/run.mjs --require   as the pipeline runs it: everything, and no answer is a failure
//
// Exit codes: 0 all passed, 1 one or more failed, 2 wrong flags.
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { flags } from './shared.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const CHECKS = ['lock-file', 'install-scripts', 'licences', 'secrets', 'dependency-audit'];
const REQUIRED = [...CHECKS.slice(0, -1), 'dependency-audit --require', 'signatures --require'];

const options = flags({ require: { type: 'boolean', default: false } });

const failed = [];
for (const check of options.require ? REQUIRED : CHECKS) {
  const [name, ...args] = check.split(' ');
  console.log(`-- ${name}`);
  const file = join(here, `${name}.mjs`);
  const { status } = spawnSync(process.execPath, [file, '--folder', options.folder, ...args], {
    stdio: 'inherit',
  });
  if (status !== 0) failed.push(`${name} (exit code ${status})`);
}
if (failed.length > 0) {
  console.error(`failed: ${failed.join(', ')}`);
  process.exitCode = 1;
}
