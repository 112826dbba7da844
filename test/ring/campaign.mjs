// A long run of the thread tests, over many seeds and all shapes; each failure prints the one line that
// repeats it. Needs dist/ and build/ (npm run build).
//
//   node test/ring/campaign.mjs [--minutes 10] [--milliseconds 5000] [--seed 1] [--shape deaths]
//   node test/ring/campaign.mjs --json '{"seed":7,"appenders":2}'     one run, with these options
import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { SHAPES } from './support/shapes.mjs';
import { runStress } from './support/stress.mjs';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    milliseconds: { type: 'string', default: '5000' },
    seed: { type: 'string', default: '1' },
    shape: { type: 'string' },
    json: { type: 'string' },
  },
});

const totals = { runs: 0, failures: 0, deaths: 0, terminations: 0, frames: 0, appended: 0 };

async function runOne(name, options) {
  const result = await runStress(options);
  totals.runs++;
  for (const key of ['deaths', 'terminations', 'frames', 'appended']) totals[key] += result[key];
  if (result.ok) return;
  totals.failures++;
  console.error(`${name}: ${result.error}`);
  console.error(`  node test/ring/campaign.mjs --json '${JSON.stringify(options)}'`);
}

if (values.json !== undefined) {
  const result = await runStress(JSON.parse(values.json));
  console.log(JSON.stringify(result));
  process.exit(result.ok ? 0 : 1);
}

const end = performance.now() + Number(values.minutes) * 60_000;
const shapes = Object.entries(SHAPES).filter(([name]) => (values.shape ?? name) === name);
for (let seed = Number(values.seed); performance.now() < end; seed++) {
  for (const [name, shape] of shapes) {
    await runOne(name, { ...shape, seed, milliseconds: Number(values.milliseconds) });
    if (performance.now() >= end) break;
  }
}
console.log(JSON.stringify(totals));
process.exit(totals.failures === 0 ? 0 : 1);
