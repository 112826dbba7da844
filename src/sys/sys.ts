/**
 * The system seam: what the data path asks of the kernel, in integers and byte offsets of the arena.
 *
 * Invariant: no byte offset reaches the kernel before it and its length were checked against the arena.
 *
 * Every call answers a number of 0 or more, or `-errno`; none throws for what the kernel says. A range
 * outside of the arena is a bug of the caller, not a state of the system: it throws an `AssertionError`
 * before any system call is made. The seam decides nothing: no retry, no policy.
 */
export interface Sys {
  /** Length of the arena in bytes; every offset below is checked against it. */
  readonly arenaBytes: number;

  /**
   * A listening, non-blocking TCP socket on a numeric IPv4 or IPv6 address, with SO_REUSEADDR, and
   * TCP_NODELAY (inherited by what it accepts). `port` 0 takes a free one. Answers the fd.
   */
  listen(address: string, port: number, backlog: number): number;
  /** The local port that a socket is bound to. */
  localPort(fd: number): number;
  /** accept4 with SOCK_NONBLOCK and SOCK_CLOEXEC. Answers the fd; -EAGAIN when none waits. */
  accept(listenFd: number): number;
  /** A connected pair of non-blocking stream sockets; fds by `pairFirst()`, `pairSecond()`. Answers 0. */
  socketpair(): number;
  pairFirst(): number;
  pairSecond(): number;

  /** recv with MSG_DONTWAIT into the arena. Answers bytes; 0 = the peer has ended its sending side. */
  receive(fd: number, byteOffset: number, byteCount: number): number;
  /** As `receive`, but the bytes stay in the kernel (MSG_PEEK). */
  peek(fd: number, byteOffset: number, byteCount: number): number;
  /** Drops up to `byteCount` received bytes without copying them (MSG_TRUNC). Answers bytes dropped. */
  discard(fd: number, byteCount: number): number;
  /** send with MSG_DONTWAIT | MSG_NOSIGNAL from the arena. Answers bytes taken by the kernel. */
  send(fd: number, byteOffset: number, byteCount: number): number;
  /**
   * sendmsg with MSG_DONTWAIT | MSG_NOSIGNAL. `spansByteOffset` is a table in the arena of `spanCount` (1 … 1,024)
   * pairs of u32: byte offset, byte count. Each is checked, and only then becomes an iovec outside the arena.
   */
  sendSpans(fd: number, spansByteOffset: number, spanCount: number): number;
  /** shutdown(SHUT_WR). */
  shutdownWrite(fd: number): number;
  close(fd: number): number;
  /** The pending error of a socket (SO_ERROR), as a positive errno, 0 = none. */
  socketError(fd: number): number;
  /** Writes the socket's cookie (SO_COOKIE: unique per socket until reboot) as u64 at `byteOffset` (8-aligned). */
  socketCookie(fd: number, byteOffset: number): number;
  /** Writes the peer's address as 16 bytes at `byteOffset`: IPv6, or IPv4 as ::ffff:a.b.c.d; zeros where it has none (AF_UNIX). */
  peerAddress(fd: number, byteOffset: number): number;
  /** The CPU on which the socket's packets arrive (SO_INCOMING_CPU). */
  incomingCpu(fd: number): number;
  /** SO_RCVLOWAT: readiness is told only when so many bytes are there. */
  setReceiveLowWater(fd: number, byteCount: number): number;

  epollCreate(): number;
  /** Adds `fd`, edge-triggered, for EPOLLIN | EPOLLOUT | EPOLLRDHUP; events bear `slot` and `generation` (u32 each). */
  epollAddStream(epollFd: number, fd: number, slot: number, generation: number): number;
  /** Adds `fd`, level-triggered, for EPOLLIN. */
  epollAddReadable(epollFd: number, fd: number, slot: number, generation: number): number;
  epollRemove(epollFd: number, fd: number): number;
  /**
   * Waits up to `timeoutMs` (0 … 100; a longer wait would delay `terminate()`) for up to 256 events.
   * Answers their number; EINTR is 0 events. They stay readable by the three calls below until the next wait.
   */
  epollWait(epollFd: number, timeoutMs: number): number;
  /** Bits EPOLLIN … EPOLLRDHUP of event `index`. */
  eventFlags(index: number): number;
  eventSlot(index: number): number;
  eventGeneration(index: number): number;

  /** A non-blocking eventfd with value 0. */
  eventfd(): number;
  /** Adds 1: wakes whoever waits for it. */
  eventfdSignal(fd: number): number;
  /** Takes the value back to 0; -EAGAIN when it was 0. */
  eventfdClear(fd: number): number;

  /** Writes CLOCK_REALTIME in nanoseconds as u64 at `byteOffset` (8-aligned). */
  clockRealtime(byteOffset: number): number;

  /** Pins the calling thread to these CPUs (0 … 1,023, at least one). */
  setAffinity(cpus: readonly number[]): number;
  /** The CPUs that the calling thread may use, ascending. */
  affinity(): number[];
  /** The soft limit of open files (RLIMIT_NOFILE). */
  openFilesMax(): number;
  /** madvise(MADV_DONTNEED): gives the pages back; they read as zero afterwards. Both page-aligned. */
  releasePages(byteOffset: number, byteCount: number): number;
  /** madvise(MADV_HUGEPAGE): large pages where the system has some; a hint, so that -EINVAL means "none here". Both page-aligned. */
  adviseHugePages(byteOffset: number, byteCount: number): number;
  /** The NUMA node that holds the page at `byteOffset` (move_pages in query mode); -ENOENT = not touched yet. */
  nodeOfPage(byteOffset: number): number;
}

export const EPOLLIN = 0x001;
export const EPOLLOUT = 0x004;
export const EPOLLERR = 0x008;
export const EPOLLHUP = 0x010;
export const EPOLLRDHUP = 0x2000;

/** Linux errno values, the same on x64 and arm64. */
export const EINTR = 4;
export const EAGAIN = 11;
export const EACCES = 13;
export const EINVAL = 22;
export const ENFILE = 23;
export const EMFILE = 24;
export const EPIPE = 32;
export const EADDRINUSE = 98;
export const EADDRNOTAVAIL = 99;
export const ECONNABORTED = 103;
export const ECONNRESET = 104;
