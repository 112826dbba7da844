// Writes docs/CONFIGURATION.md, docs/memorystreamer.example.json and docs/memorystreamer.schema.json from the table of keys.
// Needs dist/ (npm run build).
//
//   node scripts/configuration-docs.mjs            write them
//   node scripts/configuration-docs.mjs --check    only tell whether one is stale (exit code 1)
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { jsonSchema } from '../dist/config/json-schema.js';
import { TABLE } from '../dist/config/table.js';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

const APPLY = {
  hot: 'hot: a broker that runs can take it',
  restart: 'restart: the next broker takes it',
};
const UNITS = { bytes: 'bytes', milliseconds: 'milliseconds', count: '', none: '' };

function markdown() {
  const sections = TABLE.map((row) => {
    const flag = row.placeholder === '' ? `--${row.flag}` : `--${row.flag} ${row.placeholder}`;
    const unit = UNITS[row.unit] === '' ? '' : ` In the broker: ${UNITS[row.unit]}.`;
    return `### \`${row.key}\`

${row.doc}

| | |
| --- | --- |
| Default | \`${row.show(row.standard)}\` |
| Allowed | ${row.allowed}.${unit} |
| A change | ${APPLY[row.apply]} |
| Flag | \`${flag}\` |
| Environment | \`${row.env}\` |
${fields(row)}`;
  });
  return `# Configuration

<!-- Written by scripts/configuration-docs.mjs from src/config/table.ts; change it there. -->

A value comes from the last of these that gives one:

1. the default;
2. the profile that \`--profile NAME\` chooses: a named set in the files, as \`{"profiles": {"small": {"shards": 1}}}\`;
3. the files of \`--config FILE\`, which may stand often, in the order given;
4. the files in the folder of \`--config-dir FOLDER\` (a \`conf.d\`), by their names;
5. the environment;
6. the flags of \`memorystreamer serve\`.

Objects merge, lists replace. A value in the environment or a flag that is a list is written as JSON.

## Files

A file is JSON, YAML 1.2 or TOML 1.1 by its ending (\`.json\`, \`.yaml\`, \`.yml\`, \`.toml\`; any other name is read as
JSON). A key \`listen.port\` stands in it as \`{"listen": {"port": 7878}}\`; all keys:
[memorystreamer.example.json](memorystreamer.example.json). Beside keys it may hold

- \`$schema\`, for editors ([memorystreamer.schema.json](memorystreamer.schema.json), which \`memorystreamer config schema\`
  prints; in YAML a line \`# yaml-language-server: $schema=…\` does the same), and \`$provenance\`, which \`config print --json\` writes; neither is looked at;
- \`configVersion\`, the version of the names of keys for which it was written: 1, also where it is left out;
- \`profiles\`.

Sizes are bytes, or text such as \`"512MiB"\` (B, KiB, MiB, GiB: powers of 1024). Durations are milliseconds, or text
such as \`"250ms"\`, \`"1.5s"\`, \`"2m"\`, \`"1h"\`.

In the folder of \`--config-dir\`, hidden files and those that end in \`~\` are left out, and other endings are warned of.
A link in it may not lead out of it; links inside, as Kubernetes makes them, may.

## What is refused

All faults are told at once, one line each: \`FILE:LINE:COLUMN: KEY: what is wrong; what is allowed\`, or with the name in
the environment or the flag in place of file and key. The exit code is 3. Refused are, also where a later source
would have replaced the value:

- a key or field that is unknown, a value out of its range, a name in the environment that begins with
  \`MEMORYSTREAMER_\` and is none of those below (other than \`MEMORYSTREAMER_URL\`, which is the client's);
- files of more than 128 KiB, nested more than 32 deep, not in UTF-8, with control characters, with a name that stands
  twice; more than 256 files; in YAML anchors, aliases, tags and second documents; in TOML dates;
- the names \`__proto__\`, \`constructor\` and \`prototype\` at any depth.

What changes while it is read is read again, so that several files are taken as they stood at one moment.

Then values are held against each other (what a stream keeps against the arena; an address that other machines reach
needs \`listen.insecure\`), and against the machine (memory, file descriptors; the number of CPUs and NUMA nodes is only
warned of).

## Secrets

No secret stands in a configuration: a key that needs one names a file. A plain name is looked for in
\`$CREDENTIALS_DIRECTORY\` first. Other relative paths begin at the folder of the file that names them, and may not lead
out of it by \`..\` or by a link; whole paths may lead anywhere. The file must belong to root or to the broker's own user,
nobody else may be able to write it, and unless it is root's (as what Kubernetes mounts) nobody else may be able to
read it. At most 4 KiB; a newline at its end is no part of the secret.

Whoever may write a folder may exchange the files in it. So every folder on the way to a secret, from the root on and links
followed, must belong to root or to the broker's own user, and nobody else may be able to write it, unless it is
sticky, as \`/tmp\` is and what Kubernetes mounts.

## Changes while the broker runs

A broker reads its configuration again when one of its files has changed, secrets among them, and on SIGHUP; with
\`reload.on: signal\` on SIGHUP only. What it reads is taken over whole or not at all, and its log has one line
\`config reload\` for each attempt:

| \`result\`        | what came of it                                                                                       |
| ---------------- | ----------------------------------------------------------------------------------------------------- |
| \`applied\`       | every shard runs with it                                                                              |
| \`unchanged\`     | it says what the broker runs with                                                                     |
| \`refused\`       | it has faults, or a shard cannot run with it: \`reasons\` has them, with the values that stay           |
| \`needs-restart\` | a key that needs a restart has changed; those that do not, have not been taken over either            |

The line also has \`by\` (who asked), \`changed\` (keys with the values before and after; of lists the names of items), \`tookMs\`, and
\`digest\`, of what the broker runs with afterwards. The line \`config loaded\` at its start has the first one, and
\`memorystreamer config check\` prints that of files: monitoring compares the two.

**Who may connect** changes without a restart. A new secret in a credential's file holds for those who connect from then on, and
ends nobody. A credential that is taken out of the list, or gets another method or less rights, ends its connections, with GOODBYE;
they may come back as what they are then. More rights hold at once. Where \`auth.required\` is set to true, or \`auth.integrity\` to
\`siphash-2-4\`, those are ended who have not shown who they are, or are not keyed.

To exchange a secret without anybody noticing, put a second credential beside the first, of the same rights and another name, let clients
change over, and take the first one out. To shut out whoever has stolen one, put another secret into a credential of another name.

**What protects is not lost by accident**: \`auth.required\`, \`auth.integrity\` and the last of \`credentials\` are taken away by a reload only if the
configuration says so in words (\`auth.required: false\`), and not if it says nothing, as an empty file does. The address that is
listened on changes by a restart only.

## Keys

${sections.join('\n')}`;
}

/** Of a list's items. */
function fields(row) {
  if (row.fields === undefined) return '';
  const lines = Object.entries(row.fields).map(
    ([name, { kind, doc, isOptional }]) =>
      `| \`${name}\` | ${doc} ${isOptional ? 'May be left out.' : ''} | ${kind.allowed} |`,
  );
  return `\n| Field | | Allowed |\n| --- | --- | --- |\n${lines.join('\n')}\n`;
}

/** The defaults, as a person would write them. */
function example() {
  const object = {};
  for (const row of TABLE) {
    const path = row.key.split('.');
    const last = path.pop();
    let group = object;
    for (const name of path) group = group[name] ??= {};
    const isQuantity = row.unit === 'bytes' || row.unit === 'milliseconds';
    group[last] = isQuantity ? row.show(row.standard) : row.standard;
  }
  return JSON.stringify(object);
}

const isCheck = process.argv.includes('--check');
for (const [name, text] of [
  ['docs/CONFIGURATION.md', markdown()],
  ['docs/memorystreamer.example.json', example()],
  ['docs/memorystreamer.schema.json', JSON.stringify(jsonSchema(TABLE))],
]) {
  const path = join(root, name);
  const formatted = await format(text, { ...(await resolveConfig(path)), filepath: path });
  if (!isCheck) {
    writeFileSync(path, formatted);
  } else if (formatted !== readOrNothing(path)) {
    console.error(`${name} is stale: run node scripts/configuration-docs.mjs`);
    process.exitCode = 1;
  }
}

function readOrNothing(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
