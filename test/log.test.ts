import { expect, test } from 'vitest';
import { runNode } from './cli/processes.js';

const LOG = new URL('../dist/log.js', import.meta.url).href;

function logging(statements: string, flags: string[] = []) {
  const program = `import { createLogger } from ${JSON.stringify(LOG)}; ${statements}`;
  return runNode([...flags, '--input-type=module', '--eval', program]);
}

test('lines are JSON with time and message, on standard error alone', () => {
  const { stdout, stderr } = logging(`createLogger('info').info({ a: 1 }, 'hello')`);
  expect(stdout).toBe('');
  const line = JSON.parse(stderr) as Record<string, unknown>;
  expect(line).toMatchObject({ level: 30, a: 1, msg: 'hello' });
  expect(line['time']).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
});

test('lines below the level are not written', () => {
  const { stderr } = logging(`const log = createLogger('warn'); log.info('no'); log.warn('yes');`);
  expect(stderr).toContain('yes');
  expect(stderr).not.toContain('no"');
  expect(logging(`createLogger('silent').fatal('no')`).stderr).toBe('');
});

test('no line before an end is lost, however sudden', () => {
  const { stderr } = logging(
    `const log = createLogger('info'); for (let n = 0; n < 5000; n++) log.info('x'.repeat(100));
     log.error('last'); process.kill(process.pid, 'SIGKILL');`,
  );
  const lines = stderr.trimEnd().split('\n');
  expect(lines).toHaveLength(5001);
  expect(lines.at(-1)).toContain('"msg":"last"');
});

test('on a terminal lines are readable, and not lost either', () => {
  const { stderr } = logging(
    `process.stderr.isTTY = true; createLogger('info').error('hello');
     process.kill(process.pid, 'SIGKILL');`,
  );
  expect(stderr).toContain('hello');
  expect(stderr).toContain('ERROR');
  expect(stderr).not.toContain('"msg"');
});
