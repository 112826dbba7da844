import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const projectRoot = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
export const buildDirectory = join(projectRoot, 'build');
export const resultsDirectory = join(projectRoot, 'perf', 'results');
export const brokerEntry = join(projectRoot, 'dist', 'main.js');
