/** What form the payload of each type has (docs/PROTOCOL.md, sections 2 to 5), and where a payload departs from it. */
import type { z } from 'zod';
import * as codes from './codes.js';
import * as payloads from './payloads.js';
import { patternFault, subjectFault } from './subject.js';

export interface FormFault {
  readonly code: number;
  readonly expected: string;
  readonly found: string;
}

const PING_BYTES_MAX = 64;

const SCHEMAS: ReadonlyMap<number, z.ZodType> = new Map<number, z.ZodType>([
  [codes.TYPE_HELLO, payloads.helloSchema],
  [codes.TYPE_WELCOME, payloads.welcomeSchema],
  [codes.TYPE_CHALLENGE, payloads.challengeSchema],
  [codes.TYPE_PROOF, payloads.proofSchema],
  [codes.TYPE_OPEN, payloads.subjectSchema],
  [codes.TYPE_OPENED, payloads.openedSchema],
  [codes.TYPE_SUBSCRIBE, payloads.subscribeSchema],
  [codes.TYPE_SUBSCRIBED, payloads.subscribedSchema],
  [codes.TYPE_UNSUBSCRIBE, payloads.subjectSchema],
  [codes.TYPE_UNSUBSCRIBED, payloads.subjectSchema],
  [codes.TYPE_CREDIT, payloads.subjectSchema],
]);

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Where the payload departs from its type's form, or undefined. DATA may hold anything. */
export function formFault(
  type: number,
  payload: Uint8Array,
  from: 'client' | 'server' | undefined,
): FormFault | undefined {
  const schema = SCHEMAS.get(type);
  if (schema !== undefined) return jsonFault(type, schema, payload);
  switch (type) {
    case codes.TYPE_PING:
    case codes.TYPE_PONG:
      return payload.length <= PING_BYTES_MAX
        ? undefined
        : malformed(`at most ${PING_BYTES_MAX} bytes`, `${payload.length} bytes`);
    case codes.TYPE_ACK:
      // An ACK of a client is counted and ignored, whatever it holds.
      return from === 'client' || payload.length === 8
        ? undefined
        : malformed('8 bytes', `${payload.length} bytes`);
    case codes.TYPE_GAP:
      return payload.length === 8 ? undefined : malformed('8 bytes', `${payload.length} bytes`);
    case codes.TYPE_ERROR:
    case codes.TYPE_GOODBYE:
      return textOf(payload) === undefined ? malformed('UTF-8', 'other bytes') : undefined;
    default:
      return undefined;
  }
}

function malformed(expected: string, found: string): FormFault {
  return { code: codes.CODE_MALFORMED, expected, found };
}

function textOf(payload: Uint8Array): string | undefined {
  try {
    return utf8.decode(payload);
  } catch {
    return undefined;
  }
}

function jsonFault(type: number, schema: z.ZodType, payload: Uint8Array): FormFault | undefined {
  const text = textOf(payload);
  if (text === undefined) return malformed('JSON in UTF-8', 'other bytes');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return malformed('JSON', error instanceof Error ? error.message : 'something else');
  }
  const result = schema.safeParse(value);
  if (!result.success) {
    const { path, message } = result.error.issues[0]!;
    const where = path.length === 0 ? 'the object' : path.join('.');
    return malformed('the schema of its type', `${where}: ${message}`);
  }
  return subjectOfFault(type, result.data);
}

/** Only what a client asks for can be a bad subject: the rest is the server's own. */
function subjectOfFault(type: number, value: unknown): FormFault | undefined {
  if (typeof value !== 'object' || value === null || !('subject' in value)) return undefined;
  const { subject } = value;
  if (typeof subject !== 'string') return undefined;
  const isPattern = type !== codes.TYPE_OPEN && type !== codes.TYPE_OPENED;
  const found = isPattern ? patternFault(subject) : subjectFault(subject);
  return found === undefined
    ? undefined
    : { code: codes.CODE_BAD_SUBJECT, expected: 'a subject of section 5', found };
}
