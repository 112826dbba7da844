// What is measured, and what it is measured beside. Each peer is started afresh for each run, alone.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { startLoadgenPeer } from './loadgen.mjs';
import { brokerEntry, projectRoot } from './paths.mjs';
import { matched, start } from './processes.mjs';
import { asPeer, servers } from './servers.mjs';

export function buildProject() {
  if (existsSync(brokerEntry)) return;
  execFileSync(process.execPath, ['scripts/build.mjs'], { cwd: projectRoot, stdio: 'inherit' });
}

/** The broker of this tree, or another build's by its `entry`; `flags` go to `serve`. */
export async function startBroker({ cpus, shards = 1, entry = brokerEntry, flags = [] }) {
  const args = [entry, 'serve', '--port', '0', '--shards', String(shards), ...flags];
  const handle = start(process.execPath, args, { cpus });
  const ready = /memorystreamer ready url=ms:\/\/[^\s:]+:(\d+)\S* shards=\d+ pid=(\d+)/;
  const [, port] = await matched(handle, ready, 'memorystreamer serve');
  return asPeer(handle, Number(port));
}

/** A bare peer; `shape` says how many streams, and subscribers of each, a relay is to join. */
function bare(mode) {
  return async ({ cpus, shape = {} }) => {
    const { handle, port } = await startLoadgenPeer(mode, mode === 'relay' ? shape : {}, cpus);
    return asPeer(handle, port);
  };
}

function relayOf(wire) {
  return {
    own: true,
    protocol: 'relay',
    wire,
    start: bare('relay'),
    title: wire === 'ms' ? 'bare relay' : `bare relay, ${wire} messages`,
    checks: 'nothing',
    promises: 'nothing: bytes in, bytes out',
    settings: 'perf/ceiling/relay.c',
  };
}

/**
 * name → how to start it and what the generator speaks to it. `own`: its failure is this project's.
 * `ceiling`: the bare peer whose figure bounds what the generator can measure there.
 */
export const peers = {
  memorystreamer: {
    own: true,
    protocol: 'ms',
    ceiling: 'relay',
    start: startBroker,
    title: 'MemoryStreamer',
    checks: 'header and payload of every frame by XXH64',
    promises:
      'kept in a log and numbered without holes, one order for all; nothing is lost in silence',
    settings: 'defaults, shards as said',
  },
  ...Object.fromEntries(
    Object.entries(servers).map(([name, server]) => [
      name,
      { ...server, own: false, ceiling: `relay-${server.protocol}` },
    ]),
  ),
  relay: relayOf('ms'),
  'relay-nats': relayOf('nats'),
  'relay-redis': relayOf('redis'),
  'relay-mqtt': relayOf('mqtt'),
  answer: {
    own: true,
    protocol: 'ms',
    start: bare('answer'),
    title: 'bare server',
    checks: 'nothing',
    promises: 'nothing: an answer to a greeting',
    settings: 'perf/ceiling/answer.c',
  },
};

/** Another build of the project, in `folder`, is one more peer: before and after a change in one run. */
export function addBeside(folder) {
  const entry = resolve(folder, 'dist', 'main.js');
  if (!existsSync(entry))
    throw new Error(`--beside ${folder}: there is no build in it (dist/main.js)`);
  peers.beside = {
    ...peers.memorystreamer,
    start: (options) => startBroker({ ...options, entry }),
    title: 'MemoryStreamer, another build',
    version: () => execFileSync(process.execPath, [entry, '--version']).toString().trim(),
  };
}

/** The brokers, without the bare peers. */
export const brokers = ['memorystreamer', ...Object.keys(servers)];

/** What the tables say of each peer. */
export function describePeers() {
  return Object.entries(peers).map(([name, { title, checks, promises, settings, version }]) => ({
    name,
    title,
    version: version ? version() : 'this commit',
    checks,
    promises,
    settings,
  }));
}
