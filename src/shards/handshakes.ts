/**
 * Who the connections of a shard are: HELLO and PROOF, what control says of them, and what each may do.
 *
 *   stranger ──HELLO (nothing asked)──────────────────────────────▶ known
 *      ├───── HELLO (token) ─────────────▶ asked ──authenticated──▶ known
 *      ├───── HELLO (hmac) ─▶ challenged ──PROOF──▶ asked ─────────▶ known
 *      └── too late, too many, refused ──▶ closed
 *
 * When it changes who may connect, the connections that are there are reviewed, some of them a turn: who was known by a
 * credential that is no more, or by none where one is asked for now, is said GOODBYE.
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
import { ALL_ALLOWED, NOTHING_ALLOWED, type Permissions, type Principal } from './permissions.js';
import type { AuthSettings } from './settings.js';

type Challenge = Extract<HelloAnswer, { kind: 'challenge' }>;

/** What WELCOME will say, once control has answered. */
interface Asked {
  readonly requestId: bigint;
  readonly version: number;
  readonly integrity: Integrity;
}

/** For whoever fails, whatever the reason. */
const FAILED_TEXT = 'authentication failed';
const CHANGED_TEXT = 'who may connect has changed: connect again';
/** Rows that a review looks at in one turn, and connections that it ends. */
const REVIEWED_PER_TURN = 4096;
const ENDED_PER_TURN = 64;

export class Handshakes {
  readonly #context: ShardContext;
  readonly #lifecycle: Lifecycle;
  readonly #random: RandomBytes;
  /** Of those who may connect. */
  readonly #rights = new Map<number, Permissions>();
  /** By slot: of those who have shown who they are. */
  readonly #principals = new Map<number, number>();
  /** Slots of keyed connections. */
  readonly #keyed = new Set<number>();
  /** The slot that a review looks at next; 0 = there is none to do. */
  #reviewSlot = 0;
  #endedCount = 0;
  /** By slot: the tick at which its time is over; the oldest is the first. */
  readonly #strangers = new Map<number, number>();
  readonly #challenges = new Map<number, Challenge>();
  readonly #asked = new Map<number, Asked>();

  constructor(
    context: ShardContext,
    lifecycle: Lifecycle,
    random: RandomBytes,
    principals: readonly Principal[],
  ) {
    this.#context = context;
    this.#lifecycle = lifecycle;
    this.#random = random;
    this.exchange([], principals);
  }

  get #policy(): ServerPolicy {
    const { isKeyingRequired } = this.#context.settings.auth;
    const isAuthenticationRequired = this.#isAsked;
    const { versions } = this.#context.settings;
    return { versions, isAuthenticationRequired, isKeyingRequired };
  }

  /** Whether everybody is asked who he is. */
  get #isAsked(): boolean {
    const { isRequired, isKeyingRequired } = this.#context.settings.auth;
    return isRequired || isKeyingRequired;
  }

  /** A connection begins. */
  adopted(slot: number): void {
    if (this.#isAsked) this.#estrange(slot);
  }

  /** What a connection may do. */
  permissionsOf(slot: number): Permissions {
    const principal = this.#principals.get(slot);
    if (principal === undefined) return this.#isAsked ? NOTHING_ALLOWED : ALL_ALLOWED;
    return this.#rights.get(principal) ?? NOTHING_ALLOWED;
  }

  // ---- Changes of who may connect ----

  /** Those of `gone` may connect no longer, and `principals` may from now on, or may do more than before. */
  exchange(gone: readonly number[], principals: readonly Principal[]): void {
    for (const id of gone) this.#rights.delete(id);
    for (const { id, permissions } of principals) this.#rights.set(id, permissions);
    if (gone.length > 0) this.#reviewSlot = 1;
  }

  /** The settings have another `auth` than before. */
  settingsChanged(before: AuthSettings): void {
    const { tick, settings } = this.#context;
    const { isRequired, isKeyingRequired, handshakeTimeoutMs } = settings.auth;
    if (before.handshakeTimeoutMs > handshakeTimeoutMs) {
      // The oldest stays the first.
      const latest = tick + Math.ceil(handshakeTimeoutMs / TICK_MS);
      for (const [slot, deadline] of this.#strangers) {
        this.#strangers.set(slot, Math.min(deadline, latest));
      }
    }
    if (before.isRequired !== isRequired || before.isKeyingRequired !== isKeyingRequired) {
      this.#reviewSlot = 1;
    }
  }

  get isReviewing(): boolean {
    return this.#reviewSlot !== 0;
  }

  /** Looks at some of the connections that are there; a duty of the turn while `isReviewing`. */
  review(): void {
    const { shared, thread } = this.#context;
    let ended = 0;
    for (let looked = 0; looked < REVIEWED_PER_TURN && ended < ENDED_PER_TURN; looked++) {
      const slot = this.#reviewSlot++;
      if (slot > shared.slots) {
        this.#reviewed();
        return;
      }
      if (shared.fd(slot) < 0 || shared.shardOf(slot) !== thread || this.#mayStay(slot)) continue;
      this.#lifecycle.goodbye(slot, CHANGED_TEXT);
      ended++;
      this.#endedCount++;
    }
  }

  #reviewed(): void {
    const { thread, control } = this.#context;
    this.#reviewSlot = 0;
    if (this.#endedCount === 0) return;
    const fields = { shard: thread, count: this.#endedCount };
    const message =
      'connections ended: their credential is gone or may do less, or one is asked for';
    control.post({ type: 'log', level: 'info', message, fields });
    this.#endedCount = 0;
  }

  #mayStay(slot: number): boolean {
    const context = this.#context;
    const flags = context.flags(slot);
    if (flags & (layout.FLAG_CLOSING | layout.FLAG_GOODBYE)) return true;
    if (flags & layout.FLAG_STRANGER) {
      this.#release(slot);
      return true;
    }
    const principal = this.#principals.get(slot);
    const { isKeyingRequired } = context.settings.auth;
    if (isKeyingRequired && !this.#keyed.has(slot)) return this.#isNew(slot);
    if (principal !== undefined) return this.#rights.has(principal);
    return !this.#isAsked || this.#isNew(slot);
  }

  /** Whether a connection has said nothing yet; then it is asked as those that come now are. */
  #isNew(slot: number): boolean {
    if (this.#context.has(slot, layout.FLAG_STARTED)) return false;
    this.#estrange(slot);
    return true;
  }

  /** Nobody asks a stranger any more who has not begun to say who he is. */
  #release(slot: number): void {
    if (this.#isAsked || this.#challenges.has(slot) || this.#asked.has(slot)) return;
    this.#strangers.delete(slot);
    this.#context.lower(slot, layout.FLAG_STRANGER);
  }

  #estrange(slot: number): void {
    const context = this.#context;
    const { handshakeTimeoutMs, pendingMax } = context.settings.auth;
    context.raise(slot, layout.FLAG_STRANGER);
    // It keeps the deadline that it has.
    if (this.#strangers.has(slot)) return;
    this.#strangers.set(slot, context.tick + Math.ceil(handshakeTimeoutMs / TICK_MS));
    // The oldest makes room: whoever means it is done within a few milliseconds. There are several to end where
    // there may be fewer than before.
    for (const oldest of this.#strangers.keys()) {
      if (this.#strangers.size <= pendingMax) return;
      this.#late(oldest, `more than ${pendingMax} connections have not said who they are`);
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
    return kind === 'token' && this.#rights.size === 0 && !this.#isAsked;
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
    const { shared } = this.#context;
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
    this.#principals.set(slot, answer.principal);
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
    this.#keyed.add(slot);
  }

  forget(slot: number): void {
    this.#strangers.delete(slot);
    this.#challenges.delete(slot);
    this.#asked.delete(slot);
    this.#principals.delete(slot);
    this.#keyed.delete(slot);
  }
}
