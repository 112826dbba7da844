// The broker beside its peers: each scenario's file says its topology, what it measures and
// when a figure is void. Everything runs on loopback, and only processes started here are ended.
//
//   npm run perf                         every scenario
//   npm run perf -- throughput idle      some
//   npm run perf -- --help
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { compileLoadgen } from './lib/loadgen.mjs';
import { describeMachine } from './lib/machine.mjs';
import { helpText, readCommandLine } from './lib/options.mjs';
import { pageOf } from './lib/page/page.mjs';
import { buildDirectory, resultsDirectory } from './lib/paths.mjs';
import { addBeside, brokers, buildProject, describePeers } from './lib/peers.mjs';
import { clearProgress, enterScenario } from './lib/progress.mjs';
import { resultText, storedResults } from './lib/results.mjs';
import { codec } from './scenarios/codec.mjs';
import { config } from './scenarios/config.mjs';
import { connect } from './scenarios/connect.mjs';
import { generator } from './scenarios/generator.mjs';
import { idle } from './scenarios/idle.mjs';
import { latency } from './scenarios/latency.mjs';
import { log } from './scenarios/log.mjs';
import { reload } from './scenarios/reload.mjs';
import { replay } from './scenarios/replay.mjs';
import { rtt } from './scenarios/rtt.mjs';
import { storm } from './scenarios/storm.mjs';
import { fanin, fanout, shards, streams, throughput } from './scenarios/throughput.mjs';
import { wakeup } from './scenarios/wakeup.mjs';

const scenarios = {
  generator,
  throughput,
  streams,
  fanin,
  fanout,
  latency,
  rtt,
  connect,
  idle,
  storm,
  replay,
  wakeup,
  codec,
  log,
  config,
  reload,
  shards,
};
/** `shards` needs three CPUs to say anything: it is measured when it is asked for. */
const usual = Object.keys(scenarios).filter((name) => name !== 'shards');
const comparable = [...brokers, 'relay'];

/** A smoke run proves nothing about speed, so it never lands among the results by default. */
function resultPath({ out, name, smoke, chosen }, machine) {
  if (out) return out;
  const directory = smoke ? buildDirectory : resultsDirectory;
  const day = machine.date.slice(0, 10);
  const which = chosen.length === usual.length ? 'all' : chosen.join('-');
  return join(directory, `${name ?? `${smoke ? 'smoke' : day}-${which}`}.json`);
}

function printHead(machine, versions) {
  console.log(
    `${machine.cpu}, CPUs ${machine.cpusAllowed}, Linux ${machine.kernel}, ${machine.node}`,
  );
  const changes = machine.uncommittedChanges ? ' and uncommitted changes' : '';
  console.log(`commit ${machine.commit}${changes}`);
  for (const { name, version } of versions) {
    if (brokers.includes(name) && name !== 'memorystreamer') {
      console.log(version === 'missing' ? `${name}: MISSING` : version);
    }
  }
  console.log(`load average before: ${machine.loadAverageBefore.join(' ')}`);
}

async function runAll({ chosen, options }) {
  const results = {};
  for (const [position, name] of chosen.entries()) {
    enterScenario(name, position + 1, chosen.length);
    try {
      results[name] = await scenarios[name](options);
    } catch (error) {
      // What the others measured is not thrown away for it; the exit status tells.
      console.error(`\n${name} FAILED: ${error.message}`);
      results[name] = { failed: error.message };
    }
    clearProgress();
  }
  return results;
}

function write(path, whole) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, resultText(whole));
  const page = path.replace(/(\.json)?$/, '.html');
  writeFileSync(page, pageOf(whole, storedResults(resultsDirectory)));
  console.log(`\nwritten: ${path}\n         ${page}`);
}

/** What of this project's own did not work, as against figures that are merely void. */
function failuresIn(results) {
  return Object.entries(results).flatMap(([scenario, { failed, figures = [] }]) =>
    failed
      ? [scenario]
      : figures.filter((figure) => figure.ownFailure).map(({ peer }) => `${scenario}/${peer}`),
  );
}

async function main() {
  const request = readCommandLine(Object.keys(scenarios), comparable, usual);
  if (request.help) {
    console.log(helpText(Object.keys(scenarios), comparable));
    return 0;
  }
  if (request.beside !== undefined) addBeside(request.beside);
  compileLoadgen();
  buildProject();
  const machine = describeMachine();
  const versions = describePeers();
  printHead(machine, versions);
  const results = await runAll(request);
  const seconds = Math.round(performance.now() / 1000);
  const { smoke, options } = request;
  write(resultPath(request, machine), {
    machine: { ...machine, seconds },
    peers: versions,
    smoke,
    options,
    results,
  });
  const failures = failuresIn(results);
  if (failures.length) console.error(`not in order: ${[...new Set(failures)].join(', ')}`);
  return failures.length ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  clearProgress();
  console.error(`perf: ${error.message}`);
  process.exitCode = 1;
}
