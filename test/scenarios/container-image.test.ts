/** What an engine would do with the Dockerfile, as far as that shows without one. */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ROOT } from '../support/broker.js';
import { Image, readStages, type Step } from '../support/image.js';
import { Running } from '../cli/processes.js';

const BUILD_MS = 240_000;

const stages = readStages();
const final = stages.at(-1)!;
const step = (keyword: string): Step => final.steps.find((each) => each.keyword === keyword)!;

let image: Image;

beforeAll(() => {
  image = new Image(stages);
}, BUILD_MS);

afterAll(() => {
  image.remove();
}, BUILD_MS);

/** A command of the recipe, run where its files lie now. As root, as the recipe's user. */
function command(words: readonly string[]): string[] {
  const [node, ...rest] = words;
  expect(node).toBe('/nodejs/bin/node');
  return rest.map((word) => (word.startsWith('/app/') ? image.at(word) : word));
}

function asUser(argv: string[]): string[] {
  const [uid = '', gid = ''] = step('USER').text.split(':');
  // Threads inherit the option, and are what the process has become.
  const become = `import { isMainThread } from 'node:worker_threads';
    if (isMainThread) { process.setgroups([]); process.setgid(${gid}); process.setuid(${uid}); }`;
  const isRoot = process.getuid?.() === 0;
  const preload = `data:text/javascript,${encodeURIComponent(become)}`;
  return isRoot ? ['--import', preload, ...argv] : argv;
}

test('nobody is root, by number, and no shell is needed', () => {
  expect(step('USER').text).toMatch(/^[1-9]\d{3,}:[1-9]\d{3,}$/);
  expect(final.steps.filter(({ keyword }) => keyword === 'RUN')).toEqual([]);
  for (const keyword of ['ENTRYPOINT', 'CMD', 'HEALTHCHECK']) {
    expect(step(keyword).json ?? healthcheck(), keyword).not.toEqual([]);
  }
  expect(step('STOPSIGNAL').text).toBe('SIGTERM');
  expect(step('EXPOSE').text).toBe('7878/tcp');
});

/** The words behind HEALTHCHECK … CMD. */
function healthcheck(): string[] {
  const text = step('HEALTHCHECK').text;
  return JSON.parse(text.slice(text.indexOf('['))) as string[];
}

test('all stages have the same Node.js and the same Debian', () => {
  expect(stages.map(({ base }) => base)).toEqual([
    'node:24-trixie-slim',
    'node:24-trixie-slim',
    'gcr.io/distroless/nodejs24-debian13:nonroot',
  ]);
});

test('what is copied is tracked, and is let through to the engine', () => {
  const ignored = readFileSync(join(ROOT, '.dockerignore'), 'utf8').split('\n');
  expect(ignored).toContain('*');
  const copied = stages.flatMap(({ steps }) =>
    steps
      .filter(({ keyword, flags }) => keyword === 'COPY' && flags['from'] === undefined)
      .flatMap(({ args }) => args.slice(0, -1)),
  );
  for (const source of copied) {
    expect(ignored, source).toContain(`!${source}`);
    const tracked = execFileSync('git', ['ls-files', source], { cwd: ROOT, encoding: 'utf8' });
    expect(tracked, source).not.toBe('');
  }
  const passed = ignored.filter((line) => line.startsWith('!')).map((line) => line.slice(1));
  expect(new Set(copied)).toEqual(new Set(passed));
});

test('the image holds the broker and what it needs to run, and no more', () => {
  expect(readdirSync(image.at('/app')).toSorted()).toEqual([
    'LICENSE',
    'dist',
    'node_modules',
    'package.json',
  ]);
  for (const tool of ['typescript', 'vitest', 'eslint', 'assemblyscript']) {
    expect(existsSync(image.at(`/app/node_modules/${tool}`)), tool).toBe(false);
  }
  expect(readdirSync(image.at('/app/node_modules/@koromix'))).toEqual([
    `koffi-linux-${process.arch}`,
  ]);
});

test('it starts, its health check connects and is answered, and it ends by its signal', async () => {
  chmodSync(image.at('/'), 0o755);
  const args = ['serve', '--port', '0', '--shards', '1', '--memory-arena', '64MiB'];
  const start = asUser([...command(step('ENTRYPOINT').json!), ...args]);
  const refused = new Running(start, image.env);
  expect(await refused.code()).toBe(3);
  expect(refused.stderr).toContain('listen.insecure');
  const broker = new Running(start, { ...image.env, MEMORYSTREAMER_LISTEN_INSECURE: 'true' });
  await broker.until('stdout', 'pid=');
  const [, host, port] = /url=ms:\/\/([^:]+):(\d+)/.exec(broker.stdout)!;
  expect(host).toBe('0.0.0.0');
  const env = { ...image.env, MEMORYSTREAMER_URL: `ms://127.0.0.1:${port}` };
  const check = () =>
    spawnSync(process.execPath, asUser(command(healthcheck())), { env, encoding: 'utf8' });
  const healthy = check();
  expect(healthy.stderr).toBe('');
  expect(healthy.stdout).toMatch(/^pong from /);
  expect(healthy.status).toBe(0);
  // Stopped, it still has its port, and the kernel takes connections for it.
  broker.send('SIGSTOP');
  expect(check().status).not.toBe(0);
  broker.send('SIGCONT');
  broker.send(step('STOPSIGNAL').text as NodeJS.Signals);
  expect(await broker.code()).toBe(0);
  expect(check().status).not.toBe(0);
});
