import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { defineConfig, type Plugin } from 'vitest/config';

const root = import.meta.dirname;

/**
 * Where V8 counts what runs, what tests import of src/ is taken from the build in dist/, by Node.js itself. So each
 * source has one text that is counted, whichever process or thread runs it, and the counts of all of them add up exactly.
 */
const isCounted = process.env['NODE_V8_COVERAGE'] !== undefined;

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

export default defineConfig({
  plugins: isCounted ? [sourcesFromBuild] : [],
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: 'forks',
    // Files of tests share the CPUs. A broker of theirs may have a shard for each of these, so that threads grow with the square.
    maxWorkers: Math.min(availableParallelism(), 4),
    setupFiles: ['test/support/take-coverage.ts'],
    server: { deps: { external: isCounted ? [/\/dist\/.*\.js$/] : [] } },
  },
});
