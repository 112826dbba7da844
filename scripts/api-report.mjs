// Compares the public API (dist/index.d.ts) with docs/api/memorystreamer.api.md, so that a change of it is made
// knowingly. Undocumented and unexported parts of the API are errors as well. Needs dist/ (npm run build).
//
//   node scripts/api-report.mjs             exit code 1, and the difference, where the two differ
//   node scripts/api-report.mjs --accept    write the report anew
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Extractor, ExtractorConfig, ExtractorLogLevel } from '@microsoft/api-extractor';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const accept = process.argv.includes('--accept');

const config = ExtractorConfig.loadFileAndPrepare(join(root, 'api-extractor.json'));
mkdirSync(config.reportFolder, { recursive: true });
const problems = [];
const { apiReportChanged } = Extractor.invoke(config, {
  localBuild: accept,
  messageCallback(message) {
    message.handled = true;
    if (message.logLevel !== ExtractorLogLevel.Error) return;
    const at = message.sourceFilePath
      ? `${message.sourceFilePath}:${message.sourceFileLine}: `
      : '';
    problems.push(`${at}${message.text}`);
  },
});

for (const problem of problems) console.error(problem);
if (apiReportChanged && !accept) {
  const files = [config.reportFilePath, config.reportTempFilePath];
  spawnSync('git', ['--no-pager', 'diff', '--no-index', '--unified=1', ...files], {
    stdio: 'inherit',
  });
  console.error('the public API changed; if that is meant, run: npm run api:accept');
}
if (problems.length > 0 || (apiReportChanged && !accept)) process.exitCode = 1;
else console.log('the public API is as docs/api/memorystreamer.api.md says');
