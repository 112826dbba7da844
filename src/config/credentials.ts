/** Who may connect, as a configuration says it, and the list that the broker is started with. */
import * as z from 'zod/mini';
import {
  field,
  listOf,
  oneOf,
  optionalField,
  secretFile,
  subjectPattern,
  type Kind,
} from './kinds.js';
import type { Broken } from './rules.js';
import type { Secret } from './secrets.js';

export const SECRET_BYTES_MIN = 16;
const CREDENTIALS_MAX = 1_000;
const PATTERNS_MAX = 1_000;

interface Rule {
  readonly allow?: readonly string[];
  readonly deny?: readonly string[];
}

/** Someone who may connect, and what he may do. */
export interface CredentialEntry {
  readonly keyId: string;
  readonly method: 'token' | 'hmac-sha256';
  readonly secret: Uint8Array;
  readonly permissions: { readonly publish: Rule; readonly subscribe: Rule; readonly create: Rule };
}

export interface CredentialConfig {
  readonly keyId: string;
  readonly method: 'token' | 'hmac-sha256';
  /** Whole path. */
  readonly secretFile: string;
  readonly publish?: Rule;
  readonly subscribe?: Rule;
  readonly create?: Rule;
}

function keyId(): Kind<string> {
  return {
    type: z.string().check(z.regex(/^[A-Za-z0-9._-]{1,64}$/)),
    allowed: '1 to 64 of A-Z a-z 0-9 . _ -',
    unit: 'none',
    placeholder: 'NAME',
    fromText: (text) => text,
    show: (text) => text,
  };
}

function patterns(): Kind<readonly string[]> {
  const { type, allowed } = subjectPattern();
  return {
    type: z.array(type).check(z.maxLength(PATTERNS_MAX)),
    allowed: `a list of at most ${PATTERNS_MAX}, each ${allowed}`,
    unit: 'none',
    placeholder: 'JSON',
    fromText: (text) => text,
    show: (value) => JSON.stringify(value),
  };
}

function ruleFields(action: 'publish' | 'subscribe' | 'create', what: string) {
  return {
    [`${action}.allow`]: optionalField(patterns(), `Subjects that it may ${what}; absent: all.`),
    [`${action}.deny`]: optionalField(patterns(), 'Subjects that it may not; deny beats allow.'),
  };
}

export function credentialList(): Kind<readonly CredentialConfig[]> {
  return listOf<CredentialConfig>(
    {
      keyId: field(keyId(), 'Its name, in logs too.'),
      method: field(
        oneOf('token', 'hmac-sha256'),
        '"token" is shown by the client; of "hmac-sha256" both sides prove that they know the secret.',
      ),
      secretFile: field(
        secretFile(SECRET_BYTES_MIN),
        `The file that holds the token or secret: ${SECRET_BYTES_MIN} bytes or more, less one newline at the end.`,
      ),
      ...ruleFields('publish', 'publish on'),
      ...ruleFields('subscribe', 'subscribe to'),
      ...ruleFields('create', 'make a stream of'),
    },
    CREDENTIALS_MAX,
  );
}

/** What `auth` and `credentials` must be to each other. */
export function credentialFaults(
  credentials: readonly CredentialConfig[],
  auth: { readonly required: boolean; readonly integrity: string },
): Broken[] {
  const errors: Broken[] = [];
  const refuse = (key: Broken['key'], text: string) => errors.push({ key, text });
  const seen = new Set<string>();
  for (const credential of credentials) {
    if (seen.has(credential.keyId)) {
      refuse(
        'credentials',
        `${JSON.stringify(credential.keyId)} is there twice; allowed: once each`,
      );
    }
    seen.add(credential.keyId);
  }
  if (auth.required && credentials.length === 0) {
    refuse('auth.required', 'nobody could connect; allowed: true with credentials');
  }
  const canKey = credentials.some(({ method }) => method === 'hmac-sha256');
  if (auth.integrity === 'siphash-2-4' && !canKey) {
    const allowed = 'allowed: with a credential of the method "hmac-sha256"';
    refuse('auth.integrity', `nobody could connect; ${allowed}`);
  }
  return errors;
}

/** The list with its secrets, which the load has read. */
export function credentialsOf(
  credentials: readonly CredentialConfig[],
  secrets: ReadonlyMap<string, Secret>,
): CredentialEntry[] {
  return credentials.map(({ keyId: name, method, secretFile: path, ...rules }) => {
    const secret = secrets.get(path)!.reveal();
    const { publish = {}, subscribe = {}, create = {} } = rules;
    return { keyId: name, method, secret, permissions: { publish, subscribe, create } };
  });
}
