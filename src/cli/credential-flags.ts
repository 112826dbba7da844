/**
 * Who a command is to the broker: `--token-file`, or `--key-id` with `--secret-file`; and `--integrity`. Secrets come
 * from files alone: a command line is read by everybody on the machine.
 */
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import type { ClientAuth, ConnectOptions } from '../client/options.js';
import { MemoryStreamerError } from '../errors.js';
import { usageError } from './client-options.js';

const SECRET_BYTES_MIN = 16;
const SECRET_BYTES_MAX = 4096;
const NEWLINE = 0x0a;
const OTHERS = 0o077;

/** For `parseArgs`. */
export const CREDENTIAL_FLAGS = {
  'token-file': { type: 'string' },
  'key-id': { type: 'string' },
  'secret-file': { type: 'string' },
  integrity: { type: 'string' },
} as const;

/** For help texts. */
export const CREDENTIAL_HELP = `  --token-file FILE    say who you are by the token in this file
  --key-id ID          say who you are by a key, and
  --secret-file FILE   prove it by the secret in this file
  --integrity WORD     any (the default), or siphash-2-4: keyed frames or nothing; needs --key-id`;

interface CredentialFlags {
  'token-file'?: string | undefined;
  'key-id'?: string | undefined;
  'secret-file'?: string | undefined;
  integrity?: string | undefined;
}

export type Identity = Pick<ConnectOptions, 'auth' | 'integrity'>;

/** Throws MS_ERR_USAGE, and MS_ERR_INPUT where a file cannot be read, or others can. */
export function credentialOf(flags: CredentialFlags): Identity {
  const { integrity = 'any' } = flags;
  if (integrity !== 'any' && integrity !== 'siphash-2-4') {
    throw usageError(`--integrity ${JSON.stringify(integrity)}: any or siphash-2-4 is wanted`);
  }
  const auth = authOf(flags);
  return auth === undefined ? { integrity } : { auth, integrity };
}

function authOf(flags: CredentialFlags): ClientAuth | undefined {
  const { 'token-file': tokenFile, 'key-id': keyId, 'secret-file': secretFile } = flags;
  if (tokenFile !== undefined) {
    if (keyId !== undefined || secretFile !== undefined) {
      throw usageError('--token-file excludes --key-id and --secret-file');
    }
    return { token: readSecret('token-file', tokenFile).toString('utf8') };
  }
  if (keyId === undefined && secretFile === undefined) return undefined;
  if (keyId === undefined || secretFile === undefined) {
    throw usageError('--key-id and --secret-file belong together');
  }
  return { keyId, secret: readSecret('secret-file', secretFile) };
}

/** The file's bytes, less one newline at their end. */
function readSecret(flag: string, path: string): Buffer {
  const refuse = (why: string) => new MemoryStreamerError('MS_ERR_INPUT', `--${flag}: ${why}`);
  const content = readOwn(path, refuse);
  const secret = content.at(-1) === NEWLINE ? content.subarray(0, -1) : content;
  if (secret.length < SECRET_BYTES_MIN || secret.length > SECRET_BYTES_MAX) {
    throw refuse(`a secret has ${SECRET_BYTES_MIN} to ${SECRET_BYTES_MAX} bytes`);
  }
  return secret;
}

function readOwn(path: string, refuse: (why: string) => MemoryStreamerError): Buffer {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    // The path is not told: somebody may have written the secret in its place.
    throw refuse(`the file cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`);
  }
  try {
    const status = fstatSync(fd);
    const { mode, size } = status;
    if (!status.isFile() || size > SECRET_BYTES_MAX + 1)
      throw refuse('a small regular file is wanted');
    if ((mode & OTHERS) !== 0) throw refuse('others can read or write the file; chmod 600 it');
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}
