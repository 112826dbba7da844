import { describe, expect, test } from 'vitest';
import type { CredentialEntry } from '../../src/config/credentials.js';
import { Principals } from '../../src/control/principals.js';
import { ALL_ALLOWED, type Rule } from '../../src/shards/permissions.js';

function entry(keyId: string, publish: Rule = {}, secret = `${keyId} secret`): CredentialEntry {
  const permissions = { ...ALL_ALLOWED, publish };
  return { keyId, method: 'hmac-sha256', secret: Buffer.from(secret), permissions };
}

const only = (allow: string): Rule => ({ allow: [allow] });
const idsOf = (list: readonly { id: number }[]): number[] => list.map(({ id }) => id);

describe('an exchange', () => {
  test('gives each a number, and whoever verifies the secrets with them', () => {
    const principals = new Principals();
    const { gone, principals: told, credentials } = principals.exchange([entry('a'), entry('b')]);
    expect(gone).toEqual([]);
    expect(idsOf(told)).toEqual([1, 2]);
    expect(principals.all).toEqual(told);
    expect(credentials.map(({ principal, keyId }) => [principal, keyId])).toEqual([
      [1, 'a'],
      [2, 'b'],
    ]);
    expect(credentials[1]!.secret).toEqual(Buffer.from('b secret'));
  });

  test('of the same, in any order and with other secrets, has nothing to tell', () => {
    const principals = new Principals();
    principals.exchange([entry('a'), entry('b')]);
    const again = principals.exchange([entry('b'), entry('a', {}, 'another')]);
    expect([again.gone, again.principals]).toEqual([[], []]);
    expect(again.credentials.map(({ principal }) => principal)).toEqual([2, 1]);
    expect(again.credentials[1]!.secret).toEqual(Buffer.from('another'));
  });

  test('keeps the number of one that may do more, and tells what', () => {
    const principals = new Principals();
    principals.exchange([entry('a', only('x')), entry('b')]);
    const { gone, principals: told } = principals.exchange([entry('a', only('>')), entry('b')]);
    expect([gone, idsOf(told)]).toEqual([[], [1]]);
    expect(told[0]!.permissions.publish).toEqual(only('>'));
  });

  test.each<[string, CredentialEntry[]]>([
    ['less rights', [entry('a', only('y'))]],
    ['another method', [{ ...entry('a', only('x')), method: 'token' }]],
    ['nobody of that name', []],
  ])('takes the number from one where there is %s now, and gives it to nobody', (_, entries) => {
    const principals = new Principals();
    principals.exchange([entry('a', only('x'))]);
    expect(principals.exchange(entries).gone).toEqual([1]);
    const back = principals.exchange([entry('a', only('x'))]);
    expect(idsOf(principals.all)).not.toContain(1);
    expect(idsOf(back.principals)).toEqual(idsOf(principals.all));
  });
});
