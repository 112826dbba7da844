/**
 * Who a client is. Control verifies, for all shards: so the secrets are in one thread, that handles no frames, and a
 * flood of attempts costs the data path next to nothing. Of a token only its digest is kept and compared; a shard
 * is told its connection's keys, and the proof to answer with.
 *
 * Invariant: a keyId that nobody knows, a wrong proof, and a wrong token are answered alike, after the same work.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../clock.js';
import {
  directionKeysOf,
  proofFits,
  proofOf,
  tokenDigest,
  type RandomBytes,
} from '../frame/handshake.js';
import type { Authenticated, AuthenticationRequest } from '../shards/messages.js';
import type { Logger } from '../log.js';
import { Attempts } from './attempts.js';

const DIGEST_BYTES = 32;
const LOG_EVERY_MS = 1000;

/** Someone who may connect. */
export interface Credential {
  /** By which the shards know what he may do; see `Principals`. */
  readonly principal: number;
  readonly keyId: string;
  readonly method: 'token' | 'hmac-sha256';
  readonly secret: Uint8Array;
}

/** Who may connect, and how often somebody may fail to. */
export interface Admission {
  readonly credentials: readonly Credential[];
  readonly attemptsPerMinute: number;
}

export interface AuthenticatorOptions extends Admission {
  readonly random: RandomBytes;
  readonly clock: Clock;
  readonly log: Pick<Logger, 'warn'>;
  /** Nobody from there is looked at for so long. */
  readonly barred: (address: string, forMs: number) => void;
}

interface Known {
  readonly principal: number;
  readonly secret: Uint8Array;
}

type Outcome = Authenticated | { readonly reason: string };

export class Authenticator {
  readonly #attempts: Attempts;
  readonly #barred: AuthenticatorOptions['barred'];
  readonly #clock: Clock;
  readonly #log: Pick<Logger, 'warn'>;
  #byKeyId = new Map<string, Known>();
  /** By the token's digest under a key of this process: what it is looked up by tells nothing of it in any time taken. */
  #byToken = new Map<string, Known>();
  readonly #blind: Uint8Array;
  /** Stands for the secret of a keyId that nobody has. */
  readonly #nobody: Known;
  #failures = 0;
  #loggedMs = -Infinity;

  constructor({ random, clock, log, barred, ...admission }: AuthenticatorOptions) {
    this.#attempts = new Attempts(admission.attemptsPerMinute, clock);
    this.#barred = barred;
    this.#clock = clock;
    this.#log = log;
    this.#blind = random(DIGEST_BYTES);
    this.#nobody = { principal: -1, secret: random(DIGEST_BYTES) };
    this.exchange(admission);
  }

  /** From now on these may connect and no others, the failures so far stay counted. */
  exchange({ credentials, attemptsPerMinute }: Admission): void {
    this.#attempts.perMinute = attemptsPerMinute;
    for (const { secret } of this.#byKeyId.values()) secret.fill(0);
    this.#byKeyId = new Map();
    this.#byToken = new Map();
    for (const { principal, keyId, method, secret } of credentials) {
      if (method === 'hmac-sha256') {
        this.#byKeyId.set(keyId, { principal, secret: secret.slice() });
      } else {
        const digest = tokenDigest(secret);
        this.#byToken.set(this.#blinded(digest), { principal, secret: digest });
      }
    }
  }

  /** Answers undefined for whoever is not who he says, or has failed too often: nobody is told which. */
  authenticate(request: AuthenticationRequest): Authenticated | undefined {
    const { address } = request;
    if (!this.#attempts.mayTry(address)) {
      this.#tell(request, 'too many failures from this address');
      return undefined;
    }
    const outcome = request.method === 'token' ? this.#token(request.digest) : this.#proof(request);
    if (!('reason' in outcome)) return outcome;
    const forMs = this.#attempts.failed(address);
    if (forMs > 0) this.#barred(address, forMs);
    this.#tell(request, outcome.reason);
    return undefined;
  }

  #token(digest: Uint8Array): Outcome {
    const known = this.#byToken.get(this.#blinded(digest)) ?? this.#nobody;
    const isSame = digest.length === DIGEST_BYTES && timingSafeEqual(known.secret, digest);
    if (!isSame || known === this.#nobody) return { reason: 'no such token' };
    return { principal: known.principal };
  }

  #proof(request: Extract<AuthenticationRequest, { method: 'hmac-sha256' }>): Outcome {
    const { keyId, transcript, proof, isKeyed } = request;
    const known = this.#byKeyId.get(keyId) ?? this.#nobody;
    const fits = proofFits('client', known.secret, transcript, proof);
    if (!fits || known === this.#nobody) {
      return { reason: known === this.#nobody ? 'no such keyId' : 'wrong proof' };
    }
    const answer = {
      principal: known.principal,
      proof: proofOf('server', known.secret, transcript),
    };
    return isKeyed ? { ...answer, keys: directionKeysOf(known.secret, transcript) } : answer;
  }

  #blinded(digest: Uint8Array): string {
    return createHmac('sha256', this.#blind).update(digest).digest('base64');
  }

  /** One line a second at most, whatever is thrown at it. A keyId is told only if it is one: it may be a mistaken secret. */
  #tell(request: AuthenticationRequest, reason: string): void {
    this.#failures++;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#loggedMs < LOG_EVERY_MS) return;
    this.#loggedMs = nowMs;
    const isKnown = request.method === 'hmac-sha256' && this.#byKeyId.has(request.keyId);
    this.#log.warn(
      {
        address: request.address,
        method: request.method,
        ...(isKnown ? { keyId: request.keyId } : {}),
        reason,
        count: this.#failures,
      },
      'authentication failed',
    );
    this.#failures = 0;
  }
}
