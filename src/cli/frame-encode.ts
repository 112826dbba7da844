/** `memorystreamer frame encode`: frames out of JSON. */
import { z } from 'zod';
import { FrameEncoder, type FrameFields } from '../frame/codec.js';
import { FrameKernel, FrameKey } from '../frame/frame-kernel.js';
import { FLAG_KEYED, FRAME_BYTES_MAX, KEY_COUNTER, PAYLOAD_BYTES_MAX } from '../frame/layout.js';
import type { InspectorKey } from '../frame/inspect.js';
import { FRAME_TYPES } from '../frame/names.js';
import { parseFlags, usageError } from './client-options.js';
import { EXIT_DONE } from './exit-codes.js';
import { inputError, KEY_FLAGS, keyOf, readObjects } from './frame-input.js';
import { FLAG_NAMES } from './frame-table.js';
import { Output } from './output.js';

const U64_MAX = 2n ** 64n - 1n;
const FLAGS = new Map(FLAG_NAMES.map(([flag, name]) => [name, flag]));
const TYPES = new Map(FRAME_TYPES.map(({ type, name }) => [name, type]));

const u64 = z
  .union([z.string().regex(/^[0-9]{1,20}$/), z.number().int().nonnegative()])
  .transform((value) => BigInt(value))
  .refine((value) => value <= U64_MAX, 'at most 2^64 - 1');

const frameSchema = z
  .strictObject({
    type: z.union([z.enum([...TYPES.keys()]), z.number().int().min(1).max(255)]),
    flags: z
      .union([z.number().int().min(0).max(0xffff), z.array(z.enum([...FLAGS.keys()]))])
      .default(0),
    code: z.number().int().min(0).max(0xffff).default(0),
    stream: z
      .number()
      .int()
      .min(0)
      .max(2 ** 32 - 1)
      .default(0),
    sequence: u64.default(0n),
    timestamp: u64.default(0n),
    payload: z
      .string()
      .regex(/^([0-9A-Fa-f]{2})*$/, 'pairs of hex digits')
      .optional(),
    text: z.string().optional(),
    json: z.looseObject({}).optional(),
    // What `frame decode --json` says besides.
    offset: z.unknown().optional(),
    bytes: z.unknown().optional(),
    ok: z.unknown().optional(),
    fault: z.unknown().optional(),
  })
  .refine(
    ({ payload, text, json }) => [payload, text, json].filter((x) => x !== undefined).length <= 1,
    'one of payload (hex), text and json says what the payload is',
  );

/** Runs the command. Throws MS_ERR_INPUT, with the number of the object, and MS_ERR_USAGE. */
export async function runEncode(argv: readonly string[]): Promise<number> {
  const { file, isRaw, key } = parse(argv);
  const kernel = new FrameKernel(FRAME_BYTES_MAX + FrameKey.areaBytes);
  const encoder = new FrameEncoder(kernel, FRAME_BYTES_MAX, keyIn(kernel, key));
  const output = new Output(process.stdout);
  let number = 0;
  for await (const value of readObjects(file)) {
    number++;
    encoder.put(
      fieldsOf(value, key !== undefined, (why) => inputError(file, `object ${number}: ${why}`)),
    );
    const bytes = encoder.view();
    await output.write(isRaw ? bytes : Buffer.from(`${bytes.toString('hex')}\n`));
    encoder.clear();
    if (output.gone) break;
  }
  return EXIT_DONE;
}

/** The key with its counter, in the kernel's memory; every frame is keyed by it. */
function keyIn(kernel: FrameKernel, given: InspectorKey | undefined): FrameKey {
  const key = new FrameKey(kernel);
  if (given !== undefined) {
    key.set(given.secret);
    kernel.u64[(key.byteOffset + KEY_COUNTER) >>> 3] = given.counter;
  }
  return key;
}

interface EncodeOptions {
  file: string | undefined;
  isRaw: boolean;
  key: InspectorKey | undefined;
}

function parse(argv: readonly string[]): EncodeOptions {
  const { values, positionals } = parseFlags({
    args: [...argv],
    allowPositionals: true,
    options: {
      hex: { type: 'boolean', default: false },
      raw: { type: 'boolean', default: false },
      ...KEY_FLAGS,
    },
  });
  if (values.hex && values.raw) throw usageError('--hex and --raw exclude each other');
  if (positionals.length > 1) {
    throw usageError(`frame encode takes one FILE, not ${positionals.length}`);
  }
  const key = keyOf(values['key-file'], values.counter);
  return { file: positionals[0], isRaw: values.raw, key };
}

function fieldsOf(value: unknown, isKeyed: boolean, refused: (why: string) => Error): FrameFields {
  const result = frameSchema.safeParse(value);
  if (!result.success) {
    const { path, message } = result.error.issues[0]!;
    throw refused(path.length === 0 ? message : `${path.join('.')}: ${message}`);
  }
  const { type, flags, payload, text, json, code, stream, sequence, timestamp } = result.data;
  const bytes =
    payload === undefined
      ? Buffer.from(text ?? (json === undefined ? '' : JSON.stringify(json)))
      : Buffer.from(payload, 'hex');
  if (bytes.length > PAYLOAD_BYTES_MAX) {
    throw refused(`a payload has at most ${PAYLOAD_BYTES_MAX} bytes, this one ${bytes.length}`);
  }
  const word =
    typeof flags === 'number' ? flags : flags.reduce((all, name) => all | FLAGS.get(name)!, 0);
  if ((word & FLAG_KEYED) !== 0 && !isKeyed) throw refused('a KEYED frame needs a key');
  return {
    type: typeof type === 'number' ? type : TYPES.get(type)!,
    flags: word,
    code,
    stream,
    sequence,
    timestamp,
    payload: bytes,
  };
}
