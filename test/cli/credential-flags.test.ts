import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { credentialOf } from '../../src/cli/credential-flags.js';

const SECRET = 'sixteen bytes or more';
const folder = mkdtempSync(join(tmpdir(), 'credential-flags-'));
const file = (name: string): string => join(folder, name);

function write(name: string, content: string, mode = 0o600): void {
  writeFileSync(file(name), content);
  chmodSync(file(name), mode);
}

beforeAll(() => {
  write('good', `${SECRET}\n`);
  write('bare', SECRET);
  write('short', 'fifteen bytes..\n');
  write('long', 'x'.repeat(5_000));
  write('open', SECRET, 0o644);
  mkdirSync(file('folder'));
});

afterAll(() => rmSync(folder, { recursive: true }));

test('nothing is asked for where nothing is said', () => {
  expect(credentialOf({})).toEqual({ integrity: 'any' });
  expect(credentialOf({ integrity: 'siphash-2-4' })).toEqual({ integrity: 'siphash-2-4' });
});

test.each(['good', 'bare'])('a secret is the bytes of its file less one newline (%s)', (name) => {
  expect(credentialOf({ 'token-file': file(name) })).toEqual({
    auth: { token: SECRET },
    integrity: 'any',
  });
  const { auth } = credentialOf({ 'key-id': 'me', 'secret-file': file(name) });
  expect(auth).toEqual({ keyId: 'me', secret: Buffer.from(SECRET) });
});

test.each<[string, Parameters<typeof credentialOf>[0]]>([
  ['--integrity "strong": any or siphash-2-4 is wanted', { integrity: 'strong' }],
  [
    '--token-file excludes --key-id and --secret-file',
    { 'token-file': file('good'), 'key-id': 'me' },
  ],
  [
    '--token-file excludes --key-id and --secret-file',
    { 'token-file': file('good'), 'secret-file': file('good') },
  ],
  ['--key-id and --secret-file belong together', { 'key-id': 'me' }],
  ['--key-id and --secret-file belong together', { 'secret-file': file('good') }],
])('a wrong command line: %s', (message, flags) => {
  expect(() => credentialOf(flags)).toThrow(message);
  expect(() => credentialOf(flags)).toThrow(expect.objectContaining({ code: 'MS_ERR_USAGE' }));
});

test.each([
  ['short', 'a secret has 16 to 4096 bytes'],
  ['long', 'a small regular file is wanted'],
  ['open', 'others can read or write the file; chmod 600 it'],
  ['folder', 'a small regular file is wanted'],
  ['absent', 'the file cannot be read (ENOENT)'],
])('a file that is %s is refused, and its path is not told', (name, why) => {
  expect(() => credentialOf({ 'token-file': file(name) })).toThrow(
    expect.objectContaining({ code: 'MS_ERR_INPUT', message: `--token-file: ${why}` }),
  );
});
