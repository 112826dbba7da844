import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Project, runScript } from '../../support/project.js';
import { chooseSeed, Random } from '../../support/random.js';

const seed = chooseSeed();
const random = new Random(seed);
const pick = (count: number, letters: string) =>
  Array.from({ length: count }, () => letters.charAt(random.below(letters.length))).join('');
const UPPER = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const MIXED = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

function privateKey(): string {
  const { privateKey: key } = generateKeyPairSync('rsa', { modulusLength: 1024 });
  return key.export({ type: 'pkcs1', format: 'pem' }).toString();
}

/** Made when the test runs: no file of this repository holds one. */
const SECRETS: [kind: string, secret: string, text: (secret: string) => string][] = [
  ['AWSAccessKeyID', `AKIA${pick(16, UPPER)}`, (secret) => `id = '${secret}'\n`],
  ['GITHUB_TOKEN', `ghp_${pick(36, MIXED)}`, (secret) => `token: ${secret}\n`],
  ['SLACK_TOKEN', `xoxb-${pick(12, '0123456789')}-${pick(24, MIXED)}`, (secret) => `${secret}\n`],
  ['PrivateKey', privateKey(), (secret) => secret],
  ['BasicAuth', `https://someone:${pick(20, MIXED)}@example.com`, (secret) => `${secret}/path\n`],
];

let project: Project;

beforeEach(() => {
  project = new Project();
  git('init', '-q');
  project.write('clean.txt', 'nothing to see\n');
  commit();
});

afterEach(() => {
  project.remove();
});

function git(...args: string[]): void {
  const person = ['-c', 'user.name=t', '-c', 'user.email=t@example.com'];
  execFileSync('git', [...person, ...args], { cwd: project.folder, stdio: 'pipe' });
}

function commit(): void {
  git('add', '--all');
  git('commit', '-q', '-m', 'x');
}

const scan = (...args: string[]) =>
  runScript('security/secrets.mjs', ['--folder', project.folder, ...args]);

test('this repository holds none', async () => {
  const { code, stdout, stderr } = await runScript('security/secrets.mjs', []);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/^no secrets in \d{3,} files\n$/);
});

test.each(SECRETS)('%s is named by place and kind, and not printed', async (kind, secret, text) => {
  project.write('deep/config.ts', `first line\n${text(secret)}`);
  commit();
  const { code, stdout, stderr } = await scan();
  expect(stderr).toMatch(/^deep\/config\.ts:2:\d+: /);
  expect(stderr).toContain(kind);
  for (const line of secret.split('\n').filter((each) => !each.startsWith('---') && each !== '')) {
    expect(stdout + stderr, `SCENARIO_SEED=${seed}`).not.toContain(line.slice(8, 20));
  }
  expect(code).toBe(1);
});

const [[, KEY]] = SECRETS as [(typeof SECRETS)[0]];

test('it is found before it is committed, but not in what git ignores', async () => {
  project.write('new.txt', KEY);
  expect((await scan()).stderr).toContain('new.txt:1:1');
  project.write('.gitignore', 'new.txt\n');
  expect(await scan()).toMatchObject({ code: 0, stdout: 'no secrets in 2 files\n' });
});

test('one that was removed, also from a branch that is not merged, is found with --history', async () => {
  git('checkout', '-q', '-b', 'other');
  project.write('gone.txt', KEY);
  commit();
  git('checkout', '-q', '-');
  rmSync(join(project.folder, 'gone.txt'), { force: true });
  expect((await scan()).code).toBe(0);
  const { code, stderr } = await scan('--history');
  expect(stderr).toMatch(/^[0-9a-f]{10}:gone\.txt:1:1: /);
  expect(code).toBe(1);
});

test('what is no repository is refused, and so is one without files', async () => {
  rmSync(join(project.folder, '.git'), { recursive: true });
  expect((await scan()).code).toBe(2);
  rmSync(join(project.folder, 'clean.txt'));
  git('init', '-q');
  expect((await scan()).stderr).toContain('no files that git knows');
});
