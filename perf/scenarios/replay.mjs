// Topology:  publisher --> broker's log (CPU A); then log --> one subscriber that came late (CPU B).
//
// Measures how fast the broker hands out what it has kept: a subscriber asks for a stream from its first message, when
// all of them are in the log. Of the peers only MemoryStreamer keeps one here, so there is no comparison.
//
// Void when: not every message came, whole and in order; or others used the machine.
import { planCpus } from '../lib/machine.mjs';
import { noiseIn } from '../lib/noise.mjs';
import { runLoadgen } from '../lib/loadgen.mjs';
import { count, median, percent, printTable, spread } from '../lib/report.mjs';
import { absence, faultsOf, inRounds, ownFailure } from '../lib/runs.mjs';
import { voidCell } from '../lib/timed.mjs';

const NAME = 'memorystreamer';

async function measureSize(payloadBytes, cpus, options) {
  const total = Math.max(1, Math.floor(options.replayBytes / (payloadBytes + 48)));
  const measure = (peer, definition) =>
    runLoadgen('replay', {
      port: peer.port,
      protocol: definition.protocol,
      cpu: cpus.generator,
      size: payloadBytes,
      total,
      verify: options.verify,
    });
  const { [NAME]: result } = await inRounds([NAME], options.rounds, { cpus: cpus.peer }, measure, {
    topic: `${payloadBytes} B`,
  });
  const { runs, missing, failed } = result;
  const faults = runs.flatMap(faultsOf);
  const figure = { peer: NAME, payloadBytes, missing, failed, voidBecause: faults, runs };
  figure.ownFailure = ownFailure(NAME, result, faults.length > 0);
  if (runs.length === 0) return figure;
  const rates = runs.map((run) => run.framesPerSecond);
  return {
    ...figure,
    framesPerSecond: median(rates),
    megabytesPerSecond: median(runs.map((run) => run.megabytesPerSecond)),
    firstUs: median(runs.map((run) => run.firstUs)),
    spread: spread(rates),
    voidBecause: [...faults, ...noiseIn(runs, spread(rates))],
  };
}

export async function replay(options) {
  if (!options.peers.includes(NAME)) return { skipped: `${NAME} is not among --peers` };
  const cpus = planCpus();
  const figures = [];
  for (const size of options.fewSizes) figures.push(await measureSize(size, cpus, options));
  printTable(
    `replay of ${count(options.replayBytes / 2 ** 20)} MiB from the log to one subscriber`,
    ['payload', 'frames/s', 'MB/s', 'first after us', 'spread', ''],
    figures.map((figure) => {
      const name = `${figure.payloadBytes} B`;
      if (!figure.runs.length) return [name, ...Array(4).fill('-'), absence(figure)];
      return [
        name,
        count(figure.framesPerSecond),
        count(figure.megabytesPerSecond, 1),
        count(figure.firstUs, 1),
        percent(figure.spread),
        voidCell(figure),
      ];
    }),
  );
  return { cpus, figures };
}
