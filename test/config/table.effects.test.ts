// Every key does something: which test shows, from outside of the process, that changing it changes behaviour.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { TABLE, type KeyName } from '../../src/config/table.js';

const root = new URL('../../', import.meta.url);
const AUTH_FILE = 'test/scenarios/authentication.test.ts';
const HANDSHAKES_FILE = 'test/shards/handshakes.test.ts';
const KEYS_FILE = 'test/scenarios/configuration.test.ts';

/** `setBy`: what stands in the test in place of the flag, where a file or the shard's own settings give the value. */
const SHOWN: Readonly<Record<KeyName, readonly [file: string, title: string, setBy?: string]>> = {
  'listen.host': [KEYS_FILE, 'listen.host and listen.port are where it can be reached'],
  'listen.port': [KEYS_FILE, 'listen.host and listen.port are where it can be reached'],
  'listen.insecure': [KEYS_FILE, 'listen.insecure lets it listen where other machines reach it'],
  shards: [KEYS_FILE, 'shards is how many threads serve'],
  'memory.arena': [KEYS_FILE, 'memory.arena is what all streams share'],
  'memory.prefault': [KEYS_FILE, 'memory.prefault is what is there at the start'],
  'limits.connections': [
    'test/scenarios/connection-lifecycle.test.ts',
    'answers the one too many with SERVER_FULL',
  ],
  'limits.streams': [KEYS_FILE, 'limits.streams is how many streams there may be'],
  'limits.subscriptions': [KEYS_FILE, 'limits.subscriptions is how many subscriptions'],
  'limits.publications': [KEYS_FILE, 'limits.publications is how many streams'],
  'streams.default.retention.bytes': [
    KEYS_FILE,
    'streams.default.retention.bytes is what a stream keeps',
  ],
  'streams.default.onFull': [
    'test/scenarios/slow-consumer-does-not-stall-peers.test.ts',
    '%s nobody waits, and the stuck one is told its gap',
  ],
  'streams.overrides': [KEYS_FILE, 'streams.overrides what some keep'],
  'slowConsumer.timeout': [
    'test/scenarios/slow-consumer-does-not-stall-peers.test.ts',
    'a stuck subscriber is moved on after the timeout',
  ],
  'heartbeat.interval': [
    'test/scenarios/connection-lifecycle.test.ts',
    'end a connection that says nothing, not even when asked, after twice the interval',
  ],
  'shutdown.grace': [
    'test/scenarios/graceful-shutdown.test.ts',
    'ends within its grace where a subscriber takes nothing',
  ],
  'idle.strategy': [KEYS_FILE, 'idle.strategy "block" has a shard sleep until something comes'],
  'auth.required': [AUTH_FILE, 'tells nobody which of it was wrong', 'required: true'],
  'auth.integrity': [
    HANDSHAKES_FILE,
    'where keys are demanded, nobody without them',
    'isKeyingRequired: true',
  ],
  'auth.handshakeTimeout': [
    AUTH_FILE,
    'ends whoever is too slow, though he never stops talking',
    'handshakeTimeout:',
  ],
  'auth.maxPending': [HANDSHAKES_FILE, 'too many at once: the oldest makes room', 'pendingMax:'],
  'auth.attemptsPerMinute': [
    HANDSHAKES_FILE,
    'an address that fails too often is not looked at for a while; another one is',
    'attemptsPerMinute:',
  ],
  'auth.insecureTokens': [
    HANDSHAKES_FILE,
    'a token from another machine only where that is allowed; a proof from anywhere',
    'areInsecureTokensTaken',
  ],
  credentials: [
    AUTH_FILE,
    'gives a wildcard nothing of what is denied, also when it is born later',
    'new Credentials()',
  ],
  'reload.on': [
    'test/scenarios/config-reload.test.ts',
    'is left alone under reload.on: signal, until SIGHUP',
  ],
  'log.level': [KEYS_FILE, 'log.level is the least severity that is logged'],
  'log.histograms': [
    'test/cli/serve.test.ts',
    'log.histograms logs them at the end, whatever log.level is',
  ],
  'debug.faults': [
    'test/cli/serve.test.ts',
    'SIGUSR2 crashes a shard with debug.faults, and logs histograms without',
  ],
};

test('every key has a test, and every test a key', () => {
  expect(Object.keys(SHOWN).sort()).toEqual(TABLE.map((row) => row.key).sort());
});

test.each(TABLE)('$key has a test that says and sets it', ({ key, flag }) => {
  const [file, title, setBy = `'--${flag}'`] = SHOWN[key];
  const text = readFileSync(new URL(file, root), 'utf8');
  const titles = [...text.matchAll(/\b(?:it|test)(?:\.each\([\s\S]*?\]\))?\(\s*'([^']*)'/g)];
  expect(titles.map(([, found]) => found).filter((found) => found!.includes(title))).toHaveLength(
    1,
  );
  if (key !== 'listen.port') expect(text).toContain(setBy);
});
