// Topology:  clients in this process (CPU B) --> broker, one shard and control (CPU A), loopback.
//
// Measures what hmac-sha256 costs: connections a second from the first byte to WELCOME, several at once, and the
// broker's CPU time for one; and the round trip of an established, keyed client's PING, alone and beside so many
// attempts a second that fail.
//
// Void when an attempt that must succeed fails, or the attempts did not reach the rate: the line says what it was.
// One process makes both the attempts and the PINGs, so its own work is in the round trips.
//
//   node perf/handshake.mjs [--smoke]
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as wait } from 'node:timers/promises';
import { End, TYPE } from './lib/ends.mjs';
import { cpuSecondsOf, planCpus } from './lib/machine.mjs';
import { brokerEntry } from './lib/paths.mjs';
import { buildProject } from './lib/peers.mjs';
import { matched, start, stop } from './lib/processes.mjs';
import { count, printTable } from './lib/report.mjs';

const smoke = process.argv.includes('--smoke');
const RUN_MS = smoke ? 100 : 5000;
const OUTSTANDING = 8;
const BAD_PER_SECOND = 1000;
const SECRET = 'perf secret of 32 bytes, no more';
const good = { method: 'hmac-sha256', keyId: 'perf', secret: Buffer.from(SECRET) };
const bad = { ...good, secret: randomBytes(32) };

async function startBroker(cpus) {
  const folder = mkdtempSync(join(tmpdir(), 'memorystreamer-perf-'));
  writeFileSync(join(folder, 'secret'), SECRET, { mode: 0o600 });
  const credentials = [{ keyId: 'perf', method: 'hmac-sha256', secretFile: 'secret' }];
  // Every attempt is looked at: refusing them unheard would cost less.
  const auth = { required: true, attemptsPerMinute: 1_000_000 };
  const file = join(folder, 'configuration.json');
  writeFileSync(file, JSON.stringify({ auth, credentials }));
  const args = [brokerEntry, 'serve', '--port', '0', '--shards', '1', '--config', file];
  const handle = start(process.execPath, args, { cpus });
  const [, port] = await matched(handle, /ready url=ms:\/\/[^\s:]+:(\d+)/, 'memorystreamer serve');
  rmSync(folder, { recursive: true });
  return { handle, port: Number(port) };
}

async function attempt(port, credential, due) {
  const end = new End(port, credential, true);
  const type = await end.greet();
  end.socket.destroy();
  if (type !== due) throw new Error(`type ${type} ended a handshake, not ${due}`);
}

async function connections({ port, handle }) {
  const began = { ms: performance.now(), cpu: cpuSecondsOf(handle.pid) };
  let done = 0;
  const worker = async () => {
    while (performance.now() - began.ms < RUN_MS) {
      await attempt(port, good, TYPE.welcome);
      done++;
    }
  };
  await Promise.all(Array.from({ length: OUTSTANDING }, worker));
  const seconds = (performance.now() - began.ms) / 1000;
  return { rate: done / seconds, cpuUs: ((cpuSecondsOf(handle.pid) - began.cpu) * 1e6) / done };
}

/** Round trips of PINGs, in ms, ascending. */
async function trips(client) {
  const found = [];
  const end = performance.now() + RUN_MS;
  while (performance.now() < end) {
    const began = performance.now();
    await client.exchange(TYPE.ping, Buffer.alloc(8));
    found.push(performance.now() - began);
    await wait(1);
  }
  return found.sort((a, b) => a - b);
}

/** Attempts that fail, so many a second, until it is told to stop; answers how many there were. */
async function attack(port, isOver) {
  const began = performance.now();
  const pending = new Set();
  let made = 0;
  while (!isOver()) {
    const due = ((performance.now() - began) * BAD_PER_SECOND) / 1000;
    for (; made < due; made++) {
      const one = attempt(port, bad, TYPE.error).finally(() => pending.delete(one));
      pending.add(one);
    }
    await wait(1);
  }
  await Promise.all(pending);
  return made / ((performance.now() - began) / 1000);
}

buildProject();
const cpus = planCpus();
const broker = await startBroker(cpus.peer);
const { rate, cpuUs } = await connections(broker);
const client = new End(broker.port, good, true);
if ((await client.greet()) !== TYPE.welcome) throw new Error('the established client was refused');
const alone = await trips(client);
let isOver = false;
const attacked = attack(broker.port, () => isOver);
const beside = await trips(client);
isOver = true;
const attackRate = await attacked;
await stop(broker.handle);
client.socket.destroy();
const at = (sorted, part) => count(sorted[Math.floor((sorted.length - 1) * part)], 3);
const row = (name, sorted) => [name, at(sorted, 0.5), at(sorted, 0.99), at(sorted, 0.999)];
printTable(
  `hmac-sha256, ${OUTSTANDING} handshakes at once: ${count(rate)} connections/s, ${count(cpuUs)} µs of the broker's CPU each`,
  ['an established client’s PING, ms', 'p50', 'p99', 'p99.9'],
  [row('alone', alone), row(`beside ${count(attackRate)} bad attempts/s`, beside)],
);
