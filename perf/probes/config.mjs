// One fresh process: what loading the configuration costs. Answers one line of JSON, in milliseconds.
//
//   node perf/probes/config.mjs FILE TIMES
import { performance } from 'node:perf_hooks';

const [file, times] = process.argv.slice(2);
const start = performance.now();
const { loadConfiguration } = await import('../../dist/config/load.js');
const imported = performance.now();
const sources = { argv: ['--config', file, '--port', '0'], env: { HOME: '/' } };
const { values } = await loadConfiguration(sources);
if (values.listen.port !== 0) throw new Error('the configuration was not loaded');
const first = performance.now();
for (let i = 0; i < Number(times); i++) await loadConfiguration(sources);
const end = performance.now();
const result = {
  importMs: imported - start,
  firstMs: first - imported,
  againMs: (end - first) / Number(times),
};
console.log(JSON.stringify(result));
