import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ROOT } from '../../support/broker.js';
import { INTEGRITY, Project, runScript } from '../../support/project.js';
import { recordedAdvisory, Registry, type Advisory, type Answers } from '../../support/registry.js';

const MINIMIST = recordedAdvisory('GHSA-xvch-5gv4-984h');
const NEXT_CENTURY = '2126-01-01';

let project: Project;
let registry: Registry | undefined;

beforeEach(() => {
  project = new Project();
});

afterEach(async () => {
  await registry?.close();
  registry = undefined;
  project.remove();
});

/** minimist as a dependency of a dependency, as it mostly was. */
function plant(version: string, flags: object = {}): void {
  const entry = { integrity: INTEGRITY, license: 'MIT', ...flags };
  project.lock(
    { mkdirp: '0.5.5' },
    {
      'node_modules/mkdirp': { ...entry, version: '0.5.5', dependencies: { minimist: '^1.2.5' } },
      'node_modules/minimist': { ...entry, version },
    },
  );
}

function versions(name: string, ...numbers: string[]): object {
  const each = (version: string): [string, object] => {
    const dependencies = name === 'mkdirp' ? { minimist: '^1.2.5' } : {};
    return [version, { name, version, dependencies, dist: { integrity: INTEGRITY } }];
  };
  return {
    name,
    'dist-tags': { latest: numbers.at(-1) },
    versions: Object.fromEntries(numbers.map(each)),
  };
}

const known =
  (advisories: Record<string, Advisory[]>): Answers =>
  (path) => {
    if (path === '/-/npm/v1/security/advisories/bulk') return { status: 200, body: advisories };
    if (path === '/minimist') {
      return { status: 200, body: versions('minimist', '1.2.5', '1.2.6', '1.2.8') };
    }
    if (path === '/mkdirp') return { status: 200, body: versions('mkdirp', '0.5.5', '0.5.6') };
    return { status: 404, body: {} };
  };

async function audit(answers: Answers, args: string[] = [], env: NodeJS.ProcessEnv = {}) {
  registry = await Registry.start(answers);
  const fixed = ['--folder', project.folder, '--registry', registry.url];
  const list = args.includes('--allowed') ? [] : ['--allowed', noneAllowed()];
  // npm keeps advisories that it has seen, by their number.
  const cache = { npm_config_cache: join(project.folder, 'cache') };
  return runScript('security/dependency-audit.mjs', [...fixed, ...list, ...args], {
    ...cache,
    ...env,
  });
}

function noneAllowed(): string {
  project.write('none.json', []);
  return join(project.folder, 'none.json');
}

describe('an advisory', () => {
  test('on a pinned version is named, with range, place, way and cure, and fails', async () => {
    plant('1.2.5');
    const { code, stderr } = await audit(known({ minimist: MINIMIST }));
    expect(stderr).toMatch(
      /^critical: minimist >=1\.0\.0 <1\.2\.6: Prototype Pollution in minimist \(GHSA-xvch-5gv4-984h\); in node_modules\/minimist.*; fixed by .+\n$/,
    );
    expect(code).toBe(1);
    expect(registry!.asked).toEqual({ minimist: ['1.2.5'], mkdirp: ['0.5.5'] });
  });

  test('on either of its ranges is found', async () => {
    plant('0.2.3');
    const { code, stderr } = await audit(known({ minimist: MINIMIST }));
    expect(stderr).toMatch(/^critical: minimist <0\.2\.4: .*GHSA-xvch-5gv4-984h/);
    expect(code).toBe(1);
  });

  test('on what is needed to build only is found where NODE_ENV is production, too', async () => {
    plant('1.2.5', { dev: true });
    const env = { NODE_ENV: 'production' };
    const { code, stderr } = await audit(known({ minimist: MINIMIST }), [], env);
    expect(stderr).toContain('GHSA-xvch-5gv4-984h');
    expect(code).toBe(1);
  });

  test('on another version is none', async () => {
    plant('1.2.8');
    expect(await audit(known({ minimist: MINIMIST }))).toEqual({
      code: 0,
      stdout: 'no advisories on 2 packages\n',
      stderr: '',
    });
  });

  test('below --level is told and passes', async () => {
    plant('1.2.5');
    const answers = known({
      minimist: MINIMIST.map((each) => ({ ...each, severity: 'moderate' })),
    });
    const { code, stdout } = await audit(answers, ['--level', 'high']);
    expect(stdout).toContain('below high: moderate: minimist');
    expect(code).toBe(0);
  });
});

describe('an allowed advisory', () => {
  const allow = (...list: object[]) => {
    project.write('allowed.json', list);
    return audit(known({ minimist: MINIMIST }), [
      '--allowed',
      join(project.folder, 'allowed.json'),
    ]);
  };
  const reason = 'only the build parses flags with it';

  test('passes until its day, and is told with its reason', async () => {
    plant('1.2.5');
    const { code, stdout } = await allow({
      id: 'GHSA-xvch-5gv4-984h',
      expires: NEXT_CENTURY,
      reason,
    });
    expect(stdout).toContain(`allowed until ${NEXT_CENTURY} (${reason}): critical: minimist`);
    expect(code).toBe(0);
  });

  test('fails after its day', async () => {
    plant('1.2.5');
    const { code, stderr } = await allow({
      id: 'GHSA-xvch-5gv4-984h',
      expires: '2020-02-01',
      reason,
    });
    expect(stderr).toContain('was allowed until 2020-02-01');
    expect(code).toBe(1);
  });

  test('fails where nothing needs it any more', async () => {
    plant('1.2.8');
    const { code, stderr } = await allow({
      id: 'GHSA-xvch-5gv4-984h',
      expires: NEXT_CENTURY,
      reason,
    });
    expect(stderr).toContain('concerns no package any more');
    expect(code).toBe(1);
  });

  test.each([
    { id: 'GHSA-xvch-5gv4-984h', expires: NEXT_CENTURY },
    { id: 'GHSA-xvch-5gv4-984h', expires: 'soon', reason },
    { expires: NEXT_CENTURY, reason },
  ])('is refused where a part of it is missing: %j', async (entry) => {
    plant('1.2.5');
    expect((await allow(entry)).code).toBe(2);
  });
});

describe('no answer is never "no advisories"', () => {
  const refused: Answers = () => ({ status: 405, body: '' });

  test.each([
    ['a refusal', refused, /405 Method Not Allowed/],
    ['an answer that is no JSON', () => ({ status: 200, body: '<html>' }), /'<', "<html>" is not/],
    ['silence', () => 'silence', /no answer within 3 s/],
  ] as [string, Answers, RegExp][])('%s: a failure with --require', async (what, answers, why) => {
    plant('1.2.5');
    const limit = what === 'silence' ? ['--timeout-s', '3'] : [];
    const { code, stdout, stderr } = await audit(answers, ['--require', ...limit]);
    expect(stderr).toMatch(/^FAILED: advisories could not be reached: .*Nothing was checked\.\n$/);
    expect(stderr).toMatch(why);
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
  });

  test('without it a warning', async () => {
    plant('1.2.5');
    const { code, stdout, stderr } = await audit(refused);
    expect(stderr).toMatch(/^WARNING: advisories could not be reached: 405/);
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
  });
});

test('of this repository every package is asked for', async () => {
  const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as object;
  project.write('package.json', readFileSync(join(ROOT, 'package.json'), 'utf8'));
  project.write('package-lock.json', lock);
  expect((await audit(known({}))).code).toBe(0);
  const { packages } = lock as { packages: Record<string, { version: string }> };
  const pinned = Object.entries(packages).filter(([path]) => path !== '');
  for (const [path, { version }] of pinned) {
    const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
    expect(registry!.asked[name], path).toContain(version);
  }
});

test.each([[['--level', 'bad']], [['--timeout-s', 'x']], [['--nope']]])(
  'wrong flags are refused: %j',
  async (args) => {
    plant('1.2.5');
    expect((await audit(known({}), args)).code).toBe(2);
  },
);
