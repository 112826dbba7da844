/** What the package must hold, derived from the sources that are tracked, so that nothing else slips in. */

/** Written by the build beside what the TypeScript compiler writes. */
const KERNELS = ['dist/frame/kernel.wasm', 'dist/shards/kernel.wasm'];
/** The other scripts of the bundle have names of the bundler's making. */
const BUNDLE = ['dist/bundle/LICENCES.txt', 'dist/bundle/dispatch.cjs'];
const BUNDLED = /^dist\/bundle\/[a-z0-9-]+\.cjs$/;
const ALWAYS = ['package.json', 'README.md', 'ARCHITECTURE.md', 'CHANGELOG.md', 'LICENSE'];

/** Paths of the package, from the tracked paths of the repository. */
export function expectedFiles(tracked) {
  const compiled = tracked
    .filter((path) => /^src\/.*\.ts$/.test(path) && !path.includes('/kernel/'))
    .filter((path) => !path.endsWith('.d.ts'))
    .map((path) => path.replace(/^src\//, 'dist/').replace(/\.ts$/, ''))
    .flatMap((stem) => [`${stem}.js`, `${stem}.js.map`, `${stem}.d.ts`]);
  const others = tracked.filter((path) => ALWAYS.includes(path) || path.startsWith('docs/'));
  return [...compiled, ...KERNELS, ...BUNDLE, ...others].sort();
}

/** Lines that say what is missing and what is too much; none where the two lists agree. */
export function differences(expected, packed) {
  const lines = expected
    .filter((path) => !packed.includes(path))
    .map((path) => `missing in the package: ${path}`);
  const extra = packed
    .filter((path) => !expected.includes(path) && !BUNDLED.test(path))
    .map((path) => `does not belong in the package: ${path}`);
  return [...lines, ...extra];
}
