/** What only the real system shows: large offsets, flags of descriptors, threads, the clock. */
import { AssertionError } from 'node:assert';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { connect } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { linuxTarget, loadLibc } from '../../src/sys/libc.js';
import { createLinuxSys } from '../../src/sys/linux.js';
import { EAGAIN, EPOLLIN, type Sys } from '../../src/sys/sys.js';

const GIB = 1024 ** 3;
const IPPROTO_TCP = 6;
const TCP_NODELAY = 1;
const fds: number[] = [];

afterEach(() => {
  for (const fd of fds.splice(0)) expect(makeSys(1).close(fd)).toBe(0);
});

function makeArena(pages: number): WebAssembly.Memory {
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
}

function makeSys(pages: number): Sys {
  return createLinuxSys(makeArena(pages));
}

function opened(fd: number): number {
  expect(fd).toBeGreaterThanOrEqual(0);
  fds.push(fd);
  return fd;
}

function pair(sys: Sys): [number, number] {
  expect(sys.socketpair()).toBe(0);
  return [opened(sys.pairFirst()), opened(sys.pairSecond())];
}

/** The flags of an open descriptor, as the kernel tells them. */
function openFlags(fd: number): number {
  const flags = /^flags:\s*([0-7]+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))!;
  return parseInt(flags[1]!, 8);
}

// First of this file: nothing has loaded koffi yet.
test('koffi is loaded by the first seam made, not by importing it', () => {
  const isKoffiLoaded = (): boolean =>
    Object.keys(createRequire(import.meta.url).cache).some((path) => path.includes('/koffi/'));
  expect(isKoffiLoaded()).toBe(false);
  makeSys(1);
  expect(isKoffiLoaded()).toBe(true);
});

test('on another platform making a seam is refused', () => {
  const real = Object.getOwnPropertyDescriptor(process, 'platform')!;
  Object.defineProperty(process, 'platform', { ...real, value: 'darwin' });
  try {
    expect(() => makeSys(1)).toThrow(expect.objectContaining({ code: 'MS_ERR_NOT_LINUX' }));
  } finally {
    Object.defineProperty(process, 'platform', real);
  }
});

test('every offset of a 4 GiB arena can be used, and not one byte more', () => {
  const arena = makeArena(65_536);
  const sys = createLinuxSys(arena);
  const bytes = new Uint8Array(arena.buffer);
  expect(sys.arenaBytes).toBe(4 * GIB);
  const [first, second] = pair(sys);
  const out = 2 * GIB + 5;
  const end = 4 * GIB;
  bytes.set([1, 2, 3, 4, 5, 6], out);
  expect(sys.send(first, out, 3)).toBe(3);
  new Uint32Array(arena.buffer, 3 * GIB, 4).set([out + 4, 2, out + 3, 1]);
  expect(sys.sendSpans(first, 3 * GIB, 2)).toBe(3);
  expect(sys.receive(second, end - 6, 6)).toBe(6);
  expect([...bytes.subarray(end - 6)]).toEqual([1, 2, 3, 5, 6, 4]);
  expect(sys.clockRealtime(end - 8)).toBe(0);
  expect(sys.socketCookie(first, end - 16)).toBe(0);
  expect(new BigUint64Array(arena.buffer, end - 16, 2).every((word) => word > 0n)).toBe(true);
  expect(sys.releasePages(end - 65_536, 65_536)).toBe(0);
  expect(bytes[end - 8]).toBe(0);
  for (const byteOffset of [end - 5, end, 2 ** 32 + 5]) {
    expect(() => sys.receive(second, byteOffset, 6)).toThrow(AssertionError);
    expect(() => sys.send(first, byteOffset, 6)).toThrow(AssertionError);
  }
  expect(() => sys.releasePages(end, 65_536)).toThrow(AssertionError);
  expect(sys.receive(second, 0, 6)).toBe(-EAGAIN);
});

test('every descriptor is closed on exec, and every one that could block does not', () => {
  const sys = makeSys(1);
  const listenFd = opened(sys.listen('127.0.0.1', 0, 1));
  for (const fd of [listenFd, ...pair(sys), opened(sys.eventfd())]) {
    expect(openFlags(fd) & 0o2004000).toBe(0o2004000);
  }
  expect(openFlags(opened(sys.epollCreate())) & 0o2000000).toBe(0o2000000);
});

test('a listener on IPv6 tells its port', () => {
  const sys = makeSys(1);
  const fd = sys.listen('::1', 0, 1);
  if (fd === -97 || fd === -99) return; // a machine without IPv6
  expect(sys.localPort(opened(fd))).toBeGreaterThan(0);
});

test('what is accepted inherits TCP_NODELAY, does not block and is closed on exec', async () => {
  const sys = makeSys(1);
  const libc = loadLibc(linuxTarget(process.platform, process.arch).libcNames);
  const words = new Int32Array(new ArrayBuffer(256));
  const address = libc.address(new Uint8Array(words.buffer));
  const noDelayOf = (fd: number): number => {
    words.set([0, 4]);
    expect(libc.getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, address, address + 4)).toBe(0);
    return words[0]!;
  };
  const listenFd = opened(sys.listen('127.0.0.1', 0, 1));
  const socket = connect({ host: '127.0.0.1', port: sys.localPort(listenFd) });
  await once(socket, 'connect');
  const accepted = opened(sys.accept(listenFd));
  expect(noDelayOf(accepted)).toBe(1);
  expect(openFlags(accepted) & 0o2004000).toBe(0o2004000);
  expect(noDelayOf(opened(libc.socket(2, 1, 0)))).toBe(0);
  socket.write(Uint8Array.of(1));
  for (let turn = 0; turn < 1000 && sys.receive(accepted, 0, 1) === -EAGAIN; turn += 1) {
    await nextTurn();
  }
  expect([-2, 0, 1]).toContain(Math.min(sys.incomingCpu(accepted), 1));
  socket.destroy();
});

test('a listener that cannot be had leaves no descriptor behind', () => {
  const sys = makeSys(1);
  const port = sys.localPort(opened(sys.listen('127.0.0.1', 0, 1)));
  const before = readdirSync('/proc/self/fd').length;
  expect(sys.listen('127.0.0.1', port, 1)).toBe(-98);
  expect(sys.listen('192.0.2.1', 0, 1)).toBe(-99);
  expect(sys.listen('nowhere', 0, 1)).toBe(-22);
  expect(readdirSync('/proc/self/fd').length).toBe(before);
});

test('the clock is that of JavaScript, in nanoseconds', () => {
  const arena = makeArena(1);
  const sys = createLinuxSys(arena);
  const word = new BigUint64Array(arena.buffer, 8, 1);
  let last = 0n;
  for (let reading = 0; reading < 100; reading += 1) {
    const earliest = BigInt(Date.now()) * 1_000_000n;
    expect(sys.clockRealtime(8)).toBe(0);
    const latest = BigInt(Date.now() + 1) * 1_000_000n;
    expect(word[0]! >= earliest && word[0]! <= latest).toBe(true);
    expect(word[0]! >= last).toBe(true);
    last = word[0]!;
  }
});

test('a wait with nothing ready lasts its timeout', () => {
  const sys = makeSys(1);
  const epollFd = opened(sys.epollCreate());
  const start = performance.now();
  expect(sys.epollWait(epollFd, 50)).toBe(0);
  expect(performance.now() - start).toBeGreaterThan(45);
});

test('two seams over one arena see the same bytes and share no scratch', () => {
  const arena = makeArena(1);
  const [one, two] = [createLinuxSys(arena), createLinuxSys(arena)];
  const [first, second] = pair(one);
  const epollFd = opened(one.epollCreate());
  expect(one.epollAddStream(epollFd, second, 11, 12)).toBe(0);
  new Uint8Array(arena.buffer).set([42], 100);
  expect(two.send(first, 100, 1)).toBe(1);
  expect(one.epollWait(epollFd, 0)).toBe(1);
  const otherEpollFd = opened(two.epollCreate());
  expect(two.epollAddStream(otherEpollFd, first, 21, 22)).toBe(0);
  expect(two.epollWait(otherEpollFd, 0)).toBe(1);
  expect([one.eventSlot(0), one.eventGeneration(0)]).toEqual([11, 12]);
  expect([two.eventSlot(0), two.eventGeneration(0)]).toEqual([21, 22]);
  expect(one.eventFlags(0) & EPOLLIN).toBe(EPOLLIN);
});

test('more bytes than fit a drain are discarded in several calls', () => {
  const sys = makeSys(4);
  const [first, second] = pair(sys);
  const sent = sys.send(first, 0, 100_000);
  expect(sent).toBeGreaterThan(65_536);
  let dropped = 0;
  for (let call = sys.discard(second, sent); call > 0; call = sys.discard(second, sent)) {
    expect(call).toBeLessThanOrEqual(65_536);
    dropped += call;
  }
  expect(dropped).toBe(sent);
});

test('a page has a node once it was touched', () => {
  const arena = makeArena(4);
  const sys = createLinuxSys(arena);
  const untouched = sys.nodeOfPage(3 * 65_536 + 17);
  if (untouched === -38) return; // a kernel without NUMA
  expect(untouched).toBe(-2);
  new Uint8Array(arena.buffer)[3 * 65_536] = 1;
  expect(sys.nodeOfPage(3 * 65_536 + 17)).toBeGreaterThanOrEqual(0);
  expect(sys.releasePages(3 * 65_536, 65_536)).toBe(0);
  expect(sys.nodeOfPage(3 * 65_536 + 17)).toBe(-2);
});

test('the limit of open files is the one that the kernel tells', () => {
  const limits = /^Max open files\s+(\d+|unlimited)/m.exec(
    readFileSync('/proc/self/limits', 'utf8'),
  )!;
  if (limits[1] === 'unlimited') return;
  expect(makeSys(1).openFilesMax()).toBe(Number(limits[1]));
});
