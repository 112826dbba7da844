/**
 * Every configuration key, once. Flags, names in the environment, convict's schema, the types, the help
 * text, docs/CONFIGURATION.md and the sample file all follow from this table.
 */
import {
  address,
  duration,
  field,
  integer,
  integerOr,
  listOf,
  oneOf,
  optionalField,
  size,
  subjectPattern,
  truth,
  type Kind,
} from './kinds.js';
import { credentialList } from './credentials.js';
import { GIB, KIB, MIB } from './units.js';

/** Whether a change of the key is taken by a broker that runs, or by the next one. */
export type Apply = 'hot' | 'restart';

interface Entry<Value> extends Kind<Value> {
  readonly standard: Value;
  readonly apply: Apply;
  readonly doc: string;
  readonly shortFlag: string | undefined;
}

function entry<Value>(
  kind: Kind<Value>,
  standard: NoInfer<Value>,
  apply: Apply,
  doc: string,
  shortFlag?: string,
): Entry<Value> {
  return { ...kind, standard, apply, doc, shortFlag };
}

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

/** A thread is a bit of a 64-bit mask, and main is one of them. */
const SHARDS_MAX = 63;
/** WebAssembly's memory, and with it the arena, is addressed by 32 bits. */
const ARENA_BYTES_MAX = 4 * GIB;

const STREAM_OVERRIDES_MAX = 1_000;

/** What some streams have in place of `streams.default`; what is not there is as in the default. */
export interface StreamOverride {
  readonly subject: string;
  readonly retention?: { readonly bytes?: number };
  readonly onFull?: 'block' | 'evict';
}

const retentionBytes = size(64 * KIB, ARENA_BYTES_MAX);
const onFull = oneOf('block', 'evict');

export const KEYS = {
  'listen.host': entry(
    address(),
    '127.0.0.1',
    'restart',
    'Address to listen on. One that other machines reach, such as "0.0.0.0" or "::", needs ' +
      'auth.required, or listen.insecure where nobody is to be asked who they are.',
    'host',
  ),
  'listen.port': entry(
    integer(0, 65535),
    7878,
    'restart',
    'TCP port to listen on. 0 takes a free one, which the ready line names.',
    'port',
  ),
  'listen.insecure': entry(
    truth(),
    false,
    'restart',
    'Listens also on an address that other machines reach, where anybody may publish and subscribe.',
  ),
  shards: entry(
    integerOr('auto', 1, SHARDS_MAX),
    'auto',
    'restart',
    'Threads that serve connections. "auto" chooses by the CPUs that the process may use.',
  ),
  'memory.arena': entry(
    size(16 * MIB, ARENA_BYTES_MAX),
    GIB,
    'restart',
    'Shared memory that holds all streams and connections; the machine gives it page by page, as it is ' +
      'used. Whole pages of 64KiB count. At most 60% of what the machine or its control group allows: ' +
      'the default is lowered to fit, a larger value is refused.',
  ),
  'memory.prefault': entry(
    size(0, ARENA_BYTES_MAX),
    64 * MIB,
    'restart',
    'What of memory.arena is taken from the machine before the broker is ready, and kept: until streams hold ' +
      'so much none waits for memory that is new, and the start takes longer. As much as memory.arena or more ' +
      'takes all of it but its tables; the rest comes as it is used, and goes back when nobody has needed it for some seconds.',
  ),
  'limits.connections': entry(
    integer(1, 1_000_000),
    10_000,
    'restart',
    'Connections at once. Each needs a file descriptor (see "ulimit -n"): the default is lowered to what ' +
      'the process may have, a larger value is refused.',
  ),
  'limits.streams': entry(integer(1, 65535), 16_384, 'restart', 'Streams at once.'),
  'limits.subscriptions': entry(
    integer(1, 65535),
    1_024,
    'hot',
    'Subscriptions of one connection.',
  ),
  'limits.publications': entry(
    integer(1, 65535),
    4_096,
    'hot',
    'Streams that one connection has open for publishing.',
  ),
  'streams.default.retention.bytes': entry(
    retentionBytes,
    64 * MIB,
    'hot',
    'What a stream keeps for replay; the oldest frames go first. At most half of memory.arena: the ' +
      'default is lowered to fit, a larger value is refused. It holds for streams that begin after it was set.',
  ),
  'streams.default.onFull': entry(
    onFull,
    'block',
    'hot',
    'What a full stream does while a subscriber is behind: "block" makes publishers wait, "evict" drops ' +
      'the oldest frames, which the subscriber is told as a gap. It holds for streams that begin after it was set.',
  ),
  'streams.overrides': entry(
    listOf<StreamOverride>(
      {
        subject: field(subjectPattern(), 'The streams that are meant.'),
        'retention.bytes': optionalField(retentionBytes, 'As streams.default.retention.bytes.'),
        onFull: optionalField(onFull, 'As streams.default.onFull.'),
      },
      STREAM_OVERRIDES_MAX,
    ),
    [],
    'hot',
    'What streams of some subjects have in place of streams.default. The first item whose subject covers ' +
      "the stream's counts, whole. It holds for streams that begin after it was set.",
  ),
  'auth.required': entry(
    truth(),
    false,
    'hot',
    'Whether a client must say who it is, by one of the credentials, before anything else. Where it is set ' +
      'to true, connections that have not said so are ended.',
  ),
  'auth.integrity': entry(
    oneOf('any', 'siphash-2-4'),
    'any',
    'hot',
    'What frames are protected by: "any" leaves it to the client, "siphash-2-4" takes keyed connections ' +
      'only, which come by "hmac-sha256"; others that are there are ended.',
  ),
  'auth.handshakeTimeout': entry(
    duration(100, 10 * MINUTE_MS),
    10 * SECOND_MS,
    'hot',
    'How long a connection may take to say who it is, whatever it sends meanwhile.',
  ),
  'auth.maxPending': entry(
    integer(1, 1_000_000),
    1_024,
    'hot',
    'Connections at once that have not yet said who they are; beyond it the oldest of them is ended. Each ' +
      'shard has its part.',
  ),
  'auth.attemptsPerMinute': entry(
    integer(1, 1_000_000),
    60,
    'hot',
    'Failures that one address may have (for IPv6 one /64); who has more is refused unheard until a ' +
      'part of the minute has passed.',
  ),
  'auth.insecureTokens': entry(
    truth(),
    false,
    'hot',
    'Takes tokens from other machines although the connection is not encrypted.',
  ),
  credentials: entry(
    credentialList(),
    [],
    'hot',
    'Who may connect, and what each may do. Patterns are as in subscriptions. A subscription with wildcards ' +
      'gets those of the streams that may be subscribed to. A change ends the connections of a credential that ' +
      'is taken out, has another method, or may do less; they may come back as what they are then. Another ' +
      'secret ends none.',
  ),
  'slowConsumer.timeout': entry(
    duration(10, HOUR_MS),
    SECOND_MS,
    'hot',
    'How long a subscriber that makes no progress may hold publishers under "block"; then it is moved on ' +
      'with a gap.',
  ),
  'heartbeat.interval': entry(
    duration(100, HOUR_MS),
    30 * SECOND_MS,
    'hot',
    'How often a silent connection is asked whether it is still there.',
  ),
  'shutdown.grace': entry(
    duration(0, 10 * MINUTE_MS),
    5 * SECOND_MS,
    'hot',
    'How long, on SIGTERM or SIGINT, what is under way may take to be delivered.',
  ),
  'idle.strategy': entry(
    oneOf('block', 'backoff', 'spin'),
    'block',
    'hot',
    'What a shard with nothing to do does: "block" sleeps at once (least CPU), "backoff" looks a while ' +
      'longer first, "spin" never sleeps (least latency, one CPU per shard).',
  ),
  'log.level': entry(
    oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'),
    'info',
    'hot',
    'The least severity that is logged.',
  ),
  'log.histograms': entry(
    truth(),
    false,
    'hot',
    'Logs at the end of the broker, too, what SIGUSR2 logs at any time, whatever log.level is: for each shard ' +
      'histograms of the duration of its turns, of the delay from append to send, and of batches, and how ' +
      'often each error was sent.',
  ),
  'reload.on': entry(
    oneOf('change', 'signal'),
    'change',
    'restart',
    'When the configuration is read again: "change" when one of its files has changed, and on SIGHUP; ' +
      '"signal" on SIGHUP only.',
  ),
  'debug.faults': entry(
    truth(),
    false,
    'hot',
    'For tests: SIGUSR2 crashes a shard, to show that the broker recovers, and logs no histograms.',
  ),
} as const;

export type KeyName = keyof typeof KEYS;
export type KeyValue<Name extends KeyName> = (typeof KEYS)[Name]['standard'];

/** Values by key, as `FlatConfig['listen.port']`. */
export type FlatConfig = { -readonly [Name in KeyName]: KeyValue<Name> };

type Nested<Path extends string, Value> = Path extends `${infer Head}.${infer Rest}`
  ? Readonly<Record<Head, Nested<Rest, Value>>>
  : Readonly<Record<Path, Value>>;
type Both<Union> = (Union extends unknown ? (part: Union) => void : never) extends (
  part: infer All,
) => void
  ? All
  : never;
type Plain<Type> = Type extends readonly unknown[]
  ? Type
  : Type extends object
    ? { readonly [Name in keyof Type]: Plain<Type[Name]> }
    : Type;

/** The configuration, as `config.listen.port`: deeply frozen; sizes in bytes, durations in milliseconds. */
export type Config = Plain<Both<{ [Name in KeyName]: Nested<Name, KeyValue<Name>> }[KeyName]>>;

/** A key with the names under which each source knows it. */
export interface TableRow extends Kind<unknown> {
  /** `listen.port`; in a file `{"listen": {"port": …}}`. */
  readonly key: KeyName;
  readonly standard: unknown;
  readonly apply: Apply;
  readonly doc: string;
  /** `MEMORYSTREAMER_LISTEN_PORT` */
  readonly env: string;
  /** Without dashes: `port`. */
  readonly flag: string;
}

export const ENV_PREFIX = 'MEMORYSTREAMER_';

export const TABLE: readonly TableRow[] = (Object.keys(KEYS) as KeyName[]).map((key) => {
  const { shortFlag, ...rest } = KEYS[key] as Entry<unknown>;
  // A default that its own key refuses is a mistake in this table; and zod is ready before the first load.
  rest.type.parse(rest.standard);
  const words = key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`).replaceAll('.', '-');
  return {
    ...rest,
    key,
    env: ENV_PREFIX + words.replaceAll('-', '_').toUpperCase(),
    flag: shortFlag ?? words,
  };
});
