// Topology:  K sockets of the generator at a time --> peer; each connects, is answered once, closes.
//
// Measures whole lives of connections a second, one after another and many at once, and what CPU each costs the
// peer, beside a bare accept loop that only answers. As many come before, unmeasured: what is compiled while it runs
// (Node.js) takes some thousands of them to be fast. The greeting is PING (MemoryStreamer, Redis), CONNECT and PING
// (NATS), CONNECT (MQTT).
//
// Void when above 98 % of the bare loop's rate (then the machine's own connecting is the figure), or when others used
// the machine. A refused or unanswered connection ends the run.
import { planCpus } from '../lib/machine.mjs';
import { runLoadgen } from '../lib/loadgen.mjs';
import { count, median, percent, printTable } from '../lib/report.mjs';
import { absence, inRounds } from '../lib/runs.mjs';
import { quantileCell, timedFigure, voidCell } from '../lib/timed.mjs';

const CEILING_PART_MAX = 0.98;

function judged(figure, ceiling) {
  if (figure.runs.length === 0) return figure;
  const cyclesPerSecond = median(figure.runs.map((run) => run.cyclesPerSecond));
  const cpuUs = median(figure.runs.map((run) => (run.peerCpuSeconds * 1e6) / run.cycles));
  const ceilingPart = cyclesPerSecond / ceiling;
  const voidBecause = [...figure.voidBecause];
  if (figure.peer !== 'answer' && ceilingPart > CEILING_PART_MAX) {
    voidBecause.push(`${percent(ceilingPart)} of the bare loop`);
  }
  return { ...figure, cyclesPerSecond, cpuUs, ceilingPart, voidBecause };
}

export async function connect(options) {
  const cpus = planCpus();
  const names = [...options.peers.filter((name) => !name.startsWith('relay')), 'answer'];
  const figures = [];
  for (const outstanding of options.outstanding) {
    const cycle = (peer, definition) =>
      runLoadgen('connect', {
        port: peer.port,
        protocol: definition.protocol,
        cpu: cpus.generator,
        outstanding,
        total: options.cycles,
        hello: options.hello,
      });
    const results = await inRounds(
      names,
      options.rounds,
      { cpus: cpus.peer },
      async (peer, definition) => ({
        expected: options.cycles,
        ...(await cycle(peer, definition)),
        delivered: options.cycles,
      }),
      { topic: `${outstanding} outstanding`, warm: cycle },
    );
    const bare = results.answer.runs.map((run) => run.cyclesPerSecond);
    const ceiling = bare.length > 0 ? median(bare) : NaN;
    for (const name of names) {
      figures.push(judged(timedFigure(name, { outstanding }, results[name]), ceiling));
    }
  }
  printTable(
    'connect -> greeting -> answer -> close',
    ['peer, outstanding', 'cycles/s', 'spread', 'p50 us', 'p99 us', 'CPU us', 'of ceiling', ''],
    figures.map((figure) => {
      const name = `${figure.peer} ${figure.outstanding}`;
      if (!figure.runs.length) return [name, ...Array(6).fill('-'), absence(figure)];
      return [
        name,
        count(figure.cyclesPerSecond),
        percent(figure.spread),
        quantileCell(figure.p50Us),
        quantileCell(figure.p99Us),
        count(figure.cpuUs, 1),
        percent(figure.ceilingPart),
        voidCell(figure),
      ];
    }),
  );
  return { cpus, cycles: options.cycles, figures };
}
