// Writes docs/CONFIGURATION.md and docs/memorystreamer.example.json from the table of keys.
// Needs dist/ (npm run build).
//
//   node scripts/configuration-docs.mjs            write both
//   node scripts/configuration-docs.mjs --check    only tell whether they are stale (exit code 1)
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { TABLE } from '../dist/config/table.js';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

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
| Flag | \`${flag}\` |
| Environment | \`${row.env}\` |
`;
  });
  return `# Configuration

<!-- Written by scripts/configuration-docs.mjs from src/config/table.ts; change it there. -->

A value comes from the last of these that gives one:

1. the default;
2. the JSON file named by \`--config FILE\`, where a key \`listen.port\` stands as \`{"listen": {"port": 7878}}\`
   (all keys: [memorystreamer.example.json](memorystreamer.example.json));
3. the environment;
4. the flags of \`memorystreamer serve\`.

An unknown key, an unknown name in the environment that begins with \`MEMORYSTREAMER_\` (other than
\`MEMORYSTREAMER_URL\`, which is the client's) and a value out of range are refused, also where a later source
would have replaced the value. All faults are told at once, one line each
(\`SOURCE: KEY: what is wrong; what is allowed\`), and the exit code is 3. A file is at most 1 MiB of UTF-8, nested at
most 32 deep, and no name stands in it twice.

Sizes are bytes, or text such as \`"512MiB"\` (B, KiB, MiB, GiB: powers of 1024). Durations are milliseconds, or text
such as \`"250ms"\`, \`"1.5s"\`, \`"2m"\`, \`"1h"\`.

## Keys

${sections.join('\n')}`;
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
