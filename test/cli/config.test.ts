import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { TABLE } from '../../src/config/table.js';
import { runEntry, type Outcome } from './processes.js';

const folder = mkdtempSync(join(tmpdir(), 'config-'));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

function config(argv: readonly string[], env: NodeJS.ProcessEnv = {}): Outcome {
  return runEntry(['config', ...argv], env);
}

/** A machine on which nothing is warned of. */
const machine = file(
  'machine.json',
  JSON.stringify({ memoryBytes: 68719476736, cpus: 8, openFilesMax: 100_000 }),
);
const fine = file('fine.yaml', 'shards: 2\nprofiles:\n  small:\n    limits: {streams: 9}\n');

describe('check', () => {
  test('says that nothing is wrong, with code 0 and nothing on standard error', () => {
    const { code, stdout, stderr } = config(['check', fine, '--machine', machine]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^ok, 1 path read, digest [0-9a-f]{64}\n$/);
  });

  test('tells all that is wrong in all files on standard error, with code 3', () => {
    const a = file('a.toml', '[listen]\nprot = 1\n');
    const b = file('b.json', '{\n "shards": 99}');
    const env = { MEMORYSTREAMER_LOG_LEVEL: 'loud' };
    const { code, stdout, stderr } = config(['check', a, b, `--machine=${machine}`], env);
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
    expect(stderr.trimEnd().split('\n')).toEqual([
      `memorystreamer: ${a}:2:1: listen.prot: is not a known key; did you mean listen.port? (MS_ERR_CONFIG)`,
      `memorystreamer: ${b}:2:12: shards: 99 is too large; allowed: "auto" or a whole number from 1 to 63 (MS_ERR_CONFIG)`,
      'memorystreamer: MEMORYSTREAMER_LOG_LEVEL: "loud" is not valid; allowed: one of "trace", "debug", "info", "warn", "error", "fatal", "silent" (MS_ERR_CONFIG)',
    ]);
  });

  test('holds a file against another machine; warnings are no errors', () => {
    const small = file('small.yaml', 'memoryBytes: 1073741824\ncpus: 1\navailableBytes: 1048576');
    const { code, stderr } = config(['check', fine, '--machine', small]);
    expect(code).toBe(0);
    expect(stderr.trimEnd().split('\n')).toEqual([
      expect.stringMatching(/^memorystreamer: warning: default: memory\.arena: .* free now$/),
      `memorystreamer: warning: ${fine}:1:9: shards: 2 shards share 1 CPUs; "auto" chooses by the CPUs`,
    ]);
    const large = file('large.yaml', 'memory: {arena: 2GiB}');
    expect(config(['check', large, '--machine', small]).code).toBe(3);
  });

  test('a machine that is none is refused with places', () => {
    const none = file('none.yaml', 'cpus: many\nnode: 2\ncores: 2\n');
    const { code, stderr } = config(['check', fine, '--machine', none]);
    expect(code).toBe(3);
    const names = 'memoryBytes, cpus, openFilesMax, availableBytes, nodes';
    const count = 'a whole number from 1 to 9007199254740991';
    expect(stderr.trimEnd().split('\n')).toEqual([
      `memorystreamer: ${none}:1:1: memoryBytes: is missing; allowed: ${count} (MS_ERR_CONFIG)`,
      `memorystreamer: ${none}:1:7: cpus: "many" is not valid; allowed: ${count} (MS_ERR_CONFIG)`,
      `memorystreamer: ${none}:2:1: "node" is not a known field, did you mean nodes?; allowed: ${names} (MS_ERR_CONFIG)`,
      `memorystreamer: ${none}:3:1: "cores" is not a known field, did you mean nodes?; allowed: ${names} (MS_ERR_CONFIG)`,
    ]);
    expect(config(['check', fine, '--machine', '/none']).stderr).toContain('/none: cannot be read');
  });

  test.each([
    [['check'], 'config check takes a FILE'],
    [['check', fine, '--machine'], '--machine needs a value'],
    [['check', fine, '--json', 'x'], '--json is not a flag of serve'],
    [['check', fine, '--prot=1'], '--prot is not a flag of serve; did you mean --port?'],
    [['diff', fine], 'config diff takes two files, not 1'],
    [['init', 'x'], 'config init takes no arguments'],
    [['explain', 'a', 'b'], 'config explain takes one KEY, not 2'],
    [['explain', 'listen.prot'], '"listen.prot" is not a known key; did you mean listen.port?'],
    [['explain', 'zzzzzzzz'], '"zzzzzzzz" is not a known key (try --help)'],
    [['chek'], '"chek" is not a command of config; did you mean "check"?'],
    [['zzzzzzzz'], '"zzzzzzzz" is not a command of config (try --help)'],
  ])('config %j is wrong usage, with code 2', (argv, message) => {
    const { code, stdout, stderr } = config(argv);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(message);
  });
});

describe('print', () => {
  const argv = ['--config', fine, '--profile', 'small', '--debug-faults', '--machine', machine];
  const env = { MEMORYSTREAMER_LOG_LEVEL: 'warn' };

  test('each value has where it comes from', () => {
    const { code, stdout } = config(['print', ...argv], env);
    expect(code).toBe(0);
    const lines = stdout.split('\n').map((line) => line.replace(/ +/g, ' '));
    expect(lines).toContain(`shards: 2 # ${fine}:1:9`);
    expect(lines).toContain(` streams: 9 # ${fine}:4:23`);
    expect(lines).toContain(' level: warn # MEMORYSTREAMER_LOG_LEVEL');
    expect(lines).toContain(' faults: true # --debug-faults');
    expect(lines).toContain(' port: 7878 # default');
  });

  test.each([
    ['as YAML', [], 'again.yaml'],
    ['as JSON', ['--json'], 'again.json'],
  ])('%s it can be read back, and is the same', (_, flags, name) => {
    const first = config(['print', ...argv, ...flags], env);
    const again = file(name, first.stdout);
    const digest = /[0-9a-f]{64}/.exec(first.stdout)![0];
    const checked = config(['check', again, '--machine', machine]);
    expect(checked.stdout).toContain(`digest ${digest}\n`);
    expect(checked.code).toBe(0);
  });
});

test('diff tells what changes, hot or by restart, and does not look at the environment', () => {
  const a = file('1.yaml', 'listen: {port: 1}\nlog: {level: warn}\nheartbeat: {interval: 1s}');
  const b = file('2.yaml', 'listen: {port: 2}\nlog: {level: info}\nheartbeat: {interval: 1000}');
  const env = { MEMORYSTREAMER_LISTEN_PORT: '3' };
  expect(config(['diff', a, b, '--machine', machine], env)).toEqual({
    code: 0,
    stdout:
      'restart  listen.port: 1 -> 2\nhot      log.level: warn -> info\n2 differ: 1 hot, 1 by restart\n',
    stderr: '',
  });
  expect(config(['diff', a, a, '--machine', machine]).stdout).toBe(
    '0 differ: 0 hot, 0 by restart\n',
  );
});

test('diff names the items of lists, and what a broker that runs would refuse', () => {
  writeFileSync(join(folder, 'a.secret'), 'a secret of some length', { mode: 0o600 });
  const credential = '{keyId: a, method: token, secretFile: a.secret}';
  const a = file('3.yaml', `auth: {required: true}\ncredentials: [${credential}]`);
  const b = file('4.yaml', 'streams: {overrides: [{subject: x}]}');
  const c = file('5.yaml', 'auth: {required: false}\ncredentials: []');
  const said = (...files: string[]) => config(['diff', ...files, '--machine', machine]).stdout;
  expect(said(a, b).split('\n')).toEqual([
    'hot      streams.overrides: added x',
    'hot      auth.required: true -> false',
    'hot      credentials: removed a',
    expect.stringMatching(/^a broker that runs refuses this: auth\.required: is given no more/),
    expect.stringMatching(/^a broker that runs refuses this: credentials: is given no more/),
    '3 differ: 3 hot, 0 by restart',
    '',
  ]);
  expect(said(a, c)).not.toContain('refuses');
});

test('explain tells all about a key, and of every key of a group', () => {
  const { code, stdout } = config(['explain', 'listen.port']);
  expect(code).toBe(0);
  expect(stdout).toBe(`listen.port
  TCP port to listen on. 0 takes a free one, which the ready line names.

  default      7878
  allowed      a whole number from 0 to 65535
  in a file    {"listen": {"port": 7878}}
  environment  MEMORYSTREAMER_LISTEN_PORT
  flag         --port N
  a change     restart: the next broker takes a change
`);
  const group = config(['explain', 'limits']).stdout;
  for (const { key } of TABLE) expect(group.includes(`${key}\n`)).toBe(key.startsWith('limits.'));
  expect(config(['explain', 'streams.overrides']).stdout).toContain('retention.bytes: As streams');
  const all = config(['explain']).stdout;
  for (const { key } of TABLE) expect(all).toContain(`${key}\n`);
});

test('init is a file that changes nothing, and with all taken in says the defaults', () => {
  const { code, stdout } = config(['init']);
  expect(code).toBe(0);
  const digestOf = (name: string, text: string) => {
    const { stdout: said, stderr } = config(['check', file(name, text), '--machine', machine]);
    expect(stderr).toBe('');
    return said.split(' ').at(-1);
  };
  const standard = digestOf('empty.yaml', '');
  expect(digestOf('init.yaml', stdout)).toBe(standard);
  const takenIn = stdout.replace(/^#((?: {2})*[a-z]\w*:)/gm, '$1');
  for (const { key } of TABLE)
    expect(takenIn).toMatch(new RegExp(`^ *${key.split('.').at(-1)!}: `, 'm'));
  expect(digestOf('all.yaml', takenIn)).toBe(standard);
});

test('machine is what --machine takes', () => {
  const { stdout } = config(['machine']);
  const path = file('this.json', stdout);
  expect(config(['check', fine, '--machine', path, '--shards', '1']).code).toBe(0);
});

test('schema is the one that comes with the documentation', () => {
  const { code, stdout } = config(['schema']);
  expect(code).toBe(0);
  const file = new URL('../../docs/memorystreamer.schema.json', import.meta.url);
  expect(JSON.parse(stdout)).toEqual(JSON.parse(readFileSync(file, 'utf8')));
});
