// Topology:  publisher --> peer (CPU A) --> subscriber, both ends and one clock in the generator (CPU B).
//
// Measures the time from a message's intended moment of sending to its arrival, at fixed rates, open
// loop: what falls due during a stall counts with its whole waiting. The bare relay shows the part that
// belongs to the machine.
//
// Void when: not every message came, whole and in order; or the rate was not reached; or the generator itself was
// late: its 99th percentile of lateness is above a fifth of the latency's; or others used the machine. A
// quantile with fewer than five messages behind it is not shown.
import { planCpus } from '../lib/machine.mjs';
import { runLoadgen } from '../lib/loadgen.mjs';
import { count, median, printTable } from '../lib/report.mjs';
import { absence, inRounds } from '../lib/runs.mjs';
import { quantileCells, quantileColumns, timedFigure, voidCell } from '../lib/timed.mjs';

const LAG_PART_MAX = 0.2;
const RATE_PART_MIN = 0.95;

const rateMissed = (run) => run.achievedRate < RATE_PART_MIN * run.rate;

function judged(figure, rate) {
  if (figure.runs.length === 0) return figure;
  const reasons = [...figure.voidBecause];
  const achieved = median(figure.runs.map((run) => run.achievedRate));
  if (achieved < RATE_PART_MIN * rate) reasons.push(`rate not reached: ${count(achieved)}/s`);
  const sendLagP99Us = median(figure.runs.map((run) => run.sendLag.p99Us));
  const p99Us = median(figure.runs.map((run) => run.latency.p99Us));
  if (sendLagP99Us > LAG_PART_MAX * p99Us) reasons.push('the generator was late itself');
  return { ...figure, achievedRate: achieved, sendLagP99Us, voidBecause: reasons };
}

export async function latency(options) {
  const cpus = planCpus();
  const names = [...new Set([...options.peers, 'relay'])].filter((name) => name !== 'answer');
  const figures = [];
  for (const rate of options.rates) {
    const results = await inRounds(
      names,
      options.rounds,
      { cpus: cpus.peer, shape: { streams: 1, subscribers: 1 } },
      (peer, definition) =>
        runLoadgen('latency', {
          port: peer.port,
          protocol: definition.protocol,
          wire: definition.wire,
          cpu: cpus.generator,
          size: options.latencySize,
          seconds: options.latencySeconds,
          warmup: options.latencyWarmup,
          rate,
        }),
      { topic: `${rate}/s`, hopeless: rateMissed },
    );
    const key = { rate, payloadBytes: options.latencySize };
    for (const name of names) figures.push(judged(timedFigure(name, key, results[name]), rate));
  }
  printTable(
    `latency, open loop, ${options.latencySize} B; microseconds, medians of the rounds`,
    ['peer, messages/s', ...quantileColumns, 'own lag p99', ''],
    figures.map((figure) => {
      const name = `${figure.peer} ${count(figure.rate)}`;
      if (!figure.runs.length) return [name, ...Array(8).fill('-'), absence(figure)];
      return [name, ...quantileCells(figure), count(figure.sendLagP99Us, 1), voidCell(figure)];
    }),
  );
  return { cpus, figures };
}
