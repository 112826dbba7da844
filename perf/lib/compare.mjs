// Which figure of each scenario is compared between peers, and who is ahead: `better` says which way is up.
const throughputLike = {
  better: 'higher',
  value: (figure) => figure.framesPerSecond,
  point: ({ payloadBytes }) => `${payloadBytes} B`,
};

export const metrics = [
  { scenario: 'throughput', name: 'frames/s', ...throughputLike },
  { scenario: 'streams', name: 'frames/s', ...throughputLike },
  { scenario: 'fanin', name: 'frames/s', ...throughputLike },
  { scenario: 'fanout', name: 'deliveries/s', ...throughputLike },
  ...['p50Us', 'p99Us'].map((quantile) => ({
    scenario: 'latency',
    name: `${quantile.slice(0, 3)} us`,
    better: 'lower',
    value: (figure) => figure[quantile],
    point: ({ rate }) => `${rate}/s`,
  })),
  ...['p50Us', 'p99Us'].map((quantile) => ({
    scenario: 'rtt',
    name: `${quantile.slice(0, 3)} us`,
    better: 'lower',
    value: (figure) => figure[quantile],
    point: () => 'there and back',
  })),
  {
    scenario: 'connect',
    name: 'cycles/s',
    better: 'higher',
    value: (figure) => figure.cyclesPerSecond,
    point: ({ outstanding }) => `${outstanding} outstanding`,
  },
  {
    scenario: 'connect',
    name: 'CPU us',
    better: 'lower',
    value: (figure) => figure.cpuUs,
    point: ({ outstanding }) => `${outstanding} outstanding`,
  },
  {
    scenario: 'idle',
    name: 'bytes',
    better: 'lower',
    value: (figure) => figure.bytesPerConnection,
    point: () => 'a connection',
  },
  {
    scenario: 'idle',
    name: 'bytes, later',
    better: 'lower',
    value: (figure) => figure.bytesPerLaterConnection,
    point: () => 'a connection after the first fifth',
  },
  {
    scenario: 'storm',
    name: 'all back, us',
    better: 'lower',
    value: (figure) => figure.backUs,
    point: ({ connections }) => `${connections} clients`,
  },
];

const BARE = /^(relay|answer)/;

/** A figure may be drawn or compared; where it is void that is said beside it. */
export function isMeasured(metric, figure) {
  return Number.isFinite(metric.value(figure));
}

/**
 * For each metric and point: what we have, and what each broker beside us has. `ratio` is above 1 where we are
 * better; NaN where it means nothing, as of two idle connections that cost nothing.
 */
export function comparisons(results) {
  return metrics.flatMap((metric) => {
    const figures = results[metric.scenario]?.figures ?? [];
    const ours = figures.filter((one) => one.peer === 'memorystreamer' && isMeasured(metric, one));
    return ours.flatMap((mine) =>
      figures
        .filter((other) => other.peer !== mine.peer && !BARE.test(other.peer))
        .filter((other) => metric.point(other) === metric.point(mine) && isMeasured(metric, other))
        .map((theirs) => {
          const [a, b] = [metric.value(mine), metric.value(theirs)];
          return {
            scenario: metric.scenario,
            metric: metric.name,
            better: metric.better,
            point: metric.point(mine),
            peer: theirs.peer,
            ours: a,
            theirs: b,
            ratio: a > 0 && b > 0 ? (metric.better === 'higher' ? a / b : b / a) : NaN,
            isVoid: mine.voidBecause.length > 0 || theirs.voidBecause.length > 0,
          };
        }),
    );
  });
}

/** Where another broker is ahead of ours, and nothing speaks against the figures; the worst first. */
export function behind(results) {
  return comparisons(results)
    .filter(({ ratio, isVoid }) => ratio < 1 && !isVoid)
    .sort((a, b) => a.ratio - b.ratio);
}
