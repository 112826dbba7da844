/**
 * The coverage gate, on a package of its own: its sources are compiled here, run by real processes and threads
 * that write what V8 counted, and judged by the script.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runNode } from '../cli/processes.js';

const SCRIPT = fileURLToPath(new URL('../../scripts/coverage.mjs', import.meta.url));
const FLOOR = 'scripts/coverage/floor.json';
const UNREACHABLE = 'scripts/coverage/unreachable.json';

/** One function for each way to run; which of them ran is known. */
const WAYS = `export type Way = 'main' | 'worker' | 'child' | 'terminated' | 'exited' | 'nobody';
export const inMain = (): number => 1;
export function inWorker(): number {
  return 2;
}
export function inChild(): number {
  return 3;
}
export function inTerminated(): number {
  return 4;
}
export function inExited(): number {
  return 5;
}
export function byNobody(): number {
  return 6;
}
export function sign(value: number): string {
  if (value < 0) return '-';
  return value === 0 ? '0' : '+';
}
`;

const MAIN = `import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { inChild, inExited, inMain, inTerminated, inWorker, sign } from './ways.js';

const here = fileURLToPath(import.meta.url);
if (!isMainThread) {
  if (workerData === 'worker') inWorker();
  if (workerData === 'exited') process.exit(inExited());
  if (workerData === 'terminated') {
    inTerminated();
    parentPort!.postMessage('ran');
    for (;;);
  }
} else if (process.argv[2] === 'child') {
  inChild();
  sign(0);
} else {
  inMain();
  sign(1);
  for (const way of ['worker', 'exited']) await once(new Worker(here, { workerData: way }), 'exit');
  const endless = new Worker(here, { workerData: 'terminated' });
  await once(endless, 'message');
  await endless.terminate();
  spawnSync(process.execPath, [here, 'child'], { env: {} });
}
`;

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'coverage-'));
  write('package.json', '{"type": "module"}');
  write(UNREACHABLE, '[]');
  write('README.md', 'Some text. 0 % of the lines and 0 % of the branches. More text.\n');
});
afterEach(() => rmSync(root, { recursive: true }));

function write(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

function read(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

/** Writes a source and what the compiler makes of it. */
function source(path: string, text: string): void {
  write(path, text);
  const { outputText, sourceMapText } = ts.transpileModule(text, {
    fileName: path.split('/').at(-1)!,
    compilerOptions: {
      target: ts.ScriptTarget.ES2023,
      module: ts.ModuleKind.ESNext,
      sourceMap: true,
      verbatimModuleSyntax: true,
    },
  });
  const built = path.replace(/^src/, 'dist').replace(/\.ts$/, '.js');
  const map = JSON.parse(sourceMapText!) as { sources: string[] };
  map.sources = ['../'.repeat(path.split('/').length - 1) + path];
  write(built, outputText);
  write(`${built}.map`, JSON.stringify(map));
}

/** Runs a built file as the tests would, V8 counting. */
function run(path: string): void {
  const { status } = spawnSync(process.execPath, [join(root, path)], {
    env: { NODE_V8_COVERAGE: join(root, 'counts') },
  });
  expect(status).toBe(0);
}

function judge(...options: string[]) {
  const { code, stdout, stderr } = runNode([
    SCRIPT,
    '--root',
    root,
    '--counts',
    'counts',
    ...options,
  ]);
  const errors = stderr.split('\n').filter((line) => line !== '');
  return { code, stdout, errors };
}

/** A package of which everything runs, with a floor and a README line. */
function covered(): void {
  source('src/ring/all.ts', 'export const twice = (value: number): number => 2 * value;\n');
  source('src/main.ts', "import { twice } from './ring/all.js';\ntwice(1);\n");
  run('dist/main.js');
  expect(judge('--raise')).toMatchObject({ code: 0, errors: [] });
}

function numbersOf(stdout: string, name: string): string {
  const line = stdout.split('\n').find((each) => each.startsWith(name))!;
  return [...line.matchAll(/\d+\/\d+/g)].join(' ');
}

describe('counting', () => {
  test('adds up what ran in a process, its threads, however they ended, and its children', () => {
    source('src/ways.ts', WAYS);
    source('src/main.ts', MAIN);
    source(
      'src/never.ts',
      'export const never = (a: boolean): number => (a ? 1 : 2);\nnever(true);\n',
    );
    run('dist/main.js');
    expect(readdirSync(join(root, 'counts')).length).toBeGreaterThanOrEqual(5);
    const { code, stdout } = judge();
    expect(code).toBe(1);
    // 'return 6' and the true arm of 'value < 0' are what nothing ran.
    const places = read('build/coverage/uncovered.txt').split('\n');
    expect(places.filter((place) => place.startsWith('src/ways.ts'))).toEqual([
      'src/ways.ts:16 did not run',
      'src/ways.ts:19 has a branch that did not run',
    ]);
    expect(numbersOf(stdout, 'src/ways.ts')).toBe('7/8 3/4');
    expect(places.filter((place) => place.startsWith('src/main.ts'))).toEqual([]);
  });

  test('a source that nothing loaded counts with all that it has, as not run', () => {
    covered();
    source(
      'src/never.ts',
      'export const never = (a: boolean): number => (a ? 1 : 2);\nnever(true);\n',
    );
    const { code, stdout } = judge();
    expect(code).toBe(1);
    expect(stdout).toContain('src/never.ts (never loaded)');
    expect(numbersOf(stdout, 'src/never.ts')).toBe('0/2 0/2');
    expect(read('build/coverage/uncovered.txt')).toBe(
      'src/never.ts:1 did not run\nsrc/never.ts:2 did not run\n',
    );
  });

  test('kernels are listed apart, and types alone are nothing to run', () => {
    covered();
    write('src/ring/kernel/append.ts', 'export function append(): u32 { return 0; }\n');
    source('src/types.ts', 'export interface Place {\n  at: number;\n}\n');
    const { code, stdout } = judge('--raise');
    expect(code).toBe(0);
    expect(stdout).toContain('not counted, 1 sources of kernels');
    expect(stdout).toContain('ring/kernel/append.ts');
    expect(numbersOf(stdout, 'src/types.ts')).toBe('0/0 0/0');
  });

  test('a process that was killed while it wrote is told of, and no more', () => {
    covered();
    write('counts/coverage-1-1-0.json', '{"result": [{"scriptId": "1", "url": "fi');
    const { code, stdout } = judge();
    expect(code).toBe(0);
    expect(stdout).toContain(
      'passed over: a process was killed while it wrote coverage-1-1-0.json',
    );
  });

  test('a source that ran past the build is refused: what it counted would be lost', () => {
    covered();
    const url = new URL(`file://${root}/src/main.ts`).href;
    write('counts/other.json', JSON.stringify({ result: [{ scriptId: '1', url, functions: [] }] }));
    const { code, errors } = judge();
    expect(code).toBe(1);
    expect(errors.join('\n')).toContain('src/main.ts ran past the build');
  });
});

describe('thresholds', () => {
  test('a branch that nothing takes fails a file of which much is asked, with its line', () => {
    covered();
    const text =
      'export function sign(value: number): string {\n  if (value < 0) return "-";\n  return "+";\n}\n';
    source('src/ring/sign.ts', text);
    source('src/other.ts', "import { sign } from './ring/sign.js';\nsign(1);\n");
    run('dist/other.js');
    const { code, errors } = judge();
    expect(code).toBe(1);
    expect(errors).toContain('coverage: src/ring/sign.ts: 50 % of branches, asked are 95 %');
    expect(errors).toContain('  src/ring/sign.ts:2 has a branch that did not run');
    source('src/other.ts', "import { sign } from './ring/sign.js';\nsign(1);\nsign(-1);\n");
    rmSync(join(root, 'counts'), { recursive: true });
    run('dist/other.js');
    run('dist/main.js');
    expect(judge('--raise')).toMatchObject({ code: 0, errors: [] });
  });

  test('elsewhere only the total is asked for', () => {
    covered();
    source(
      'src/other.ts',
      'export const other = (a: boolean): number => (a ? 1 : 2);\nother(true);\n',
    );
    run('dist/other.js');
    expect(judge().errors.join('\n')).toContain('total: 50 % of branches, asked are 90 %');
    expect(judge().errors.join('\n')).not.toContain('src/other.ts: ');
  });
});

/** Of this many functions only the first `called` are called. */
function functions(count: number, called: number): string {
  const names = Array.from({ length: count }, (_, at) => `f${at}`);
  const lines = names.map((name) => `export function ${name}(): number {\n  return 1;\n}`);
  return [...lines, ...names.slice(0, called).map((name) => `${name}();`)].join('\n');
}

describe('the floor', () => {
  function measure(called: number): void {
    rmSync(join(root, 'counts'), { recursive: true, force: true });
    source('src/cli/many.ts', functions(400, called));
    run('dist/cli/many.js');
  }

  test('a run below it fails beyond the noise, and says where', () => {
    measure(400);
    expect(judge('--raise').code).toBe(0);
    measure(397); // 3 bodies and 3 calls fewer, of 800 lines
    expect(judge()).toMatchObject({ code: 0 });
    measure(390);
    const { code, errors } = judge();
    expect(code).toBe(1);
    expect(errors.join('\n')).toMatch(/src\/cli: 98\.7\d % of lines, below the floor of 100 %/);
    expect(errors).toContain('  src/cli/many.ts:1172 did not run');
  });

  test('raising never lowers it', () => {
    measure(400);
    judge('--raise');
    const before = read(FLOOR);
    measure(390);
    expect(judge('--raise').code).toBe(1);
    expect(read(FLOOR)).toBe(before);
  });

  test('a part without one, and one without its part, are told', () => {
    measure(400);
    judge('--raise');
    source('src/new/a.ts', 'export const a = 1;\n');
    run('dist/new/a.js');
    expect(judge().errors.join('\n')).toContain('src/new has no floor yet');
    write(FLOOR, read(FLOOR).replace('"src/cli"', '"src/gone"'));
    expect(judge().errors.join('\n')).toContain('floor.json names src/gone, which is not there');
    expect(judge('--raise')).toMatchObject({ code: 0, errors: [] });
    expect(Object.keys(JSON.parse(read(FLOOR)) as object)).toEqual(['total', 'src/cli', 'src/new']);
  });

  test('one that is lower than where the branch began is refused', () => {
    const git = (...args: string[]) => {
      const identity = ['-c', 'user.name=a', '-c', 'user.email=a@example.org'];
      const { status } = spawnSync('git', [...identity, ...args], { cwd: root });
      expect(status).toBe(0);
    };
    measure(400);
    git('init', '-b', 'trunk');
    git('add', 'README.md');
    git('commit', '-m', 'without a floor');
    expect(judge('--raise', '--base', 'trunk')).toMatchObject({ code: 0 });
    git('add', FLOOR);
    git('commit', '-m', 'with a floor');
    git('checkout', '-b', 'work');
    write(FLOOR, read(FLOOR).replace('100', '99.5'));
    git('commit', '-am', 'a lower floor');
    expect(judge().code).toBe(0);
    const { code, errors } = judge('--base', 'trunk');
    expect(code).toBe(1);
    expect(errors).toEqual([
      'coverage: floor.json asks for 99.5 % of lines in total; the base asks for 100 %',
    ]);
    // What the other branch raises after this one left it is its own affair.
    git('checkout', '-b', 'later', 'trunk');
    write(FLOOR, read(FLOOR).replaceAll('100', '101'));
    git('commit', '-am', 'a higher floor');
    git('checkout', 'work');
    write(FLOOR, read(FLOOR).replace('99.5', '100'));
    expect(judge('--base', 'later')).toMatchObject({ code: 0, errors: [] });
  });
});

describe('what cannot run here', () => {
  const TEXT = `import { existsSync } from 'node:fs';
export function nodes(): number {
  if (existsSync('/nonexistent')) {
    return 2;
  }
  return 1;
}
nodes();
`;
  const code = "if (existsSync('/nonexistent')) {\nreturn 2;\n}";
  const list = (...entries: object[]) => write(UNREACHABLE, JSON.stringify(entries));

  beforeEach(() => {
    covered();
    source('src/sys/nodes.ts', TEXT);
    source('src/cli/many.ts', "for (const a of [true, false]) a ? 'yes' : 'no';\n".repeat(20));
    run('dist/sys/nodes.js');
    run('dist/cli/many.js');
    write(UNREACHABLE, '[]');
    judge('--raise');
  });

  test('is excused by its text with a reason, printed, and counts as missed all the same', () => {
    expect(judge().errors.join('\n')).toContain('src/sys/nodes.ts: 75 % of lines');
    list({ file: 'src/sys/nodes.ts', code, reason: 'no such machine' });
    const answer = judge();
    expect(answer).toMatchObject({ code: 0, errors: [] });
    expect(answer.stdout).toContain(
      "src/sys/nodes.ts, if (existsSync('/nonexistent')) { (no such machine)",
    );
    expect(numbersOf(answer.stdout, 'src/sys/nodes.ts')).toBe('3/4 1/2');
  });

  test.each([
    ['is gone', { code: 'if (isNuma()) {', reason: 'x' }, 'no such code any more: if (isNuma()) {'],
    [
      'runs after all',
      { code: 'return 1;', reason: 'x' },
      'this is covered after all, take it out: return 1;',
    ],
    [
      'stands twice',
      { code: '}', reason: 'x' },
      'this code stands there twice, name more of it: }',
    ],
    ['has no reason', { code }, 'an entry has no reason'],
    ['is in no file', { file: 'src/gone.ts', code, reason: 'x' }, 'there is no such file'],
  ])('an entry of code that %s fails', (_name, entry, told) => {
    list({ file: 'src/sys/nodes.ts', code, reason: 'x' }, { file: 'src/sys/nodes.ts', ...entry });
    const { code: exit, errors } = judge();
    expect(exit).toBe(1);
    expect(errors.join('\n')).toContain(told);
  });

  test('hints in a source to the counter are refused', () => {
    list({ file: 'src/sys/nodes.ts', code, reason: 'x' });
    expect(judge().code).toBe(0);
    write('src/sys/nodes.ts', TEXT.replace('existsSync(', '/* v8 ignore next */ existsSync('));
    expect(judge().errors.join('\n')).toContain('src/sys/nodes.ts tells the counter to ignore');
  });
});

describe('the line of README', () => {
  test('is written by --raise, and fails once it is stale', () => {
    covered();
    const readme = read('README.md');
    expect(readme).toBe('Some text. 100 % of the lines and 100 % of the branches. More text.\n');
    write('README.md', readme.replace('100 % of the lines', '99.4 % of the lines'));
    const { code, errors } = judge();
    expect(code).toBe(1);
    expect(errors.join('\n')).toContain('README.md is stale: it says 99.4 % of the lines');
    write('README.md', readme.replace('100 % of the lines', '99.6 % of the lines'));
    expect(judge().code).toBe(0);
    write('README.md', 'nothing');
    expect(judge().errors.join('\n')).toContain('README.md lacks its line');
  });
});

test.each([0, 1])('options go to the tests, and their exit code %d is the gate’s', (exit) => {
  covered();
  const runner = `import { cpSync } from 'node:fs';
    cpSync('counts', process.env.NODE_V8_COVERAGE, { recursive: true });
    console.log(process.argv.slice(2).join(' '));
    process.exitCode = ${exit};`;
  write('runner.mjs', runner);
  write('package.json', '{"type": "module", "scripts": {"test": "node runner.mjs run"}}');
  const { code, stdout } = runNode([SCRIPT, '--root', root, '--reporter=json', 'some.test.ts']);
  expect(stdout).toContain('run --reporter=json some.test.ts');
  expect(stdout).toContain('coverage: passed');
  expect(code).toBe(exit);
});
