/**
 * The tests as scripts/coverage.mjs runs them: what they import of src/ is taken from the build in dist/, by
 * Node.js itself. So each source has one text that V8 counts, whichever process or thread runs it, and the
 * counts of all of them add up exactly.
 */
import { existsSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { mergeConfig, type Plugin } from 'vitest/config';
import base from './vitest.config.js';

const root = import.meta.dirname;

const sourcesFromBuild: Plugin = {
  name: 'sources-from-build',
  enforce: 'pre',
  resolveId(name, importer) {
    if (!name.startsWith('.') || importer === undefined) return null;
    const path = relative(join(root, 'src'), resolve(dirname(importer), name));
    if (path.startsWith('..')) return null;
    const built = join(root, 'dist', path.replace(/\.ts$/, '.js'));
    return existsSync(built) ? built : null;
  },
};

export default mergeConfig(base, {
  plugins: [sourcesFromBuild],
  test: {
    setupFiles: ['test/support/take-coverage.ts'],
    server: { deps: { external: [/\/dist\/.*\.js$/] } },
  },
});
