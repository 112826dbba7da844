// Runs a command while its processes are stopped now and then, all of them together, as a machine does that others use
// too. Finds tests, and code, that take passing time for work done. Ends with the command's exit code.
//
//   node scripts/stop-often.mjs COMMAND [ARGUMENTS…]
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';

/** Between two stops: evenly from … to. */
const RUN_MS = [300, 1_500];
/** How long a stop is: one of these. */
const STOP_MS = [50, 200, 500, 1_000, 1_500, 3_000];

/** The state of a process that a signal has stopped. */
const STOPPED = 'T';

const [command, ...args] = process.argv.slice(2);
if (command === undefined || command.startsWith('-')) {
  console.error('usage: node scripts/stop-often.mjs COMMAND [ARGUMENTS…]');
  process.exit(64);
}
// A session of its own, by which its processes are known, also those whose parent has ended.
const child = spawn(command, args, { stdio: 'inherit', detached: true });
const ended = once(child, 'exit');
let isOver = false;
const over = ended.then(
  () => (isOver = true),
  (error) => {
    console.error(error.message);
    process.exit(1);
  },
);
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => void send(-child.pid, signal));

let stops = 0;
for (;;) {
  await Promise.race([over, delay(RUN_MS[0] + Math.random() * (RUN_MS[1] - RUN_MS[0]))]);
  if (isOver) break;
  const stopped = processesOf(child.pid).filter((pid) => send(pid, 'SIGSTOP'));
  await delay(STOP_MS[Math.floor(Math.random() * STOP_MS.length)]);
  for (const pid of stopped) send(pid, 'SIGCONT');
  stops++;
}
const [code, signal] = await ended;
console.error(`stopped ${stops} times`);
process.exitCode = code ?? 128 + constants.signals[signal];

/** Those of the session, and everything that descends from them; but not what somebody else has stopped. */
function processesOf(session) {
  const known = new Set([session]);
  const found = [];
  // A child may stand before its parent, where numbers have started anew; it is found at the next stop.
  for (const { pid, parent, sessionId, state } of allProcesses()) {
    if (!known.has(parent) && sessionId !== session) continue;
    known.add(pid);
    if (state !== STOPPED) found.push(pid);
  }
  return found;
}

function allProcesses() {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.flatMap((pid) => {
    try {
      const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
      // Behind the command's name, which may hold anything: state, parent, group, session (proc(5)).
      const [state, parent, , sessionId] = text.slice(text.lastIndexOf(')') + 2).split(' ');
      return [{ pid: Number(pid), parent: Number(parent), sessionId: Number(sessionId), state }];
    } catch {
      return [];
    }
  });
}

/** False where there is no such process any more. */
function send(pid, signal) {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}
