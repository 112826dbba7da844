// Looks for keys and passwords in what git tracks and in what it would take next (new files that are not ignored).
// A secret is named by place and kind; of itself only its first four characters are printed.
//
//   node scripts/security/secrets.mjs             the files as they are now
//   node scripts/security/secrets.mjs --history   every version of every file that any branch or tag reaches
//   node scripts/security/secrets.mjs --folder DIR
//
// Exit codes: 0 none, 1 secrets, 2 wrong flags, or no git repository with files in it.
import { execFileSync } from 'node:child_process';
import { lstatSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { lintSource } from '@secretlint/core';
import * as preset from '@secretlint/secretlint-rule-preset-recommend';
import { conclude, flags, refuse } from './shared.mjs';

/** What a person writes is smaller; larger files are measured results and the like, and are told, not read. */
const FILE_BYTES_MAX = 4 * 1024 * 1024;
const GIT_BYTES_MAX = 256 * 1024 * 1024;
const SHOWN = 4;

const { folder, history } = flags({ history: { type: 'boolean', default: false } });
const config = {
  rules: [
    {
      id: '@secretlint/secretlint-rule-preset-recommend',
      rule: preset.creator,
      // The number of a key is no secret, but where it stands the key is seldom far.
      rules: [{ id: '@secretlint/secretlint-rule-aws', options: { enableIDScanRule: true } }],
    },
  ],
};

let scannedCount = 0;
const findings = [];
for (const source of history ? versions() : files()) await scan(source);
if (scannedCount === 0) refuse(`${folder}: no files that git knows`);
conclude(findings, `no secrets in ${scannedCount} ${history ? 'versions of files' : 'files'}`);

function git(args, input) {
  try {
    return execFileSync('git', args, {
      cwd: folder,
      input,
      maxBuffer: GIT_BYTES_MAX,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
  } catch (error) {
    return refuse(`git ${args[0]}: ${String(error.stderr ?? error.message).trim()}`);
  }
}

function* files() {
  const listed = git(['ls-files', '-z', '--cached', '--others', '--exclude-standard']).toString();
  for (const name of new Set(listed.split('\0').filter((each) => each !== ''))) {
    const path = join(folder, name);
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat?.isFile() !== true) continue;
    yield { name, bytes: stat.size, read: () => readFileSync(path) };
  }
}

function* versions() {
  const listed = git(['rev-list', '--objects', '--all']).toString().trimEnd().split('\n');
  const names = new Map(listed.map((line) => [line.slice(0, 40), line.slice(41)]));
  const checked = git(
    ['cat-file', '--batch-check'],
    `${[...names.keys()].join('\n')}\n`,
  ).toString();
  for (const line of checked.trimEnd().split('\n')) {
    const [id, type, bytes] = line.split(' ');
    if (type !== 'blob') continue;
    const name = `${id.slice(0, 10)}:${names.get(id)}`;
    yield { name, bytes: Number(bytes), read: () => git(['cat-file', 'blob', id]) };
  }
}

async function scan({ name, bytes, read }) {
  if (bytes > FILE_BYTES_MAX) {
    console.error(`WARNING: ${name}: ${bytes} bytes are too many, it is not looked at`);
    return;
  }
  const content = read();
  if (content.includes(0)) return; // Not text.
  scannedCount += 1;
  const text = content.toString('utf8');
  const source = { filePath: name, content: text, ext: extname(name), contentType: 'text' };
  const { messages } = await lintSource({
    source,
    options: { config, maskSecrets: true, noPhysicFilePath: true },
  });
  for (const { range, loc, ruleId, messageId } of messages) {
    const secret = text.slice(...range);
    const shown = `${secret.slice(0, SHOWN)}… (${secret.length} characters)`;
    findings.push(
      `${name}:${loc.start.line}:${loc.start.column + 1}: ${messageId} ${shown} (${ruleId})`,
    );
  }
}
