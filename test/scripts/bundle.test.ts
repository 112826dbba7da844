import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { expect, test } from 'vitest';

const FOLDER = new URL('../../dist/bundle/', import.meta.url);
const SCRIPTS = readdirSync(FOLDER).filter((name) => name.endsWith('.cjs'));

/** Binaries, and what starts threads from files of its own. */
const PACKAGES_OF_THEIR_OWN = ['koffi', 'pino', 'pino-pretty', 'piscina'];

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8'));
}

interface Package {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

/** The packages that `names` are, and those that they need. */
function withDependencies(names: readonly string[]): Package[] {
  const found = new Map<string, Package>();
  const add = (name: string) => {
    if (found.has(name)) return;
    const each = readJson(`node_modules/${name}/package.json`) as Package;
    found.set(name, each);
    Object.keys(each.dependencies ?? {}).forEach(add);
  };
  names.forEach(add);
  return [...found.values()];
}

test('what is part of the bundle is named with its licence, and nothing else', () => {
  const { dependencies } = readJson('package.json') as Package;
  const names = Object.keys(dependencies!).filter((name) => !PACKAGES_OF_THEIR_OWN.includes(name));
  const titles = (packages: readonly Package[]) =>
    packages.map(({ name, version, license }) => `${name} ${version} (${license})`);
  const text = readFileSync(new URL('LICENCES.txt', FOLDER), 'utf8');
  const parts = text.split(`\n${'-'.repeat(80)}\n\n`).slice(1);
  const named = parts.map((part) => part.slice(0, part.indexOf('\n')));
  const all = withDependencies(names);
  expect(named).toEqual(
    expect.arrayContaining(titles(all.filter(({ name }) => names.includes(name)))),
  );
  // One that only some package's own command needs is no part of it.
  expect(titles(all)).toEqual(expect.arrayContaining(named));
  expect(named).toContainEqual(expect.stringMatching(/^lodash\.clonedeep /));
  for (const part of parts) expect(part).toMatch(/copyright|licen[cs]ed/i);
});

test.each(SCRIPTS)('%s needs other scripts, Node.js, and packages of their own only', (name) => {
  const text = readFileSync(new URL(name, FOLDER), 'utf8');
  const needed = [...text.matchAll(/\brequire\("([^"]+)"\)/g)].map(([, each]) => each!);
  const others = needed.filter((each) => !each.startsWith('./'));
  const allowed = [...PACKAGES_OF_THEIR_OWN, ...builtinModules];
  expect(others.filter((each) => !allowed.includes(each.replace(/^node:/, '')))).toEqual([]);
  const missing = needed.filter(
    (each) => each.startsWith('./') && !SCRIPTS.includes(each.slice(2)),
  );
  expect(missing).toEqual([]);
});

test('scripts are strict, as modules are', () => {
  const loose = SCRIPTS.filter(
    (name) =>
      !readFileSync(new URL(name, FOLDER), 'utf8').startsWith(
        '(function (exports, require, module, moduleUrl) {"use strict";\n',
      ),
  );
  expect(loose).toEqual([]);
});
