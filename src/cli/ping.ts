/** `memorystreamer ping`: whether the broker answers, and how soon. For people and for health checks. */
import { setTimeout as delay } from 'node:timers/promises';
import { numberOf, parseFlags, urlOf, usageError } from './client-options.js';
import {
  CREDENTIAL_FLAGS,
  CREDENTIAL_HELP,
  credentialOf,
  type Identity,
} from './credential-flags.js';
import { EXIT_DONE } from './exit-codes.js';
import { Output } from './output.js';
import { withClient } from './with-client.js';

const TIMEOUT_MS = 5000;
const TIMEOUT_MS_MAX = 3_600_000;
const INTERVAL_MS = 1000;

const HELP = `memorystreamer ping: ask whether the broker answers, and how soon

Usage:
  memorystreamer ping [FLAGS]

It connects as any client does and sends PINGs, each after the answer to the one before. A line says
the round trip of each, and with --count a last one their least, median and greatest. It ends with
code 4 when the broker cannot be reached or does not answer in time.

Examples:
  memorystreamer ping
  memorystreamer ping --count 10 --interval 100
  memorystreamer ping --url ms://10.0.0.7:7878 --timeout 500

Flags:
  --count N      PINGs to send; default 1
  --interval MS  between an answer and the next PING; default ${INTERVAL_MS}
  --timeout MS   for the connection, and for each answer; default ${TIMEOUT_MS}
  --url URL      the broker; else MEMORYSTREAMER_URL, else ms://127.0.0.1:7878
${CREDENTIAL_HELP}
  --help
`;

interface PingOptions {
  url: string;
  identity: Identity;
  count: number;
  intervalMs: number;
  timeoutMs: number;
}

/** Runs the command; answers its exit code, or throws a MemoryStreamerError. */
export async function runPing(argv: readonly string[]): Promise<number> {
  const options = parse(argv);
  if (options === undefined) {
    process.stdout.write(HELP);
    return EXIT_DONE;
  }
  const { url, timeoutMs } = options;
  await withClient('ping', url, { ...options.identity, connectTimeoutMs: timeoutMs }, (client) =>
    pingAll((each) => client.ping(each), options, new Output(process.stdout)),
  );
  return EXIT_DONE;
}

function parse(argv: readonly string[]): PingOptions | undefined {
  const { values, positionals } = parseFlags({
    args: [...argv],
    allowPositionals: true,
    options: {
      url: { type: 'string' },
      ...CREDENTIAL_FLAGS,
      count: { type: 'string' },
      interval: { type: 'string' },
      timeout: { type: 'string' },
      help: { type: 'boolean' },
    },
  });
  if (values.help === true) return undefined;
  if (positionals.length > 0) throw usageError('ping takes no argument; the broker is --url');
  return {
    url: urlOf(values.url),
    identity: credentialOf(values),
    count: numberOf('count', values.count, 1, 1_000_000) ?? 1,
    intervalMs: numberOf('interval', values.interval, 0, TIMEOUT_MS_MAX) ?? INTERVAL_MS,
    timeoutMs: numberOf('timeout', values.timeout, 1, TIMEOUT_MS_MAX) ?? TIMEOUT_MS,
  };
}

async function pingAll(
  ping: (options: { timeoutMs: number }) => Promise<number>,
  { url, count, intervalMs, timeoutMs }: PingOptions,
  output: Output,
): Promise<void> {
  const tripsMs: number[] = [];
  while (tripsMs.length < count && !output.gone) {
    if (tripsMs.length > 0) await delay(intervalMs);
    const tripMs = await ping({ timeoutMs });
    tripsMs.push(tripMs);
    await output.write(Buffer.from(`pong from ${url} in ${tripMs.toFixed(3)} ms\n`));
  }
  if (count > 1) await output.write(Buffer.from(summary(tripsMs)));
}

function summary(tripsMs: readonly number[]): string {
  const sorted = tripsMs.toSorted((a, b) => a - b);
  const at = (part: number) => sorted[Math.floor((sorted.length - 1) * part)]!.toFixed(3);
  return `${sorted.length} answers: min ${at(0)} ms, median ${at(0.5)} ms, max ${at(1)} ms\n`;
}
