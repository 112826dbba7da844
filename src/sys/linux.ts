/**
 * The seam over Linux itself, through libc.
 *
 * Invariant: an address that libc gets is a checked range of the arena, or lies in `Scratch`, or is 0.
 */
import { checkAlignedRange, checkEventIndex, checkFilledRange, checkHandle } from './checks.js';
import { checkInteger, checkPages, checkRange, checkSpanTable, checkTimeout } from './checks.js';
import * as L from './layout.js';
import { linuxTarget, loadLibc, type Libc } from './libc.js';
import { DRAIN_BYTES, SCRATCH, Scratch } from './scratch.js';
import { EINTR, EINVAL, EPOLLIN, EPOLLOUT, EPOLLRDHUP, type Sys } from './sys.js';
import { readU64, writeNanoseconds, writeU64 } from './words.js';

const SEND_FLAGS = L.MSG_DONTWAIT | L.MSG_NOSIGNAL;
const STREAM_TYPE = L.SOCK_STREAM | L.SOCK_NONBLOCK | L.SOCK_CLOEXEC;
/** Added as a number: `|` would make it negative. */
const STREAM_EVENTS = (EPOLLIN | EPOLLOUT | EPOLLRDHUP) + L.EPOLLET;

/**
 * The system as the calling thread sees it. Each thread makes its own, over the same shared memory.
 * Throws `MemoryStreamerError`: `MS_ERR_NOT_LINUX` elsewhere than on Linux on x64 or arm64,
 * `MS_ERR_SYSTEM` when koffi or the C library cannot be loaded. `load` is given by tests alone.
 */
export function createLinuxSys(arena: WebAssembly.Memory, load = loadLibc): Sys {
  const target = linuxTarget(process.platform, process.arch);
  return new LinuxSys(arena, load(target.libcNames), target.layout);
}

class LinuxSys implements Sys {
  readonly arenaBytes: number;
  readonly #arenaWords: Uint32Array;
  readonly #arenaBytes: Uint8Array;
  readonly #base: number;
  readonly #libc: Libc;
  readonly #layout: L.LinuxLayout;
  readonly #scratch: Scratch;
  readonly #pageBytes: number;
  readonly #eventInt32Count: number;
  readonly #dataInt32Offset: number;
  #eventCount = 0;
  #pairFirst = -1;
  #pairSecond = -1;

  constructor(arena: WebAssembly.Memory, libc: Libc, layout: L.LinuxLayout) {
    this.#arenaWords = new Uint32Array(arena.buffer);
    this.#arenaBytes = new Uint8Array(arena.buffer);
    this.arenaBytes = this.#arenaWords.byteLength;
    this.#base = libc.address(new Uint8Array(arena.buffer));
    this.#libc = libc;
    this.#layout = layout;
    this.#scratch = new Scratch(libc, layout);
    this.#pageBytes = libc.getpagesize();
    this.#eventInt32Count = layout.epollEventBytes / 4;
    this.#dataInt32Offset = layout.epollDataByteOffset / 4;
  }

  listen(address: string, port: number, backlog: number): number {
    checkInteger('port', port, 0, 0xffff);
    checkInteger('backlog', backlog, 1, 0x7fff_ffff);
    const sockaddrBytes = this.#writeSockaddr(address, port);
    if (sockaddrBytes < 0) return sockaddrBytes;
    const family = sockaddrBytes === L.SOCKADDR_IN_BYTES ? L.AF_INET : L.AF_INET6;
    const fd = this.#answer(this.#libc.socket(family, STREAM_TYPE, 0));
    if (fd < 0) return fd;
    const status = this.#bindAndListen(fd, sockaddrBytes, backlog);
    if (status === 0) return fd;
    this.#libc.close(fd);
    return status;
  }

  localPort(fd: number): number {
    const { words, bytes, base } = this.#scratch;
    words[SCRATCH.lengthInt32Index] = L.SOCKADDR_IN6_BYTES;
    const status = this.#libc.getsockname(fd, base + SCRATCH.sockaddr, base + SCRATCH.length);
    if (status < 0) return this.#answer(status);
    const family = bytes[SCRATCH.sockaddr]!;
    if (family !== L.AF_INET && family !== L.AF_INET6) return -EINVAL;
    const portAt = SCRATCH.sockaddr + L.SOCKADDR_PORT_BYTE_OFFSET;
    return bytes[portAt]! * 256 + bytes[portAt + 1]!;
  }

  accept(listenFd: number): number {
    return this.#answer(this.#libc.accept4(listenFd, 0, 0, L.SOCK_NONBLOCK | L.SOCK_CLOEXEC));
  }

  socketpair(): number {
    const { words, base } = this.#scratch;
    const status = this.#libc.socketpair(L.AF_UNIX, STREAM_TYPE, 0, base + SCRATCH.value);
    if (status < 0) return this.#answer(status);
    this.#pairFirst = words[SCRATCH.valueInt32Index]!;
    this.#pairSecond = words[SCRATCH.valueInt32Index + 1]!;
    return 0;
  }

  pairFirst(): number {
    return this.#pairFirst;
  }

  pairSecond(): number {
    return this.#pairSecond;
  }

  receive(fd: number, byteOffset: number, byteCount: number): number {
    checkFilledRange(byteOffset, byteCount, this.arenaBytes);
    const taken = this.#libc.recv(fd, this.#base + byteOffset, byteCount, L.MSG_DONTWAIT);
    return taken >= 0 ? taken : -this.#libc.errno();
  }

  peek(fd: number, byteOffset: number, byteCount: number): number {
    checkFilledRange(byteOffset, byteCount, this.arenaBytes);
    const flags = L.MSG_DONTWAIT | L.MSG_PEEK;
    return this.#answer(this.#libc.recv(fd, this.#base + byteOffset, byteCount, flags));
  }

  discard(fd: number, byteCount: number): number {
    checkInteger('byteCount', byteCount, 1, Number.MAX_SAFE_INTEGER);
    const flags = L.MSG_DONTWAIT | L.MSG_TRUNC;
    const dropped = this.#answer(this.#libc.recv(fd, 0, byteCount, flags));
    if (dropped !== -L.EFAULT) return dropped;
    // Only TCP drops without a buffer; a socket of a pair copies, so it gets one that nobody reads.
    const drainBytes = Math.min(byteCount, DRAIN_BYTES);
    const drainAddress = this.#scratch.base + SCRATCH.drain;
    return this.#answer(this.#libc.recv(fd, drainAddress, drainBytes, L.MSG_DONTWAIT));
  }

  send(fd: number, byteOffset: number, byteCount: number): number {
    checkRange(byteOffset, byteCount, this.arenaBytes);
    const taken = this.#libc.send(fd, this.#base + byteOffset, byteCount, SEND_FLAGS);
    return taken >= 0 ? taken : -this.#libc.errno();
  }

  sendSpans(fd: number, spansByteOffset: number, spanCount: number): number {
    checkSpanTable(spansByteOffset, spanCount, this.arenaBytes);
    const spans = this.#arenaWords;
    let spanInt32Index = spansByteOffset / 4;
    if (spanCount === 1) return this.send(fd, spans[spanInt32Index]!, spans[spanInt32Index + 1]!);
    const { words, base } = this.#scratch;
    let iovecInt32Index = SCRATCH.iovecsInt32Index;
    for (let span = 0; span < spanCount; span += 1) {
      // Read once: another thread may write the table between the check and the use.
      const byteOffset = spans[spanInt32Index]!;
      const byteCount = spans[spanInt32Index + 1]!;
      checkRange(byteOffset, byteCount, this.arenaBytes);
      writeU64(words, iovecInt32Index, this.#base + byteOffset);
      words[iovecInt32Index + 2] = byteCount;
      spanInt32Index += L.SPAN_BYTES / 4;
      iovecInt32Index += L.IOVEC_BYTES / 4;
    }
    words[SCRATCH.iovecCountInt32Index] = spanCount;
    const taken = this.#libc.sendmsg(fd, base + SCRATCH.msghdr, SEND_FLAGS);
    return taken >= 0 ? taken : -this.#libc.errno();
  }

  shutdownWrite(fd: number): number {
    return this.#answer(this.#libc.shutdown(fd, L.SHUT_WR));
  }

  close(fd: number): number {
    return this.#answer(this.#libc.close(fd));
  }

  socketError(fd: number): number {
    return this.#option(fd, L.SO_ERROR);
  }

  socketCookie(fd: number, byteOffset: number): number {
    checkAlignedRange(byteOffset, 8, 8, this.arenaBytes);
    return this.#getOption(fd, L.SO_COOKIE, this.#base + byteOffset, 8);
  }

  peerAddress(fd: number, byteOffset: number): number {
    checkRange(byteOffset, L.ADDRESS_BYTES, this.arenaBytes);
    const { words, bytes, base } = this.#scratch;
    words[SCRATCH.lengthInt32Index] = L.SOCKADDR_IN6_BYTES;
    const status = this.#libc.getpeername(fd, base + SCRATCH.sockaddr, base + SCRATCH.length);
    if (status < 0) return this.#answer(status);
    const into = this.#arenaBytes.fill(0, byteOffset, byteOffset + L.ADDRESS_BYTES);
    const family = bytes[SCRATCH.sockaddr]!;
    if (family === L.AF_INET6) {
      const at = SCRATCH.sockaddr + L.SOCKADDR_IN6_ADDRESS_BYTE_OFFSET;
      for (let i = 0; i < L.ADDRESS_BYTES; i++) into[byteOffset + i] = bytes[at + i]!;
    } else if (family === L.AF_INET) {
      const at = SCRATCH.sockaddr + L.SOCKADDR_IN_ADDRESS_BYTE_OFFSET;
      into.fill(0xff, byteOffset + 10, byteOffset + 12);
      for (let i = 0; i < 4; i++) into[byteOffset + 12 + i] = bytes[at + i]!;
    }
    return 0;
  }

  /** -ENOENT while no packet has arrived yet. */
  incomingCpu(fd: number): number {
    const cpu = this.#option(fd, L.SO_INCOMING_CPU);
    return cpu > 0x7fff_ffff ? -L.ENOENT : cpu;
  }

  setReceiveLowWater(fd: number, byteCount: number): number {
    checkInteger('byteCount', byteCount, 1, 0x7fff_ffff);
    return this.#setOption(fd, L.SOL_SOCKET, L.SO_RCVLOWAT, byteCount);
  }

  epollCreate(): number {
    return this.#answer(this.#libc.epoll_create1(L.EPOLL_CLOEXEC));
  }

  epollAddStream(epollFd: number, fd: number, slot: number, generation: number): number {
    return this.#epollAdd(epollFd, fd, STREAM_EVENTS, slot, generation);
  }

  epollAddReadable(epollFd: number, fd: number, slot: number, generation: number): number {
    return this.#epollAdd(epollFd, fd, EPOLLIN, slot, generation);
  }

  epollRemove(epollFd: number, fd: number): number {
    return this.#answer(this.#libc.epoll_ctl(epollFd, L.EPOLL_CTL_DEL, fd, 0));
  }

  epollWait(epollFd: number, timeoutMs: number): number {
    checkTimeout(timeoutMs);
    const eventsAddress = this.#scratch.base + SCRATCH.events;
    const count = this.#libc.epoll_wait(epollFd, eventsAddress, L.EVENTS_MAX, timeoutMs);
    this.#eventCount = Math.max(0, count);
    if (count >= 0) return count;
    const errno = this.#libc.errno();
    return errno === EINTR ? 0 : -errno;
  }

  eventFlags(index: number): number {
    return this.#scratch.words[this.#eventInt32Index(index)]!;
  }

  eventSlot(index: number): number {
    return this.#scratch.words[this.#eventInt32Index(index) + this.#dataInt32Offset]!;
  }

  eventGeneration(index: number): number {
    return this.#scratch.words[this.#eventInt32Index(index) + this.#dataInt32Offset + 1]!;
  }

  eventfd(): number {
    return this.#answer(this.#libc.eventfd(0, L.EFD_NONBLOCK | L.EFD_CLOEXEC));
  }

  eventfdSignal(fd: number): number {
    const status = this.#libc.write(fd, this.#scratch.base + SCRATCH.one, 8);
    return status < 0 ? -this.#libc.errno() : 0;
  }

  eventfdClear(fd: number): number {
    const status = this.#libc.read(fd, this.#scratch.base + SCRATCH.value, 8);
    return status < 0 ? -this.#libc.errno() : 0;
  }

  clockRealtime(byteOffset: number): number {
    checkAlignedRange(byteOffset, 8, 8, this.arenaBytes);
    const { words, base } = this.#scratch;
    const status = this.#libc.clock_gettime(L.CLOCK_REALTIME, base + SCRATCH.value);
    if (status < 0) return -this.#libc.errno();
    const seconds = readU64(words, SCRATCH.valueInt32Index);
    const nanoseconds = words[SCRATCH.valueInt32Index + 2]!;
    writeNanoseconds(this.#arenaWords, byteOffset / 4, seconds, nanoseconds);
    return 0;
  }

  setAffinity(cpus: readonly number[]): number {
    checkInteger('number of CPUs', cpus.length, 1, L.CPUS_MAX);
    const { base } = this.#scratch;
    const mask = this.#scratch.clearedMask();
    for (const cpu of cpus) {
      checkInteger('CPU', cpu, 0, L.CPUS_MAX - 1);
      mask[cpu >> 3]! |= 1 << (cpu & 7);
    }
    return this.#answer(this.#libc.sched_setaffinity(0, mask.length, base + SCRATCH.mask));
  }

  /** Empty when the kernel refuses to tell: it knows more CPUs than the mask holds. */
  affinity(): number[] {
    const mask = this.#scratch.clearedMask();
    const maskAddress = this.#scratch.base + SCRATCH.mask;
    if (this.#libc.sched_getaffinity(0, mask.length, maskAddress) < 0) return [];
    const cpus: number[] = [];
    for (let cpu = 0; cpu < L.CPUS_MAX; cpu += 1) {
      if ((mask[cpu >> 3]! & (1 << (cpu & 7))) !== 0) cpus.push(cpu);
    }
    return cpus;
  }

  openFilesMax(): number {
    const { words, base } = this.#scratch;
    const status = this.#libc.getrlimit(L.RLIMIT_NOFILE, base + SCRATCH.value);
    if (status < 0) return this.#answer(status);
    return Math.min(readU64(words, SCRATCH.valueInt32Index), Number.MAX_SAFE_INTEGER);
  }

  releasePages(byteOffset: number, byteCount: number): number {
    checkPages(byteOffset, byteCount, this.#pageBytes, this.arenaBytes);
    return this.#answer(this.#libc.madvise(this.#base + byteOffset, byteCount, L.MADV_DONTNEED));
  }

  adviseHugePages(byteOffset: number, byteCount: number): number {
    checkPages(byteOffset, byteCount, this.#pageBytes, this.arenaBytes);
    return this.#answer(this.#libc.madvise(this.#base + byteOffset, byteCount, L.MADV_HUGEPAGE));
  }

  nodeOfPage(byteOffset: number): number {
    checkRange(byteOffset, 1, this.arenaBytes);
    const { words, base } = this.#scratch;
    const pageAddress = this.#base + byteOffset - (byteOffset % this.#pageBytes);
    writeU64(words, SCRATCH.valueInt32Index, pageAddress);
    const [pagesAt, statusAt] = [base + SCRATCH.value, base + SCRATCH.length];
    const { movePagesNumber } = this.#layout;
    const status = this.#libc.movePages(movePagesNumber, 0, 1, pagesAt, 0, statusAt, 0);
    return status < 0 ? this.#answer(status) : words[SCRATCH.lengthInt32Index]! | 0;
  }

  /** What the interface answers for what a function of libc has just answered. */
  #answer(result: number): number {
    return result >= 0 ? result : -this.#libc.errno();
  }

  /** Answers the length of the address, or -EINVAL where the text is no numeric address. */
  #writeSockaddr(address: string, port: number): number {
    const { bytes, base } = this.#scratch;
    const at = SCRATCH.sockaddr;
    bytes.fill(0, at, at + L.SOCKADDR_IN6_BYTES);
    bytes[at + L.SOCKADDR_PORT_BYTE_OFFSET] = port >> 8;
    bytes[at + L.SOCKADDR_PORT_BYTE_OFFSET + 1] = port & 0xff;
    const inetAt = base + at + L.SOCKADDR_IN_ADDRESS_BYTE_OFFSET;
    if (this.#libc.inet_pton(L.AF_INET, address, inetAt) === 1) {
      bytes[at] = L.AF_INET;
      return L.SOCKADDR_IN_BYTES;
    }
    const inet6At = base + at + L.SOCKADDR_IN6_ADDRESS_BYTE_OFFSET;
    if (this.#libc.inet_pton(L.AF_INET6, address, inet6At) !== 1) return -EINVAL;
    bytes[at] = L.AF_INET6;
    return L.SOCKADDR_IN6_BYTES;
  }

  #bindAndListen(fd: number, sockaddrBytes: number, backlog: number): number {
    let status = this.#setOption(fd, L.SOL_SOCKET, L.SO_REUSEADDR, 1);
    if (status === 0) status = this.#setOption(fd, L.IPPROTO_TCP, L.TCP_NODELAY, 1);
    if (status < 0) return status;
    const sockaddrAddress = this.#scratch.base + SCRATCH.sockaddr;
    status = this.#answer(this.#libc.bind(fd, sockaddrAddress, sockaddrBytes));
    return status < 0 ? status : this.#answer(this.#libc.listen(fd, backlog));
  }

  #setOption(fd: number, level: number, name: number, value: number): number {
    const { words, base } = this.#scratch;
    words[SCRATCH.valueInt32Index] = value;
    return this.#answer(this.#libc.setsockopt(fd, level, name, base + SCRATCH.value, 4));
  }

  /** A socket's option as u32. */
  #option(fd: number, name: number): number {
    const { words, base } = this.#scratch;
    const status = this.#getOption(fd, name, base + SCRATCH.value, 4);
    return status < 0 ? status : words[SCRATCH.valueInt32Index]!;
  }

  #getOption(fd: number, name: number, address: number, byteCount: number): number {
    const { words, base } = this.#scratch;
    words[SCRATCH.lengthInt32Index] = byteCount;
    const lengthAddress = base + SCRATCH.length;
    return this.#answer(this.#libc.getsockopt(fd, L.SOL_SOCKET, name, address, lengthAddress));
  }

  #epollAdd(epollFd: number, fd: number, events: number, slot: number, generation: number): number {
    checkHandle(slot, generation);
    const { words, base } = this.#scratch;
    words[SCRATCH.valueInt32Index] = events;
    words[SCRATCH.valueInt32Index + this.#dataInt32Offset] = slot;
    words[SCRATCH.valueInt32Index + this.#dataInt32Offset + 1] = generation;
    return this.#answer(this.#libc.epoll_ctl(epollFd, L.EPOLL_CTL_ADD, fd, base + SCRATCH.value));
  }

  #eventInt32Index(index: number): number {
    checkEventIndex(index, this.#eventCount);
    return SCRATCH.eventsInt32Index + index * this.#eventInt32Count;
  }
}
