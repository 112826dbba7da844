import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { TABLE } from '../../src/config/table.js';
import { runEntry } from './processes.js';

const { version } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
) as { version: string };

test.each([['--version'], ['-v']])('%s prints the version of the package', (flag) => {
  expect(runEntry([flag])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
});

test.each([['--help'], ['-h'], ['help']])('%s names every command, with examples', (flag) => {
  const { code, stdout, stderr } = runEntry([flag]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  for (const name of ['[serve]', 'pub', 'sub', 'Examples:', 'Exit codes:']) {
    expect(stdout).toContain(name);
  }
});

test.each([[['serve', '--help']], [['--port', '1', '--help']]])(
  '%j names every flag of the table, with default and environment',
  (argv) => {
    const { code, stdout } = runEntry(argv);
    expect(code).toBe(0);
    const words = stdout.split(/\s+/);
    for (const row of TABLE) {
      expect(words).toContain(`--${row.flag}`);
      expect(words).toContain(`${row.env}.`);
    }
    expect(stdout).toContain('Examples:');
    expect(stdout.split('\n').filter((line) => line.length > 100)).toEqual([]);
  },
);

test('a wrong command is refused with code 2 and a hint', () => {
  expect(runEntry(['srve'])).toEqual({
    code: 2,
    stdout: '',
    stderr:
      'memorystreamer: "srve" is not a command; did you mean "serve"? (try --help) (MS_ERR_USAGE)\n',
  });
});

test('a command by its longer name has a hint', () => {
  expect(runEntry(['publish']).stderr).toContain('"publish" is not a command; did you mean "pub"?');
});

test.each([[['--prot', '1']], [['serve', '--prot', '1']]])(
  '%j: a wrong flag is refused with code 2 and a hint',
  (argv) => {
    const { code, stderr } = runEntry(argv);
    expect(code).toBe(2);
    expect(stderr).toBe(
      'memorystreamer: --prot is not a flag of serve; did you mean --port? (try --help) (MS_ERR_USAGE)\n',
    );
  },
);

test('a refused configuration has code 3 and a line for each fault', () => {
  const { code, stdout, stderr } = runEntry(['--port', '70000'], { MEMORYSTREAMER_SHARDS: '64' });
  expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
  expect(stderr.split('\n')).toEqual([
    expect.stringMatching(/^memorystreamer: MEMORYSTREAMER_SHARDS: 64 is .* \(MS_ERR_CONFIG\)$/),
    expect.stringMatching(/^memorystreamer: --port: 70000 is too large; .* \(MS_ERR_CONFIG\)$/),
    '',
  ]);
});

test('a missing configuration file has code 3', () => {
  const { code, stderr } = runEntry(['--config', '/nonexistent.json']);
  expect(code).toBe(3);
  expect(stderr).toContain('/nonexistent.json: cannot be read');
});
