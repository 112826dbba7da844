// Runs what every start runs, a load of configuration files of each format, and keeps what V8 has compiled for it.
//
//   node scripts/bundle-code.mjs FOLDER     with the scripts (scripts/bundle.mjs)
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Bundle } from '../dist/bundle.js';

const FILES = {
  'a.json': `{
  "shards": 1,
  "memory": { "arena": "64MiB" },
  "streams": { "overrides": [{ "subject": "a.>", "retention": { "bytes": "1MiB" }, "onFull": "evict" }] }
}
`,
  'b.yaml': `# All that a file can have: a group, a list, texts with and without quotes, numbers, yes and no.
limits: { connections: 100 }
listen:
  port: 7000
  insecure: false
streams:
  default: { retention: { bytes: 1MiB } }
  overrides:
    - subject: 'b.>'
      onFull: evict
`,
  'c.toml': `# The same.
slowConsumer = { timeout = "2s" }
[listen]
port = 7000
insecure = false
[streams]
default = { retention = { bytes = "1MiB" } }
[[streams.overrides]]
subject = "c.>"
onFull = "evict"
`,
};
const COMMANDS = ['serve', 'pub', 'sub', 'ping', 'config', 'frame'];

const scripts = resolve(process.argv[2]);
const bundle = new Bundle(pathToFileURL(`${scripts}/`));
const { main } = bundle.load('dispatch.cjs');
const folder = mkdtempSync(join(scripts, 'run-'));
try {
  for (const [name, text] of Object.entries(FILES)) {
    writeFileSync(join(folder, name), text);
    await run('config', 'check', join(folder, name));
  }
  await run('config', 'check', '--config-dir', folder);
  await run('config', 'print', '--config', join(folder, 'a.json'));
  for (const command of COMMANDS) await run(command, '--help');
} finally {
  rmSync(folder, { recursive: true });
}
for (const name of ['clock', 'load', 'reload']) bundle.load(`${name}.cjs`);
bundle.writeCode();

async function run(...argv) {
  await main(argv);
  if (process.exitCode !== 0) throw new Error(`${argv.join(' ')} ended with ${process.exitCode}`);
}
