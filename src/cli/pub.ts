/** `memorystreamer pub`: a frame for each line of the input, acknowledged. */
import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from '../client/client.js';
import type { Publisher } from '../client/publisher.js';
import { systemClock } from '../clock.js';
import { MemoryStreamerError } from '../errors.js';
import { PAYLOAD_BYTES_MAX } from '../frame/layout.js';
import { numberOf, parseFlags, subjectOf, urlOf, usageError } from './client-options.js';
import {
  CREDENTIAL_FLAGS,
  CREDENTIAL_HELP,
  credentialOf,
  type Identity,
} from './credential-flags.js';
import { EXIT_DONE } from './exit-codes.js';
import { withClient } from './with-client.js';

const READ_BYTES = 256 * 1024;
const PROGRESS_MS = 200;
const NEWLINE = 0x0a;
const RATE_MAX = 1_000_000_000;

const HELP = `memorystreamer pub: publish to a stream

Usage:
  memorystreamer pub SUBJECT [FLAGS]

A frame for each line of standard input: the line's bytes without its "\\n". An empty line is an empty
frame, and a last line without "\\n" counts. A frame holds at most ${PAYLOAD_BYTES_MAX} bytes. It ends
when the broker has acknowledged every frame.

Examples:
  echo hello | memorystreamer pub orders.eu
  memorystreamer pub logs.web --file access.log
  memorystreamer pub disk.image --file disk.img --raw --size 65496
  memorystreamer pub load.test --size 128 --count 1000000
  memorystreamer pub load.test --size 128 --count 1000 --rate 100

Flags:
  --file PATH   read a file instead of standard input
  --raw         a frame for each --size bytes of the input, lines or not
  --size N      bytes in a frame, with --raw or --count
  --count N     generate N frames of --size bytes, and read nothing
  --rate N      at most N frames a second
  --url URL     the broker; else MEMORYSTREAMER_URL, else ms://127.0.0.1:7878
${CREDENTIAL_HELP}
  --help
`;

type Source =
  | { kind: 'lines' }
  | { kind: 'chunks'; sizeBytes: number }
  | { kind: 'generated'; sizeBytes: number; count: number };

interface PubOptions {
  subject: string;
  url: string;
  identity: Identity;
  file: string | undefined;
  source: Source;
  rate: number | undefined;
}

/** Runs the command; answers its exit code, or throws a MemoryStreamerError. */
export async function runPub(argv: readonly string[]): Promise<number> {
  const options = parse(argv);
  if (options === undefined) {
    process.stdout.write(HELP);
    return EXIT_DONE;
  }
  await withClient('pub', options.url, options.identity, async (client) => {
    await publishAll(client, await client.publisher(options.subject), options);
    await client.drain();
  });
  return EXIT_DONE;
}

function parse(argv: readonly string[]): PubOptions | undefined {
  const { values, positionals } = parseFlags({
    args: [...argv],
    allowPositionals: true,
    options: {
      url: { type: 'string' },
      ...CREDENTIAL_FLAGS,
      file: { type: 'string' },
      raw: { type: 'boolean' },
      size: { type: 'string' },
      count: { type: 'string' },
      rate: { type: 'string' },
      help: { type: 'boolean' },
    },
  });
  if (values.help === true) return undefined;
  const { file, raw = false } = values;
  const size = numberOf('size', values.size, raw ? 1 : 0, PAYLOAD_BYTES_MAX);
  const count = numberOf('count', values.count, 0, Number.MAX_SAFE_INTEGER);
  return {
    subject: subjectOf('pub', positionals),
    url: urlOf(values.url),
    identity: credentialOf(values),
    file,
    source: sourceOf(raw, size, count, file),
    rate: numberOf('rate', values.rate, 1, RATE_MAX),
  };
}

function sourceOf(
  raw: boolean,
  sizeBytes: number | undefined,
  count: number | undefined,
  file: string | undefined,
): Source {
  if (count !== undefined) {
    if (sizeBytes === undefined) throw usageError('--count needs --size');
    if (raw || file !== undefined) throw usageError('--count generates, and reads no input');
    return { kind: 'generated', sizeBytes, count };
  }
  if (raw) {
    if (sizeBytes === undefined) throw usageError('--raw needs --size');
    return { kind: 'chunks', sizeBytes };
  }
  if (sizeBytes !== undefined) throw usageError('--size needs --raw or --count');
  return { kind: 'lines' };
}

async function publishAll(
  client: Client,
  publisher: Publisher,
  { source, file, rate }: PubOptions,
): Promise<void> {
  const report = () =>
    `published ${publisher.sentCount} frames, ${publisher.acknowledgedCount} acknowledged`;
  const stopProgress = startProgress(report);
  const sender = new Sender(publisher, rate);
  try {
    try {
      if (source.kind === 'generated') await sendGenerated(sender, source);
      else await sendInput(client, sender, source, file);
    } finally {
      // What came before a fault of the input is published all the same.
      await publisher.flush();
    }
  } finally {
    stopProgress();
    process.stderr.write(`${report()}\n`);
  }
}

/** A line that is written over again and again, where a person can see it. */
function startProgress(report: () => string): () => void {
  if (!process.stderr.isTTY) return () => undefined;
  const timer = setInterval(() => process.stderr.write(`\r${report()}`), PROGRESS_MS);
  return () => {
    clearInterval(timer);
    process.stderr.write('\r');
  };
}

/** Hands frames to the publisher, no faster than `rate` and than the broker takes them. */
class Sender {
  readonly #publisher: Publisher;
  readonly #rate: number | undefined;
  readonly #startMs = systemClock.monotonicMs();
  #count = 0;

  constructor(publisher: Publisher, rate: number | undefined) {
    this.#publisher = publisher;
    this.#rate = rate;
  }

  /** Whether the broker has refused a frame: the rest is not worth sending. */
  get refused(): boolean {
    return this.#publisher.refusedCount > 0;
  }

  /** True: go on at once. Else wait for the promise. */
  send(bytes: Uint8Array, start: number, end: number): true | Promise<true> {
    if (this.#rate !== undefined) return this.#sendInTime(this.#rate, bytes, start, end);
    return this.#publisher.sendRange(bytes, start, end);
  }

  async #sendInTime(rate: number, bytes: Uint8Array, start: number, end: number): Promise<true> {
    const dueMs = this.#startMs + (this.#count++ * 1000) / rate;
    const aheadMs = dueMs - systemClock.monotonicMs();
    if (aheadMs > 0) await delay(aheadMs);
    return this.#publisher.sendRange(bytes, start, end);
  }
}

async function sendGenerated(
  sender: Sender,
  { sizeBytes, count }: { sizeBytes: number; count: number },
): Promise<void> {
  const payload = Buffer.alloc(sizeBytes, 'x');
  for (let i = 0; i < count && !sender.refused; i++) {
    const sent = sender.send(payload, 0, sizeBytes);
    if (sent !== true) await sent;
  }
}

async function sendInput(
  client: Client,
  sender: Sender,
  source: Source,
  file: string | undefined,
): Promise<void> {
  const input: Readable =
    file === undefined ? process.stdin : createReadStream(file, { highWaterMark: READ_BYTES });
  // Input that never comes must not hide that the connection is gone.
  client.once('error', (error) => input.destroy(error));
  const splitter =
    source.kind === 'chunks'
      ? new ChunkSplitter(sender, source.sizeBytes)
      : new LineSplitter(sender);
  try {
    for await (const chunk of input) {
      await splitter.push(chunk as Buffer);
      if (sender.refused) return;
    }
  } catch (error) {
    if (error instanceof MemoryStreamerError) throw error;
    const { message } = error as Error;
    const name = file ?? 'standard input';
    throw new MemoryStreamerError('MS_ERR_INPUT', `${name} cannot be read: ${message}`, {
      cause: error,
    });
  }
  await splitter.end();
}

/** Lines out of pieces: bytes unchanged, without their `\n`. */
class LineSplitter {
  readonly #sender: Sender;
  #lineNumber = 1;
  /** The beginning of a line whose end has not come. */
  #partial: Buffer[] = [];
  #partialBytes = 0;

  constructor(sender: Sender) {
    this.#sender = sender;
  }

  async push(chunk: Buffer): Promise<void> {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(NEWLINE, start);
      if (end < 0) break;
      const sent =
        this.#partialBytes > 0 ? this.#joined(chunk, start, end) : this.#line(chunk, start, end);
      if (sent !== true) await sent;
      start = end + 1;
    }
    if (start === chunk.length) return;
    this.#partial.push(chunk.subarray(start));
    this.#partialBytes += chunk.length - start;
    this.#check(this.#partialBytes);
  }

  async end(): Promise<void> {
    if (this.#partialBytes > 0) await this.#joined(Buffer.alloc(0), 0, 0);
  }

  #joined(chunk: Buffer, start: number, end: number): true | Promise<true> {
    const line = Buffer.concat([...this.#partial, chunk.subarray(start, end)]);
    this.#partial = [];
    this.#partialBytes = 0;
    return this.#line(line, 0, line.length);
  }

  #line(bytes: Buffer, start: number, end: number): true | Promise<true> {
    this.#check(end - start);
    this.#lineNumber++;
    return this.#sender.send(bytes, start, end);
  }

  #check(lineBytes: number): void {
    if (lineBytes <= PAYLOAD_BYTES_MAX) return;
    throw new MemoryStreamerError(
      'MS_ERR_FRAME_TOO_LARGE',
      `line ${this.#lineNumber} is longer than the ${PAYLOAD_BYTES_MAX} bytes that a frame holds`,
    );
  }
}

/** Pieces of one size, the last one shorter where the input ends there. */
class ChunkSplitter {
  readonly #sender: Sender;
  readonly #sizeBytes: number;
  #rest: Buffer = Buffer.alloc(0);

  constructor(sender: Sender, sizeBytes: number) {
    this.#sender = sender;
    this.#sizeBytes = sizeBytes;
  }

  async push(chunk: Buffer): Promise<void> {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const size = this.#sizeBytes;
    let start = 0;
    for (; start + size <= bytes.length; start += size) {
      const sent = this.#sender.send(bytes, start, start + size);
      if (sent !== true) await sent;
    }
    this.#rest = bytes.subarray(start);
  }

  async end(): Promise<void> {
    if (this.#rest.length > 0) await this.#sender.send(this.#rest, 0, this.#rest.length);
  }
}
