/**
 * The handshake (docs/PROTOCOL.md, section 4), both sides, sans-IO: payloads in, payloads and keys out. No socket,
 * no clock; randomness is passed in. Nothing here puts a secret, a token or a proof into a text.
 *
 *   client   hello() ─HELLO─▶                   ─CHALLENGE─▶ challenged() ─PROOF─▶          ─WELCOME─▶ welcomed()
 *   server          ─HELLO─▶ answerHello() ─CHALLENGE─▶            ─PROOF─▶ proofFits() ─WELCOME─▶
 *
 * Invariant: both proofs and both direction keys are bound to HELLO and CHALLENGE as they were sent, byte for byte,
 * so that whoever changes one of them on the way (a version, an integrity) ends the handshake.
 */
import { createHash, createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { CODE_AUTH_REQUIRED, CODE_MALFORMED, CODE_UNSUPPORTED_VERSION } from './codes.js';
import { KEY_SECRET_BYTES } from './layout.js';
import {
  encodePayload,
  parseChallenge,
  parseHello,
  parseProof,
  parseWelcome,
  type Hello,
  type Welcome,
} from './payloads.js';

export const INTEGRITY_CHECKED = 'xxh64';
export const INTEGRITY_KEYED = 'siphash-2-4';
export type Integrity = typeof INTEGRITY_CHECKED | typeof INTEGRITY_KEYED;

export const NONCE_BYTES = 32;

export type Side = 'client' | 'server';

/** Answers so many bytes that nobody can guess. */
export type RandomBytes = (byteCount: number) => Uint8Array;

export interface DirectionKeys {
  readonly clientToServer: Uint8Array;
  readonly serverToClient: Uint8Array;
}

// ---- What both sides compute ----

/** SHA-256(HELLO) ‖ SHA-256(CHALLENGE), of the payloads as they were sent. */
export function transcriptOf(hello: Uint8Array, challenge: Uint8Array): Uint8Array {
  const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest();
  return Buffer.concat([hash(hello), hash(challenge)]);
}

/** What a shard tells control of a token, and all that control keeps of it: 32 bytes. */
export function tokenDigest(token: string | Uint8Array): Uint8Array {
  return createHash('sha256').update(token).digest();
}

export function proofOf(side: Side, secret: Uint8Array, transcript: Uint8Array): Uint8Array {
  return createHmac('sha256', secret)
    .update(`memorystreamer/1 ${side}\0`)
    .update(transcript)
    .digest();
}

/** Whether `proof` is that side's, compared in constant time. */
export function proofFits(
  side: Side,
  secret: Uint8Array,
  transcript: Uint8Array,
  proof: Uint8Array,
): boolean {
  const due = proofOf(side, secret, transcript);
  return proof.length === due.length && timingSafeEqual(due, proof);
}

export function directionKeysOf(secret: Uint8Array, transcript: Uint8Array): DirectionKeys {
  const key = (direction: string) =>
    new Uint8Array(
      hkdfSync('sha256', secret, transcript, `memorystreamer/1 ${direction}`, KEY_SECRET_BYTES),
    );
  return {
    clientToServer: key('client-to-server'),
    serverToClient: key('server-to-client'),
  };
}

// ---- The server's side ----

export interface ServerPolicy {
  /** Protocol versions that this server speaks. */
  readonly versions: readonly number[];
  /** Whether a client must say who it is. */
  readonly isAuthenticationRequired: boolean;
  /** Whether a connection must be keyed. */
  readonly isKeyingRequired: boolean;
}

interface Agreed {
  readonly version: number;
  readonly integrity: Integrity;
}

/** What the server does about a HELLO. */
export type HelloAnswer =
  | ({ readonly kind: 'welcome' } & Agreed)
  /** The token is still to be verified. */
  | ({ readonly kind: 'token'; readonly token: string } & Agreed)
  /** `payload` is the CHALLENGE's; PROOF is due. */
  | ({
      readonly kind: 'challenge';
      readonly keyId: string;
      readonly payload: Uint8Array;
      readonly transcript: Uint8Array;
    } & Agreed)
  | { readonly kind: 'refused'; readonly code: number; readonly text: string };

function refused(code: number, text: string): HelloAnswer {
  return { kind: 'refused', code, text };
}

/** Answers HELLO. A keyId that nobody knows is challenged as any other: that is not a matter of HELLO. */
export function answerHello(
  payload: Uint8Array,
  policy: ServerPolicy,
  random: RandomBytes,
): HelloAnswer {
  const hello = parseHello(payload);
  if (!hello) {
    return refused(CODE_MALFORMED, 'HELLO is {"versions": [1], "client": …, "integrity": […]}');
  }
  const version = newestCommon(hello.versions, policy.versions);
  if (version === undefined) {
    const spoken = policy.versions.join(', ');
    return refused(
      CODE_UNSUPPORTED_VERSION,
      `this broker speaks version ${spoken} of the protocol`,
    );
  }
  const method = hello.auth?.method;
  if (method === undefined && policy.isAuthenticationRequired) {
    return refused(CODE_AUTH_REQUIRED, 'this broker asks who you are: HELLO needs "auth"');
  }
  const integrity = chooseIntegrity(hello, policy);
  if (integrity === undefined) return refused(CODE_UNSUPPORTED_VERSION, integrityText(policy));
  return answerAuth(payload, hello.auth, { version, integrity }, random);
}

function answerAuth(
  payload: Uint8Array,
  auth: Hello['auth'],
  agreed: Agreed,
  random: RandomBytes,
): HelloAnswer {
  if (auth === undefined) return { kind: 'welcome', ...agreed };
  if ('token' in auth) return { kind: 'token', token: auth.token, ...agreed };
  if ('keyId' in auth) {
    const nonce = Buffer.from(random(NONCE_BYTES)).toString('base64');
    const challenge = encodePayload({ nonce, ...agreed });
    const transcript = transcriptOf(payload, challenge);
    return { kind: 'challenge', keyId: auth.keyId, payload: challenge, transcript, ...agreed };
  }
  return refused(CODE_AUTH_REQUIRED, 'the methods are "token" and "hmac-sha256"');
}

function newestCommon(theirs: readonly number[], ours: readonly number[]): number | undefined {
  const common = ours.filter((version) => theirs.includes(version));
  return common.length === 0 ? undefined : Math.max(...common);
}

/** The first that the client prefers and that can be had: keys come from hmac-sha256 alone. */
function chooseIntegrity(hello: Hello, policy: ServerPolicy): Integrity | undefined {
  for (const wanted of hello.integrity ?? [INTEGRITY_CHECKED]) {
    if (wanted === INTEGRITY_KEYED && hello.auth?.method === 'hmac-sha256') return wanted;
    if (wanted === INTEGRITY_CHECKED && !policy.isKeyingRequired) return wanted;
  }
  return undefined;
}

function integrityText(policy: ServerPolicy): string {
  const keyed = `${INTEGRITY_KEYED} (with hmac-sha256)`;
  const offered = policy.isKeyingRequired ? keyed : `${INTEGRITY_CHECKED}, or ${keyed}`;
  return `the integrity that this broker offers is ${offered}`;
}

/** The proof of a PROOF's payload, or undefined: MALFORMED. */
export function readProof(payload: Uint8Array): Uint8Array | undefined {
  const proof = parseProof(payload)?.proof;
  return proof === undefined ? undefined : Buffer.from(proof, 'base64');
}

// ---- The client's side ----

/** Who the client is. A secret or token is given once, and never told again. */
export type ClientCredential =
  | { readonly method: 'token'; readonly token: string }
  | { readonly method: 'hmac-sha256'; readonly keyId: string; readonly secret: Uint8Array };

export interface ClientHandshakeOptions {
  readonly versions: readonly number[];
  readonly name: string;
  readonly credential: ClientCredential | undefined;
  /** Nothing less than keyed frames will do. */
  readonly isKeyingRequired: boolean;
  readonly random: RandomBytes;
}

/** The end of the handshake: what is spoken from now on. */
export interface Greeted {
  readonly welcome: Welcome;
  /** Present where frames are keyed from now on, in both directions. */
  readonly keys: DirectionKeys | undefined;
}

/** Why a client goes no further; `isUntrusted`: the broker did not prove itself, or offers less than is demanded. */
export interface HandshakeFault {
  readonly fault: string;
  readonly isUntrusted: boolean;
}

/** One handshake of a client, from HELLO to WELCOME. */
export class ClientHandshake {
  readonly #options: ClientHandshakeOptions;
  readonly #hello: Uint8Array;
  readonly #offered: readonly string[];
  #challenge: { transcript: Uint8Array; version: number; integrity: string } | undefined;

  constructor(options: ClientHandshakeOptions) {
    this.#options = options;
    const { credential, isKeyingRequired, versions, name } = options;
    const canKey = credential?.method === 'hmac-sha256';
    this.#offered = isKeyingRequired
      ? [INTEGRITY_KEYED]
      : canKey
        ? [INTEGRITY_KEYED, INTEGRITY_CHECKED]
        : [INTEGRITY_CHECKED];
    const auth = credential && authOf(credential, options.random);
    // Absent says xxh64, and nothing else.
    const integrity = canKey ? this.#offered : undefined;
    this.#hello = encodePayload({ versions, client: name, integrity, auth });
  }

  /** HELLO's payload. */
  hello(): Uint8Array {
    return this.#hello;
  }

  /** Takes CHALLENGE's payload, and answers PROOF's. */
  challenged(payload: Uint8Array): Uint8Array | HandshakeFault {
    const { credential, versions } = this.#options;
    const challenge = parseChallenge(payload);
    if (!challenge || credential?.method !== 'hmac-sha256' || this.#challenge) {
      return broken('its CHALLENGE does not fit');
    }
    if (!versions.includes(challenge.version) || !this.#offered.includes(challenge.integrity)) {
      return broken('its CHALLENGE names what was not offered');
    }
    const transcript = transcriptOf(this.#hello, payload);
    this.#challenge = {
      transcript,
      version: challenge.version,
      integrity: challenge.integrity,
    };
    const proof = proofOf('client', credential.secret, transcript);
    return encodePayload({ proof: Buffer.from(proof).toString('base64') });
  }

  /** Takes WELCOME's payload: the handshake's end, one way or the other. */
  welcomed(payload: Uint8Array): Greeted | HandshakeFault {
    const welcome = parseWelcome(payload);
    if (!welcome || !this.#options.versions.includes(welcome.version)) {
      return broken('its WELCOME does not fit');
    }
    const { credential } = this.#options;
    if (credential?.method !== 'hmac-sha256') {
      if (welcome.integrity === INTEGRITY_CHECKED) return { welcome, keys: undefined };
      return broken('its WELCOME names an integrity that was not offered');
    }
    return this.#proven(welcome, credential.secret);
  }

  /** Mutual: a broker that knows nothing of the secret is not spoken to. */
  #proven(welcome: Welcome, secret: Uint8Array): Greeted | HandshakeFault {
    const challenge = this.#challenge;
    const proof = Buffer.from(welcome.proof ?? '', 'base64');
    if (!challenge || !proofFits('server', secret, challenge.transcript, proof)) {
      return untrusted('it did not prove that it knows the secret');
    }
    if (welcome.version !== challenge.version || welcome.integrity !== challenge.integrity) {
      return untrusted('its WELCOME names another version or integrity than its CHALLENGE');
    }
    const isKeyed = welcome.integrity === INTEGRITY_KEYED;
    return { welcome, keys: isKeyed ? directionKeysOf(secret, challenge.transcript) : undefined };
  }
}

function authOf(credential: ClientCredential, random: RandomBytes): object {
  if (credential.method === 'token') return { method: 'token', token: credential.token };
  const nonce = Buffer.from(random(NONCE_BYTES)).toString('base64');
  return { method: 'hmac-sha256', keyId: credential.keyId, nonce };
}

const broken = (fault: string): HandshakeFault => ({ fault, isUntrusted: false });
const untrusted = (fault: string): HandshakeFault => ({ fault, isUntrusted: true });

export function isFault(answer: object): answer is HandshakeFault {
  return 'fault' in answer;
}
