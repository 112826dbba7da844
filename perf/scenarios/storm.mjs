// Topology:  publisher --> peer (CPU A) --> N subscribers, which all lose their connections at the same moment.
//
// Measures a reconnect storm: all N connections were closed, and connect and subscribe again at once. Latency is each
// one's, from before its connect() until its subscription was confirmed; "all back" is when the last one was; "all
// reached" is how long one message then takes to all of them, which proves the subscriptions.
//
// Some storms come before, unmeasured: a broker that loses all its clients has run for long.
//
// Void when: the message did not reach every one, unchanged; or others used the machine.
import { planCpus } from '../lib/machine.mjs';
import { runLoadgen } from '../lib/loadgen.mjs';
import { count, median, percent, printTable } from '../lib/report.mjs';
import { absence, inRounds } from '../lib/runs.mjs';
import { quantileCell, timedFigure, voidCell } from '../lib/timed.mjs';

const PAYLOAD_BYTES = 64;

export async function storm(options) {
  const cpus = planCpus();
  const names = options.peers.filter((name) => !name.startsWith('relay'));
  const blow = (peer, definition) =>
    runLoadgen('storm', {
      port: peer.port,
      protocol: definition.protocol,
      cpu: cpus.generator,
      size: PAYLOAD_BYTES,
      connections: options.stormConnections,
      outstanding: options.stormConnections,
    });
  const warm = async (peer, definition) => {
    for (let i = 0; i < options.stormsBefore; i++) await blow(peer, definition);
  };
  const results = await inRounds(names, options.rounds, { cpus: cpus.peer }, blow, {
    topic: `${options.stormConnections} clients`,
    warm,
  });
  const figures = names.map((name) => {
    const figure = timedFigure(name, { connections: options.stormConnections }, results[name]);
    if (figure.runs.length === 0) return figure;
    const of = (pick) => median(figure.runs.map(pick));
    return {
      ...figure,
      backUs: of((run) => run.backUs),
      allReachedUs: of((run) => run.allReachedUs),
      perSecond: of((run) => run.perSecond),
    };
  });
  printTable(
    `reconnect storm, ${count(options.stormConnections)} subscribers at once; milliseconds`,
    ['peer', 'all back', 'a second', 'p50', 'p99', 'spread', 'all reached', ''],
    figures.map((figure) => {
      if (!figure.runs.length) return [figure.peer, ...Array(6).fill('-'), absence(figure)];
      return [
        figure.peer,
        count(figure.backUs / 1e3, 1),
        count(figure.perSecond),
        quantileCell(figure.p50Us, 1e3),
        quantileCell(figure.p99Us, 1e3),
        percent(figure.spread),
        count(figure.allReachedUs / 1e3, 1),
        voidCell(figure),
      ];
    }),
  );
  return { cpus, figures };
}
