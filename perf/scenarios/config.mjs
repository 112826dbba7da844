// Topology:  one process, from its start: modules --> configuration --> threads --> the `ready` line.
//
// Measures how long a start takes, and its configuration in it: the modules' loading, the first reading of a file with
// all keys, a reading when everything is warm, and, of a whole broker with one shard, from its spawning to `ready`; and how
// long after SIGHUP it has taken a changed file over. What loading costs by kind and number of files: perf/config.mjs.
//
// Void when the rounds differ widely.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { promisify } from 'node:util';
import { planCpus } from '../lib/machine.mjs';
import { noiseIn } from '../lib/noise.mjs';
import { projectRoot } from '../lib/paths.mjs';
import { peers } from '../lib/peers.mjs';
import { matched } from '../lib/processes.mjs';
import { progress } from '../lib/progress.mjs';
import { count, median, percent, printTable, spread } from '../lib/report.mjs';
import { voidCell } from '../lib/timed.mjs';

const run = promisify(execFile);
const FILE = join(projectRoot, 'docs', 'memorystreamer.example.json');
const SUBSCRIPTIONS = 1000;
/** The line that the broker logs, with the value that the file was changed to. */
const TAKEN_OVER = /"result":"applied".*"after":"1001".*"config reload"/;
const PROBE = join(projectRoot, 'perf', 'probes', 'config-load.mjs');

/** Milliseconds from spawning to `ready`, and from SIGHUP until the changed file is taken over. */
async function startOnce(cpus) {
  const folder = mkdtempSync(join(tmpdir(), 'memorystreamer-perf-config-'));
  const file = join(folder, 'broker.json');
  const write = (subscriptions) =>
    writeFileSync(file, JSON.stringify({ limits: { subscriptions } }));
  try {
    write(SUBSCRIPTIONS);
    const start = performance.now();
    const flags = ['--config', file, '--reload-on', 'signal'];
    const broker = await peers.memorystreamer.start({ cpus: cpus.peer, flags });
    const readyMs = performance.now() - start;
    try {
      write(SUBSCRIPTIONS + 1);
      const asked = performance.now();
      process.kill(broker.pid, 'SIGHUP');
      await matched(broker.handle, TAKEN_OVER, 'the reload');
      return { readyMs, reloadMs: performance.now() - asked };
    } finally {
      await broker.stop();
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export async function config(options) {
  const cpus = planCpus();
  const rounds = [];
  for (let round = 0; round < options.rounds; round++) {
    progress('configuration and start', `round ${round + 1} of ${options.rounds}`);
    const { stdout } = await run(process.execPath, [
      PROBE,
      'time',
      String(options.configTimes),
      FILE,
    ]);
    rounds.push({ ...JSON.parse(stdout), ...(await startOnce(cpus)) });
  }
  const titles = {
    importMs: 'modules of the configuration loaded',
    coldMs: 'first reading of a file with all keys',
    warmMs: 'reading it when warm',
    readyMs: 'a broker started, until it is ready',
    reloadMs: 'a changed file taken over, after SIGHUP',
  };
  const figures = Object.entries(titles).map(([name, title]) => {
    const values = rounds.map((one) => one[name]);
    return {
      peer: 'memorystreamer',
      name,
      title,
      ms: median(values),
      roundCount: values.length,
      spread: spread(values),
      voidBecause: noiseIn([{}], spread(values)),
    };
  });
  printTable(
    'configuration and start; milliseconds',
    ['what', 'ms', 'spread', ''],
    figures.map((figure) => [
      figure.title,
      count(figure.ms, 2),
      percent(figure.spread),
      voidCell(figure),
    ]),
  );
  return { figures };
}
