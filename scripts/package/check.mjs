// Packs the package as a release does, compares what it holds with what it must hold, installs it into an empty
// folder, and uses it there: the command's broker, `pub` and `sub`, and the types of the client library.
// Exit code 1 where anything of it fails. Needs dist/ (npm run build) and npm's registry or its cache.
//
//   node scripts/package/check.mjs
import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { differences, expectedFiles } from './contents.mjs';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const INSTALL_MS_MAX = 240_000;
const STEP_MS_MAX = 30_000;

const CONSUMER = `
import { connect, MemoryStreamerError, type Message } from 'memorystreamer';
const client = await connect('ms://127.0.0.1:7878', { reconnect: { attemptsMax: 3 } });
const { sequence }: { sequence: bigint } = await client.publish('a.b', 'text', { ack: true });
for await (const message of client.subscribe('a.*', { from: { sequence } })) {
  const { payload }: Message = message;
  payload.byteLength satisfies number;
}
try {
  await client.drain();
} catch (error) {
  if (error instanceof MemoryStreamerError) error.code satisfies string;
}
`;

function pack() {
  const target = join(root, 'build/package');
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  const [packed] = JSON.parse(
    execFileSync('npm', ['pack', '--json', '--pack-destination', target], {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }),
  );
  return { archive: join(target, packed.filename), files: packed.files.map((file) => file.path) };
}

function checkContents(files) {
  const tracked = execFileSync(
    'git',
    ['ls-files', '-z', '--cached', '--others', '--exclude-standard'],
    {
      cwd: root,
      encoding: 'utf8',
    },
  );
  const lines = differences(expectedFiles(tracked.split('\0')), files);
  if (lines.length > 0) throw new Error(lines.join('\n'));
  console.log(`contents: ${files.length} files, each of which belongs there`);
}

async function install(folder, archive) {
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n');
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', '--omit=dev'];
  await run('npm', ['install', ...flags, archive], { cwd: folder, timeout: INSTALL_MS_MAX });
  const { stdout } = await command(folder, ['--version']);
  console.log(`installed: memorystreamer ${stdout.trim()} in an empty folder`);
}

function command(folder, argv) {
  const path = join(folder, 'node_modules/.bin/memorystreamer');
  return run(path, argv, { cwd: folder, timeout: STEP_MS_MAX });
}

/** A broker on a free port, one frame published, the same one read, and an end in order. */
async function publishAndSubscribe(folder) {
  const broker = spawn(
    join(folder, 'node_modules/.bin/memorystreamer'),
    ['--port', '0', '--shards', '1', '--memory-arena', '64MiB'],
    { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'], timeout: STEP_MS_MAX },
  );
  const ended = once(broker, 'exit');
  try {
    const url = await readyUrl(broker);
    const file = join(folder, 'line.txt');
    writeFileSync(file, 'hello from the package\n');
    await command(folder, ['pub', 'greetings', '--file', file, '--url', url]);
    const { stdout } = await command(folder, [
      ...['sub', 'greetings', '--from', 'first', '--count', '1', '--url', url],
    ]);
    if (stdout.trim() !== 'hello from the package') throw new Error(`sub printed: ${stdout}`);
  } finally {
    broker.kill('SIGTERM');
  }
  const [code] = await ended;
  if (code !== 0) throw new Error(`the broker ended with ${String(code)}`);
  console.log('used: broker started, a frame published and subscribed to, ended with code 0');
}

async function readyUrl(broker) {
  for await (const line of createInterface(broker.stdout)) {
    const url = / ready url=(\S+)/.exec(line)?.[1];
    if (url) return url;
  }
  throw new Error('the broker ended before it was ready');
}

/** A program that uses the library is accepted under the strictest settings, with the package's declarations checked. */
async function compileConsumer(folder) {
  writeFileSync(join(folder, 'consumer.ts'), CONSUMER);
  await run(process.execPath, [
    join(root, 'node_modules/typescript/bin/tsc'),
    ...['--ignoreConfig', '--noEmit', '--strict', '--exactOptionalPropertyTypes'],
    ...['--target', 'ES2023', '--module', 'NodeNext', '--lib', 'ES2024,DOM'],
    ...['--typeRoots', join(root, 'node_modules/@types'), '--types', 'node'],
    join(folder, 'consumer.ts'),
  ]).catch((error) => {
    throw new Error(`the package's types: ${error.stdout}`);
  });
  console.log('types: a program that uses the client library compiles');
}

const folder = mkdtempSync(join(tmpdir(), 'empty-folder-'));
try {
  const { archive, files } = pack();
  checkContents(files);
  await install(folder, archive);
  await publishAndSubscribe(folder);
  await compileConsumer(folder);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true });
}
