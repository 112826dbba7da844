// Prints `N passed, N failed` (and `, N skipped`, where there are any) from the runner's JSON report. A file
// that failed without a failing test, because it did not load or a hook of it threw, counts as one failed.
// Exit code 1 where anything failed, nothing passed, or there is no report to read.
//
//   node scripts/test-summary.mjs build/test-report.json
import { readFileSync } from 'node:fs';

/** Counts from a report of vitest's JSON reporter. */
export function summary(report) {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const file of report.testResults) {
    const statuses = file.assertionResults.map((test) => test.status);
    for (const status of statuses) {
      if (status === 'passed') counts.passed += 1;
      else if (status === 'failed') counts.failed += 1;
      else counts.skipped += 1;
    }
    if (file.status === 'failed' && !statuses.includes('failed')) counts.failed += 1;
  }
  return counts;
}

let report;
try {
  report = JSON.parse(readFileSync(process.argv[2], 'utf8'));
} catch (error) {
  console.error(`no report of the tests: ${error.message}`);
  process.exit(1);
}
const { passed, failed, skipped } = summary(report);
console.log(`${passed} passed, ${failed} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`);
if (failed > 0 || passed === 0) process.exitCode = 1;
