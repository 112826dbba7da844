/** What the seam answers where the kernel refuses a call that it refuses seldom: libc with one call that fails. */
import { readdirSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { loadLibc, type Libc } from '../../src/sys/libc.js';
import { createLinuxSys } from '../../src/sys/linux.js';
import { EINTR, EINVAL, EPOLLIN, type Sys } from '../../src/sys/sys.js';

const ENOENT = 2;
const ENOMEM = 12;
const EMFILE = 24;

let failing: { name: keyof Libc; errno: number; after: number } | undefined;
afterEach(() => (failing = undefined));

/** Calls go to libc but for the failing one, which fails once `after` calls of it have gone through. */
function fallible(names: readonly string[]): Libc {
  const libc = loadLibc(names);
  let didFail = false;
  const wrapped = Object.entries(libc).map(
    ([name, call]: [string, (...args: never[]) => number]) => [
      name,
      (...args: never[]) => {
        if (name === 'errno' && didFail) return failing!.errno;
        if (name !== 'errno') didFail = failing?.name === name && failing.after-- <= 0;
        return didFail ? -1 : call(...args);
      },
    ],
  );
  return Object.fromEntries(wrapped) as Libc;
}

function makeSys(): Sys {
  return createLinuxSys(new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }), fallible);
}

const calls: [name: keyof Libc, call: (sys: Sys) => number, after?: number][] = [
  ['socket', (sys) => sys.listen('127.0.0.1', 0, 1)],
  ['setsockopt', (sys) => sys.listen('127.0.0.1', 0, 1)],
  ['setsockopt', (sys) => sys.listen('127.0.0.1', 0, 1), 1],
  ['bind', (sys) => sys.listen('127.0.0.1', 0, 1)],
  ['listen', (sys) => sys.listen('127.0.0.1', 0, 1)],
  ['socketpair', (sys) => sys.socketpair()],
  ['epoll_create1', (sys) => sys.epollCreate()],
  ['eventfd', (sys) => sys.eventfd()],
  ['clock_gettime', (sys) => sys.clockRealtime(8)],
  ['sched_setaffinity', (sys) => sys.setAffinity([0])],
  ['getrlimit', (sys) => sys.openFilesMax()],
  ['madvise', (sys) => sys.releasePages(0, 65_536)],
  ['madvise', (sys) => sys.adviseHugePages(0, 65_536)],
  ['movePages', (sys) => sys.nodeOfPage(0)],
];

test.each(calls)(
  '%s that is refused is told as it is, and opens nothing',
  (name, call, after = 0) => {
    const sys = makeSys();
    const before = readdirSync('/proc/self/fd').length;
    for (const errno of [EMFILE, ENOMEM]) {
      failing = { name, errno, after };
      expect(call(sys)).toBe(-errno);
    }
    expect(readdirSync('/proc/self/fd').length).toBe(before);
  },
);

test('a pair that was refused leaves the numbers of the last one alone', () => {
  const sys = makeSys();
  failing = { name: 'socketpair', errno: EMFILE, after: 0 };
  expect(sys.socketpair()).toBe(-EMFILE);
  expect([sys.pairFirst(), sys.pairSecond()]).toEqual([-1, -1]);
});

test('a kernel that does not tell the CPUs leaves none to place shards on', () => {
  const sys = makeSys();
  expect(sys.affinity().length).toBeGreaterThan(0);
  failing = { name: 'sched_getaffinity', errno: EINVAL, after: 0 };
  expect(sys.affinity()).toEqual([]);
});

test('a wait that a signal ends has nothing to tell, and nothing of the wait before', () => {
  const sys = makeSys();
  const [epollFd, eventFd] = [sys.epollCreate(), sys.eventfd()];
  expect(sys.epollAddReadable(epollFd, eventFd, 1, 2)).toBe(0);
  expect(sys.eventfdSignal(eventFd)).toBe(0);
  expect([sys.epollWait(epollFd, 0), sys.eventFlags(0)]).toEqual([1, EPOLLIN]);
  failing = { name: 'epoll_wait', errno: EINTR, after: 0 };
  expect(sys.epollWait(epollFd, 0)).toBe(0);
  expect(() => sys.eventFlags(0)).toThrow('event index');
  failing = { name: 'epoll_wait', errno: ENOMEM, after: 0 };
  expect(sys.epollWait(epollFd, 0)).toBe(-ENOMEM);
  failing = undefined;
  expect([sys.close(epollFd), sys.close(eventFd)]).toEqual([0, 0]);
});

test('a socket of a pair has no port, and no packet of it came in on a CPU', () => {
  const sys = makeSys();
  expect(sys.socketpair()).toBe(0);
  const fd = sys.pairFirst();
  expect(sys.localPort(fd)).toBe(-EINVAL);
  expect(sys.incomingCpu(fd)).toBe(-ENOENT);
  expect([sys.close(fd), sys.close(sys.pairSecond())]).toEqual([0, 0]);
});
