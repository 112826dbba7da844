/** `memorystreamer sub`: what is published, on standard output. */
import type { Client } from '../client/client.js';
import type { Message, Subscription } from '../client/subscription.js';
import type { From } from '../frame/payloads.js';
import { numberOf, parseFlags, subjectOf, urlOf, usageError } from './client-options.js';
import {
  CREDENTIAL_FLAGS,
  CREDENTIAL_HELP,
  credentialOf,
  type Identity,
} from './credential-flags.js';
import { EXIT_DONE } from './exit-codes.js';
import { fromOf } from './from-flag.js';
import { Output } from './output.js';
import { onSignals } from './signals.js';
import { withClient } from './with-client.js';

const HELP = `memorystreamer sub: print what is published

Usage:
  memorystreamer sub SUBJECT [FLAGS]

SUBJECT may hold wildcards: "*" for one token, ">" as the last one for one or more. Each frame is
printed with "\\n" behind it. Standard error says "subscribed SUBJECT" once the broker has taken the
subscription, and tells every gap. It ends by SIGINT, or when its reader is gone.

Examples:
  memorystreamer sub orders.eu
  memorystreamer sub 'orders.>' --from first --json
  memorystreamer sub orders.eu --from last:10 --count 10
  memorystreamer sub disk.image --from first --raw > disk.img

Flags:
  --from WHERE  new (the default), first (the oldest retained), last (the newest, then on),
                seq:N, last:N (the newest N), time:NS (since then, in ns since 1970)
  --count N     end after N frames
  --json        a line of JSON for each frame: subject, stream, sequence, timestamp, payload (base64)
  --raw         payloads only, with nothing between them
  --url URL     the broker; else MEMORYSTREAMER_URL, else ms://127.0.0.1:7878
${CREDENTIAL_HELP}
  --help
`;

type Format = 'lines' | 'json' | 'raw';

interface SubOptions {
  subject: string;
  url: string;
  identity: Identity;
  from: From;
  count: number;
  format: Format;
}

/** Runs the command; answers its exit code, or throws a MemoryStreamerError. */
export async function runSub(argv: readonly string[]): Promise<number> {
  const options = parse(argv);
  if (options === undefined) {
    process.stdout.write(HELP);
    return EXIT_DONE;
  }
  await withClient('sub', options.url, options.identity, (client) => printAll(client, options));
  return EXIT_DONE;
}

function parse(argv: readonly string[]): SubOptions | undefined {
  const { values, positionals } = parseFlags({
    args: [...argv],
    allowPositionals: true,
    options: {
      url: { type: 'string' },
      ...CREDENTIAL_FLAGS,
      from: { type: 'string', default: 'new' },
      count: { type: 'string' },
      json: { type: 'boolean' },
      raw: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  if (values.help === true) return undefined;
  const { json = false, raw = false } = values;
  if (json && raw) throw usageError('--json and --raw exclude each other');
  return {
    subject: subjectOf('sub', positionals),
    url: urlOf(values.url),
    identity: credentialOf(values),
    from: fromOf(values.from),
    count: numberOf('count', values.count, 1, Number.MAX_SAFE_INTEGER) ?? Infinity,
    format: json ? 'json' : raw ? 'raw' : 'lines',
  };
}

async function printAll(
  client: Client,
  { subject, from, count, format }: SubOptions,
): Promise<void> {
  const subscription = client.subscribe(subject, { from });
  const output = new Output(process.stdout);
  const stop = () => void subscription.unsubscribe();
  const forgetSignals = onSignals(stop);
  output.onGone(stop);
  tellLosses(subscription);
  try {
    await subscription.ready;
    process.stderr.write(`subscribed ${subject}\n`);
    await print(subscription, output, count, format);
  } finally {
    forgetSignals();
  }
}

function tellLosses(subscription: Subscription): void {
  subscription.on('gap', ({ subject, from, to }) => {
    process.stderr.write(`gap ${subject} from ${from} to ${to}: ${to - from + 1n} frames lost\n`);
  });
  subscription.on('reset', ({ subject }) => {
    process.stderr.write(`reset ${subject}: reading its oldest frame on\n`);
  });
}

async function print(
  subscription: Subscription,
  output: Output,
  count: number,
  format: Format,
): Promise<void> {
  const formatted = FORMATS[format];
  let left = count;
  for await (const batch of subscription.batches()) {
    const messages = batch.length > left ? batch.slice(0, left) : batch;
    await output.write(formatted(messages));
    left -= messages.length;
    if (left === 0 || output.gone) return;
  }
}

const FORMATS: Readonly<Record<Format, (messages: readonly Message[]) => Buffer>> = {
  lines: (messages) => joined(messages, 1),
  raw: (messages) => joined(messages, 0),
  json: (messages) => Buffer.from(messages.map(jsonLine).join('')),
};

/** All payloads in one buffer, each followed by `newlines` newlines. */
function joined(messages: readonly Message[], newlines: 0 | 1): Buffer {
  let byteCount = 0;
  for (const { payload } of messages) byteCount += payload.length + newlines;
  const bytes = Buffer.allocUnsafe(byteCount);
  let at = 0;
  for (const { payload } of messages) {
    bytes.set(payload, at);
    at += payload.length;
    if (newlines === 1) bytes[at++] = 0x0a;
  }
  return bytes;
}

function jsonLine({ subject, stream, sequence, timestamp, payload }: Message): string {
  const base64 = Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString('base64');
  const head = `{"subject":${JSON.stringify(subject)},"stream":${stream}`;
  return `${head},"sequence":"${sequence.toString()}","timestamp":"${timestamp.toString()}","payload":"${base64}"}\n`;
}
