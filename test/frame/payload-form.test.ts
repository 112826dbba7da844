import { expect, test } from 'vitest';
import * as codes from '../../src/frame/codes.js';
import { formFault } from '../../src/frame/payload-form.js';

const of = (type: number, payload: string | Uint8Array, from?: 'client' | 'server') => {
  const fault = formFault(type, Buffer.from(payload as string), from);
  return fault && [fault.code, fault.found];
};

test.each([
  [codes.TYPE_OPEN, '{"subject":"a.b","more":1}'],
  [codes.TYPE_SUBSCRIBE, '{"subject":"a.>","from":{"sequence":"7","epoch":1}}'],
  [codes.TYPE_PING, 'x'.repeat(64)],
  [codes.TYPE_GAP, '12345678'],
  [codes.TYPE_ERROR, 'grün'],
  [codes.TYPE_DATA, Buffer.of(0xff, 0)],
])('type %i may hold %s', (type, payload) => {
  expect(of(type, payload)).toBeUndefined();
});

test('what departs from its form says where', () => {
  expect(of(codes.TYPE_OPEN, Buffer.of(0xff))).toEqual([codes.CODE_MALFORMED, 'other bytes']);
  expect(of(codes.TYPE_OPEN, '{')?.[0]).toBe(codes.CODE_MALFORMED);
  expect(of(codes.TYPE_OPEN, '{}')?.[1]).toMatch(/^subject: /);
  expect(of(codes.TYPE_OPEN, '[]')?.[1]).toMatch(/^the object: /);
  expect(of(codes.TYPE_OPEN, '{"subject":"a.*"}')?.[0]).toBe(codes.CODE_BAD_SUBJECT);
  expect(of(codes.TYPE_SUBSCRIBE, '{"subject":"a.*"}')).toBeUndefined();
  expect(of(codes.TYPE_SUBSCRIBE, '{"subject":"a..b"}')?.[0]).toBe(codes.CODE_BAD_SUBJECT);
  expect(of(codes.TYPE_PING, 'x'.repeat(65))).toEqual([codes.CODE_MALFORMED, '65 bytes']);
  expect(of(codes.TYPE_GAP, '1234567')).toEqual([codes.CODE_MALFORMED, '7 bytes']);
  expect(of(codes.TYPE_GOODBYE, Buffer.of(0xc3))).toEqual([codes.CODE_MALFORMED, 'other bytes']);
});

test('an ACK holds 8 bytes, but of a client anything', () => {
  expect(of(codes.TYPE_ACK, '')).toEqual([codes.CODE_MALFORMED, '0 bytes']);
  expect(of(codes.TYPE_ACK, '', 'client')).toBeUndefined();
});
