/** Inspected frames as lines for a person, at most 80 columns wide where the values allow it, or for a machine. */
import { FLAG_ACK_REQUESTED, FLAG_KEYED, FLAG_REDELIVERED } from '../frame/layout.js';
import { TYPE_ACK, TYPE_ERROR, TYPE_GAP } from '../frame/codes.js';
import {
  HEADER_FIELDS,
  type FrameFault,
  type FrameField,
  type InspectedFrame,
} from '../frame/inspect.js';
import { errorName, typeName } from '../frame/names.js';

const COLUMNS = 80;
/** Of a payload in the view by fields. */
const DUMP_BYTES_MAX = 64;
const DUMP_LINE_BYTES = 8;
const PREVIEW_BYTES = 128;

export const FLAG_NAMES: readonly (readonly [flag: number, name: string, letter: string])[] = [
  [FLAG_ACK_REQUESTED, 'ACK_REQUESTED', 'A'],
  [FLAG_REDELIVERED, 'REDELIVERED', 'R'],
  [FLAG_KEYED, 'KEYED', 'K'],
];

/** Names of the flags that are set; a bit that is not defined is `bit N`. */
function flagNames(flags: number): string[] {
  const known = FLAG_NAMES.filter(([flag]) => (flags & flag) !== 0).map(([, name]) => name);
  const defined = FLAG_NAMES.reduce((all, [flag]) => all | flag, 0);
  const others = Array.from({ length: 16 }, (_, bit) => bit).filter(
    (bit) => ((flags & ~defined) >> bit) & 1,
  );
  return [...known, ...others.map((bit) => `bit ${bit}`)];
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Bytes on one line: as text where they are text without control characters (what a stranger has sent must
 * not steer a terminal), else as hex.
 */
function preview(bytes: Uint8Array, columns: number): string {
  const front = bytes.subarray(0, PREVIEW_BYTES);
  const text = textOf(front) ?? Buffer.from(front).toString('hex');
  const all = Array.from(text);
  if (all.length <= columns && front.length === bytes.length) return text;
  return `${all.slice(0, columns - 1).join('')}…`;
}

function textOf(bytes: Uint8Array): string | undefined {
  // A cut may fall within a character: up to three of its bytes are left out.
  for (let less = 0; less <= Math.min(3, bytes.length); less++) {
    try {
      const text = utf8.decode(bytes.subarray(0, bytes.length - less));
      return /[\p{C}\p{Zl}\p{Zp}]/u.test(text) ? undefined : text;
    } catch {
      if (bytes.length < PREVIEW_BYTES) return undefined;
    }
  }
  return undefined;
}

/** A message that may quote what was received. */
function printable(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '?');
}

export const TABLE_HEAD = '  OFFSET TYPE         FLAG STREAM   SEQUENCE  BYTES  PAYLOAD\n';

/** One line, and two more where a check fails. */
export function tableRow(frame: InspectedFrame): string {
  const { offset, header, fields, fault } = frame;
  const row = (type: string, flags: string, stream: string, sequence: string, bytes: string) =>
    `${String(offset).padStart(8)} ${type.padEnd(12)} ${flags.padEnd(4)} ${stream.padStart(6)} ` +
    `${sequence.padStart(10)} ${bytes.padStart(6)}  `;
  let line: string;
  if (fields === undefined || fault?.error === 'BAD_MAGIC') {
    line = row('?', '', '', '', '');
    line += ascii(header).slice(0, COLUMNS - line.length);
  } else {
    const { type, flags, stream, sequence, payloadBytes } = fields;
    const letters = FLAG_NAMES.filter(([flag]) => (flags & flag) !== 0).map(([, , each]) => each);
    line = row(
      typeName(type),
      letters.join(''),
      `${stream}`,
      sequence.toString(),
      `${payloadBytes}`,
    );
    line += meaning(frame, Math.max(8, COLUMNS - line.length));
  }
  return `${line.trimEnd()}\n${fault === undefined ? '' : faultLines(fault)}`;
}

/** The payload in a few words. */
function meaning({ fields, payload }: InspectedFrame, columns: number): string {
  const { type, code } = fields!;
  const isU64 = payload.length === 8 && (type === TYPE_ACK || type === TYPE_GAP);
  if (isU64) {
    const value = payload.readBigUInt64LE();
    return type === TYPE_ACK ? `is sequence ${value}` : `next is ${value}`;
  }
  if (type !== TYPE_ERROR) return preview(payload, columns);
  const name = `${errorName(code)} `;
  return `${name}${preview(payload, Math.max(1, columns - name.length))}`;
}

function faultLines({ error, field, at, expected, found, fatal }: FrameFault): string {
  const end = fatal ? ' (nothing behind it counts)' : '';
  const values = [`expected ${expected}`, `found ${found}`].map(printable);
  const joined = values.join(', ');
  const lines = joined.length + 11 <= COLUMNS ? [joined] : values;
  return [`         ! ${error}: ${field} at byte ${at}${end}\n`]
    .concat(lines.map((line) => `           ${line}\n`))
    .join('');
}

/** Every field with its bytes. */
export function fieldRows(frame: InspectedFrame, number: number): string {
  const { offset, header, payload, fields, fault, bytes } = frame;
  const title = fields === undefined ? 'not whole' : typeName(fields.type);
  const size = bytes === 0 ? '' : `, ${bytes} bytes`;
  const lines = [`frame ${number} at byte ${offset}: ${title}${size}`];
  for (const field of fieldsOf(frame)) {
    if (field.offset >= header.length) break;
    const raw = header.subarray(field.offset, field.offset + field.bytes);
    lines.push(fieldRow(field.offset, raw, field.name, meaningOf(field, raw, frame)));
  }
  for (let at = 0; at < Math.min(payload.length, DUMP_BYTES_MAX); at += DUMP_LINE_BYTES) {
    const part = payload.subarray(at, Math.min(at + DUMP_LINE_BYTES, DUMP_BYTES_MAX));
    lines.push(fieldRow(header.length + at, part, at === 0 ? 'payload' : '', ascii(part)));
  }
  const more = payload.length - DUMP_BYTES_MAX;
  if (more > 0) lines.push(`          and ${more} bytes more`);
  const padding = bytes === 0 ? 0 : bytes - header.length - payload.length;
  if (padding > 0)
    lines.push(`${String(bytes - padding).padStart(6)}  ${padding} bytes of padding`);
  return `${lines.join('\n')}\n${fault === undefined ? '' : faultLines(fault)}\n`;
}

function fieldsOf({ fields }: InspectedFrame): readonly FrameField[] {
  if (fields === undefined || (fields.flags & FLAG_KEYED) === 0) return HEADER_FIELDS;
  return [...HEADER_FIELDS.slice(0, -2), { name: 'tag', offset: 32, bytes: 8 }];
}

function fieldRow(offset: number, raw: Uint8Array, name: string, value: string): string {
  const hex = Buffer.from(raw).toString('hex').padEnd(16);
  return `${String(offset).padStart(6)}  ${hex}  ${name.padEnd(15)} ${value}`.trimEnd();
}

function meaningOf(
  field: FrameField,
  raw: Buffer,
  { fault, bytes, isVerified }: InspectedFrame,
): string {
  if (raw.length < field.bytes) return 'cut off';
  const { name } = field;
  if (name === fault?.field)
    return `found ${printable(fault.found)}, expected ${printable(fault.expected)}`;
  if (name === 'magic') return 'MS';
  if (name === 'type') return typeName(raw[0]!);
  if (name === 'flags') return flagNames(raw.readUInt16LE()).join(', ') || 'none';
  if (name === 'tag') return bytes > 0 ? (isVerified ? 'right' : 'not verified') : '';
  if (name.endsWith('check')) return bytes > 0 ? 'right' : '';
  if (name === 'timestamp') return timeText(raw.readBigUInt64LE());
  const value = field.bytes === 8 ? raw.readBigUInt64LE() : raw.readUIntLE(0, field.bytes);
  return name === 'code' && value !== 0 ? `${value} ${errorName(Number(value))}` : `${value}`;
}

function timeText(nanoseconds: bigint): string {
  if (nanoseconds === 0n) return 'not given';
  const seconds = nanoseconds / 1_000_000_000n;
  const whole = new Date(Number(seconds) * 1000).toISOString().slice(0, -5);
  return `${whole}.${(nanoseconds % 1_000_000_000n).toString().padStart(9, '0')}Z`;
}

function ascii(bytes: Uint8Array): string {
  return Buffer.from(bytes)
    .toString('latin1')
    .replace(/[^ -~]/g, '.');
}

/** A line of JSON, which `frame encode` takes again. */
export function jsonRow({ offset, bytes, fields, payload, fault }: InspectedFrame): string {
  const head = fields && {
    type: typeName(fields.type).startsWith('type') ? fields.type : typeName(fields.type),
    flags: fields.flags,
    code: fields.code,
    stream: fields.stream,
    sequence: fields.sequence.toString(),
    timestamp: fields.timestamp.toString(),
    payload: payload.toString('hex'),
  };
  return `${JSON.stringify({ offset, bytes, ...head, ok: fault === undefined, fault })}\n`;
}
