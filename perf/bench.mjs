// The broker beside its peers: each suite's file under perf/lib says its topology, what it measures and
// when a figure is void. Everything runs on loopback, and only processes started here are ended.
//
//   npm run bench                        every suite
//   npm run bench -- throughput idle     some
//   npm run bench -- --help
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { connect } from './lib/connect.mjs';
import { idle } from './lib/idle.mjs';
import { latency } from './lib/latency.mjs';
import { compileLoadgen } from './lib/loadgen.mjs';
import { describeMachine } from './lib/machine.mjs';
import { buildDirectory, resultsDirectory } from './lib/paths.mjs';
import { buildProject, peers, versionOfNats } from './lib/peers.mjs';
import { shards, throughput } from './lib/throughput.mjs';

const suites = { throughput, shards, latency, idle, connect };
const comparable = ['memorystreamer', 'nats', 'relay'];

const help = `npm run bench -- [${Object.keys(suites).join('|')}]... [options]

  --smoke              tiny sizes and times, every message checked: that it works, not how fast
  --peers A,B          of ${comparable.join(', ')} (default: all)
  --rounds N           rounds of each comparison (3)
  --seconds S          measured part of each run (2), after --warmup S (0.5)
  --sizes B,B          payload bytes of the throughput suites (13,16,100,128,1024,16384)
  --rates R,R          messages a second of the latency suite (1000,10000)
  --latency-size B     payload bytes of the latency suite (128)
  --connections N      of the idle suite (10000)
  --outstanding K,K    of the connect suite (1,64), --cycles N in all (20000)
  --hello              idle and connect: HELLO as the greeting, instead of PING
  --verify             throughput: compute every check of every message (slows the generator)
  --name NAME          the result is perf/results/NAME.json (default: date and suites)
  --out FILE           the result's file, instead
`;

const sizesOf = {
  full: {
    rounds: '3',
    seconds: '2',
    warmup: '0.5',
    sizes: '13,16,100,128,1024,16384',
    rates: '1000,10000',
    connections: '10000',
    outstanding: '1,64',
    cycles: '20000',
    idleRounds: 1,
  },
  smoke: {
    rounds: '1',
    seconds: '0.1',
    warmup: '0.05',
    sizes: '13,128,16384',
    rates: '1000',
    connections: '50',
    outstanding: '1,8',
    cycles: '100',
    idleRounds: 1,
  },
};

function numbers(text, name) {
  return text.split(',').map((part) => {
    const value = Number(part);
    if (part.trim() === '' || !(value >= 0)) {
      throw new Error(`--${name} wants numbers, not "${part}"`);
    }
    return value;
  });
}

function readCommandLine() {
  const text = { type: 'string' };
  const flag = { type: 'boolean', default: false };
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      help: flag,
      smoke: flag,
      verify: flag,
      hello: flag,
      peers: { type: 'string', default: comparable.join(',') },
      ...Object.fromEntries(
        ['rounds', 'seconds', 'warmup', 'sizes', 'rates', 'connections', 'outstanding'].map(
          (name) => [name, text],
        ),
      ),
      cycles: text,
      'latency-size': { type: 'string', default: '128' },
      name: text,
      out: text,
    },
  });
  const given = { ...(values.smoke ? sizesOf.smoke : sizesOf.full), ...values };
  const one = (name) => numbers(given[name], name)[0];
  const list = (name) => numbers(given[name], name);
  const chosen = positionals.length ? positionals : Object.keys(suites);
  for (const name of chosen) {
    if (!(name in suites))
      throw new Error(`unknown suite "${name}": ${Object.keys(suites).join(', ')}`);
  }
  const peerNames = given.peers.split(',');
  for (const name of peerNames) {
    if (!comparable.includes(name))
      throw new Error(`unknown peer "${name}": ${comparable.join(', ')}`);
  }
  return {
    help: values.help,
    smoke: values.smoke,
    name: values.name,
    out: values.out,
    chosen,
    options: {
      peers: peerNames.filter((name) => name in peers),
      rounds: one('rounds'),
      seconds: one('seconds'),
      warmup: one('warmup'),
      sizes: list('sizes'),
      rates: list('rates'),
      latencySize: one('latency-size'),
      connections: one('connections'),
      outstanding: list('outstanding'),
      cycles: one('cycles'),
      idleRounds: given.idleRounds,
      hello: values.hello,
      verify: values.verify || values.smoke,
    },
  };
}

/** A smoke run proves nothing about speed, so it never lands among the results by default. */
function resultPath({ out, name, smoke, chosen }, machine) {
  if (out) return out;
  const directory = smoke ? buildDirectory : resultsDirectory;
  const day = machine.date.slice(0, 10);
  const which = chosen.length === Object.keys(suites).length ? 'all' : chosen.join('-');
  return join(directory, `${name ?? `${smoke ? 'smoke' : day}-${which}`}.json`);
}

async function main() {
  const request = readCommandLine();
  if (request.help) {
    console.log(help);
    return 0;
  }
  compileLoadgen();
  if (request.options.peers.includes('memorystreamer')) buildProject();
  const machine = describeMachine();
  const natsServer = versionOfNats();
  console.log(
    `${machine.cpu}, CPUs ${machine.cpusAllowed}, Linux ${machine.kernel}, ${machine.node}`,
  );
  console.log(
    `commit ${machine.commit}${machine.uncommittedChanges ? ' and uncommitted changes' : ''}`,
  );
  console.log(
    `nats-server: ${natsServer}; load average before: ${machine.loadAverageBefore.join(' ')}`,
  );

  const results = {};
  for (const name of request.chosen) results[name] = await suites[name](request.options);

  const path = resultPath(request, machine);
  mkdirSync(dirname(path), { recursive: true });
  const whole = { machine, natsServer, smoke: request.smoke, options: request.options, results };
  writeFileSync(path, `${JSON.stringify(whole, null, 2)}\n`);
  console.log(`\nwritten: ${path}`);
  const failures = Object.entries(results).flatMap(([suite, { figures = [] }]) =>
    figures.filter((figure) => figure.ownFailure).map((figure) => `${suite}/${figure.peer}`),
  );
  if (failures.length) console.error(`not in order: ${[...new Set(failures)].join(', ')}`);
  return failures.length ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`bench: ${error.message}`);
  process.exitCode = 1;
}
