// Topology:  publisher --> peer (CPU A) --> subscriber, both ends and one clock in the generator (CPU B).
//
// Measures the time from a message's intended moment of sending to its arrival, at fixed rates, open
// loop: what falls due during a stall counts with its whole waiting. The bare relay shows the part that
// belongs to the machine.
//
// Void when: not every message came, whole and in order; or the generator itself was late: its 99th
// percentile of lateness is above a fifth of the latency's.
import { planCpus } from './machine.mjs';
import { runLoadgen } from './loadgen.mjs';
import { count, median, printTable } from './report.mjs';
import { absence, faultsOf, inRounds, ownFailure } from './runs.mjs';

const LAG_PART_MAX = 0.2;
const QUANTILES = ['p50Us', 'p90Us', 'p99Us', 'p999Us', 'maxUs'];

export async function latency(options) {
  const cpus = planCpus();
  const names = [...new Set([...options.peers, 'relay'])].filter((name) => name !== 'answer');
  const figures = [];
  for (const rate of options.rates) {
    const results = await inRounds(names, options.rounds, { cpus: cpus.peer }, (peer, definition) =>
      runLoadgen('latency', {
        port: peer.port,
        protocol: definition.protocol,
        wire: definition.wire,
        cpu: cpus.generator,
        size: options.latencySize,
        seconds: options.seconds,
        warmup: options.warmup,
        rate,
      }),
    );
    for (const name of names) {
      const result = results[name];
      const faults = result.runs.flatMap(faultsOf);
      const of = (histogram, quantile) =>
        median(result.runs.map((run) => run[histogram][quantile]));
      const figure = { peer: name, rate, payloadBytes: options.latencySize, voidBecause: faults };
      if (result.runs.length) {
        for (const quantile of QUANTILES) figure[quantile] = of('latency', quantile);
        figure.sendLagP99Us = of('sendLag', 'p99Us');
        if (figure.sendLagP99Us > LAG_PART_MAX * figure.p99Us) {
          figure.voidBecause = [...faults, 'the generator was late itself'];
        }
      }
      figures.push({
        ...figure,
        ...result,
        ownFailure: ownFailure(name, result, faults.length > 0),
      });
    }
  }
  printTable(
    `latency, open loop, ${options.latencySize} B; microseconds, medians of the rounds`,
    ['peer, messages/s', 'p50', 'p90', 'p99', 'p99.9', 'max', 'own lag p99', ''],
    figures.map((figure) => {
      const name = `${figure.peer} ${figure.rate}`;
      if (!figure.runs.length) return [name, ...Array(6).fill('-'), absence(figure)];
      return [
        name,
        ...QUANTILES.map((quantile) => count(figure[quantile], 1)),
        count(figure.sendLagP99Us, 1),
        figure.voidBecause.length ? `VOID: ${figure.voidBecause.join(', ')}` : '',
      ];
    }),
  );
  return { cpus, figures };
}
