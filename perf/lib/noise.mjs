// Who else used the machine during a run: what the CPUs did, less what the run's own processes did.
import { readFileSync } from 'node:fs';
import { allowedCpus, cpuSecondsOf } from './machine.mjs';
import { median, percent } from './report.mjs';

const TICKS_PER_SECOND = 100;
/** Of all CPUs that this process may use. A run beside more than that is void. */
export const OTHERS_PART_MAX = 0.1;
/** Rounds that differ by more, least to greatest over the median, say that something changed between them. */
const SPREAD_MAX = 0.5;

/**
 * What the allowed CPUs did, and what a hypervisor took of them, in seconds. Interrupts are in it because a process that
 * sends over loopback does the receiving side's work in one, and has it on its own account.
 */
function machineSeconds() {
  const text = readFileSync('/proc/stat', 'utf8');
  return allowedCpus().reduce((sum, cpu) => {
    const fields = new RegExp(`^cpu${cpu} (.*)$`, 'm').exec(text)?.[1].split(' ').map(Number) ?? [];
    const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = fields;
    return sum + (user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND;
  }, 0);
}

/** This process, and those that it started and that have ended: the generator is one. */
function ownSeconds() {
  const fields = readFileSync('/proc/self/stat', 'utf8').split(') ')[1].split(' ').map(Number);
  return (fields[11] + fields[12] + fields[13] + fields[14]) / TICKS_PER_SECOND;
}

/** Begins to watch beside the peers `pids`, if there are any; the answered function says what part of the CPUs others had. */
export function watchOthers(...pids) {
  const read = () => ({
    at: process.hrtime.bigint(),
    others: pids.reduce((rest, pid) => rest - cpuSecondsOf(pid), machineSeconds() - ownSeconds()),
  });
  const before = read();
  return () => {
    const after = read();
    const wall = (Number(after.at - before.at) / 1e9) * allowedCpus().length;
    return Math.max(0, (after.others - before.others) / wall);
  };
}

/** Why figures of these runs, with these rates or times, are void for the machine's sake; [] when they are not. */
export function noiseIn(runs, spread = 0) {
  const others = median(runs.map((run) => run.othersPart ?? 0));
  const reasons = [];
  if (others > OTHERS_PART_MAX) reasons.push(`others had ${percent(others)} of the CPUs`);
  if (spread > SPREAD_MAX) reasons.push(`rounds differ by ${percent(spread)}`);
  return reasons;
}
