// The runner's command line: every size has a full value, for figures, and a smoke value, for tests.
import { parseArgs } from 'node:util';

/** All of it takes some twenty-five minutes, however slow the peers are. */
const full = {
  rounds: '3',
  seconds: '0.6',
  warmup: '0.4',
  'latency-seconds': '2',
  sizes: '13,16,100,128,1024,16384',
  'few-sizes': '16,128,1024',
  rates: '1000,10000,50000,100000',
  connections: '10000',
  outstanding: '1,64',
  cycles: '20000',
  'storm-connections': '1000',
  'replay-mib': '64',
  reloads: '1000',
  shards: '2',
  internal: {
    idleRounds: 3,
    stormsBefore: 4,
    /** Of latency, rtt and wakeup: until what handles a message has been compiled, at the lowest rate. */
    latencyWarmup: 2,
    /** Of ten streams together: until each has been filled and begins to reuse its memory. */
    streamsWarmup: 3,
    windowBytes: 4 * 1024 * 1024,
    logFrames: 400_000,
    codecRounds: 5,
    codecMs: 30,
    codecHeapFrames: 10_000_000,
    configTimes: 50,
    /** Until the log of each stream has been filled and begins to reuse its memory. */
    reloadWarmup: 5,
    reloadRounds: 2,
    reloadSeconds: 5,
    reloadStreams: 500,
    reloadWindowBytes: 32 * 1024,
    reloadRate: 2000,
  },
};

const smoke = {
  rounds: '1',
  seconds: '0.05',
  warmup: '0.02',
  'latency-seconds': '0.05',
  sizes: '13,16384',
  'few-sizes': '128',
  rates: '1000',
  connections: '50',
  outstanding: '8',
  cycles: '50',
  'storm-connections': '20',
  'replay-mib': '1',
  reloads: '3',
  shards: '2',
  internal: {
    idleRounds: 1,
    stormsBefore: 0,
    latencyWarmup: 0.02,
    streamsWarmup: 0.02,
    windowBytes: 128 * 1024,
    codecRounds: 1,
    codecMs: 1,
    codecHeapFrames: 20_000,
    configTimes: 2,
    reloadWarmup: 0.02,
    reloadRounds: 1,
    reloadSeconds: 0.05,
    reloadStreams: 4,
    reloadWindowBytes: 16 * 1024,
    reloadRate: 500,
    reloadShards: 2,
  },
};

export function helpText(scenarios, peerNames) {
  return `npm run perf -- [${scenarios.join('|')}]... [options]

  --smoke              tiny sizes and times, every message checked: that it works, not how fast
  --peers A,B          of ${peerNames.join(', ')} (default: all)
  --beside FOLDER      another build of the project as one more peer: before and after a change
  --rounds N           rounds of each comparison (${full.rounds})
  --seconds S          measured part of each run (${full.seconds}), after --warmup S (${full.warmup})
  --latency-seconds S  the same of latency and wakeup, after ${full.internal.latencyWarmup} s (${full['latency-seconds']})
  --sizes B,B          payload bytes of throughput and shards (${full.sizes})
  --few-sizes B,B      payload bytes of streams, fanin, fanout, replay (${full['few-sizes']})
  --shards N           shards of the scenario of that name (${full.shards})
  --rates R,R          messages a second of latency (${full.rates})
  --latency-size B     payload bytes of latency, rtt and wakeup (128)
  --connections N      of idle (${full.connections})
  --outstanding K,K    of connect (${full.outstanding}), --cycles N in all (${full.cycles})
  --storm-connections N   of storm (${full['storm-connections']})
  --replay-mib N       what replay reads back (${full['replay-mib']})
  --reloads N          of reload, one behind the other (${full.reloads})
  --hello              idle and connect: HELLO as the greeting, instead of PING
  --verify             throughput: compute every check of every message (slows the generator)
  --name NAME          the result is perf/results/NAME.json and .html (default: date and scenarios)
  --out FILE           the result's file, instead; its page beside it
`;
}

function numbers(text, name) {
  return text.split(',').map((part) => {
    const value = Number(part);
    if (part.trim() === '' || !(value >= 0)) {
      throw new Error(`--${name} wants numbers, not "${part}"`);
    }
    return value;
  });
}

function oneOf(kind, known, names) {
  for (const name of names) {
    if (!known.includes(name)) throw new Error(`unknown ${kind} "${name}": ${known.join(', ')}`);
  }
  return names;
}

export function readCommandLine(scenarios, peerNames, defaults) {
  const text = { type: 'string' };
  const flag = { type: 'boolean', default: false };
  const sized = Object.keys(full).filter((name) => name !== 'internal');
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      help: flag,
      smoke: flag,
      verify: flag,
      hello: flag,
      peers: { type: 'string', default: peerNames.join(',') },
      'latency-size': { type: 'string', default: '128' },
      ...Object.fromEntries(sized.map((name) => [name, text])),
      beside: text,
      name: text,
      out: text,
    },
  });
  const base = values.smoke ? smoke : full;
  const given = { ...base, ...values };
  const list = (name) => numbers(given[name], name);
  const one = (name) => list(name)[0];
  return {
    help: values.help,
    smoke: values.smoke,
    name: values.name,
    out: values.out,
    beside: values.beside,
    chosen: oneOf('scenario', scenarios, positionals.length > 0 ? positionals : defaults),
    options: {
      smoke: values.smoke,
      peers: [
        ...oneOf('peer', peerNames, given.peers.split(',')),
        ...(values.beside === undefined ? [] : ['beside']),
      ],
      rounds: one('rounds'),
      seconds: one('seconds'),
      warmup: one('warmup'),
      latencySeconds: one('latency-seconds'),
      sizes: list('sizes'),
      fewSizes: list('few-sizes'),
      rates: list('rates'),
      latencySize: one('latency-size'),
      connections: one('connections'),
      outstanding: list('outstanding'),
      cycles: one('cycles'),
      stormConnections: one('storm-connections'),
      replayBytes: one('replay-mib') * 2 ** 20,
      reloads: one('reloads'),
      shards: one('shards'),
      hello: values.hello,
      verify: values.verify || values.smoke,
      ...base.internal,
    },
  };
}
