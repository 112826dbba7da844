// What is measured, and what it is measured beside. Each peer is started afresh for each run, alone.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { startLoadgenPeer } from './loadgen.mjs';
import { brokerEntry, projectRoot } from './paths.mjs';
import { findOnPath, matched, start, stop } from './processes.mjs';

/** The peer is not on this machine: reported as missing, never passed over in silence. */
export class PeerMissing extends Error {}

export function buildProject() {
  if (existsSync(brokerEntry)) return;
  execFileSync(process.execPath, ['scripts/build.mjs'], { cwd: projectRoot, stdio: 'inherit' });
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

function asPeer(handle, port) {
  return { pid: handle.pid, port, stop: () => stop(handle) };
}

/** The broker of this tree, or another build's by its `entry`; `flags` go to `serve`. */
export async function startBroker({ cpus, shards = 1, entry = brokerEntry, flags = [] }) {
  const args = [entry, 'serve', '--port', '0', '--shards', String(shards), ...flags];
  const handle = start(process.execPath, args, { cpus });
  const ready = /memorystreamer ready url=ms:\/\/[^\s:]+:(\d+)\S* shards=\d+ pid=(\d+)/;
  const [, port] = await matched(handle, ready, 'memorystreamer serve');
  return asPeer(handle, Number(port));
}

async function startNats({ cpus }) {
  const command = findOnPath('nats-server');
  if (!command) throw new PeerMissing('nats-server is not installed (apt-get install nats-server)');
  const port = await freePort();
  const handle = start(command, ['-a', '127.0.0.1', '-p', String(port)], { cpus });
  await matched(handle, /Server is ready/, 'nats-server');
  return asPeer(handle, port);
}

function bare(mode) {
  return async ({ cpus }) => {
    const { handle, port } = await startLoadgenPeer(mode, {}, cpus);
    return asPeer(handle, port);
  };
}

/**
 * name → how to start it and what the generator speaks to it. `own`: its failure is this project's.
 * `ceiling`: the bare peer whose figure bounds what the generator can measure there.
 */
export const peers = {
  memorystreamer: { own: true, protocol: 'ms', ceiling: 'relay', start: startBroker },
  nats: { own: false, protocol: 'nats', ceiling: 'relay-nats', start: startNats },
  relay: { own: true, protocol: 'relay', wire: 'ms', start: bare('relay') },
  'relay-nats': { own: true, protocol: 'relay', wire: 'nats', start: bare('relay') },
  answer: { own: true, protocol: 'ms', start: bare('answer') },
};

export function versionOfNats() {
  const command = findOnPath('nats-server');
  return command ? execFileSync(command, ['--version']).toString().trim() : 'missing';
}
