/**
 * Wire codes (docs/PROTOCOL.md, sections 2 and 6). Append-only: a value once given is never reused.
 * Constants only: compiled both by TypeScript and by AssemblyScript. Frozen by `test/frame/codes.test.ts`.
 */
export const TYPE_HELLO = 0x01;
export const TYPE_WELCOME = 0x02;
export const TYPE_CHALLENGE = 0x03;
export const TYPE_PROOF = 0x04;
export const TYPE_PING = 0x05;
export const TYPE_PONG = 0x06;
export const TYPE_ERROR = 0x07;
export const TYPE_GOODBYE = 0x08;
export const TYPE_OPEN = 0x10;
export const TYPE_OPENED = 0x11;
export const TYPE_SUBSCRIBE = 0x12;
export const TYPE_SUBSCRIBED = 0x13;
export const TYPE_UNSUBSCRIBE = 0x14;
export const TYPE_UNSUBSCRIBED = 0x15;
export const TYPE_CREDIT = 0x16;
export const TYPE_GAP = 0x17;
export const TYPE_DATA = 0x20;
export const TYPE_ACK = 0x21;

export const CODE_BAD_MAGIC = 1;
export const CODE_UNSUPPORTED_VERSION = 2;
export const CODE_UNKNOWN_TYPE = 3;
export const CODE_FRAME_TOO_LARGE = 4;
export const CODE_HEADER_CORRUPT = 5;
export const CODE_PAYLOAD_CORRUPT = 6;
export const CODE_BAD_TAG = 7;
export const CODE_UNEXPECTED = 8;
export const CODE_MALFORMED = 9;
export const CODE_UNKNOWN_STREAM = 10;
export const CODE_BAD_SUBJECT = 11;
export const CODE_AUTH_REQUIRED = 12;
export const CODE_AUTH_FAILED = 13;
export const CODE_FORBIDDEN = 14;
export const CODE_LIMIT_EXCEEDED = 15;
export const CODE_SLOW_CONSUMER = 16;
export const CODE_IDLE_TIMEOUT = 17;
export const CODE_SHUTTING_DOWN = 18;
export const CODE_INTERNAL = 19;
export const CODE_ALREADY_SUBSCRIBED = 20;
export const CODE_SERVER_FULL = 21;
