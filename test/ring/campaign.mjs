import { runStress } from './support/stress.mjs';
const options = JSON.parse(process.argv[2] ?? '{}');
const r = await runStress(options);
console.log(JSON.stringify(r));
process.exit(r.ok ? 0 : 1);
