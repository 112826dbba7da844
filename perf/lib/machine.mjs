// What a figure depends on besides the code: CPUs, versions, and what the kernel says of a process.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { cpus, getPriority, release, setPriority, totalmem } from 'node:os';
import { projectRoot } from './paths.mjs';

const KIB = 1024;
/** Of brokers and generator, where they are compared: before other work on the machine, and not in its way for long. */
const NICE = -10;
/** The kernel counts CPU time of processes in hundredths of a second for user space (USER_HZ). */
const TICKS_PER_SECOND = 100;

function readText(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** The CPUs that this process may use, in ascending order: "0-2,5" is [0, 1, 2, 5]. */
export function allowedCpus() {
  const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(readText('/proc/self/status'))?.[1] ?? '0';
  return list.split(',').flatMap((range) => {
    const [first, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

/**
 * Who runs where: the peer on the first CPU, the generator on the last. With `shards` above 1 the peer
 * gets that many, and shares with the generator where there are not enough (`shared` says so).
 */
export function planCpus(shards = 1) {
  const allowed = allowedCpus();
  if (allowed.length < 2) return { peer: null, generator: null, shared: true };
  const generator = allowed[allowed.length - 1];
  const shared = allowed.length <= shards;
  return { peer: shared ? allowed : allowed.slice(0, shards), generator, shared };
}

/** What is started from now on goes before others, where this user may do so. Answers the nice value. */
export function goFirst() {
  try {
    setPriority(NICE);
  } catch {
    // Only root may. The figures are noisier then, and more rounds may be needed.
  }
  return getPriority();
}

function git(...args) {
  try {
    const options = { cwd: projectRoot, stdio: ['ignore', 'pipe', 'ignore'] };
    return execFileSync('git', args, options).toString().trim();
  } catch {
    return '';
  }
}

export function describeMachine() {
  return {
    date: new Date().toISOString(),
    commit: git('rev-parse', 'HEAD') || 'unknown',
    uncommittedChanges: git('status', '--porcelain') !== '',
    node: process.version,
    kernel: release(),
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cpusAllowed: allowedCpus(),
    memoryBytes: totalmem(),
    loadAverageBefore: readText('/proc/loadavg').split(' ').slice(0, 3).map(Number),
    command: ['node', 'perf/bench.mjs', ...process.argv.slice(2)].join(' '),
  };
}

/** User and system time of a process and all its threads so far, in seconds. */
export function cpuSecondsOf(pid) {
  const fields = readText(`/proc/${pid}/stat`).split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / TICKS_PER_SECOND;
}

/**
 * The same in nanoseconds, from the scheduler's own account of each thread. A thread that has ended is not in it, so
 * a difference of two readings is right only where none ended between them. NaN where the kernel keeps no account.
 */
export function cpuNsOf(pid) {
  let sum = NaN;
  for (const thread of threadsOf(pid)) {
    const ran = readText(`/proc/${pid}/task/${thread}/schedstat`).split(' ')[0];
    if (ran) sum = (Number.isNaN(sum) ? 0 : sum) + Number(ran);
  }
  return sum;
}

function threadsOf(pid) {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

function kibField(text, name) {
  return Number(new RegExp(`^${name}:\\s*(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) * KIB;
}

/**
 * What a process and, apart from it, the whole machine's sockets hold. Socket buffers and slab belong to
 * the machine: they count both ends of a loopback connection, and whatever else happens meanwhile.
 */
export function memoryOf(pid) {
  const rollup = readText(`/proc/${pid}/smaps_rollup`);
  const tcp = /^TCP: .*\bmem (\d+)/m.exec(readText('/proc/net/sockstat'));
  return {
    rssBytes: kibField(readText(`/proc/${pid}/status`), 'VmRSS'),
    rollupRssBytes: kibField(rollup, 'Rss'),
    rollupAnonymousBytes: kibField(rollup, 'Anonymous'),
    rollupPrivateDirtyBytes: kibField(rollup, 'Private_Dirty'),
    machineSocketBufferBytes: Number(tcp?.[1] ?? 0) * 4 * KIB,
    machineSlabBytes: kibField(readText('/proc/meminfo'), 'Slab'),
  };
}

/** The most files that this process, and what it starts, may have open. */
export function openFilesMax() {
  const limit = /^Max open files\s+(\S+)/m.exec(readText('/proc/self/limits'))?.[1];
  return limit === undefined || limit === 'unlimited' ? Infinity : Number(limit);
}
