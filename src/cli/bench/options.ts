/** The command line of `bench`, and what follows from it for each thread. */
import { randomInt } from 'node:crypto';
import { parseDuration } from '../../config/units.js';
import { MemoryStreamerError } from '../../errors.js';
import { PAYLOAD_BYTES_MAX } from '../../frame/layout.js';
import { hasWildcard, patternFault, subjectFault } from '../../frame/subject.js';
import { numberOf, parseFlags, urlOf, usageError } from '../client-options.js';
import { CREDENTIAL_FLAGS, credentialOf } from '../credential-flags.js';
import { fromOf } from '../from-flag.js';
import { STAMP_BYTES } from './stamp.js';
import { shares, type AckMode, type BenchKind, type BenchTask } from './task.js';

const SUBJECT = 'bench';
const SIZE_BYTES = 128;
const RATE = 1_000;
const RATE_MAX = 1_000_000_000;
const DURATION_MS = 10_000;
const DURATION_MS_MAX = 24 * 3_600_000;
const WARMUP_MS = 500;
const WINDOW = 100;
const WINDOW_MAX = 1_000_000;
const CONNECTIONS_MAX = 100_000;
const THREADS_MAX = 256;
const RUN_MAX = 2 ** 32;

export interface BenchPlan {
  readonly kind: BenchKind;
  readonly subject: string;
  readonly url: string;
  readonly isJson: boolean;
  readonly sizeBytes: number;
  readonly connections: number;
  readonly streams: number;
  readonly rate: number | undefined;
  readonly count: number | undefined;
  readonly durationMs: number | undefined;
  readonly ack: AckMode;
  readonly window: number;
  readonly tasks: readonly BenchTask[];
}

/** Each flag with the kinds that take it; a kind that does not refuses it. */
const TAKEN_BY: Readonly<Record<string, readonly BenchKind[]>> = {
  size: ['pub', 'latency', 'rtt'],
  rate: ['pub', 'latency'],
  ack: ['pub'],
  window: ['pub'],
  streams: ['pub', 'sub'],
  from: ['sub'],
  warmup: ['latency', 'rtt'],
};

/** Undefined: help is wanted. Throws MS_ERR_USAGE, MS_ERR_SUBJECT and, for files of secrets, MS_ERR_INPUT. */
export function parseBench(argv: readonly string[]): BenchPlan | undefined {
  const { values, positionals } = parseFlags({
    args: [...argv],
    allowPositionals: true,
    options: {
      url: { type: 'string' },
      ...CREDENTIAL_FLAGS,
      size: { type: 'string' },
      rate: { type: 'string' },
      count: { type: 'string' },
      duration: { type: 'string' },
      warmup: { type: 'string' },
      connections: { type: 'string' },
      threads: { type: 'string' },
      streams: { type: 'string' },
      ack: { type: 'string' },
      window: { type: 'string' },
      from: { type: 'string' },
      json: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  if (values.help === true) return undefined;
  const { kind, subject } = whatOf(positionals);
  for (const [flag, kinds] of Object.entries(TAKEN_BY)) {
    if (flag in values && !kinds.includes(kind)) throw usageError(`bench ${kind} has no --${flag}`);
  }
  const connections = numberOf('connections', values.connections, 1, CONNECTIONS_MAX) ?? 1;
  const threads = numberOf('threads', values.threads, 1, THREADS_MAX) ?? 1;
  if (threads > connections) {
    throw usageError(
      `--threads ${threads}: at most one for each of the ${connections} connections`,
    );
  }
  const count = numberOf('count', values.count, threads, Number.MAX_SAFE_INTEGER);
  const stampBytes = kind === 'pub' ? 0 : STAMP_BYTES;
  const ack = ackOf(values.ack);
  const window = numberOf('window', values.window, 1, WINDOW_MAX);
  if (window !== undefined && ack !== 'each') throw usageError('--window needs --ack each');
  const plan = {
    kind,
    subject,
    url: urlOf(values.url),
    isJson: values.json === true,
    sizeBytes: numberOf('size', values.size, stampBytes, PAYLOAD_BYTES_MAX) ?? SIZE_BYTES,
    connections,
    streams: streamsOf(values.streams, subject),
    rate:
      numberOf('rate', values.rate, threads, RATE_MAX) ?? (kind === 'latency' ? RATE : undefined),
    count,
    durationMs: durationOf(kind, values.duration, count),
    ack,
    window: window ?? WINDOW,
  };
  const rest = {
    identity: credentialOf(values),
    warmupMs: durationFlag('warmup', values.warmup) ?? WARMUP_MS,
    from: fromOf(values.from ?? 'new'),
    run: randomInt(RUN_MAX),
  };
  return { ...plan, tasks: tasksOf(plan, threads, rest) };
}

function whatOf([kind = '', subject = SUBJECT, ...more]: readonly string[]): {
  kind: BenchKind;
  subject: string;
} {
  if (kind !== 'pub' && kind !== 'sub' && kind !== 'latency' && kind !== 'rtt') {
    throw usageError(
      kind === ''
        ? 'bench pub, sub, latency or rtt is wanted'
        : `bench ${JSON.stringify(kind)}: pub, sub, latency or rtt is wanted`,
    );
  }
  if (more.length > 0) throw usageError(`bench ${kind} takes one SUBJECT`);
  const fault = kind === 'sub' ? patternFault(subject) : subjectFault(subject);
  if (fault !== undefined) {
    throw new MemoryStreamerError('MS_ERR_SUBJECT', `${JSON.stringify(subject)}: ${fault}`);
  }
  return { kind, subject };
}

function ackOf(word = 'bulk'): AckMode {
  if (word === 'bulk' || word === 'each' || word === 'none') return word;
  throw usageError(`--ack ${JSON.stringify(word)}: bulk, each or none is wanted`);
}

function streamsOf(value: string | undefined, subject: string): number {
  const streams = numberOf('streams', value, 1, CONNECTIONS_MAX) ?? 1;
  if (streams > 1 && hasWildcard(subject)) {
    throw usageError('--streams is for a subject without wildcards');
  }
  return streams;
}

function durationFlag(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const milliseconds = parseDuration(text);
  if (milliseconds !== undefined && milliseconds <= DURATION_MS_MAX) return milliseconds;
  throw usageError(`--${flag} ${JSON.stringify(text)}: a time such as 500ms, 10s or 2m is wanted`);
}

/** Without a count it ends after a while; `sub` waits for whoever publishes. */
function durationOf(
  kind: BenchKind,
  text: string | undefined,
  count: number | undefined,
): number | undefined {
  const given = durationFlag('duration', text);
  return given ?? (count === undefined && kind !== 'sub' ? DURATION_MS : undefined);
}

function tasksOf(
  plan: Omit<BenchPlan, 'tasks'>,
  threads: number,
  rest: Pick<BenchTask, 'identity' | 'warmupMs' | 'from' | 'run'>,
): BenchTask[] {
  const { kind, url, sizeBytes, durationMs, ack, window } = plan;
  const connections = shares(plan.connections, threads);
  const counts = plan.count === undefined ? [] : shares(plan.count, threads);
  let first = 0;
  return connections.map((own, thread) => {
    const subjects = Array.from({ length: own }, (_, i) => subjectOf(plan, first + i));
    first += own;
    return {
      kind,
      url,
      subjects,
      sizeBytes,
      rate: plan.rate === undefined ? undefined : (plan.rate * own) / plan.connections,
      count: counts[thread],
      durationMs,
      ack,
      window,
      ...rest,
    };
  });
}

/** Pairs have streams of their own, else they would hear each other. */
function subjectOf({ kind, subject, streams }: Omit<BenchPlan, 'tasks'>, index: number): string {
  if (kind === 'latency' || kind === 'rtt') return `${subject}.${kind}.${index + 1}`;
  return streams === 1 ? subject : `${subject}.${(index % streams) + 1}`;
}
