/** `memorystreamer bench`: how fast a broker that runs is, as clients of it see it. */
import { startLive } from './bench/live.js';
import { Crew } from './bench/crew.js';
import { parseBench, type BenchPlan } from './bench/options.js';
import { reportJson, reportText } from './bench/report.js';
import { summaryOf } from './bench/summary.js';
import { CREDENTIAL_HELP } from './credential-flags.js';
import { EXIT_DONE, EXIT_FAULT } from './exit-codes.js';
import { Output } from './output.js';
import { onSignals } from './signals.js';

const HELP = `memorystreamer bench: measure a broker that runs

Usage:
  memorystreamer bench pub [SUBJECT] [FLAGS]      publish as fast as it can, or at --rate
  memorystreamer bench sub [SUBJECT] [FLAGS]      count what arrives, its pauses, gaps and order
  memorystreamer bench latency [SUBJECT] [FLAGS]  publish at --rate; how late each frame arrives
  memorystreamer bench rtt [SUBJECT] [FLAGS]      a question and its answer, between two clients

SUBJECT is "bench" unless given; latency and rtt use "SUBJECT.latency.1" and so on, so that pairs do
not hear each other. On a terminal a line says how it goes. It ends after --count or --duration, or
by Ctrl-C, and then says what it found. Its exit code is 1 where frames were lost in silence or came
out of order.

latency is an open loop: each frame is due at a moment of its own, and its latency counts from then,
also where an earlier one held it up. "own lag" is how late this tool itself was. It does not sleep
between frames, so it takes a CPU of its own.

The tool is the package's client library: one thread of it makes or takes some hundred thousand
frames a second, fewer than a broker carries. --threads spreads the connections over several; where
the report says that the tool was at its limit, the rate is the tool's.

Examples:
  memorystreamer bench sub & memorystreamer bench pub --count 1000000
  memorystreamer bench pub --connections 4 --threads 4 --streams 4 --size 16 --duration 30s
  memorystreamer bench pub --ack each --window 64
  memorystreamer bench sub 'orders.>' --from first --count 100000
  memorystreamer bench latency --rate 10000 --duration 1m
  memorystreamer bench rtt --count 20000 --json

Flags:
  --size N         payload bytes; default 128; latency and rtt need 16
  --rate N         pub, latency: frames a second, of all connections together; latency: default 1000
  --count N        end after N frames, of all connections together
  --duration TIME  end after TIME, as 500ms, 10s, 2m; default 10s without --count; sub: no end
  --warmup TIME    latency, rtt: before anything is counted; default 500ms
  --connections N  pub, sub: connections; latency, rtt: pairs of them; default 1
  --threads N      threads that the connections are spread over; default 1
  --streams N      pub, sub: streams SUBJECT.1 to SUBJECT.N, one after another for the connections
  --ack WORD       pub: bulk (the default: as many at once as there are), each, or none
  --window N       with --ack each: frames of a connection that wait for theirs; default 100
  --from WHERE     sub: as of "memorystreamer sub"
  --json           a line of JSON at the end, in place of the report
  --url URL        the broker; else MEMORYSTREAMER_URL, else ms://127.0.0.1:7878
${CREDENTIAL_HELP}
  --help
`;

/** Runs the command; answers its exit code, or throws a MemoryStreamerError. */
export async function runBench(argv: readonly string[]): Promise<number> {
  const plan = parseBench(argv);
  if (plan === undefined) {
    process.stdout.write(HELP);
    return EXIT_DONE;
  }
  return measure(plan, new Output(process.stdout));
}

async function measure(plan: BenchPlan, output: Output): Promise<number> {
  const crew = new Crew(plan.tasks);
  const stop = () => crew.stop();
  const forgetSignals = onSignals(stop);
  output.onGone(stop);
  let endLive: () => void = () => undefined;
  try {
    await crew.ready;
    // `sub` may wait for long: whoever starts it has to know that it listens.
    if (plan.kind === 'sub') process.stderr.write(`subscribed ${plan.subject}\n`);
    endLive = startLive(plan.kind, crew.boards, process.stderr);
    crew.go();
    const results = await crew.results;
    endLive();
    const summary = summaryOf(plan, crew.boards, results);
    const text = plan.isJson ? reportJson(plan, summary) : reportText(plan, summary);
    await output.write(Buffer.from(text));
    return summary.isBroken ? EXIT_FAULT : EXIT_DONE;
  } catch (error) {
    endLive();
    throw error;
  } finally {
    forgetSignals();
  }
}
