/** A result with round figures, as the runner writes it, to draw pages and tables of. */

const timed = (p50Us: number) => ({
  samples: 60_000,
  p50Us,
  p90Us: p50Us * 2,
  p99Us: p50Us * 4,
  p999Us: p50Us * 8,
  p9999Us: p50Us * 16,
  maxUs: p50Us * 20,
  spread: 0.02,
  curve: [
    [1, p50Us / 2],
    [10, p50Us * 2],
    [100, p50Us * 4],
    [1000, p50Us * 8],
    [60_000, p50Us * 20],
  ],
  bins: [
    [p50Us / 2, 0.2],
    [p50Us, 0.5],
    [p50Us * 2, 0.3],
  ],
});

const common = { voidBecause: [] as string[], missing: null, failed: null, runs: [{}, {}, {}] };

const idle = (bytesPerConnection: number, bytesPerLaterConnection: number) => ({
  bytesPerConnection,
  bytesPerLaterConnection,
});

const throughput = (peer: string, payloadBytes: number, framesPerSecond: number) => ({
  peer,
  payloadBytes,
  framesPerSecond,
  megabytesPerSecond: (framesPerSecond * payloadBytes) / 1e6,
  spread: 0.03,
  ceilingPart: 0.2,
  peerCpu: 0.99,
  generatorCpu: 0.4,
  ...common,
});

export const result = {
  machine: {
    date: '2026-01-02T03:04:05.000Z',
    commit: 'abcdef0123456789',
    uncommittedChanges: false,
    node: 'v20.20.2',
    kernel: '6.1',
    cpu: 'A <Processor> & Co',
    cpusAllowed: [0, 1],
    memoryBytes: 8 * 2 ** 30,
    loadAverageBefore: [0.1, 0.2, 0.3],
    command: 'node perf/bench.mjs --name example',
  },
  peers: [
    {
      name: 'nats',
      title: 'nats-server',
      version: 'nats-server: v9',
      checks: 'the form',
      promises: 'at most once',
      settings: 'defaults',
    },
  ],
  smoke: false,
  options: {},
  results: {
    throughput: {
      figures: [
        throughput('memorystreamer', 16, 8_000_000),
        throughput('nats', 16, 2_000_000),
        throughput('redis', 16, 1_000_000),
        { ...throughput('mosquitto', 16, NaN), missing: 'mosquitto is not installed', runs: [] },
        { ...throughput('aedes', 16, 400_000), voidBecause: ['others had 40 % of the CPUs'] },
        throughput('relay', 16, 16_000_000),
        throughput('relay-nats', 16, 15_000_000),
      ],
    },
    latency: {
      figures: [
        { peer: 'memorystreamer', rate: 10_000, ...timed(40), ...common },
        { peer: 'nats', rate: 10_000, ...timed(60), ...common },
        { peer: 'redis', rate: 10_000, ...timed(30), ...common },
        {
          peer: 'aedes',
          rate: 10_000,
          ...timed(90_000),
          ...common,
          voidBecause: ['rate not reached: 3,000/s'],
        },
        { peer: 'relay', rate: 10_000, ...timed(20), ...common },
      ],
    },
    idle: {
      figures: [
        { peer: 'memorystreamer', connections: 10, ...idle(128, 100), ...common },
        { peer: 'nats', connections: 10, ...idle(12_800, 9_000), ...common },
        {
          peer: 'redis',
          connections: 10,
          ...common,
          failed: 'loadgen idle ended with 1: a connection could not be made, for a long reason',
          runs: [],
        },
      ],
    },
    codec: {
      figures: [
        {
          peer: 'memorystreamer',
          payloadBytes: 16_384,
          encodeNs: 1500,
          checkNs: 1600,
          checkGigabytesPerSecond: 10,
          checkSpread: 0.01,
          voidBecause: [],
          roundCount: 5,
        },
      ],
    },
  },
};
