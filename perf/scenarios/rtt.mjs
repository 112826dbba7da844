// Topology:  [client A] --question--> peer (CPU A) --> [client B] --answer--> peer --> [client A]
//            both clients in the generator (CPU B), with a connection for each direction
//
// Measures one question at a time, from before it is sent until its answer has arrived: two passes through the
// peer, and nothing under way besides.
//
// Void when: a question or an answer did not come as it was sent; or others used the machine.
import { planCpus } from '../lib/machine.mjs';
import { runLoadgen } from '../lib/loadgen.mjs';
import { printTable } from '../lib/report.mjs';
import { absence, inRounds } from '../lib/runs.mjs';
import { quantileCells, quantileColumns, timedFigure, voidCell } from '../lib/timed.mjs';

export async function rtt(options) {
  const cpus = planCpus();
  const names = [...new Set([...options.peers, 'relay'])].filter((name) => name !== 'answer');
  const shape = { streams: 2, subscribers: 1 };
  const results = await inRounds(
    names,
    options.rounds,
    { cpus: cpus.peer, shape },
    (peer, definition) =>
      runLoadgen('rtt', {
        port: peer.port,
        protocol: definition.protocol,
        wire: definition.wire,
        cpu: cpus.generator,
        size: options.latencySize,
        seconds: options.seconds,
        warmup: options.latencyWarmup,
      }),
    { topic: `${options.latencySize} B` },
  );
  const figures = names.map((name) =>
    timedFigure(name, { payloadBytes: options.latencySize }, results[name]),
  );
  printTable(
    `question and answer between two clients, ${options.latencySize} B; microseconds there and back`,
    ['peer', ...quantileColumns, ''],
    figures.map((figure) =>
      figure.runs.length
        ? [figure.peer, ...quantileCells(figure), voidCell(figure)]
        : [figure.peer, ...Array(7).fill('-'), absence(figure)],
    ),
  );
  return { cpus, figures };
}
