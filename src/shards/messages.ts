/** What control and the shards say to each other, besides the rings: rare things only. */
import type { DirectionKeys } from '../frame/handshake.js';
import type { From } from '../frame/payloads.js';
import type { Principal } from './permissions.js';

/** A connection, so that an answer that comes too late is known as such. */
export interface ConnectionRef {
  readonly slot: number;
  readonly generation: number;
}

/** What a client has shown of itself, and from where (an IPv6 address stands for its /64). */
export type AuthenticationRequest =
  | { readonly method: 'token'; readonly address: string; readonly digest: Uint8Array }
  | {
      readonly method: 'hmac-sha256';
      readonly address: string;
      readonly keyId: string;
      readonly transcript: Uint8Array;
      readonly proof: Uint8Array;
      readonly isKeyed: boolean;
    };

/** Who it is, by the number of a `Principal`; and with hmac-sha256 the server's proof. */
export interface Authenticated {
  readonly principal: number;
  readonly proof?: Uint8Array;
  readonly keys?: DirectionKeys;
}

/** From a shard to control. */
export type ShardMessage =
  | { readonly type: 'ready'; readonly threadId: number }
  /** A connection wants to publish on a subject that this shard does not know. */
  | {
      readonly type: 'open';
      readonly ref: ConnectionRef;
      readonly subject: string;
      readonly mayCreate: boolean;
    }
  | {
      readonly type: 'authenticate';
      readonly ref: ConnectionRef;
      readonly request: AuthenticationRequest;
    }
  /** One more subscription of this pattern on this shard. */
  | { readonly type: 'subscribe'; readonly ref: ConnectionRef; readonly pattern: string }
  /** One subscription less. */
  | { readonly type: 'unsubscribe'; readonly pattern: string }
  /** Every subscription of this shard that covers the stream now has its cursor. */
  | { readonly type: 'attached'; readonly stream: number }
  /** Whether this shard can run with the settings of that offer; with the reason where it cannot. */
  | { readonly type: 'vote'; readonly offer: number; readonly fault: string | undefined }
  /** This shard runs with that version of the settings. */
  | { readonly type: 'settings'; readonly version: number }
  /** Every connection of this shard has been said GOODBYE, and all that it sent before is in the logs. */
  | { readonly type: 'quiesced' }
  /** No connection is left. */
  | { readonly type: 'ended' }
  | {
      readonly type: 'log';
      readonly level: 'debug' | 'info' | 'warn' | 'error';
      readonly message: string;
      readonly fields: Readonly<Record<string, unknown>>;
    };

/** From control to a shard; each comes with a signal on the shard's eventfd. */
export type ControlMessage =
  | {
      readonly type: 'opened';
      readonly ref: ConnectionRef;
      readonly subject: string;
      readonly stream: number;
    }
  /** Undefined: it is not who it says. */
  | {
      readonly type: 'authenticated';
      readonly ref: ConnectionRef;
      readonly answer: Authenticated | undefined;
    }
  /** These may connect no longer, and are ended; and these may from now on, or may do more than before. */
  | {
      readonly type: 'principals';
      readonly gone: readonly number[];
      readonly principals: readonly Principal[];
    }
  /** An OPEN that cannot be: the protocol's error code, and why. */
  | {
      readonly type: 'refused';
      readonly ref: ConnectionRef;
      readonly code: number;
      readonly text: string;
    }
  /** The pattern is registered; these streams exist that it covers. */
  | {
      readonly type: 'subscribed';
      readonly ref: ConnectionRef;
      readonly pattern: string;
      readonly streams: readonly number[];
    }
  | { readonly type: 'born'; readonly stream: number; readonly subject: string }
  /** Say GOODBYE to everybody; then `quiesced`. */
  | { readonly type: 'drain' }
  /** Deliver the rest, close; then `ended`. */
  | { readonly type: 'finish' }
  /** Close everything now; then `ended`. */
  | { readonly type: 'abort' }
  /** Throw in the next turn (`debug.faults`). */
  | { readonly type: 'fault' };

/** How a shard reaches control; a MessagePort in the broker, a list in tests. */
export interface ControlLink {
  /** It may be under way only at the end of the turn. */
  post(message: ShardMessage): void;
  /** The next message from control, if one is there. */
  receive(): ControlMessage | undefined;
}

/** What a connection waits for while control is asked. */
export type PendingRequest =
  | { readonly kind: 'open'; readonly requestId: bigint }
  | {
      readonly kind: 'subscribe';
      readonly requestId: bigint;
      readonly pattern: string;
      readonly from: From;
      readonly credit: bigint | undefined;
    };
