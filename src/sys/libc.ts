/** The only module that knows koffi: it loads the thread's C library and names its functions. */
import { createRequire } from 'node:module';
import type * as Koffi from 'koffi';
import { MemoryStreamerError } from '../errors.js';
import { LINUX_LAYOUTS, type LinuxLayout } from './layout.js';

/**
 * The functions of libc, with pointers as numbers: addresses stay below 2^47, so that a double holds
 * them exactly. Each answers -1 on failure; `errno()` then tells why, until the next call.
 */
export interface Libc {
  readonly errno: () => number;
  /** Address of the first byte of a typed array, which the caller must keep alive. */
  readonly address: (bytes: Uint8Array) => number;
  readonly socket: (domain: number, type: number, protocol: number) => number;
  readonly bind: (fd: number, sockaddr: number, byteCount: number) => number;
  readonly listen: (fd: number, backlog: number) => number;
  readonly accept4: (fd: number, sockaddr: number, bytesAt: number, flags: number) => number;
  readonly socketpair: (domain: number, type: number, protocol: number, fds: number) => number;
  readonly getsockname: (fd: number, sockaddr: number, bytesAt: number) => number;
  readonly getpeername: (fd: number, sockaddr: number, bytesAt: number) => number;
  readonly setsockopt: OptionCall;
  readonly getsockopt: OptionCall;
  readonly shutdown: (fd: number, how: number) => number;
  readonly close: (fd: number) => number;
  readonly recv: (fd: number, address: number, byteCount: number, flags: number) => number;
  readonly send: (fd: number, address: number, byteCount: number, flags: number) => number;
  readonly sendmsg: (fd: number, msghdr: number, flags: number) => number;
  readonly read: (fd: number, address: number, byteCount: number) => number;
  readonly write: (fd: number, address: number, byteCount: number) => number;
  readonly epoll_create1: (flags: number) => number;
  readonly epoll_ctl: (epollFd: number, operation: number, fd: number, event: number) => number;
  readonly epoll_wait: (epollFd: number, events: number, count: number, ms: number) => number;
  readonly eventfd: (value: number, flags: number) => number;
  readonly clock_gettime: (clock: number, timespec: number) => number;
  readonly sched_setaffinity: (pid: number, byteCount: number, mask: number) => number;
  readonly sched_getaffinity: (pid: number, byteCount: number, mask: number) => number;
  readonly getrlimit: (resource: number, rlimit: number) => number;
  readonly getpagesize: () => number;
  readonly madvise: (address: number, byteCount: number, advice: number) => number;
  readonly inet_pton: (family: number, text: string, address: number) => number;
  /** `syscall`, with the arguments of `move_pages`. */
  readonly movePages: (
    callNumber: number,
    pid: number,
    count: number,
    pages: number,
    nodes: number,
    status: number,
    flags: number,
  ) => number;
}

/** The last argument of `setsockopt` is a length, of `getsockopt` the address of one. */
type OptionCall = (fd: number, level: number, name: number, value: number, bytes: number) => number;

/** Where the broker runs: the structures of that architecture, and the names that its libc may have. */
export interface LinuxTarget {
  readonly layout: LinuxLayout;
  readonly libcNames: readonly string[];
}

/** Throws `MS_ERR_NOT_LINUX` elsewhere than on Linux on x64 or arm64. */
export function linuxTarget(platform: string, architecture: string): LinuxTarget {
  if (platform === 'linux' && architecture === 'x64') {
    return { layout: LINUX_LAYOUTS.x64, libcNames: libcNames('x86_64') };
  }
  if (platform === 'linux' && architecture === 'arm64') {
    return { layout: LINUX_LAYOUTS.arm64, libcNames: libcNames('aarch64') };
  }
  throw new MemoryStreamerError(
    'MS_ERR_NOT_LINUX',
    `The broker needs Linux on x64 or arm64; this is ${platform} on ${architecture}. ` +
      'The client library runs here; run the broker on a Linux machine or in a container.',
  );
}

function libcNames(machine: string): readonly string[] {
  return ['libc.so.6', `libc.musl-${machine}.so.1`, 'libc.so'];
}

/** Loads koffi and libc for this thread. Throws `MS_ERR_SYSTEM` when either cannot be had. */
export function loadLibc(names: readonly string[]): Libc {
  const koffi = loadKoffi();
  let cause: unknown;
  for (const name of names) {
    try {
      return bindLibc(koffi, koffi.load(name));
    } catch (error) {
      cause ??= error;
    }
  }
  throw new MemoryStreamerError(
    'MS_ERR_SYSTEM',
    `No C library could be loaded; tried ${names.join(', ')}.`,
    { cause },
  );
}

function loadKoffi(): typeof Koffi {
  try {
    return createRequire(import.meta.url)('koffi') as typeof Koffi;
  } catch (cause) {
    throw new MemoryStreamerError(
      'MS_ERR_SYSTEM',
      'koffi, which the broker calls the system through, cannot be loaded. Install this package ' +
        'with its optional dependencies, on the kind of machine that is to run it.',
      { cause },
    );
  }
}

/**
 * Results are declared `int`: the kernel moves less than 2 GiB in one call, and an int never becomes
 * a BigInt or a number on the heap.
 */
function bindLibc(koffi: typeof Koffi, library: Koffi.LibraryHandle): Libc {
  const bind = (definition: string): ReturnType<Koffi.LibraryHandle['func']> =>
    library.func(definition);
  return {
    errno: () => koffi.errno(),
    address: (bytes: Uint8Array) => Number(koffi.address(bytes)),
    socket: bind('int socket(int, int, int)'),
    bind: bind('int bind(int, uintptr_t, uint32_t)'),
    listen: bind('int listen(int, int)'),
    accept4: bind('int accept4(int, uintptr_t, uintptr_t, int)'),
    socketpair: bind('int socketpair(int, int, int, uintptr_t)'),
    getsockname: bind('int getsockname(int, uintptr_t, uintptr_t)'),
    getpeername: bind('int getpeername(int, uintptr_t, uintptr_t)'),
    setsockopt: bind('int setsockopt(int, int, int, uintptr_t, uint32_t)'),
    getsockopt: bind('int getsockopt(int, int, int, uintptr_t, uintptr_t)'),
    shutdown: bind('int shutdown(int, int)'),
    close: bind('int close(int)'),
    recv: bind('int recv(int, uintptr_t, size_t, int)'),
    send: bind('int send(int, uintptr_t, size_t, int)'),
    sendmsg: bind('int sendmsg(int, uintptr_t, int)'),
    read: bind('int read(int, uintptr_t, size_t)'),
    write: bind('int write(int, uintptr_t, size_t)'),
    epoll_create1: bind('int epoll_create1(int)'),
    epoll_ctl: bind('int epoll_ctl(int, int, int, uintptr_t)'),
    epoll_wait: bind('int epoll_wait(int, uintptr_t, int, int)'),
    eventfd: bind('int eventfd(uint32_t, int)'),
    clock_gettime: bind('int clock_gettime(int, uintptr_t)'),
    sched_setaffinity: bind('int sched_setaffinity(int, size_t, uintptr_t)'),
    sched_getaffinity: bind('int sched_getaffinity(int, size_t, uintptr_t)'),
    getrlimit: bind('int getrlimit(int, uintptr_t)'),
    getpagesize: bind('int getpagesize()'),
    madvise: bind('int madvise(uintptr_t, size_t, int)'),
    inet_pton: bind('int inet_pton(int, str, uintptr_t)'),
    movePages: bind('int syscall(long, long, size_t, uintptr_t, uintptr_t, uintptr_t, int)'),
  };
}
