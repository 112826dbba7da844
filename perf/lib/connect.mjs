// Topology:  K sockets of the generator at a time --> peer; each connects, is answered once, closes.
//
// Measures whole lives of connections a second, one after another and many at once, beside a bare
// server that only answers. Against nats-server the greeting is CONNECT and PING, and the answer its PONG.
//
// Void when above 80 % of the bare server's rate. A refused or unanswered connection ends the run.
import { planCpus } from './machine.mjs';
import { runLoadgen } from './loadgen.mjs';
import { count, median, percent, printTable, spread } from './report.mjs';
import { absence, inRounds, ownFailure } from './runs.mjs';

const CEILING_PART_MAX = 0.8;

export async function connect(options) {
  const cpus = planCpus();
  const names = [...options.peers.filter((name) => !name.startsWith('relay')), 'answer'];
  const figures = [];
  for (const outstanding of options.outstanding) {
    const results = await inRounds(names, options.rounds, { cpus: cpus.peer }, (peer, definition) =>
      runLoadgen('connect', {
        port: peer.port,
        protocol: definition.protocol,
        cpu: cpus.generator,
        outstanding,
        total: options.cycles,
        hello: options.hello,
      }),
    );
    const rateOf = (name) => median(results[name].runs.map((run) => run.cyclesPerSecond));
    for (const name of names) {
      const result = results[name];
      const measured = result.runs.length > 0;
      const cyclesPerSecond = measured ? rateOf(name) : NaN;
      const part = results.answer.runs.length ? cyclesPerSecond / rateOf('answer') : NaN;
      figures.push({
        peer: name,
        outstanding,
        cyclesPerSecond,
        spread: measured ? spread(result.runs.map((run) => run.cyclesPerSecond)) : NaN,
        ceilingPart: part,
        voidBecause:
          name !== 'answer' && part > CEILING_PART_MAX
            ? [`${percent(part)} of the bare server`]
            : [],
        ...result,
        ownFailure: ownFailure(name, result, false),
      });
    }
  }
  printTable(
    'connect -> greeting -> answer -> close',
    ['peer, outstanding', 'cycles/s', 'spread', 'p50 us', 'p99 us', 'of ceiling', ''],
    figures.map((figure) => {
      const name = `${figure.peer} ${figure.outstanding}`;
      if (!figure.runs.length) return [name, ...Array(5).fill('-'), absence(figure)];
      return [
        name,
        count(figure.cyclesPerSecond),
        percent(figure.spread),
        count(median(figure.runs.map((run) => run.latency.p50Us)), 1),
        count(median(figure.runs.map((run) => run.latency.p99Us)), 1),
        percent(figure.ceilingPart),
        figure.voidBecause.length ? `VOID: ${figure.voidBecause}` : '',
      ];
    }),
  );
  return { cpus, cycles: options.cycles, figures };
}
