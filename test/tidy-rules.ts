/** What the sources keep to, as functions from a tree of files to what breaks the rule. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';

/** Text by path from the repository's root. */
export type Tree = ReadonlyMap<string, string>;

const SKIPPED = new Set([
  'node_modules',
  'dist',
  'build',
  'coverage',
  '.git',
  'vectors',
  'results',
]);
const TEXT = /\.(ts|mjs|js|json|md|c|h|sh|yml|yaml)$|\/run$/;

/** Every text file of the repository below `root`. */
export function readTree(root: string): Tree {
  const tree = new Map<string, string>();
  const walk = (folder: string) => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      const path = posix.join(folder, entry.name);
      if (entry.isDirectory()) {
        if (!SKIPPED.has(entry.name)) walk(path);
      } else if (entry.isFile() && TEXT.test(path) && entry.name !== 'package-lock.json') {
        tree.set(path, readFileSync(join(root, path), 'utf8'));
      }
    }
  };
  walk('.');
  return tree;
}

interface Reference {
  readonly from: string;
  /** A path from the root without extension for a relative module, else the module's name. */
  readonly to: string;
}

const IMPORT = /(?:\bfrom|\bimport|\bimport\(|\brequire\(|\bload\()\s*(['"])([^'"]+)\1/g;
const MODULE_NAME = /(['"])([^'"\s]+\.m?js)\1/g;

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\/|(^|[^:'"`])\/\/.*$/gm, '$1');
}

function target(from: string, name: string): string {
  return name.startsWith('.')
    ? posix.join(posix.dirname(from), name).replace(/\.(js|mjs|ts)$/, '')
    : name;
}

function imports(tree: Tree, isIncluded: (path: string) => boolean): Reference[] {
  return [...tree]
    .filter(([path]) => path.endsWith('.ts') && isIncluded(path))
    .flatMap(([from, text]) =>
      [...withoutComments(text).matchAll(IMPORT)].map((found) => ({
        from,
        to: target(from, found[2]!),
      })),
    );
}

/** What each part of src may not know. A part that is not named may know all. */
const ABOVE_SHARDS = ['acceptor', 'control', 'client', 'cli'];
const FORBIDDEN: ReadonlyMap<string, readonly string[]> = new Map([
  ['frame', ['config', 'sys', 'ring', 'shards', ...ABOVE_SHARDS]],
  ['sys', ['frame', 'config', 'ring', 'shards', ...ABOVE_SHARDS]],
  ['config', ['frame', 'sys', 'ring', 'shards', ...ABOVE_SHARDS]],
  ['ring', ['config', 'shards', ...ABOVE_SHARDS]],
  ['shards', ABOVE_SHARDS],
  ['acceptor', ['control', 'client', 'cli']],
  ['control', ['client', 'cli']],
  ['client', ['config', 'sys', 'ring', 'shards', 'acceptor', 'control', 'cli']],
]);

export function importsAgainstDirection(tree: Tree): string[] {
  return imports(tree, isSource)
    .filter(({ from, to }) => FORBIDDEN.get(partOf(from))?.includes(partOf(to)))
    .map(({ from, to }) => `${from} must not know ${to}`);
}

export function koffiOutsideOfSys(tree: Tree): string[] {
  return imports(tree, (path) => isSource(path) && partOf(path) !== 'sys')
    .filter(({ to }) => to === 'koffi' || to.startsWith('koffi/'))
    .map(({ from }) => `${from}: only src/sys knows koffi`);
}

const IO_MODULES =
  /^(node:)?(fs|net|tls|http|https|http2|dgram|dns|child_process|worker_threads|cluster|timers|readline|tty|stream)(\/|$)/;

/** The frame's kernel is a file beside its loader, read once; nothing else in the frame touches a file. */
const KERNEL_LOADER = 'src/frame/frame-kernel.ts';

export function ioInFrame(tree: Tree): string[] {
  return imports(tree, (path) => partOf(path) === 'frame')
    .filter(({ from, to }) => IO_MODULES.test(to) && !(from === KERNEL_LOADER && to === 'node:fs'))
    .map(({ from, to }) => `${from}: the frame does no input or output, so no ${to}`);
}

/**
 * `test/a/b.test.ts` and `test/a/b.case.test.ts` stand for `a/b` in src, scripts or perf, kernels included, or for
 * `.a/b`.
 */
export function testsOfNothing(tree: Tree): string[] {
  const paths = [...tree.keys()];
  return paths
    .filter((path) => /^test\/.*\.test\.ts$/.test(path) && path !== 'test/tidy.test.ts')
    .filter((path) => !path.startsWith('test/scenarios/'))
    .filter((path) => {
      const name = path.slice('test/'.length).replace(/(\.[a-z0-9-]+)?\.test\.ts$/, '');
      const inKernel = posix.join(posix.dirname(name), 'kernel', posix.basename(name));
      const tested = [`src/${name}`, `src/${inKernel}`, name, `.${name}`];
      return !paths.some(
        (other) =>
          tested.includes(other.replace(/\.(ts|mjs)$/, '')) || other.startsWith(`.github/${name}/`),
      );
    })
    .map((path) => `${path} mirrors no source, and is not in test/scenarios`);
}

const ENTRY_POINT = /^src\/(main|index|.*\/kernel\/index)\.ts$|\.d\.ts$/;

/** Sources that no entry point reaches; fakes are reached from tests and benchmarks. */
export function sourcesUnused(tree: Tree, exempt: readonly string[] = []): string[] {
  const sources = [...tree.keys()].filter((path) => isSource(path) && path.endsWith('.ts'));
  const names = new Map(sources.map((path) => [path.replace(/\.ts$/, ''), path]));
  const reached = new Set<string>();
  const reach = (path: string | undefined) => {
    if (path === undefined || reached.has(path)) return;
    reached.add(path);
    for (const name of mentioned(path, tree.get(path)!)) reach(names.get(name));
  };
  sources.filter((path) => ENTRY_POINT.test(path)).forEach(reach);
  for (const [path, text] of tree) {
    if (!/^(test|perf)\//.test(path)) continue;
    for (const name of mentioned(path, text)) {
      if (posix.basename(name).startsWith('fake')) reach(names.get(name));
    }
  }
  return sources
    .filter((path) => !reached.has(path) && !exempt.includes(path))
    .map((path) => `${path} is used by nothing`);
}

/** Imports, and every other string that names a module: workers and commands are started by such names. */
function mentioned(path: string, text: string): string[] {
  const code = withoutComments(text);
  const imported = [...code.matchAll(IMPORT)].map((found) => target(path, found[2]!));
  const started = [...code.matchAll(MODULE_NAME)].map((found) =>
    target(path, found[2]!.startsWith('.') ? found[2]! : `./${found[2]!}`),
  );
  return [...imported, ...started];
}

export function namesNotInKebabCase(tree: Tree): string[] {
  return [...tree.keys()]
    .filter((path) => /^(src|test|scripts|perf)\//.test(path))
    .filter((path) => !/^([a-z0-9]+(-[a-z0-9]+)*\/)+[a-z0-9]+([-_.][a-z0-9]+)*$/.test(path))
    .filter((path) => posix.basename(path) !== 'README.md')
    .map((path) => `${path}: names are lower-case words joined by "-"`);
}

export function clocksOutsideOfClock(tree: Tree): string[] {
  return [...tree]
    .filter(([path]) => isSource(path) && path !== 'src/clock.ts' && !path.includes('/kernel/'))
    .filter(([, text]) => /Math\.random|Date\.now|new Date\(\)/.test(withoutComments(text)))
    .map(([path]) => `${path}: time and randomness are passed in (src/clock.ts)`);
}

/** Paths of somebody's machine, and relative ones that lead out of the repository. */
export function pathsOutside(tree: Tree): string[] {
  const machine = /(^|[\s'"`(=])\/(home|root|work|Users)\/[\w.-]/m;
  return [...tree].flatMap(([path, text]) => {
    if (path === 'test/tidy.test.ts') return []; // Its examples are of breaches.
    const up = [...text.matchAll(/(?:\.\.\/)+[\w.-]+/g)].map((found) => found[0]);
    const escaping = up.filter((each) => posix.join(posix.dirname(path), each).startsWith('..'));
    const found = [...escaping, ...(machine.exec(text)?.slice(0, 1) ?? [])];
    return found.map((each) => `${path} refers to ${each.trim()}, outside of the repository`);
  });
}

const LINK = /\]\(([^)\s]+)\)/g;

/** Links of the documents within the repository that lead to no file, or to no heading of it. */
export function linksToNothing(tree: Tree, exists: (path: string) => boolean): string[] {
  return documents(tree).flatMap(([from, text]) =>
    [...text.matchAll(LINK)]
      .map((found) => found[1]!)
      .filter((link) => !/^[a-z]+:/.test(link))
      .filter((link) => {
        const [name = '', anchor] = link.split('#');
        const path = name === '' ? from : posix.join(posix.dirname(from), name);
        if (!exists(path)) return true;
        return anchor !== undefined && !anchors(tree.get(path) ?? '').includes(anchor);
      })
      .map((link) => `${from}: ${link} leads to nothing`),
  );
}

/** As GitHub makes them of headings. */
function anchors(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map((found) =>
    found[1]!
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(' ', '-'),
  );
}

const NAMED_PATH = /`((?:src|test|scripts|perf|docs)\/[^`\s]*)`/g;

/** Files and folders that a document names in code style, from the root, and that are not there; NAME stands for any. */
export function namedButAbsent(tree: Tree, exists: (path: string) => boolean): string[] {
  return documents(tree).flatMap(([from, text]) =>
    [...text.matchAll(NAMED_PATH)]
      .map((found) => found[1]!)
      .filter((path) => !path.includes('NAME') && !exists(path))
      .map((path) => `${from} names ${path}, which is not there`),
  );
}

function documents(tree: Tree): [path: string, text: string][] {
  return [...tree].filter(([path]) => path.endsWith('.md'));
}

function isSource(path: string): boolean {
  return path.startsWith('src/');
}

/** `ring` of `src/ring/layout.ts`; empty for what lies in src itself or elsewhere. */
function partOf(path: string): string {
  return /^src\/([^/]+)\//.exec(path)?.[1] ?? '';
}

/** Only what runs reads a key: what prints and checks all of them alike is no reader of any. */
function isReader(path: string): boolean {
  return isSource(path) && (path === 'src/config/rules.ts' || partOf(path) !== 'config');
}

const CONFIG_ROOT = /(?:\bconfig|#config)\b/;

/**
 * Keys of the configuration that nothing reads. A reader says `config.limits.streams`, or takes a part of it by
 * a name (`const defaults = this.#config.streams.default`, `const { host } = config.listen`), or is a rule
 * (`values['listen.insecure']`).
 */
export function keysWithoutReader(tree: Tree, keys: readonly string[]): string[] {
  const read = new Set<string>();
  for (const [path, text] of tree) {
    if (!isReader(path)) continue;
    for (const key of readIn(withoutComments(text))) read.add(key);
  }
  return keys.filter((key) => !read.has(key)).map((key) => `${key} is read by nothing`);
}

function readIn(text: string): string[] {
  const chain = `${CONFIG_ROOT.source}((?:\\.\\w+)+)`;
  const direct = [...text.matchAll(new RegExp(chain, 'g'))].map((found) => found[1]!.slice(1));
  const ruled = [...text.matchAll(/\bvalues(?:\.(\w+)|\['([\w.]+)'\])/g)].map(
    (found) => (found[1] ?? found[2])!,
  );
  const taken = [
    ...text.matchAll(new RegExp(`const \\{([^}]*)\\} = [\\w.#]*?${chain}`, 'g')),
  ].flatMap(([, names, path]) =>
    names!.split(',').map((name) => `${path!.slice(1)}.${name.split(':')[0]!.trim()}`),
  );
  const named = [...text.matchAll(new RegExp(`const (\\w+) = [\\w.#]*?${chain}`, 'g'))].flatMap(
    ([, name, path]) =>
      [...text.matchAll(new RegExp(`\\b${name!}((?:\\.\\w+)+)`, 'g'))].map(
        ([, rest]) => path!.slice(1) + rest!,
      ),
  );
  return [...direct, ...ruled, ...taken, ...named];
}
