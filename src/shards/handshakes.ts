/**
 * Who the connections of a shard are: HELLO and PROOF, what control says of them, and what each may do.
 *
 *   stranger ──HELLO (nothing asked)──────────────────────────────▶ known
 *      ├───── HELLO (token) ─────────────▶ asked ──authenticated──▶ known
 *      ├───── HELLO (hmac) ─▶ challenged ──PROOF──▶ asked ─────────▶ known
 *      └── too late, too many, refused ──▶ closed
 *
 * Invariant: a connection that bears FLAG_STRANGER has a deadline, which nothing moves; and no secret is here but the
 * keys of this shard's own connections, on their way to the kernel's rows.
 */
import * as codes from '../frame/codes.js';
import {
  answerHello,
  INTEGRITY_KEYED,
  readProof,
  tokenDigest,
  type HelloAnswer,
  type Integrity,
  type RandomBytes,
  type ServerPolicy,
} from '../frame/handshake.js';
import { FRAME_BYTES_MAX, KEY_SECRET_BYTES, PROTOCOL_VERSION } from '../frame/layout.js';
import { encodePayload } from '../frame/payloads.js';
import { isLoopback, peerOf } from './address.js';
import { TICK_MS, type ShardContext } from './context.js';
import * as layout from './layout.js';
import type { Lifecycle } from './lifecycle.js';
import type { Authenticated, AuthenticationRequest, ConnectionRef } from './messages.js';
import { ALL_ALLOWED, type Permissions } from './permissions.js';

type Challenge = Extract<HelloAnswer, { kind: 'challenge' }>;

/** What WELCOME will say, once control has answered. */
interface Asked {
  readonly requestId: bigint;
  readonly version: number;
  readonly integrity: Integrity;
}

/** For whoever fails, whatever the reason. */
const FAILED_TEXT = 'authentication failed';

export class Handshakes {
  readonly #context: ShardContext;
  readonly #lifecycle: Lifecycle;
  readonly #random: RandomBytes;
  readonly #policy: ServerPolicy;
  /** By slot: the tick at which its time is over; the oldest is the first. */
  readonly #strangers = new Map<number, number>();
  readonly #challenges = new Map<number, Challenge>();
  readonly #asked = new Map<number, Asked>();
  readonly #permissions = new Map<number, Permissions>();

  constructor(context: ShardContext, lifecycle: Lifecycle, random: RandomBytes) {
    this.#context = context;
    this.#lifecycle = lifecycle;
    this.#random = random;
    const { isRequired, isKeyingRequired } = context.settings.auth;
    this.#policy = {
      versions: context.settings.versions,
      isAuthenticationRequired: isRequired || isKeyingRequired,
      isKeyingRequired,
    };
  }

  /** A connection begins. */
  adopted(slot: number): void {
    if (this.#policy.isAuthenticationRequired) this.#estrange(slot);
  }

  /** What a connection may do. */
  permissionsOf(slot: number): Permissions {
    return this.#permissions.get(slot) ?? ALL_ALLOWED;
  }

  #estrange(slot: number): void {
    const context = this.#context;
    const { handshakeTimeoutMs, pendingMax } = context.settings.auth;
    context.raise(slot, layout.FLAG_STRANGER);
    // It keeps the deadline that it has.
    if (this.#strangers.has(slot)) return;
    this.#strangers.set(slot, context.tick + Math.ceil(handshakeTimeoutMs / TICK_MS));
    if (this.#strangers.size <= pendingMax) return;
    // The oldest makes room: whoever means it is done within a few milliseconds.
    for (const oldest of this.#strangers.keys()) {
      this.#late(oldest, `more than ${pendingMax} connections have not said who they are`);
      return;
    }
  }

  #late(slot: number, text: string): void {
    this.#strangers.delete(slot);
    this.#lifecycle.error(slot, codes.CODE_AUTH_REQUIRED, 0, 0n, text);
  }

  /** Ends those whose time is over. */
  expire(): void {
    const { tick, settings } = this.#context;
    for (const [slot, deadline] of this.#strangers) {
      if (tick < deadline) return;
      this.#late(slot, `no authentication within ${settings.auth.handshakeTimeoutMs} ms`);
    }
  }

  // ---- HELLO ----

  hello(slot: number, requestId: bigint, payload: Uint8Array): void {
    const answer = answerHello(payload, this.#policy, this.#random);
    if (answer.kind === 'refused') {
      this.#lifecycle.error(slot, answer.code, 0, requestId, answer.text);
      return;
    }
    this.#context.raise(slot, layout.FLAG_STARTED);
    const { version, integrity } = answer;
    if (answer.kind === 'welcome' || this.#asksNobody(answer)) {
      this.#welcome(slot, { requestId, version, integrity });
    } else if (answer.kind === 'token') this.#token(slot, requestId, answer);
    else this.#challenge(slot, requestId, answer);
  }

  /** A broker without credentials has nothing to compare a token with, and takes everybody. */
  #asksNobody({ kind }: HelloAnswer): boolean {
    const { permissions } = this.#context.settings.auth;
    return kind === 'token' && permissions.length === 0 && !this.#policy.isAuthenticationRequired;
  }

  #challenge(slot: number, requestId: bigint, challenge: Challenge): void {
    this.#estrange(slot);
    this.#challenges.set(slot, challenge);
    this.#lifecycle.reply(slot, codes.TYPE_CHALLENGE, 0, 0, requestId, challenge.payload);
  }

  #token(
    slot: number,
    requestId: bigint,
    { token, version, integrity }: Extract<HelloAnswer, { kind: 'token' }>,
  ): void {
    const peer = peerOf(this.#context, slot);
    if (!isLoopback(peer) && !this.#context.settings.auth.areInsecureTokensTaken) {
      const text = 'a token is taken from another machine over TLS only (auth.insecureTokens)';
      this.#lifecycle.error(slot, codes.CODE_AUTH_FAILED, 0, requestId, text);
      return;
    }
    const digest = tokenDigest(token);
    const asked = { requestId, version, integrity };
    this.#ask(slot, asked, { method: 'token', address: peer, digest });
  }

  // ---- PROOF ----

  proof(slot: number, requestId: bigint, payload: Uint8Array): void {
    const challenge = this.#challenges.get(slot);
    if (!challenge) {
      const text = 'PROOF answers a CHALLENGE, and comes once';
      this.#lifecycle.error(slot, codes.CODE_UNEXPECTED, 0, requestId, text);
      return;
    }
    const proof = readProof(payload);
    if (!proof) {
      const text = 'PROOF is {"proof": "<base64 of 32 bytes>"}';
      this.#lifecycle.error(slot, codes.CODE_MALFORMED, 0, requestId, text);
      return;
    }
    this.#challenges.delete(slot);
    const { keyId, transcript, version, integrity } = challenge;
    this.#ask(
      slot,
      { requestId, version, integrity },
      {
        method: 'hmac-sha256',
        address: peerOf(this.#context, slot),
        keyId,
        transcript,
        proof,
        isKeyed: integrity === INTEGRITY_KEYED,
      },
    );
  }

  // ---- Control ----

  #ask(slot: number, asked: Asked, request: AuthenticationRequest): void {
    const { shared, control } = this.#context;
    this.#estrange(slot);
    this.#context.raise(slot, layout.FLAG_HELD_BY_CONTROL);
    this.#asked.set(slot, asked);
    const ref = { slot, generation: shared.generation(slot) };
    control.post({ type: 'authenticate', ref, request });
  }

  /** Control knows who it is, or that it is not. True: the connection is free to go on. */
  authenticated(ref: ConnectionRef, answer: Authenticated | undefined): boolean {
    const { shared, settings } = this.#context;
    const { slot } = ref;
    if (shared.fd(slot) < 0 || shared.generation(slot) !== ref.generation) return false;
    const asked = this.#asked.get(slot);
    if (!asked) return false;
    this.#asked.delete(slot);
    this.#context.lower(slot, layout.FLAG_HELD_BY_CONTROL);
    if (!answer) {
      this.#lifecycle.error(slot, codes.CODE_AUTH_FAILED, 0, asked.requestId, FAILED_TEXT);
      return false;
    }
    this.#permissions.set(slot, settings.auth.permissions[answer.principal]!);
    this.#welcome(slot, asked, answer);
    return shared.fd(slot) >= 0;
  }

  #welcome(slot: number, asked: Asked, answer?: Authenticated): void {
    const { kernel, settings } = this.#context;
    this.#strangers.delete(slot);
    this.#context.lower(slot, layout.FLAG_STRANGER);
    const isOther = asked.version !== PROTOCOL_VERSION;
    if ((answer?.keys || isOther) && kernel.freeRows(layout.POOL_KEYS) === 0) {
      const text = 'this shard has no room for the keys of another connection';
      this.#lifecycle.error(slot, codes.CODE_SERVER_FULL, 0, asked.requestId, text);
      return;
    }
    const proof = answer?.proof && Buffer.from(answer.proof).toString('base64');
    const payload = encodePayload({
      version: asked.version,
      server: settings.serverName,
      connection: this.#nameOf(slot),
      integrity: asked.integrity,
      maxFrame: FRAME_BYTES_MAX,
      heartbeatMs: settings.heartbeatMs,
      proof,
    });
    if (!this.#lifecycle.reply(slot, codes.TYPE_WELCOME, 0, 0, asked.requestId, payload)) {
      this.#lifecycle.closeSlow(slot);
      return;
    }
    // WELCOME is the last frame without a tag, as PROOF was, and of version 1.
    if (answer?.keys) this.#openKeys(slot, answer.keys);
    else if (isOther) kernel.openVersion(slot);
    if (isOther) this.#context.set(slot, layout.CONNECTION_VERSION, asked.version);
  }

  #nameOf(slot: number): string {
    const { thread, shared } = this.#context;
    return `${thread}-${slot}-${shared.generation(slot)}`;
  }

  #openKeys(slot: number, keys: NonNullable<Authenticated['keys']>): void {
    const { kernel, bytes, areaAt } = this.#context;
    const at = areaAt + layout.AREA_NEW_KEYS;
    bytes.set(keys.clientToServer, at);
    bytes.set(keys.serverToClient, at + KEY_SECRET_BYTES);
    keys.clientToServer.fill(0);
    keys.serverToClient.fill(0);
    kernel.openKeys(slot);
  }

  forget(slot: number): void {
    this.#strangers.delete(slot);
    this.#challenges.delete(slot);
    this.#asked.delete(slot);
    this.#permissions.delete(slot);
  }
}
