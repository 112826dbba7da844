/**
 * The seam without a kernel: one thread, no time but the test's, the same faults for the same seed.
 *
 * Invariant: whatever a fault holds back is told of again, so that a caller which is right on Linux
 * never hangs here.
 */
import { isIP } from 'node:net';
import { checkAlignedRange, checkEventIndex, checkFilledRange, checkHandle } from './checks.js';
import { checkInteger, checkPages, checkRange, checkSpanTable, checkTimeout } from './checks.js';
import { FakeEpoll, type FakeEvent } from './fake-epoll.js';
import { type FakeCall, type FakeFaults, FaultSource, NO_FAULTS } from './fake-faults.js';
import { FakeEventfd, FakeFile, FakeListener, FakeStream, FileTable } from './fake-files.js';
import { FakePeer } from './fake-peer.js';
import { firstBytesOf, readableBytes, type Span, writableBytes } from './fake-transfer.js';
import { ADDRESS_BYTES, CPUS_MAX, ENOTCONN, ENOTSOCK, EVENTS_MAX, SPAN_BYTES } from './layout.js';
import * as S from './sys.js';

/** 127.0.0.1, mapped into IPv6. */
const LOOPBACK = Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1]);

export interface FakeOptions {
  /** Of the faults; 1 unless set. */
  seed?: number;
  faults?: Partial<FakeFaults>;
  /** What one direction of a connection holds, 1 or more; 65,536 unless set. */
  socketBufferBytes?: number;
  /** CLOCK_REALTIME at the start, in nanoseconds. */
  clockNs?: bigint;
  openFilesMax?: number;
  /** The machine's CPUs. */
  cpus?: readonly number[];
  /** The NUMA node of a page, or -ENOENT; node 0 unless set. */
  nodeOfPage?: (byteOffset: number) => number;
}

/** Bytes of the arena that one send has handed to the kernel: only what it took. */
export interface FakeDelivery {
  readonly fd: number;
  readonly byteOffset: number;
  readonly byteCount: number;
}

export const FAKE_PAGE_BYTES = 4096;
const NANOSECONDS_PER_MILLISECOND = 1_000_000n;
const CLOCK_START_NS = 1_700_000_000_000_000_000n;
const FIRST_FREE_PORT = 40_000;

export class FakeSys implements S.Sys {
  readonly arenaBytes: number;
  /** Probabilities; a test may change them at any time. */
  readonly faults: FakeFaults;
  /** Every span that a send has delivered, in order. */
  readonly deliveries: FakeDelivery[] = [];
  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;
  readonly #quadwords: BigUint64Array;
  readonly #chance: FaultSource;
  readonly #files = new FileTable();
  readonly #listeners = new Map<number, FakeListener>();
  readonly #epolls = new Set<FakeEpoll>();
  readonly #machineCpus: readonly number[];
  readonly #openFilesMax: number;
  readonly #socketBufferBytes: number;
  readonly #nodeOfPage: (byteOffset: number) => number;
  #clockNs: bigint;
  #cpus: readonly number[];
  #events: FakeEvent[] = [];
  #nextCookie = 1n;
  #nextPort = FIRST_FREE_PORT;
  #pairFirst = -1;
  #pairSecond = -1;

  constructor(arena: WebAssembly.Memory, options: FakeOptions = {}) {
    this.#bytes = new Uint8Array(arena.buffer);
    this.#words = new Uint32Array(arena.buffer);
    this.#quadwords = new BigUint64Array(arena.buffer);
    this.arenaBytes = this.#bytes.byteLength;
    this.faults = { ...NO_FAULTS, ...options.faults };
    this.#chance = new FaultSource(options.seed ?? 1);
    this.#clockNs = options.clockNs ?? CLOCK_START_NS;
    this.#machineCpus = options.cpus ?? [0, 1];
    this.#cpus = this.#machineCpus;
    this.#openFilesMax = options.openFilesMax ?? 1024;
    this.#socketBufferBytes = options.socketBufferBytes ?? 65536;
    this.#nodeOfPage = options.nodeOfPage ?? (() => 0);
  }

  /** Connects to a listener on that port; its packets arrive on `cpu`. Throws where none listens. */
  connect(port: number, cpu = 0, address: Uint8Array = LOOPBACK): FakePeer {
    const listener = this.#listeners.get(port);
    if (listener === undefined) throw new Error(`nothing listens on port ${port}`);
    if (listener.waiting.length >= listener.backlog) throw new Error('the backlog is full');
    const [near, far] = [this.#newStream(), this.#newStream()];
    FakeStream.connect(near, far);
    near.cpu = cpu;
    near.peerAddress = address;
    listener.arrive(near);
    return new FakePeer(far);
  }

  /** The next call of that name answers `-errno`; may be said several times. */
  failNext(call: FakeCall, errno: number): void {
    this.#chance.script(call, errno);
  }

  /** The descriptors that are open, ascending. */
  openFds(): number[] {
    return this.#files.fds();
  }

  /** Calls on descriptors that were not open or of the wrong kind: a right caller makes none. */
  get violations(): readonly string[] {
    return this.#files.violations;
  }

  get clockNs(): bigint {
    return this.#clockNs;
  }

  advanceClockMs(milliseconds: number): void {
    this.#clockNs += BigInt(milliseconds) * NANOSECONDS_PER_MILLISECOND;
  }

  listen(address: string, port: number, backlog: number): number {
    checkInteger('port', port, 0, 0xffff);
    checkInteger('backlog', backlog, 1, 0x7fff_ffff);
    const refusal = this.#refusal('listen');
    if (refusal < 0) return refusal;
    if (isIP(address) === 0) return -S.EINVAL;
    if (this.#listeners.has(port)) return -S.EADDRINUSE;
    const listener = new FakeListener(port === 0 ? this.#freePort() : port, backlog);
    this.#listeners.set(listener.port, listener);
    return this.#files.open(listener);
  }

  localPort(fd: number): number {
    const listener = this.#files.find('localPort', fd, FakeListener, S.EINVAL);
    return typeof listener === 'number' ? listener : listener.port;
  }

  accept(listenFd: number): number {
    const listener = this.#files.find('accept', listenFd, FakeListener, S.EINVAL);
    if (typeof listener === 'number') return listener;
    const refusal = this.#refusal('accept');
    if (refusal < 0) return refusal; // before looking whether one waits, as Linux does
    if (listener.waiting.length === 0) return -S.EAGAIN;
    if (this.#chance.strikes(this.faults.acceptTooManyFiles)) return -S.EMFILE;
    const stream = listener.waiting.shift()!;
    if (!this.#chance.strikes(this.faults.acceptAborted)) return this.#files.open(stream);
    stream.reset();
    return -S.ECONNABORTED;
  }

  socketpair(): number {
    const refusal = this.#refusal('socketpair', 2);
    if (refusal < 0) return refusal;
    const [first, second] = [this.#newStream(), this.#newStream()];
    FakeStream.connect(first, second);
    this.#pairFirst = this.#files.open(first);
    this.#pairSecond = this.#files.open(second);
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
    return this.#takeIn('receive', fd, byteOffset, byteCount);
  }

  peek(fd: number, byteOffset: number, byteCount: number): number {
    checkFilledRange(byteOffset, byteCount, this.arenaBytes);
    return this.#takeIn('peek', fd, byteOffset, byteCount);
  }

  discard(fd: number, byteCount: number): number {
    checkInteger('byteCount', byteCount, 1, Number.MAX_SAFE_INTEGER);
    return this.#takeIn('discard', fd, -1, byteCount);
  }

  send(fd: number, byteOffset: number, byteCount: number): number {
    checkRange(byteOffset, byteCount, this.arenaBytes);
    return this.#giveOut(fd, [{ byteOffset, byteCount }]);
  }

  sendSpans(fd: number, spansByteOffset: number, spanCount: number): number {
    checkSpanTable(spansByteOffset, spanCount, this.arenaBytes);
    const spans: Span[] = [];
    for (let span = 0; span < spanCount; span += 1) {
      const int32Index = (spansByteOffset + span * SPAN_BYTES) / 4;
      const byteOffset = this.#words[int32Index]!;
      const byteCount = this.#words[int32Index + 1]!;
      checkRange(byteOffset, byteCount, this.arenaBytes);
      spans.push({ byteOffset, byteCount });
    }
    return this.#giveOut(fd, spans);
  }

  shutdownWrite(fd: number): number {
    const stream = this.#files.find('shutdownWrite', fd, FakeStream, ENOTSOCK);
    if (typeof stream === 'number') return stream;
    if (stream.broken) return -ENOTCONN;
    stream.endWriting();
    return 0;
  }

  close(fd: number): number {
    const file = this.#files.find('close', fd, FakeFile, S.EINVAL);
    if (typeof file === 'number') return file;
    this.#files.remove(fd);
    for (const epoll of this.#epolls) epoll.remove(file);
    if (file instanceof FakeListener) this.#listeners.delete(file.port);
    if (file instanceof FakeEpoll) this.#epolls.delete(file);
    file.release();
    return 0;
  }

  socketError(fd: number): number {
    const stream = this.#files.find('socketError', fd, FakeStream, ENOTSOCK);
    return typeof stream === 'number' ? stream : stream.takeError();
  }

  socketCookie(fd: number, byteOffset: number): number {
    checkAlignedRange(byteOffset, 8, 8, this.arenaBytes);
    const stream = this.#files.find('socketCookie', fd, FakeStream, ENOTSOCK);
    if (typeof stream === 'number') return stream;
    this.#quadwords[byteOffset / 8] = stream.cookie;
    return 0;
  }

  peerAddress(fd: number, byteOffset: number): number {
    checkRange(byteOffset, ADDRESS_BYTES, this.arenaBytes);
    const stream = this.#files.find('peerAddress', fd, FakeStream, ENOTSOCK);
    if (typeof stream === 'number') return stream;
    this.#bytes.set(stream.peerAddress, byteOffset);
    return 0;
  }

  incomingCpu(fd: number): number {
    const stream = this.#files.find('incomingCpu', fd, FakeStream, ENOTSOCK);
    return typeof stream === 'number' ? stream : stream.cpu;
  }

  setReceiveLowWater(fd: number, byteCount: number): number {
    checkInteger('byteCount', byteCount, 1, 0x7fff_ffff);
    const stream = this.#files.find('setReceiveLowWater', fd, FakeStream, ENOTSOCK);
    if (typeof stream === 'number') return stream;
    stream.setLowWater(byteCount);
    return 0;
  }

  epollCreate(): number {
    const refusal = this.#refusal('epollCreate');
    if (refusal < 0) return refusal;
    const epoll = new FakeEpoll();
    this.#epolls.add(epoll);
    return this.#files.open(epoll);
  }

  epollAddStream(epollFd: number, fd: number, slot: number, generation: number): number {
    return this.#epollAdd(epollFd, fd, true, slot, generation);
  }

  epollAddReadable(epollFd: number, fd: number, slot: number, generation: number): number {
    return this.#epollAdd(epollFd, fd, false, slot, generation);
  }

  epollRemove(epollFd: number, fd: number): number {
    const epoll = this.#files.find('epollRemove', epollFd, FakeEpoll, S.EINVAL);
    if (typeof epoll === 'number') return epoll;
    const file = this.#files.find('epollRemove', fd, FakeFile, S.EINVAL);
    return typeof file === 'number' ? file : epoll.remove(file);
  }

  /** Never blocks: where nothing is ready, `timeoutMs` passes on the test's clock. */
  epollWait(epollFd: number, timeoutMs: number): number {
    checkTimeout(timeoutMs);
    this.#events = [];
    const epoll = this.#files.find('epollWait', epollFd, FakeEpoll, S.EINVAL);
    if (typeof epoll === 'number') return epoll;
    if (this.#chance.strikes(this.faults.interruptedWait)) return 0;
    this.#events = epoll.collect(EVENTS_MAX);
    this.#addSpuriousEvent(epoll);
    if (this.#events.length === 0) this.advanceClockMs(timeoutMs);
    return this.#events.length;
  }

  eventFlags(index: number): number {
    return this.#event(index).flags;
  }

  eventSlot(index: number): number {
    return this.#event(index).slot;
  }

  eventGeneration(index: number): number {
    return this.#event(index).generation;
  }

  eventfd(): number {
    const refusal = this.#refusal('eventfd');
    return refusal < 0 ? refusal : this.#files.open(new FakeEventfd());
  }

  eventfdSignal(fd: number): number {
    const eventfd = this.#files.find('eventfdSignal', fd, FakeEventfd, S.EINVAL);
    if (typeof eventfd === 'number') return eventfd;
    eventfd.signal();
    return 0;
  }

  eventfdClear(fd: number): number {
    const eventfd = this.#files.find('eventfdClear', fd, FakeEventfd, S.EINVAL);
    if (typeof eventfd === 'number') return eventfd;
    if (eventfd.value === 0) return -S.EAGAIN;
    eventfd.value = 0;
    return 0;
  }

  clockRealtime(byteOffset: number): number {
    checkAlignedRange(byteOffset, 8, 8, this.arenaBytes);
    this.#quadwords[byteOffset / 8] = this.#clockNs;
    return 0;
  }

  setAffinity(cpus: readonly number[]): number {
    checkInteger('number of CPUs', cpus.length, 1, CPUS_MAX);
    for (const cpu of cpus) checkInteger('CPU', cpu, 0, CPUS_MAX - 1);
    const refusal = this.#chance.scripted('setAffinity');
    if (refusal !== 0) return -refusal;
    const present = this.#machineCpus.filter((cpu) => cpus.includes(cpu));
    if (present.length === 0) return -S.EINVAL;
    this.#cpus = present;
    return 0;
  }

  affinity(): number[] {
    return [...this.#cpus];
  }

  openFilesMax(): number {
    return this.#openFilesMax;
  }

  releasePages(byteOffset: number, byteCount: number): number {
    checkPages(byteOffset, byteCount, FAKE_PAGE_BYTES, this.arenaBytes);
    this.#bytes.fill(0, byteOffset, byteOffset + byteCount);
    return 0;
  }

  adviseHugePages(byteOffset: number, byteCount: number): number {
    checkPages(byteOffset, byteCount, FAKE_PAGE_BYTES, this.arenaBytes);
    return 0;
  }

  nodeOfPage(byteOffset: number): number {
    checkRange(byteOffset, 1, this.arenaBytes);
    return this.#nodeOfPage(byteOffset);
  }

  /** What a script says to a call that opens `files` descriptors, then the limit of them; 0 = go on. */
  #refusal(call: FakeCall, files = 1): number {
    const scripted = this.#chance.scripted(call);
    if (scripted !== 0) return -scripted;
    return this.#files.count + files > this.#openFilesMax ? -S.EMFILE : 0;
  }

  #newStream(): FakeStream {
    const cookie = this.#nextCookie;
    this.#nextCookie += 1n;
    return new FakeStream(cookie, this.#socketBufferBytes);
  }

  #freePort(): number {
    while (this.#listeners.has(this.#nextPort)) this.#nextPort += 1;
    return this.#nextPort++;
  }

  /** Takes bytes from a stream: into the arena unless `byteOffset` is -1, and out of the inbox or not. */
  #takeIn(call: string, fd: number, byteOffset: number, byteCount: number): number {
    const stream = this.#files.find(call, fd, FakeStream, ENOTSOCK);
    if (typeof stream === 'number') return stream;
    const scripted = this.#chance.scripted('receive');
    if (scripted !== 0) return this.#heldBack(stream, scripted, S.EPOLLIN);
    const taken = readableBytes(stream, byteCount, this.faults, this.#chance);
    if (taken <= 0) return taken;
    if (byteOffset >= 0) stream.inbox.copyTo(this.#bytes.subarray(byteOffset, byteOffset + taken));
    if (call === 'peek') return taken;
    stream.inbox.drop(taken);
    stream.tellRoom();
    return taken;
  }

  #giveOut(fd: number, spans: readonly Span[]): number {
    const stream = this.#files.find('send', fd, FakeStream, ENOTSOCK);
    if (typeof stream === 'number') return stream;
    const scripted = this.#chance.scripted('send');
    if (scripted !== 0) return this.#heldBack(stream, scripted, S.EPOLLOUT);
    const byteCount = spans.reduce((sum, span) => sum + span.byteCount, 0);
    const taken = writableBytes(stream, byteCount, this.faults, this.#chance);
    if (taken <= 0) return taken;
    for (const span of firstBytesOf(spans, taken)) {
      stream.send(this.#bytes.subarray(span.byteOffset, span.byteOffset + span.byteCount));
      this.deliveries.push({ fd, ...span });
    }
    return taken;
  }

  /** A scripted refusal of a transfer; -EAGAIN promises that readiness is told again. */
  #heldBack(stream: FakeStream, errno: number, flags: number): number {
    if (errno === S.EAGAIN) stream.rearm(flags);
    else stream.cutOff();
    return -errno;
  }

  #epollAdd(
    epollFd: number,
    fd: number,
    edgeTriggered: boolean,
    slot: number,
    generation: number,
  ): number {
    checkHandle(slot, generation);
    const epoll = this.#files.find('epollAdd', epollFd, FakeEpoll, S.EINVAL);
    if (typeof epoll === 'number') return epoll;
    const file = this.#files.find('epollAdd', fd, FakeFile, S.EINVAL);
    if (typeof file === 'number') return file;
    const scripted = this.#chance.scripted('epollAdd');
    return scripted !== 0 ? -scripted : epoll.add(file, edgeTriggered, slot, generation);
  }

  #addSpuriousEvent(epoll: FakeEpoll): void {
    if (this.#events.length === EVENTS_MAX) return;
    if (!this.#chance.strikes(this.faults.spuriousWakeup)) return;
    const streams = epoll.streamEvents();
    if (streams.length === 0) return;
    this.#events.push(streams[this.#chance.between(0, streams.length - 1)]!);
  }

  #event(index: number): FakeEvent {
    checkEventIndex(index, this.#events.length);
    return this.#events[index]!;
  }
}
