/** What `connect` may be told, the defaults, and what a URL says. */
import { randomBytes } from 'node:crypto';
import { systemClock, systemRandom, type Clock, type Random } from '../clock.js';
import { MemoryStreamerError } from '../errors.js';
import type { ClientCredential, RandomBytes } from '../frame/handshake.js';

/** Time, passed in. */
export interface ClientClock extends Clock {
  /** Calls `run` once after `delayMs` (ms), unless the function that it returns is called before. */
  schedule(run: () => void, delayMs: number): () => void;
}

export const systemClientClock: ClientClock = {
  ...systemClock,
  schedule(run, delayMs) {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
};

/** How often, and after which delays, a lost connection is made again. */
export interface ReconnectOptions {
  /** Delay before the first attempt, in ms; each later one waits twice as long. Default 100. */
  delayMs?: number;
  /** The longest delay, in ms. Default 10,000. */
  delayMsMax?: number;
  /** Attempts before the client gives up and closes. Default: no limit. */
  attemptsMax?: number;
}

/** Who the client is: by a token that it shows, or by a key whose secret it proves to know, and the broker too. */
export type ClientAuth =
  | { readonly token: string }
  | {
      /** 1–64 of `A-Z a-z 0-9 . _ -`. */
      readonly keyId: string;
      /** 16 bytes or more. */
      readonly secret: Uint8Array | string;
    };

/** What `connect` may be told; all of it may be left out. */
export interface ConnectOptions {
  /** Default: nobody in particular. */
  auth?: ClientAuth;
  /** `siphash-2-4`: frames are keyed, or the connection is not made; needs a `keyId`. Default `any`: keyed where both can. */
  integrity?: 'any' | 'siphash-2-4';
  /** Told to the broker as `name/version`-like text, for its logs. Default `memorystreamer-node`. */
  name?: string;
  /** Ends the attempt to connect; without effect once connected. */
  signal?: AbortSignal;
  /** How a lost connection is made again, or false: a lost connection ends the client. */
  reconnect?: ReconnectOptions | false;
  /** For the TCP connection and the broker's WELCOME together, in ms. Default 10,000. */
  connectTimeoutMs?: number;
  /** Frames that were given to the client and that the socket has not taken, in bytes: beyond it `publish` waits. Default 2 MiB. */
  sendBufferBytes?: number;
  /** Copies kept of frames that were not acknowledged yet, in bytes: beyond it `publish` waits. Default 16 MiB. */
  unackedBytesMax?: number;
  /** Messages that a subscription holds for its consumer, in bytes (each counts 64 more): beyond it the socket is paused. Default 4 MiB. */
  receiveBufferBytes?: number;
  /** For tests. */
  clock?: ClientClock;
  /** For tests: the jitter of reconnecting. */
  random?: Random;
}

export interface Settings {
  readonly host: string;
  readonly port: number;
  readonly url: string;
  readonly name: string;
  readonly credential: ClientCredential | undefined;
  readonly isKeyingRequired: boolean;
  readonly randomBytes: RandomBytes;
  readonly reconnect: Readonly<Required<ReconnectOptions>> | false;
  readonly connectTimeoutMs: number;
  readonly sendBufferBytes: number;
  readonly unackedBytesMax: number;
  readonly receiveBufferBytes: number;
  readonly clock: ClientClock;
  readonly random: Random;
}

export const DEFAULT_PORT = 7878;
export const DEFAULT_URL = `ms://127.0.0.1:${DEFAULT_PORT}`;

const MIB = 2 ** 20;

/** Throws MS_ERR_USAGE where `url` is not `ms://host[:port]`, or the options contradict each other. */
export function settingsOf(url: string, options: ConnectOptions): Settings {
  const { reconnect = {} } = options;
  return {
    ...addressOf(url),
    url,
    name: options.name ?? 'memorystreamer-node',
    ...identityOf(options),
    randomBytes,
    reconnect: reconnect && {
      delayMs: reconnect.delayMs ?? 100,
      delayMsMax: reconnect.delayMsMax ?? 10_000,
      attemptsMax: reconnect.attemptsMax ?? Infinity,
    },
    connectTimeoutMs: options.connectTimeoutMs ?? 10_000,
    sendBufferBytes: options.sendBufferBytes ?? 2 * MIB,
    unackedBytesMax: options.unackedBytesMax ?? 16 * MIB,
    receiveBufferBytes: options.receiveBufferBytes ?? 4 * MIB,
    clock: options.clock ?? systemClientClock,
    random: options.random ?? systemRandom,
  };
}

const KEY_ID = /^[A-Za-z0-9._-]{1,64}$/;
const SECRET_BYTES_MIN = 16;

function identityOf({ auth, integrity = 'any' }: ConnectOptions) {
  const isKeyingRequired = integrity === 'siphash-2-4';
  if (isKeyingRequired && (auth === undefined || !('keyId' in auth))) {
    throw usageError('integrity siphash-2-4 needs a key: auth with keyId and secret');
  }
  if (auth === undefined) return { credential: undefined, isKeyingRequired };
  if ('token' in auth) {
    return { credential: { method: 'token', token: auth.token } as const, isKeyingRequired };
  }
  const secret = Buffer.from(auth.secret);
  if (!KEY_ID.test(auth.keyId)) throw usageError('a keyId is 1 to 64 of A-Z a-z 0-9 . _ -');
  if (secret.length < SECRET_BYTES_MIN) {
    throw usageError(`a secret has at least ${SECRET_BYTES_MIN} bytes`);
  }
  const credential = { method: 'hmac-sha256', keyId: auth.keyId, secret } as const;
  return { credential, isKeyingRequired };
}

function usageError(text: string): MemoryStreamerError {
  return new MemoryStreamerError('MS_ERR_USAGE', text);
}

function addressOf(url: string): { host: string; port: number } {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const rest = parsed ? `${parsed.username}${parsed.search}${parsed.hash}` : '';
  const path = parsed?.pathname ?? '';
  if (parsed?.protocol !== 'ms:' || parsed.hostname === '' || rest !== '' || path.length > 1) {
    throw new MemoryStreamerError(
      'MS_ERR_USAGE',
      `${JSON.stringify(url)} is not a broker's address: ms://host:port is wanted`,
    );
  }
  // An IPv6 address stands in brackets in a URL, and without them in a socket's address.
  const host = parsed.hostname.replace(/^\[(.*)\]$/, '$1');
  return { host, port: parsed.port === '' ? DEFAULT_PORT : Number(parsed.port) };
}

/** The delay before attempt 1, 2, 3 … in ms: doubling, limited, and less by up to a half at random, so that clients do not come back all at once. */
export function reconnectDelayMs(
  { delayMs, delayMsMax }: Required<ReconnectOptions>,
  attempt: number,
  random: Random,
): number {
  const full = Math.min(delayMsMax, delayMs * 2 ** Math.min(attempt - 1, 30));
  return full * (0.5 + random() / 2);
}
