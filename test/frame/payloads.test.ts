import { describe, expect, it } from 'vitest';
import {
  encodePayload,
  parseHello,
  parseOpen,
  parseOpened,
  parseSubscribe,
  parseSubscribed,
  parseWelcome,
} from '../../src/frame/payloads.js';
import { readVectors } from './support.js';

const bytes = (value: unknown) => Buffer.from(JSON.stringify(value));
const U64_MAX = 2n ** 64n - 1n;

describe('form', () => {
  it.each([
    ['not JSON', '{"subject": '],
    ['nothing', ''],
    ['null', 'null'],
    ['an array', '["subject"]'],
    ['a string', '"a"'],
    ['a byte order mark', '\ufeff{"subject":"a"}'],
    ['the wrong member type', '{"subject":1}'],
    ['no member', '{}'],
  ])('%s is malformed', (_name, text) => {
    expect(parseOpen(Buffer.from(text))).toBeUndefined();
  });

  it('bytes that are not UTF-8 are malformed', () => {
    const text = Buffer.from('{"subject":"aXb"}');
    text[text.indexOf('X')] = 0xff;
    expect(parseOpen(text)).toBeUndefined();
  });

  it('unknown members are ignored', () => {
    expect(parseOpen(bytes({ subject: 'a', later: { x: 1 } }))).toEqual({ subject: 'a' });
  });

  it('the vectors that are MALFORMED by their payload', () => {
    const found = readVectors().invalid.filter(
      ({ error, name }) => error === 'MALFORMED' && !name.startsWith('PING'),
    );
    expect(found).toHaveLength(2);
    for (const { hex, name } of found) {
      const frame = Buffer.from(hex, 'hex');
      const payload = frame.subarray(40, 40 + frame.readUInt32LE(12));
      const parse = name.startsWith('OPEN') ? parseOpen : parseSubscribe;
      expect(parse(payload), name).toBeUndefined();
    }
  });
});

describe('64-bit values', () => {
  const opened = (value: unknown) =>
    parseOpened(bytes({ subject: 'a', epoch: value, first: 1, next: '2' }))?.epoch;

  it.each([
    ['0', 0n],
    ['18446744073709551615', U64_MAX],
    [0, 0n],
    [Number.MAX_SAFE_INTEGER, 9007199254740991n],
  ])('%j is taken', (value, expected) => {
    expect(opened(value)).toBe(expected);
  });

  it.each(['18446744073709551616', '-1', '', ' 1', '1.0', '0x1', '1e3', -1, 1.5, 2 ** 53, null])(
    '%j is malformed',
    (value) => {
      expect(opened(value)).toBeUndefined();
    },
  );

  it('are sent as decimal strings', () => {
    const text = Buffer.from(encodePayload({ sequence: U64_MAX, none: undefined })).toString();
    expect(text).toBe('{"sequence":"18446744073709551615"}');
  });
});

describe('SUBSCRIBE', () => {
  const from = (value: unknown) => parseSubscribe(bytes({ subject: 'a', from: value }))?.from;

  it.each([
    ['new', 'new'],
    ['first', 'first'],
    ['last', 'last'],
    [
      { sequence: '7', epoch: '9' },
      { sequence: 7n, epoch: 9n },
    ],
    [{ sequence: 7, more: 1 }, { sequence: 7n }],
    [{ last: 10 }, { last: 10n }],
    [{ time: '1750000000123456789' }, { time: 1750000000123456789n }],
  ])('from %j', (value, expected) => {
    expect(from(value)).toEqual(expected);
  });

  it.each(['yesterday', 1, null, {}, { epoch: 1 }, { sequence: 1, last: 2 }, { last: -1 }, []])(
    'from %j is malformed',
    (value) => {
      expect(from(value)).toBeUndefined();
    },
  );

  it('everything but the subject may be left out', () => {
    expect(parseSubscribe(bytes({ subject: 'a' }))).toEqual({ subject: 'a', from: 'new' });
    expect(parseSubscribe(bytes({ subject: 'a', group: 'g', credit: 5 }))).toEqual({
      subject: 'a',
      from: 'new',
      group: 'g',
      credit: 5n,
    });
  });

  it.each([{ group: '' }, { group: 1 }, { credit: -1 }, { credit: 'x' }])(
    '%j is malformed',
    (more) => {
      expect(parseSubscribe(bytes({ subject: 'a', ...more }))).toBeUndefined();
    },
  );

  it('what is encoded is read back', () => {
    const value = {
      subject: 'a.>',
      from: { sequence: U64_MAX, epoch: 3n },
      group: 'g',
      credit: 10n,
    };
    expect(parseSubscribe(encodePayload(value))).toEqual(value);
    const answer = {
      subject: 'a',
      streams: [{ id: 2 ** 32 - 1, subject: 'a', epoch: 1n, next: 2n, reset: true }],
    };
    expect(parseSubscribed(encodePayload(answer))).toEqual(answer);
  });
});

describe('HELLO and WELCOME', () => {
  const nonce = Buffer.alloc(32, 7).toString('base64');
  const hello = (more: object) => parseHello(bytes({ versions: [1], ...more }));

  it.each([
    {},
    { client: 'x/1' },
    { integrity: ['siphash-2-4', 'xxh64', 'later'] },
    { auth: { method: 'token', token: 't' } },
    { auth: { method: 'hmac-sha256', keyId: 'a.B-9_', nonce } },
    { auth: { method: 'later' } },
  ])('%j is taken', (more) => {
    expect(hello(more)).toEqual({ versions: [1], ...more });
  });

  it.each([
    { versions: [] },
    { versions: ['1'] },
    { integrity: 'xxh64' },
    { auth: {} },
    { auth: { method: 'token' } },
    { auth: { method: 'hmac-sha256', keyId: 'a b', nonce } },
    { auth: { method: 'hmac-sha256', keyId: 'a', nonce: 'short' } },
    { auth: { method: 'hmac-sha256', keyId: 'a'.repeat(65), nonce } },
  ])('%j is malformed', (more) => {
    expect(hello(more)).toBeUndefined();
  });

  it("the protocol's own examples", () => {
    const welcome = {
      version: 1,
      server: 'memorystreamer/0.1.0',
      connection: 'c1',
      integrity: 'xxh64',
      maxFrame: 65536,
      heartbeatMs: 30000,
    };
    expect(parseWelcome(bytes(welcome))).toEqual(welcome);
    expect(parseWelcome(bytes({ ...welcome, heartbeatMs: 0 }))).toBeUndefined();
  });
});
