/**
 * Secrets stand in files of their own; a configuration names the file. Invariant: a secret's bytes are in its
 * `Secret` alone, which shows them to `reveal()` and to nothing that prints, logs or copies.
 */
import { createHmac } from 'node:crypto';
import { isAbsolute, join, resolve } from 'node:path';
import { inspect } from 'node:util';
import { placeOf, type Faults } from './faults.js';
import { causeOf, folderOf, leadsOut, type FileContent, type Files } from './files.js';
import type { Kind } from './kinds.js';
import type { Given } from './sources.js';
import type { TableRow } from './table.js';
import { isRegular, modeText, wayFault } from './way.js';

export const SECRET_BYTES_MAX = 4_096;
const REDACTED = '[secret]';

export class Secret {
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** A copy of the bytes. */
  reveal(): Uint8Array {
    return this.#bytes.slice();
  }

  /** Tells whether two are the same, and nothing else: 64 hexadecimal digits. */
  fingerprint(): string {
    return createHmac('sha256', 'memorystreamer secret').update(this.#bytes).digest('hex');
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  [inspect.custom](): string {
    return REDACTED;
  }
}

/** Who this process is, and where the system has put its credentials. */
export interface Owner {
  readonly uid: number;
  /** `$CREDENTIALS_DIRECTORY` of systemd. */
  readonly credentials: string | undefined;
}

export interface SecretReading {
  readonly files: Files;
  readonly owner: Owner;
  readonly faults: Faults;
  /** By the whole path of its file. */
  readonly secrets: Map<string, Secret>;
  /** Whole paths of files, also of those that could not be read. */
  readonly paths: Set<string>;
}

/** Of a key that holds secrets: the value with a whole path wherever it names a secret's file; those files are read. */
export function withSecrets(row: TableRow, given: Given, reading: SecretReading): unknown {
  const read = (
    text: string,
    path: readonly PropertyKey[],
    { secretBytesMin = 1 }: Kind<unknown>,
  ) => {
    const place = placeOf(given.originAt(path), row.key, path);
    const folder = resolve(given.file === undefined ? '.' : folderOf(given.file));
    const refuse = (why: string) => reading.faults.addOf(row.key, place, why);
    return readSecret(text, folder, secretBytesMin, refuse, reading);
  };
  if (row.isSecretFile === true) return read(given.value as string, [], row);
  return (given.value as readonly object[]).map((item, index) =>
    row.secretPaths!.reduce<unknown>((made, path) => {
      const { kind } = row.fields![path.join('.')]!;
      return replaced(made, path, (text) => read(text, [index, ...path], kind));
    }, item),
  );
}

/** A copy of `item` with another text at `path`, where there is one. */
export function replaced(
  item: unknown,
  [name = '', ...rest]: readonly string[],
  replace: (text: string) => string,
): unknown {
  const inner = (item as Record<string, unknown>)[name];
  if (inner === undefined) return item;
  const made = rest.length === 0 ? replace(inner as string) : replaced(inner, rest, replace);
  return { ...(item as object), [name]: made };
}

function readSecret(
  text: string,
  folder: string,
  bytesMin: number,
  refuse: (why: string) => void,
  reading: SecretReading,
): string {
  const { files, owner, secrets, paths } = reading;
  const path = wholePath(text, folder, refuse, reading);
  if (path === undefined || secrets.has(path)) return path ?? text;
  paths.add(path);
  try {
    const content = files.read(path, SECRET_BYTES_MAX);
    const fault = faultOf(content, owner.uid, bytesMin);
    const way = wayFault(resolve(path), files, owner.uid);
    if (fault !== undefined) refuse(fault);
    if (way !== undefined) refuse(`the file of the secret could be exchanged: ${way}`);
    if (fault === undefined && way === undefined) {
      secrets.set(path, new Secret(withoutNewline(content.bytes)));
    }
  } catch (error) {
    // The path is not told: somebody may have written the secret in its place.
    refuse(`the file of the secret cannot be read: ${causeOf(error)}`);
  }
  return path;
}

/**
 * A plain name is looked for among the system's credentials first. Other relative paths begin at the folder
 * of the file that names them, and may not lead out of it; whole paths may lead anywhere.
 */
function wholePath(
  text: string,
  folder: string,
  refuse: (why: string) => void,
  { files, owner: { credentials }, paths }: SecretReading,
): string | undefined {
  if (isAbsolute(text)) return text;
  if (credentials !== undefined && !text.includes('/') && text !== '..') {
    const path = resolve(credentials, text);
    if (exists(path, files)) return path;
  }
  const path = join(folder, text);
  if (text.split('/').includes('..')) {
    refuse('".." is refused in the path of a secret; write the whole path');
    return undefined;
  }
  paths.add(path);
  try {
    if (!leadsOut(files.realPath(folder), files.realPath(path))) return path;
    refuse('the path of the secret leads out of its folder by a link; write the whole path');
  } catch (error) {
    refuse(`the file of the secret cannot be read: ${causeOf(error)}`);
  }
  return undefined;
}

function exists(path: string, files: Files): boolean {
  try {
    files.realPath(path);
    return true;
  } catch {
    return false;
  }
}

const OTHERS_WRITE = 0o022;
const OTHERS_READ = 0o044;

/**
 * What speaks against the file. Root's may be read by others: so Kubernetes mounts secrets, and so an
 * administrator shares one with a group; nobody but its owner may be able to write it.
 */
function faultOf(
  { bytes, mode, uid }: FileContent,
  ownUid: number,
  bytesMin: number,
): string | undefined {
  if (!isRegular(mode)) return 'the file of the secret is no regular file';
  if (uid !== ownUid && uid !== 0) {
    return `the file of the secret belongs to user ${uid}; allowed: this user (${ownUid}) or root`;
  }
  if ((mode & OTHERS_WRITE) !== 0) {
    return `others can write the file of the secret (mode ${modeText(mode)}); allowed: chmod go-w`;
  }
  if ((mode & OTHERS_READ) !== 0 && uid !== 0) {
    return `others can read the file of the secret (mode ${modeText(mode)}); allowed: chmod go-rw`;
  }
  if (bytes.length > SECRET_BYTES_MAX) {
    return `the secret is too long; allowed: at most ${SECRET_BYTES_MAX} bytes`;
  }
  const length = withoutNewline(bytes).length;
  if (length === 0) return 'the file of the secret is empty';
  return length < bytesMin
    ? `the secret is too short; allowed: ${bytesMin} bytes or more`
    : undefined;
}

/** Editors and `echo` end a file with a newline that is no part of the secret. */
function withoutNewline(bytes: Uint8Array): Uint8Array {
  let end = bytes.length;
  if (bytes[end - 1] === 0x0a) end -= bytes[end - 2] === 0x0d ? 2 : 1;
  return bytes.slice(0, end);
}
