// Topology:  perf/ring.mjs draws them: threads that append to and read from the stream log, without sockets.
//
// Measures what an append of 1, 8 and 64 frames of 168 bytes costs, alone and contended, and a frame read back.
//
// Void when the rounds differ widely, as they do where there are fewer free cores than threads.
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { noiseIn } from '../lib/noise.mjs';
import { projectRoot } from '../lib/paths.mjs';
import { progress } from '../lib/progress.mjs';
import { count, percent, printTable } from '../lib/report.mjs';
import { voidCell } from '../lib/timed.mjs';

const run = promisify(execFile);
const TOPOLOGIES = ['one', 'shared', 'apart', 'read', 'through'];

export async function log(options) {
  const size = options.smoke ? ['--smoke'] : ['--frames-each', String(options.logFrames)];
  const figures = [];
  for (const name of TOPOLOGIES) {
    progress(name, '');
    const args = [join(projectRoot, 'perf', 'ring.mjs'), '--json', '--only', name, ...size];
    const { stdout } = await run(process.execPath, args);
    for (const { low, middle, high, ...figure } of JSON.parse(stdout)) {
      const spread = (high - low) / middle;
      figures.push({
        peer: 'memorystreamer',
        ...figure,
        value: middle,
        low,
        high,
        spread,
        voidBecause: noiseIn([{}], spread),
      });
    }
  }
  printTable(
    'stream log without sockets, frames of 168 bytes',
    ['topology, frames in a run', 'median', 'unit', 'spread', ''],
    figures.map((figure) => [
      `${figure.name} ${figure.frames}`,
      count(figure.value, 1),
      figure.unit,
      percent(figure.spread),
      voidCell(figure),
    ]),
  );
  return { figures };
}
