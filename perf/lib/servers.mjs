// The brokers of others that this one is measured beside, each as its own documentation starts it, on a port
// of its own, on loopback, with nothing written to disk. What is changed from their defaults stands at each, with its reason.
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { buildDirectory, projectRoot } from './paths.mjs';
import { findOnPath, matched, start, stop } from './processes.mjs';

/** The peer is not on this machine: reported as missing, never passed over in silence. */
export class PeerMissing extends Error {}

export function asPeer(handle, port) {
  return { pid: handle.pid, port, handle, stop: () => stop(handle) };
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** Debian puts daemons where only root's PATH leads. */
const DAEMONS = ['/usr/sbin', '/usr/local/sbin'].join(delimiter);

function findServer(name) {
  return findOnPath(name) ?? findOnPath(name, DAEMONS);
}

function required(name, debianPackage = name) {
  const command = findServer(name);
  if (command) return command;
  throw new PeerMissing(`${name} is not installed (apt-get install ${debianPackage})`);
}

async function startNats({ cpus }) {
  const command = required('nats-server');
  const port = await freePort();
  const handle = start(command, ['-a', '127.0.0.1', '-p', String(port)], { cpus });
  await matched(handle, /Server is ready/, 'nats-server');
  return asPeer(handle, port);
}

/**
 * Without a limit on a subscriber's output: the default closes its connection in the middle of a measurement.
 * Without protected mode, which takes clients from 127.0.0.2 for strangers; it listens on loopback all the same.
 */
async function startRedis({ cpus }) {
  const command = required('redis-server');
  const port = await freePort();
  const options = {
    port,
    bind: '127.0.0.1',
    save: '',
    appendonly: 'no',
    'client-output-buffer-limit': 'pubsub 0 0 0',
    maxclients: 60_000,
    'tcp-backlog': 4096,
    'protected-mode': 'no',
  };
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const handle = start(command, args, { cpus });
  await matched(handle, /Ready to accept connections/, 'redis-server');
  return asPeer(handle, port);
}

/**
 * Without a limit on a subscriber's queue: the default drops what stands behind the thousandth message. Its queue of new
 * connections holds 100 and cannot be changed: who comes while it is full tries again after a second.
 */
function mosquittoConfiguration(port) {
  return `listener ${port} 127.0.0.1
allow_anonymous true
persistence false
set_tcp_nodelay true
max_queued_messages 0
max_queued_bytes 0
connection_messages false
log_dest stderr
log_type notice
log_type warning
log_type error
log_type information
${process.getuid() === 0 ? 'user root\n' : ''}`;
}

async function startMosquitto({ cpus }) {
  const command = required('mosquitto');
  const port = await freePort();
  mkdirSync(buildDirectory, { recursive: true });
  const file = join(buildDirectory, `mosquitto-${process.pid}-${port}.conf`);
  writeFileSync(file, mosquittoConfiguration(port));
  try {
    const handle = start(command, ['-c', file], { cpus });
    await matched(handle, /mosquitto version \S+ running/, 'mosquitto');
    return asPeer(handle, port);
  } finally {
    rmSync(file);
  }
}

async function startAedes({ cpus }) {
  const handle = start(process.execPath, [join(projectRoot, 'perf', 'peers', 'aedes.mjs')], {
    cpus,
  });
  const [, port] = await matched(handle, /aedes ready port=(\d+)/, 'aedes');
  return asPeer(handle, Number(port));
}

/** The first line of what a command says of its version; "missing" where there is no such command. */
function versionSaid(name, args, pattern) {
  const command = findServer(name);
  if (!command) return 'missing';
  try {
    return pattern.exec(execFileSync(command, args).toString())?.[0] ?? 'unknown';
  } catch (error) {
    // mosquitto prints its help with status 1, where it shows its version.
    return pattern.exec(String(error.stdout))?.[0] ?? 'unknown';
  }
}

function versionOfAedes() {
  const file = join(projectRoot, 'node_modules', 'aedes', 'package.json');
  return `aedes ${JSON.parse(readFileSync(file, 'utf8')).version}, Node.js ${process.version}`;
}

const ATMOST_ONCE = 'at most once, no log, no checksum';

/**
 * name → how to start it, what the generator speaks to it, and what a message through it is promised: figures of
 * brokers that promise different things are beside each other, so that must be beside the figures.
 */
export const servers = {
  nats: {
    title: 'nats-server',
    protocol: 'nats',
    start: startNats,
    version: () => versionSaid('nats-server', ['--version'], /nats-server: v\S+/),
    checks: 'the line’s form, the subject and the length',
    promises: `${ATMOST_ONCE}; each publisher's order; a subscriber that is too far behind is cut off`,
    settings: 'core NATS without JetStream; defaults',
  },
  redis: {
    title: 'redis-server',
    protocol: 'redis',
    start: startRedis,
    version: () => versionSaid('redis-server', ['--version'], /Redis server v=\S+/),
    checks:
      'the form of RESP; answers each PUBLISH with the number of subscribers, which the generator reads',
    promises: `${ATMOST_ONCE}; one order for all; a subscriber that is too far behind is cut off`,
    settings: 'publish and subscribe; no snapshots, no append-only file; no limit on output',
  },
  mosquitto: {
    title: 'mosquitto',
    protocol: 'mqtt',
    start: startMosquitto,
    version: () => versionSaid('mosquitto', ['-h'], /mosquitto version \S+/),
    checks: 'the packet’s form, the topic as UTF-8, access rules',
    promises: `${ATMOST_ONCE} (quality of service 0); each publisher's order; drops for who is too far behind`,
    settings: 'anonymous, no persistence, no limit on queues, TCP_NODELAY',
  },
  aedes: {
    title: 'aedes',
    protocol: 'mqtt',
    start: startAedes,
    version: versionOfAedes,
    checks: 'the packet’s form and the topic',
    promises: `${ATMOST_ONCE} (quality of service 0); each publisher's order; publishers wait for who is behind`,
    settings: 'in memory, noDelay; other defaults',
  },
};
