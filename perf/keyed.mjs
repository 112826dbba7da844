// Topology:  publisher --> broker (one shard, CPU A) --> subscriber, both ends in this process (CPU B), loopback.
//
// Measures frames a second from one publisher to one subscriber, keyed on both sides and keyed on neither, in turns
// within one run, and the CPU time that the broker spends on a frame. Every frame is made and judged as a client
// must: keyed ones are tagged and verified one by one. The ends are JavaScript around the package's own kernels.
//
// Void when not every frame came in its order, or when the broker used less than 70 % of a CPU: then the figure of
// frames/s is the generator's, and the broker's CPU time a frame is the one to read.
//
//   node perf/keyed.mjs [--smoke]
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setImmediate } from 'node:timers';
import { setTimeout as wait } from 'node:timers/promises';
import { End, TYPE } from './lib/ends.mjs';
import { cpuSecondsOf, planCpus } from './lib/machine.mjs';
import { brokerEntry } from './lib/paths.mjs';
import { buildProject } from './lib/peers.mjs';
import { matched, start, stop } from './lib/processes.mjs';
import { count, median, percent, printTable, spread } from './lib/report.mjs';

const smoke = process.argv.includes('--smoke');
const SIZES = smoke ? [128] : [16, 128, 1024, 16384];
const ROUNDS = smoke ? 1 : 3;
const WARMUP_MS = smoke ? 20 : 500;
const RUN_MS = smoke ? 50 : 1000;
const BUSY_MIN = 0.7;
/** Of 10 ms each, for what is still on its way. */
const DRAIN_STEPS = 1000;
const SECRET = 'perf secret of 32 bytes, no more';
const credential = { method: 'hmac-sha256', keyId: 'perf', secret: Buffer.from(SECRET) };

async function startBroker(cpus) {
  const folder = mkdtempSync(join(tmpdir(), 'memorystreamer-perf-'));
  writeFileSync(join(folder, 'secret'), SECRET, { mode: 0o600 });
  const file = join(folder, 'configuration.json');
  const credentials = [{ keyId: 'perf', method: 'hmac-sha256', secretFile: 'secret' }];
  writeFileSync(file, JSON.stringify({ credentials }));
  const args = [brokerEntry, 'serve', '--port', '0', '--shards', '1', '--config', file];
  args.push('--slow-consumer-timeout', '1m');
  const handle = start(process.execPath, args, { cpus });
  const [, port] = await matched(handle, /ready url=ms:\/\/[^\s:]+:(\d+)/, 'memorystreamer serve');
  rmSync(folder, { recursive: true });
  return { handle, port: Number(port) };
}

/** Publishes as fast as the socket takes it, until `isOver()`. A plain block is made once, for its frames are all alike. */
async function pump(publisher, stream, payload, isKeyed, isOver) {
  const { encoder, socket } = publisher;
  const fill = () => {
    encoder.clear();
    while (encoder.putBytes(TYPE.data, 0, stream, 0, payload, 0, payload.length));
  };
  fill();
  let sent = 0;
  const frames = Math.round(encoder.usedBytes / ((40 + payload.length + 7) & ~7));
  while (!isOver()) {
    // By way of the event loop: a socket that takes all at once would leave no time for anything else.
    await new Promise((resolve) => socket.write(encoder.view(), () => setImmediate(resolve)));
    sent += frames;
    if (isKeyed) fill();
  }
  return sent;
}

async function run({ port, handle }, payloadBytes, isKeyed) {
  const who = isKeyed ? credential : undefined;
  const [publisher, subscriber] = [new End(port, who, isKeyed), new End(port, who, isKeyed)];
  const answers = [await publisher.greet(), await subscriber.greet()];
  if (answers.some((type) => type !== TYPE.welcome)) throw new Error('the broker refused the ends');
  const subject = `bench.${payloadBytes}.${isKeyed}`;
  const { stream } = await publisher.ask(TYPE.open, { subject });
  const { payload } = await subscriber.ask(TYPE.subscribe, { subject });
  let next = Number(JSON.parse(payload.toString()).streams[0].next);
  const first = next;
  let disordered = 0;
  subscriber.onFrame = (frame) => {
    if (frame.type !== TYPE.data || frame.sequenceNumber !== next) disordered++;
    next++;
  };
  let isOver = false;
  const pumped = pump(publisher, stream, Buffer.alloc(payloadBytes, 'x'), isKeyed, () => isOver);
  await wait(WARMUP_MS);
  const began = { ms: performance.now(), next, cpu: cpuSecondsOf(handle.pid) };
  await wait(RUN_MS);
  const seconds = (performance.now() - began.ms) / 1000;
  const frames = next - began.next;
  const cpuSeconds = cpuSecondsOf(handle.pid) - began.cpu;
  isOver = true;
  const sent = await pumped;
  for (let i = 0; i < DRAIN_STEPS && next - first < sent; i++) await wait(10);
  publisher.socket.destroy();
  subscriber.socket.destroy();
  return {
    framesPerSecond: frames / seconds,
    cpuNs: (cpuSeconds * 1e9) / frames,
    busy: cpuSeconds / seconds,
    disordered: disordered + (next - first === sent ? 0 : 1),
  };
}

function pinSelf(cpu) {
  if (cpu === null) return;
  const command = 'taskset';
  execFileSync(command, ['-a', '-cp', String(cpu), String(process.pid)], { stdio: 'ignore' });
}

buildProject();
const cpus = planCpus();
pinSelf(cpus.generator);
const broker = await startBroker(cpus.peer);
const rows = [];
for (const payloadBytes of SIZES) {
  const runs = { plain: [], keyed: [] };
  for (let round = 0; round < ROUNDS; round++) {
    runs.plain.push(await run(broker, payloadBytes, false));
    runs.keyed.push(await run(broker, payloadBytes, true));
  }
  const of = (name, pick) => median(runs[name].map(pick));
  for (const name of ['plain', 'keyed']) {
    const rates = runs[name].map(({ framesPerSecond }) => framesPerSecond);
    const disordered = runs[name].reduce((sum, each) => sum + each.disordered, 0);
    const busy = of(name, (each) => each.busy);
    const rate = of(name, (each) => each.framesPerSecond);
    const cpuNs = of(name, (each) => each.cpuNs);
    const remarks = [];
    if (disordered > 0) remarks.push(`VOID: ${disordered} frames out of order`);
    if (busy < BUSY_MIN) remarks.push('frames/s: the generator’s');
    rows.push([
      `${name} ${payloadBytes} B`,
      count(rate),
      percent(rate / of('plain', (each) => each.framesPerSecond)),
      percent(spread(rates)),
      count(cpuNs, 0),
      percent(of('plain', (each) => each.cpuNs) / cpuNs),
      percent(busy),
      remarks.join(', '),
    ]);
  }
}
await stop(broker.handle);
const where = cpus.peer ? `broker on CPU ${cpus.peer}, ends on CPU ${cpus.generator}` : 'one CPU';
printTable(
  `keyed beside plain, one shard, 1 publisher -> 1 subscriber, ${ROUNDS} rounds in turn; ${where}`,
  ['payload', 'frames/s', 'of plain', 'spread', 'broker ns/frame', 'plain/keyed', 'broker CPU', ''],
  rows,
);
if (rows.some((row) => row.at(-1).startsWith('VOID'))) process.exitCode = 1;
