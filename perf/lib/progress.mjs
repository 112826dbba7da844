// Says on standard error what runs now: one line that is rewritten on a terminal, else one for each topic.
import { performance } from 'node:perf_hooks';

const COLUMNS_MAX = 100;
let scenario = '';
let lastTopic = '';
let shown = 0;

function elapsed() {
  const seconds = Math.floor(performance.now() / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

export function enterScenario(name, position, total) {
  scenario = `[${position}/${total}] ${name}`;
  lastTopic = '';
}

/** `topic` is the point that is measured, `detail` the peer and the round. */
export function progress(topic, detail) {
  if (process.stderr.isTTY) {
    const line = `${elapsed()}  ${scenario}  ${topic}  ${detail}`.slice(0, COLUMNS_MAX);
    process.stderr.write(`\r${line.padEnd(shown)}`);
    shown = line.length;
  } else if (topic !== lastTopic) {
    process.stderr.write(`${elapsed()}  ${scenario}  ${topic}\n`);
  }
  lastTopic = topic;
}

/** Takes the rewritten line away, so that a table can be printed. */
export function clearProgress() {
  if (shown > 0) process.stderr.write(`\r${' '.repeat(shown)}\r`);
  shown = 0;
}
