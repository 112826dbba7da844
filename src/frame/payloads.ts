/**
 * The JSON payloads of the protocol (docs/PROTOCOL.md, sections 2 to 5): UTF-8 objects, unknown members
 * ignored, 64-bit values as decimal strings or numbers in, bigint here, decimal strings out. A subject is
 * any string here: whether it is a valid one has an error code of its own (`subject.ts`).
 */
import { z } from 'zod';

const U64_MAX = 2n ** 64n - 1n;
const U32_MAX = 2 ** 32 - 1;

/** 0 … 2^64 − 1. A number must be a safe integer: beyond those JSON has lost the value already. */
const u64 = z
  .union([z.string().regex(/^[0-9]{1,20}$/), z.number().int().nonnegative()])
  .transform((value) => BigInt(value))
  .refine((value) => value <= U64_MAX);

const u32 = z.number().int().min(0).max(U32_MAX);
const base64of32Bytes = z.string().regex(/^[A-Za-z0-9+/]{43}=$/);

const tokenAuth = z.object({ method: z.literal('token'), token: z.string() });
const hmacAuth = z.object({
  method: z.literal('hmac-sha256'),
  keyId: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/),
  nonce: base64of32Bytes,
});
/** A method that this version does not know is well-formed; whether it will do is not a matter of form. */
const otherAuth = z.object({
  method: z.string().refine((method) => method !== 'token' && method !== 'hmac-sha256'),
});

export const helloSchema = z.object({
  versions: z.array(z.number().int()).min(1),
  client: z.string().optional(),
  integrity: z.array(z.string()).optional(),
  auth: z.union([tokenAuth, hmacAuth, otherAuth]).optional(),
});

export const welcomeSchema = z.object({
  version: z.number().int(),
  server: z.string(),
  connection: z.string(),
  integrity: z.string(),
  maxFrame: z.number().int().positive(),
  heartbeatMs: z.number().int().positive(),
  proof: z.string().optional(),
});

export const challengeSchema = z.object({
  nonce: base64of32Bytes,
  version: z.number().int(),
  integrity: z.string(),
});

export const proofSchema = z.object({ proof: base64of32Bytes });

/** OPEN, UNSUBSCRIBE, UNSUBSCRIBED and CREDIT say a subject and nothing else. */
export const subjectSchema = z.object({ subject: z.string() });

export const openedSchema = z.object({ subject: z.string(), epoch: u64, first: u64, next: u64 });

/** One of the three places at once: `{"sequence": 1, "last": 2}` says two different things. */
const place = z
  .object({
    sequence: u64.optional(),
    epoch: u64.optional(),
    last: u64.optional(),
    time: u64.optional(),
  })
  .transform(({ sequence, epoch, last, time }, context): FromPlace => {
    const given = [sequence, last, time].filter((value) => value !== undefined).length;
    if (given === 1) {
      if (sequence !== undefined) return epoch === undefined ? { sequence } : { sequence, epoch };
      if (last !== undefined) return { last };
      return { time: time! };
    }
    context.addIssue({ code: 'custom', message: 'exactly one of sequence, last and time' });
    return z.NEVER;
  });

/** A place in a stream: a sequence (of an epoch), so many frames from the end, or a time in ns since the Unix epoch. */
export type FromPlace = { sequence: bigint; epoch?: bigint } | { last: bigint } | { time: bigint };

/** Where a subscription begins. `time` is in nanoseconds since the Unix epoch. */
export type From = 'new' | 'first' | 'last' | FromPlace;

export const subscribeSchema = z.object({
  subject: z.string(),
  from: z.union([z.enum(['new', 'first', 'last']), place]).default('new'),
  group: z.string().min(1).max(255).optional(),
  credit: u64.optional(),
});

export const subscribedSchema = z.object({
  subject: z.string(),
  streams: z.array(
    z.object({
      id: u32,
      subject: z.string(),
      epoch: u64,
      next: u64,
      reset: z.boolean().optional(),
    }),
  ),
});

export type Hello = z.output<typeof helloSchema>;
export type Welcome = z.output<typeof welcomeSchema>;
export type Challenge = z.output<typeof challengeSchema>;
export type Proof = z.output<typeof proofSchema>;
export type SubjectOnly = z.output<typeof subjectSchema>;
export type Opened = z.output<typeof openedSchema>;
export type Subscribe = z.output<typeof subscribeSchema>;
export type Subscribed = z.output<typeof subscribedSchema>;

// A byte order mark is no part of JSON: kept, so that it is refused.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** The payload's value, or undefined where it is MALFORMED: not UTF-8, not JSON, not of this schema. Never throws. */
export function parsePayload<Schema extends z.ZodType>(
  schema: Schema,
  bytes: Uint8Array,
): z.output<Schema> | undefined {
  let value: unknown;
  try {
    value = JSON.parse(utf8.decode(bytes));
  } catch {
    return undefined;
  }
  const result = schema.safeParse(value);
  return result.success ? result.data : undefined;
}

/** A payload as it is sent: bigints become decimal strings, undefined members are left out. */
export function encodePayload(value: object): Uint8Array {
  return encoder.encode(
    JSON.stringify(value, (_key, member: unknown) =>
      typeof member === 'bigint' ? member.toString() : member,
    ),
  );
}

export const parseHello = (bytes: Uint8Array): Hello | undefined =>
  parsePayload(helloSchema, bytes);
export const parseWelcome = (bytes: Uint8Array): Welcome | undefined =>
  parsePayload(welcomeSchema, bytes);
export const parseChallenge = (bytes: Uint8Array): Challenge | undefined =>
  parsePayload(challengeSchema, bytes);
export const parseProof = (bytes: Uint8Array): Proof | undefined =>
  parsePayload(proofSchema, bytes);
export const parseOpen = (bytes: Uint8Array): SubjectOnly | undefined =>
  parsePayload(subjectSchema, bytes);
export const parseOpened = (bytes: Uint8Array): Opened | undefined =>
  parsePayload(openedSchema, bytes);
export const parseSubscribe = (bytes: Uint8Array): Subscribe | undefined =>
  parsePayload(subscribeSchema, bytes);
export const parseSubscribed = (bytes: Uint8Array): Subscribed | undefined =>
  parsePayload(subscribedSchema, bytes);
export const parseSubjectOnly = (bytes: Uint8Array): SubjectOnly | undefined =>
  parsePayload(subjectSchema, bytes);
