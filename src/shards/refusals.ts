/**
 * What follows from each error code of the protocol, beside the frame that its client is sent: the text where the
 * code alone is the whole story, and how loud the log is. Every one is counted (AREA_ERROR_COUNTS).
 */
import * as codes from '../frame/codes.js';
import { PAYLOAD_BYTES_MAX, PAYLOAD_BYTES_MAX_BEFORE_AUTHENTICATION } from '../frame/layout.js';

export type RefusalLevel = 'debug' | 'info' | 'warn' | 'error';

interface Refusal {
  readonly level: RefusalLevel;
  readonly text: string;
}

const before = PAYLOAD_BYTES_MAX_BEFORE_AUTHENTICATION;

/** `debug` for what is its client's own affair; `warn` for what speaks of an attack or a broken line; `error` for a fault of ours. */
const REFUSALS = new Map<number, Refusal>([
  [
    codes.CODE_BAD_MAGIC,
    { level: 'info', text: 'these are no MemoryStreamer frames: the first two bytes are not "MS"' },
  ],
  [
    codes.CODE_UNSUPPORTED_VERSION,
    { level: 'info', text: 'this broker speaks version 1 of the protocol' },
  ],
  [codes.CODE_UNKNOWN_TYPE, { level: 'info', text: 'a client sends no frame of this type' }],
  [
    codes.CODE_FRAME_TOO_LARGE,
    {
      level: 'info',
      text: `a payload has at most ${PAYLOAD_BYTES_MAX} bytes, and ${before} before authentication`,
    },
  ],
  [
    codes.CODE_HEADER_CORRUPT,
    { level: 'warn', text: 'the header does not fit its check: the framing is lost' },
  ],
  [
    codes.CODE_PAYLOAD_CORRUPT,
    { level: 'warn', text: 'the payload does not fit its check: this frame was dropped' },
  ],
  [
    codes.CODE_BAD_TAG,
    {
      level: 'warn',
      text: 'the tag does not fit, or a frame is keyed where there is no key or unkeyed where there is one',
    },
  ],
  [
    codes.CODE_UNEXPECTED,
    { level: 'info', text: 'DATA belongs to a stream: stream 0 is the connection' },
  ],
  [
    codes.CODE_MALFORMED,
    {
      level: 'debug',
      text: 'with ACK_REQUESTED the sequence is above 0 and above every earlier one on this stream',
    },
  ],
  [
    codes.CODE_UNKNOWN_STREAM,
    { level: 'debug', text: 'this connection has not opened that stream' },
  ],
  [codes.CODE_BAD_SUBJECT, { level: 'debug', text: 'the subject is not valid' }],
  [
    codes.CODE_AUTH_REQUIRED,
    {
      level: 'info',
      text: 'this broker asks who you are first: HELLO, and PROOF where it challenges',
    },
  ],
  // Control has said more of it.
  [codes.CODE_AUTH_FAILED, { level: 'debug', text: 'authentication failed' }],
  [codes.CODE_FORBIDDEN, { level: 'info', text: 'this connection may not do that' }],
  [codes.CODE_LIMIT_EXCEEDED, { level: 'info', text: 'a limit of this broker is reached' }],
  [
    codes.CODE_SLOW_CONSUMER,
    { level: 'info', text: 'this connection does not read what it asked for' },
  ],
  [codes.CODE_IDLE_TIMEOUT, { level: 'debug', text: 'nothing was heard' }],
  [codes.CODE_SHUTTING_DOWN, { level: 'debug', text: 'the broker is shutting down' }],
  [codes.CODE_INTERNAL, { level: 'error', text: 'a fault in the broker' }],
  [
    codes.CODE_ALREADY_SUBSCRIBED,
    { level: 'debug', text: 'this connection has subscribed to that already' },
  ],
  [codes.CODE_SERVER_FULL, { level: 'warn', text: 'the broker is full' }],
]);

export function faultText(code: number): string {
  return REFUSALS.get(code)?.text ?? 'the frame was refused';
}

export function refusalLevel(code: number): RefusalLevel {
  return REFUSALS.get(code)?.level ?? 'error';
}
