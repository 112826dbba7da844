import { expect, it } from 'vitest';
import * as codes from '../../src/frame/codes.js';
import {
  FRAME_TYPES,
  PROTOCOL_ERRORS,
  TYPES_FROM_CLIENT,
  TYPES_FROM_SERVER,
  errorName,
  isFatal,
  typeName,
} from '../../src/frame/names.js';

/** Frozen: a line may be added, none changed or taken away. */
const FROZEN = `
TYPE_HELLO=1 TYPE_WELCOME=2 TYPE_CHALLENGE=3 TYPE_PROOF=4 TYPE_PING=5 TYPE_PONG=6 TYPE_ERROR=7
TYPE_GOODBYE=8 TYPE_OPEN=16 TYPE_OPENED=17 TYPE_SUBSCRIBE=18 TYPE_SUBSCRIBED=19 TYPE_UNSUBSCRIBE=20
TYPE_UNSUBSCRIBED=21 TYPE_CREDIT=22 TYPE_GAP=23 TYPE_DATA=32 TYPE_ACK=33
CODE_BAD_MAGIC=1 CODE_UNSUPPORTED_VERSION=2 CODE_UNKNOWN_TYPE=3 CODE_FRAME_TOO_LARGE=4
CODE_HEADER_CORRUPT=5 CODE_PAYLOAD_CORRUPT=6 CODE_BAD_TAG=7 CODE_UNEXPECTED=8 CODE_MALFORMED=9
CODE_UNKNOWN_STREAM=10 CODE_BAD_SUBJECT=11 CODE_AUTH_REQUIRED=12 CODE_AUTH_FAILED=13 CODE_FORBIDDEN=14
CODE_LIMIT_EXCEEDED=15 CODE_SLOW_CONSUMER=16 CODE_IDLE_TIMEOUT=17 CODE_SHUTTING_DOWN=18
CODE_INTERNAL=19 CODE_ALREADY_SUBSCRIBED=20 CODE_SERVER_FULL=21
`;

it('wire codes are frozen', () => {
  const found = Object.entries(codes).map(([name, value]) => `${name}=${value}`);
  expect(found.toSorted()).toEqual(FROZEN.trim().split(/\s+/).toSorted());
});

it('every code has its own name in the tables', () => {
  for (const [name, value] of Object.entries(codes)) {
    if (name.startsWith('TYPE_')) expect(`TYPE_${typeName(value)}`).toBe(name);
    else expect(`CODE_${errorName(value)}`).toBe(name);
  }
  expect(FRAME_TYPES).toHaveLength(18);
  expect(PROTOCOL_ERRORS).toHaveLength(21);
});

it('fatal codes are those of the protocol', () => {
  const lasting = PROTOCOL_ERRORS.filter(({ fatal }) => !fatal).map(({ code }) => code);
  expect(lasting).toEqual([6, 9, 10, 11, 14, 15, 20]);
  expect(isFatal(19)).toBe(true);
  expect(isFatal(999)).toBe(false);
  expect(errorName(999)).toBe('CODE_999');
  expect(typeName(0x7f)).toBe('type 0x7f');
});

it('each side may send its own types only', () => {
  const names = ([low, high]: readonly [number, number]) =>
    FRAME_TYPES.filter(({ type }) => ((type < 32 ? low >>> type : high >>> (type - 32)) & 1) === 1)
      .map(({ name }) => name)
      .join(' ');
  expect(names(TYPES_FROM_CLIENT)).toBe(
    'HELLO PROOF PING PONG GOODBYE OPEN SUBSCRIBE UNSUBSCRIBE CREDIT DATA ACK',
  );
  expect(names(TYPES_FROM_SERVER)).toBe(
    'WELCOME CHALLENGE PING PONG ERROR GOODBYE OPENED SUBSCRIBED UNSUBSCRIBED GAP DATA ACK',
  );
});
