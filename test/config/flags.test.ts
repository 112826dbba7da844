import { describe, expect, test } from 'vitest';
import { parseFlags } from '../../src/config/flags.js';

describe('flags', () => {
  test('take their value after a blank or "="', () => {
    const flags = parseFlags(['--host', '::1', '--port=0', '--config=a=b.json']);
    expect([...flags.values]).toEqual([
      ['host', '::1'],
      ['port', '0'],
    ]);
    expect(flags.files).toEqual(['a=b.json']);
  });

  test('that are true or false need no value, and take none after a blank', () => {
    expect(parseFlags(['--debug-faults', '--port', '1']).values.get('debug-faults')).toBe('true');
    expect(parseFlags(['--debug-faults=false']).values.get('debug-faults')).toBe('false');
  });

  test('that name files and folders may stand often, and keep their order', () => {
    const flags = parseFlags(['--config', 'b', '--config-dir=d', '--config=a', '--profile', 'p']);
    expect(flags).toMatchObject({ files: ['b', 'a'], folders: ['d'], profile: 'p' });
  });

  test.each([
    [['--profile', 'a', '--profile=b'], '--profile stands twice'],
    [['--prof', 'a'], '--prof is not a flag of serve; did you mean --profile?'],
    [['--prot', '1'], '--prot is not a flag of serve; did you mean --port?'],
    [['--zzzzzzzz'], '--zzzzzzzz is not a flag of serve (try --help)'],
    [['--port', '1', '--port', '2'], '--port stands twice'],
    [['--port'], '--port needs a value: a whole number from 0 to 65535'],
    [['--config', '--port', '1'], '--config needs a value: the path of a JSON, YAML or TOML file'],
    [['extra'], '"extra" is not expected here'],
    [['-p'], '"-p" is not expected here'],
    [['--'], '"--" is not expected here'],
    [['--=1'], '"--=1" is not expected here'],
  ])('%j are refused as wrong usage', (argv, message) => {
    expect(() => parseFlags(argv)).toThrow(
      expect.objectContaining({
        code: 'MS_ERR_USAGE',
        message: expect.stringContaining(message) as string,
      }),
    );
  });
});
