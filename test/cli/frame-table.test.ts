import { expect, test } from 'vitest';
import { fieldRows, jsonRow, TABLE_HEAD, tableRow } from '../../src/cli/frame-table.js';
import { FrameKernel } from '../../src/frame/frame-kernel.js';
import { FrameInspector } from '../../src/frame/inspect.js';
import { newEncoder, readVectors } from '../frame/support.js';

const vectors = readVectors();

function inspected(bytes: Uint8Array) {
  const inspector = new FrameInspector(new FrameKernel(FrameInspector.areaBytes()));
  inspector.push(bytes);
  return (inspector.next() ?? inspector.end())!;
}

const named = (name: string) =>
  inspected(
    Buffer.from(
      [...vectors.valid, ...vectors.invalid].find((each) => each.name === name)!.hex,
      'hex',
    ),
  );

test('a row says what the frame says', () => {
  expect(TABLE_HEAD + tableRow(named('DATA, 11 bytes, ACK_REQUESTED'))).toBe(
    '  OFFSET TYPE         FLAG STREAM   SEQUENCE  BYTES  PAYLOAD\n' +
      '       0 DATA         A         7         42     11  hello world\n',
  );
  expect(tableRow(named('ACK'))).toMatch(/ {2}is sequence 77\n$/);
  expect(tableRow(named('GAP'))).toMatch(/ {2}next is 500\n$/);
  expect(tableRow(named('ERROR, code 10'))).toMatch(/ {2}UNKNOWN_STREAM no stream/);
});

test('a failed check follows in lines of its own', () => {
  expect(tableRow(named('payload changed on the way'))).toBe(
    '       0 DATA                   7         42     11  hello!world\n' +
      '         ! PAYLOAD_CORRUPT: payload check at byte 32\n' +
      '           expected 7ba8854c, found 68691eb2\n',
  );
});

test('rows of common values are at most 80 columns wide, whatever the payload', () => {
  const encoder = newEncoder();
  for (const payload of ['x'.repeat(3000), 'ü'.repeat(100), '世'.repeat(43), '\u0001'.repeat(50)]) {
    encoder.clear();
    encoder.put({
      type: 0x20,
      stream: 999_999,
      sequence: 9_999_999_999n,
      payload: Buffer.from(payload),
    });
    const lines = tableRow(inspected(encoder.view())).trimEnd().split('\n');
    expect(lines.filter((line) => Array.from(line).length > 80)).toEqual([]);
    expect(lines[0]).toMatch(/…$/);
  }
});

test('no byte of a payload, of a stranger or of a message steers the terminal', () => {
  const encoder = newEncoder();
  for (const text of ['\u001b[2J', 'a\u0007', '\u009b31m', '\u2028', '\u202ereversed', 'a\r\nb']) {
    encoder.clear();
    encoder.put({ type: 0x20, stream: 1, payload: Buffer.from(text) });
    encoder.put({ type: 0x10, sequence: 1n, payload: Buffer.from(`{${text}`) });
    const bytes = Buffer.from(encoder.view());
    const second = bytes.length - (40 + ((Buffer.byteLength(text) + 1 + 7) & ~7));
    for (const frame of [
      inspected(bytes),
      inspected(bytes.subarray(second)),
      inspected(Buffer.from(text)),
    ]) {
      for (const rows of [tableRow(frame), fieldRows(frame, 1)]) {
        expect(rows.replaceAll('\n', '')).not.toMatch(/[\p{C}\p{Zl}]/u);
      }
    }
  }
});

test('every field with its bytes', () => {
  expect(fieldRows(named('DATA, 11 bytes, ACK_REQUESTED'), 4)).toBe(
    `frame 4 at byte 0: DATA, 56 bytes
     0  4d53              magic           MS
     2  01                version         1
     3  20                type            DATA
     4  0100              flags           ACK_REQUESTED
     6  0000              code            0
     8  07000000          stream id       7
    12  0b000000          payload length  11
    16  2a00000000000000  sequence        42
    24  15cd4a6cba3f4918  timestamp       2025-06-15T15:06:40.123456789Z
    32  68691eb2          payload check   right
    36  1d1f727f          header check    right
    40  68656c6c6f20776f  payload         hello wo
    48  726c64                            rld
    51  5 bytes of padding

`,
  );
  expect(fieldRows(named('header check changed on the way'), 1)).toContain(
    '    36  5d124840          header check    found 5d124840, expected 5c124840\n',
  );
  expect(fieldRows(inspected(Buffer.from('4d5301200040', 'hex')), 1)).toContain('bit 14\n');
});

test('JSON has the fields, and the fault', () => {
  expect(JSON.parse(jsonRow(named('payload changed on the way')))).toEqual({
    offset: 0,
    bytes: 56,
    type: 'DATA',
    flags: 0,
    code: 0,
    stream: 7,
    sequence: '42',
    timestamp: '0',
    payload: Buffer.from('hello!world').toString('hex'),
    ok: false,
    fault: {
      error: 'PAYLOAD_CORRUPT',
      fatal: false,
      field: 'payload check',
      at: 32,
      expected: '7ba8854c',
      found: '68691eb2',
    },
  });
});
