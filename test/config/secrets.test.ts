import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { diff } from '../../src/config/digest.js';
import { field, listOf, optionalField, secretFile, integer } from '../../src/config/kinds.js';
import { printJson, printYaml } from '../../src/config/print.js';
import { Secret, SECRET_BYTES_MAX } from '../../src/config/secrets.js';
import { TABLE, type TableRow } from '../../src/config/table.js';
import { fakeFiles, faultsOf, load, type FakeFile, type Given } from './support/sources.js';

/** Two keys as those of a feature that needs secrets. */
const extra = [
  {
    ...secretFile(),
    key: 'vault.secretFile',
    standard: '',
    apply: 'hot',
    doc: 'A secret.',
    env: 'MEMORYSTREAMER_VAULT_SECRET_FILE',
    flag: 'vault-secret-file',
  },
  {
    ...listOf(
      {
        id: field(integer(1, 9), 'Which.'),
        'key.secretFile': field(secretFile(), 'Its secret.'),
        'old.secretFile': optionalField(secretFile(), 'The one before.'),
      },
      4,
    ),
    key: 'vaults',
    standard: [],
    apply: 'hot',
    doc: 'Some with secrets.',
    env: 'MEMORYSTREAMER_VAULTS',
    flag: 'vaults',
  },
] as unknown as TableRow[];
const table = [...TABLE, ...extra];

const SECRET = 'correct horse battery staple';

function given(files: Record<string, string | Uint8Array | FakeFile>, rest: Given = {}): Given {
  return {
    table: [...TABLE, extra[1]!],
    argv: ['--config', '/etc/ms/b.yaml'],
    files: fakeFiles(files),
    ...rest,
  };
}

const oneVault = (path: string) => `vaults:\n  - id: 1\n    key: {secretFile: ${path}}\n`;

describe('a secret is found', () => {
  const secretOf = async (
    files: Record<string, string | Uint8Array | FakeFile>,
    rest: Given = {},
  ) => {
    const { secrets } = await load(given(files, rest));
    return [...secrets].map(([path, secret]) => [path, new TextDecoder().decode(secret.reveal())]);
  };

  test('beside the file that names it, without the newline at its end', async () => {
    const files = { '/etc/ms/b.yaml': oneVault('keys/a'), '/etc/ms/keys/a': `${SECRET}\n` };
    expect(await secretOf(files)).toEqual([['/etc/ms/keys/a', SECRET]]);
    const windows = { ...files, '/etc/ms/keys/a': `${SECRET}\r\n` };
    expect(await secretOf(windows)).toEqual([['/etc/ms/keys/a', SECRET]]);
  });

  test('anywhere, by a whole path, of any length up to the longest', async () => {
    const files = { '/etc/ms/b.yaml': oneVault('/run/a'), '/run/a': SECRET };
    expect(await secretOf(files)).toEqual([['/run/a', SECRET]]);
    const longest = 'x'.repeat(SECRET_BYTES_MAX);
    expect(await secretOf({ ...files, '/run/a': longest })).toEqual([['/run/a', longest]]);
  });

  test('among the system’s credentials first, by its name', async () => {
    const env = { CREDENTIALS_DIRECTORY: '/run/credentials/ms' };
    const files = {
      '/etc/ms/b.yaml': oneVault('a'),
      '/etc/ms/a': 'other',
      '/run/credentials/ms/a': SECRET,
    };
    expect(await secretOf(files, { env })).toEqual([['/run/credentials/ms/a', SECRET]]);
    const without = { '/etc/ms/b.yaml': oneVault('a'), '/etc/ms/a': 'other' };
    expect(await secretOf(without, { env })).toEqual([['/etc/ms/a', 'other']]);
  });

  test('through links inside of the folder, as Kubernetes mounts it: root’s, and readable by others', async () => {
    const files = {
      '/etc/ms/b.yaml': oneVault('a'),
      '/etc/ms/a': { link: '/etc/ms/..data/a' },
      '/etc/ms/..data': { link: '/etc/ms/..2026' },
      '/etc/ms/..2026/a': { content: SECRET, mode: 0o644, uid: 0 },
    };
    expect(await secretOf(files)).toEqual([['/etc/ms/a', SECRET]]);
  });

  test('once, where two name the same file', async () => {
    const files = {
      '/etc/ms/b.yaml': `${oneVault('a')}    old: {secretFile: /etc/ms/a}\n`,
      '/etc/ms/a': SECRET,
    };
    expect(await secretOf(files)).toHaveLength(1);
  });

  test('as a key of its own, from the environment', async () => {
    const { secrets, paths } = await load({
      table,
      env: { MEMORYSTREAMER_VAULT_SECRET_FILE: '/run/a' },
      files: fakeFiles({ '/run/a': SECRET }),
    });
    expect([...secrets.keys()]).toEqual(['/run/a']);
    expect(paths).toEqual(['/run/a']);
  });
});

describe('a secret’s file is refused', () => {
  const place = '/etc/ms/b.yaml:3:23: vaults[0].key.secretFile';
  const file = (content: FakeFile) => ({ '/etc/ms/b.yaml': oneVault('a'), '/etc/ms/a': content });
  test.each([
    [
      file({ content: SECRET, mode: 0o640 }),
      'others can read the file of the secret (mode 0640); allowed: chmod go-rw',
    ],
    [
      file({ content: SECRET, mode: 0o604 }),
      'others can read the file of the secret (mode 0604); allowed: chmod go-rw',
    ],
    [
      file({ content: SECRET, mode: 0o620 }),
      'others can write the file of the secret (mode 0620); allowed: chmod go-w',
    ],
    [
      file({ content: SECRET, mode: 0o646, uid: 0 }),
      'others can write the file of the secret (mode 0646); allowed: chmod go-w',
    ],
    [
      file({ content: SECRET, uid: 1001 }),
      'the file of the secret belongs to user 1001; allowed: this user (1000) or root',
    ],
    [file({ content: SECRET, mode: 0o020600 }), 'the file of the secret is no regular file'],
    [file({ content: '\n' }), 'the file of the secret is empty'],
    [
      file({ content: 'x'.repeat(SECRET_BYTES_MAX + 1) }),
      'the secret is too long; allowed: at most 4096 bytes',
    ],
    [{ '/etc/ms/b.yaml': oneVault('a') }, 'the file of the secret cannot be read: ENOENT'],
    [{ '/etc/ms/b.yaml': oneVault('/run/a') }, 'the file of the secret cannot be read: ENOENT'],
    [
      { '/etc/ms/b.yaml': oneVault('../a'), '/etc/a': SECRET },
      '".." is refused in the path of a secret; write the whole path',
    ],
    [
      { '/etc/ms/b.yaml': oneVault('a'), '/etc/ms/a': { link: '/etc/a' }, '/etc/a': SECRET },
      'the path of the secret leads out of its folder by a link; write the whole path',
    ],
    [
      { ...file({ content: SECRET }), '/etc/ms': { mode: 0o775 } },
      'the file of the secret could be exchanged: others can write the folder /etc/ms on its way (mode 0775); allowed: chmod go-w',
    ],
  ])('%#: %s', async (files, message) => {
    expect(await faultsOf(given(files))).toEqual([`${place}: ${message}`]);
  });

  test('for itself and for its folder, both told at once', async () => {
    const files = { ...file({ content: SECRET, mode: 0o644 }), '/etc': { uid: 1001 } };
    expect(await faultsOf(given(files))).toEqual([
      expect.stringContaining('others can read the file of the secret (mode 0644)'),
      expect.stringContaining('the folder /etc on its way belongs to user 1001'),
    ]);
  });

  test('as a value that is none, without showing it', async () => {
    const yaml = `vaults:\n  - id: 1\n    key: {secretFile: [${SECRET}]}\n`;
    const [fault] = await faultsOf(given({ '/etc/ms/b.yaml': yaml }));
    expect(fault).toMatch(
      /^\/etc\/ms\/b\.yaml:3:23: vaults\[0\]\.key\.secretFile: what is given is not valid/,
    );
    expect(fault).not.toContain('horse');
    for (const other of [
      `vaults: ${SECRET}`,
      `vaults: [${SECRET}]`,
      `vaults: [{id: ${SECRET}, key: {secretFile: a}}]`,
      `vaults: [{id: 1, key: ${SECRET}}]`,
    ]) {
      const [told] = await faultsOf(given({ '/etc/ms/b.yaml': other }));
      expect(told).toContain('what is given is not valid; allowed: ');
      expect(told).not.toContain('horse');
    }
  });
});

describe('nothing shows a secret', () => {
  const files = { '/etc/ms/b.yaml': oneVault('a'), '/etc/ms/a': SECRET };

  test('neither what is printed, nor a log line, nor what is copied', async () => {
    const configuration = await load(given(files));
    const rows = [...TABLE, extra[1]!];
    const shown = [
      printYaml(configuration, rows),
      printJson(configuration, rows),
      inspect(configuration, { depth: 9, showHidden: true }),
      JSON.stringify([...configuration.secrets.values()]),
      String([...configuration.secrets.values()][0]),
      JSON.stringify(structuredClone(configuration.values)),
    ];
    for (const text of shown) expect(text).not.toContain('horse');
    expect(shown[0]).toContain('/etc/ms/a');
  });

  test('the digest and the difference know it by its fingerprint alone', async () => {
    const before = await load(given(files));
    const after = await load(given({ ...files, '/etc/ms/a': `${SECRET}!` }));
    const moved = await load(given({ '/etc/ms/b.yaml': oneVault('/run/a'), '/run/a': SECRET }));
    expect(after.digest).not.toBe(before.digest);
    expect(moved.digest).toBe(before.digest);
    const [change] = diff(before, after, [...TABLE, extra[1]!]);
    expect(change).toMatchObject({ key: 'vaults', apply: 'hot', items: 'changed 1' });
    expect(JSON.stringify(change)).not.toContain('horse');
  });

  test('a key that is a secret’s file counts in the digest by its content', async () => {
    const loaded = (path: string, content: string) => {
      const env = { MEMORYSTREAMER_VAULT_SECRET_FILE: path };
      return load({ table, env, files: fakeFiles({ [path]: content }) });
    };
    const [first, moved, other] = [
      await loaded('/run/a', SECRET),
      await loaded('/run/b', SECRET),
      await loaded('/run/a', 'other'),
    ];
    expect(moved.digest).toBe(first.digest);
    expect(other.digest).not.toBe(first.digest);
    expect(diff(first, other, table)).toEqual([
      {
        ...{ key: 'vault.secretFile', apply: 'hot' },
        ...{ before: '/run/a', after: '/run/a', items: 'another secret' },
      },
    ]);
  });

  test('what was revealed can be changed without harm', () => {
    const secret = new Secret(new Uint8Array([1, 2]));
    secret.reveal().fill(0);
    expect([...secret.reveal()]).toEqual([1, 2]);
  });
});
