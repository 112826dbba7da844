// Topology:  one shard:   publisher --> (shard 1) --> subscriber
//            two shards:  publisher --> (shard 1) --news, eventfd--> (shard 2) --> subscriber
//            both shards on CPU A, publisher and subscriber in the generator on CPU B
//
// Measures what it costs that a stream is read on another shard than it is written on, when that shard sleeps: the
// latency at 1,000 messages a second with two shards, less that with one. Both shards share a CPU, so the difference has a
// switch of threads in it, which it would not have with a CPU each.
//
// Void as `latency` is.
import { planCpus } from '../lib/machine.mjs';
import { runLoadgen } from '../lib/loadgen.mjs';
import { count, printTable } from '../lib/report.mjs';
import { absence, inRounds } from '../lib/runs.mjs';
import { quantileCells, quantileColumns, timedFigure, voidCell } from '../lib/timed.mjs';

const NAME = 'memorystreamer';
const RATE = 1000;

export async function wakeup(options) {
  if (!options.peers.includes(NAME)) return { skipped: `${NAME} is not among --peers` };
  const cpus = planCpus();
  const figures = [];
  for (const shards of [1, 2]) {
    const { [NAME]: result } = await inRounds(
      [NAME],
      options.rounds,
      { cpus: cpus.peer, shards },
      (peer, definition) =>
        runLoadgen('latency', {
          port: peer.port,
          protocol: definition.protocol,
          cpu: cpus.generator,
          size: options.latencySize,
          seconds: options.latencySeconds,
          warmup: options.latencyWarmup,
          rate: RATE,
        }),
      { topic: `${shards} shard(s)` },
    );
    figures.push(timedFigure(NAME, { shards }, result));
  }
  const wakeUpUs = figures[1].p50Us - figures[0].p50Us;
  printTable(
    `a stream read on another shard, ${count(RATE)}/s, ${options.latencySize} B; the wake-up costs ${count(wakeUpUs, 1)} us at the median`,
    ['shards', ...quantileColumns, ''],
    figures.map((figure) =>
      figure.runs.length
        ? [figure.shards, ...quantileCells(figure), voidCell(figure)]
        : [figure.shards, ...Array(7).fill('-'), absence(figure)],
    ),
  );
  return { cpus, wakeUpUs, figures };
}
