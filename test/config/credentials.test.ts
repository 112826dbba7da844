import { describe, expect, test } from 'vitest';
import {
  credentialFaults,
  credentialsOf,
  type CredentialConfig,
} from '../../src/config/credentials.js';
import { Secret } from '../../src/config/secrets.js';

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

describe('the list with its secrets', () => {
  const secret = (text: string) => new Map([['/one', new Secret(Buffer.from(text))]]);

  test('bears the secret, and rules of which those that are absent allow all', () => {
    const publish = { deny: ['a.>'] };
    const [made] = credentialsOf([{ ...one, publish }], secret('0123456789abcdef'));
    expect(Buffer.from(made!.secret).toString()).toBe('0123456789abcdef');
    expect(made!.permissions).toEqual({ publish, subscribe: {}, create: {} });
  });

  test('15 bytes are too few, and are not told', () => {
    const make = () => credentialsOf([one], secret('0123456789abcde'));
    expect(make).toThrow(/the secret of one is too short; allowed: 16 bytes or more/);
    expect(make).not.toThrow(/0123456789/);
  });
});
