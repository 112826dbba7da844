import { describe, expect, test } from 'vitest';
import {
  credentialFaults,
  credentialsOf,
  type CredentialConfig,
} from '../../src/config/credentials.js';
import { Secret } from '../../src/config/secrets.js';
import { fakeFiles, faultsOf } from './support/sources.js';

const one: CredentialConfig = { keyId: 'one', method: 'hmac-sha256', secretFile: '/one' };
const two: CredentialConfig = { keyId: 'two', method: 'token', secretFile: '/two' };
const ANY = { required: false, integrity: 'any' };

describe('what does not fit together', () => {
  const keysOf = (...given: Parameters<typeof credentialFaults>) =>
    credentialFaults(...given).map(({ key }) => key);

  test.each([
    ['nothing at all', [], ANY, []],
    ['two with different names', [one, two], { required: true, integrity: 'siphash-2-4' }, []],
    ['one name twice', [one, { ...two, keyId: 'one' }], ANY, ['credentials']],
    ['required, and nobody could', [], { required: true, integrity: 'any' }, ['auth.required']],
    [
      'keys demanded, and only tokens',
      [two],
      { required: true, integrity: 'siphash-2-4' },
      ['auth.integrity'],
    ],
  ] as [string, CredentialConfig[], typeof ANY, string[]][])('%s', (_what, list, auth, keys) => {
    expect(keysOf(list, auth)).toEqual(keys);
  });
});

test('a secret of 15 bytes is too short, at the place that names it, and is not told', async () => {
  const yaml = 'credentials:\n  - {keyId: one, method: token, secretFile: one}\n';
  const files = (secret: string) => fakeFiles({ '/b.yaml': yaml, '/one': `${secret}\n` });
  const argv = ['--config', '/b.yaml'];
  expect(await faultsOf({ argv, files: files('0123456789abcde') })).toEqual([
    '/b.yaml:2:45: credentials[0].secretFile: the secret is too short; allowed: 16 bytes or more',
  ]);
  expect(await faultsOf({ argv, files: files('0123456789abcdef') })).toEqual([]);
});

describe('the list with its secrets', () => {
  const secret = (text: string) => new Map([['/one', new Secret(Buffer.from(text))]]);

  test('bears the secret, and rules of which those that are absent allow all', () => {
    const publish = { deny: ['a.>'] };
    const [made] = credentialsOf([{ ...one, publish }], secret('0123456789abcdef'));
    expect(Buffer.from(made!.secret).toString()).toBe('0123456789abcdef');
    expect(made!.permissions).toEqual({ publish, subscribe: {}, create: {} });
  });
});
