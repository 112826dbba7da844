/**
 * The protocol's types and error codes by name (docs/PROTOCOL.md, sections 2 and 6), one table each.
 * Append-only, as `codes.ts`; frozen by `test/frame/codes.test.ts`.
 */
import * as codes from './codes.js';

export interface FrameType {
  readonly type: number;
  readonly name: string;
  readonly from: 'client' | 'server' | 'either';
}

export interface ProtocolError {
  readonly code: number;
  readonly name: string;
  /** Whether the server closes the connection after it. */
  readonly fatal: boolean;
}

export const FRAME_TYPES: readonly FrameType[] = [
  { type: codes.TYPE_HELLO, name: 'HELLO', from: 'client' },
  { type: codes.TYPE_WELCOME, name: 'WELCOME', from: 'server' },
  { type: codes.TYPE_CHALLENGE, name: 'CHALLENGE', from: 'server' },
  { type: codes.TYPE_PROOF, name: 'PROOF', from: 'client' },
  { type: codes.TYPE_PING, name: 'PING', from: 'either' },
  { type: codes.TYPE_PONG, name: 'PONG', from: 'either' },
  { type: codes.TYPE_ERROR, name: 'ERROR', from: 'server' },
  { type: codes.TYPE_GOODBYE, name: 'GOODBYE', from: 'either' },
  { type: codes.TYPE_OPEN, name: 'OPEN', from: 'client' },
  { type: codes.TYPE_OPENED, name: 'OPENED', from: 'server' },
  { type: codes.TYPE_SUBSCRIBE, name: 'SUBSCRIBE', from: 'client' },
  { type: codes.TYPE_SUBSCRIBED, name: 'SUBSCRIBED', from: 'server' },
  { type: codes.TYPE_UNSUBSCRIBE, name: 'UNSUBSCRIBE', from: 'client' },
  { type: codes.TYPE_UNSUBSCRIBED, name: 'UNSUBSCRIBED', from: 'server' },
  { type: codes.TYPE_CREDIT, name: 'CREDIT', from: 'client' },
  { type: codes.TYPE_GAP, name: 'GAP', from: 'server' },
  { type: codes.TYPE_DATA, name: 'DATA', from: 'either' },
  { type: codes.TYPE_ACK, name: 'ACK', from: 'either' },
];

export const PROTOCOL_ERRORS: readonly ProtocolError[] = [
  { code: codes.CODE_BAD_MAGIC, name: 'BAD_MAGIC', fatal: true },
  { code: codes.CODE_UNSUPPORTED_VERSION, name: 'UNSUPPORTED_VERSION', fatal: true },
  { code: codes.CODE_UNKNOWN_TYPE, name: 'UNKNOWN_TYPE', fatal: true },
  { code: codes.CODE_FRAME_TOO_LARGE, name: 'FRAME_TOO_LARGE', fatal: true },
  { code: codes.CODE_HEADER_CORRUPT, name: 'HEADER_CORRUPT', fatal: true },
  { code: codes.CODE_PAYLOAD_CORRUPT, name: 'PAYLOAD_CORRUPT', fatal: false },
  { code: codes.CODE_BAD_TAG, name: 'BAD_TAG', fatal: true },
  { code: codes.CODE_UNEXPECTED, name: 'UNEXPECTED', fatal: true },
  { code: codes.CODE_MALFORMED, name: 'MALFORMED', fatal: false },
  { code: codes.CODE_UNKNOWN_STREAM, name: 'UNKNOWN_STREAM', fatal: false },
  { code: codes.CODE_BAD_SUBJECT, name: 'BAD_SUBJECT', fatal: false },
  { code: codes.CODE_AUTH_REQUIRED, name: 'AUTH_REQUIRED', fatal: true },
  { code: codes.CODE_AUTH_FAILED, name: 'AUTH_FAILED', fatal: true },
  { code: codes.CODE_FORBIDDEN, name: 'FORBIDDEN', fatal: false },
  { code: codes.CODE_LIMIT_EXCEEDED, name: 'LIMIT_EXCEEDED', fatal: false },
  { code: codes.CODE_SLOW_CONSUMER, name: 'SLOW_CONSUMER', fatal: true },
  { code: codes.CODE_IDLE_TIMEOUT, name: 'IDLE_TIMEOUT', fatal: true },
  { code: codes.CODE_SHUTTING_DOWN, name: 'SHUTTING_DOWN', fatal: true },
  { code: codes.CODE_INTERNAL, name: 'INTERNAL', fatal: true },
  { code: codes.CODE_ALREADY_SUBSCRIBED, name: 'ALREADY_SUBSCRIBED', fatal: false },
  { code: codes.CODE_SERVER_FULL, name: 'SERVER_FULL', fatal: true },
];

const typeNames = new Map(FRAME_TYPES.map(({ type, name }) => [type, name]));
const errors = new Map(PROTOCOL_ERRORS.map((error) => [error.code, error]));

/** `DATA`; for a type that is not in the table `type 0x7f`. */
export function typeName(type: number): string {
  return typeNames.get(type) ?? `type 0x${type.toString(16).padStart(2, '0')}`;
}

/** Who may send that type; undefined for one that is not in the table. */
export function senderOf(type: number): FrameType['from'] | undefined {
  return FRAME_TYPES.find((entry) => entry.type === type)?.from;
}

/** `FORBIDDEN`; for a code that is not in the table (of a newer server) `CODE_99`. */
export function errorName(code: number): string {
  return errors.get(code)?.name ?? `CODE_${code}`;
}

/** Whether the server closes after this code. A code that is not in the table is not known to be. */
export function isFatal(code: number): boolean {
  return errors.get(code)?.fatal ?? false;
}

/** Two words: bit t of the first (types 0–31) or second (32–63) is set where type t may come. */
export type TypeMask = readonly [low: number, high: number];

function maskOf(sender: 'client' | 'server'): TypeMask {
  let low = 0;
  let high = 0;
  for (const { type, from } of FRAME_TYPES) {
    if (from !== sender && from !== 'either') continue;
    if (type < 32) low |= 1 << type;
    else high |= 1 << (type - 32);
  }
  return [low >>> 0, high >>> 0];
}

/** The types that a client may send. */
export const TYPES_FROM_CLIENT: TypeMask = maskOf('client');
/** The types that a server may send. */
export const TYPES_FROM_SERVER: TypeMask = maskOf('server');
