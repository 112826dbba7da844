/** What every implementation of the seam does, as one suite that the real one and the fake both run. */
import { AssertionError } from 'node:assert';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  EADDRINUSE,
  EAGAIN,
  ECONNRESET,
  EINVAL,
  EPIPE,
  EPOLLERR,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EPOLLRDHUP,
  type Sys,
} from '../../src/sys/sys.js';

const EBADF = 9;
export const ARENA_BYTES = 1024 * 1024;
const TABLE = 4096;
const OUT = 8192;
const IN = 512 * 1024;
const MISSING_FD = 999_999;

/** The far end of a TCP connection. */
export interface Client {
  write(bytes: Uint8Array): void;
  /** What has arrived since the last read. */
  read(): Uint8Array;
  end(): void;
  reset(): void;
}

export interface Rig {
  readonly sys: Sys;
  readonly bytes: Uint8Array;
  connect(port: number): Promise<Client>;
  /** Called with no descriptor left open that the test opened through `opened`. */
  finish(): void;
}

export function describeContract(name: string, makeRig: () => Rig): void {
  let rig: Rig;
  let sys: Sys;
  let bytes: Uint8Array;
  let fds: Set<number>;

  beforeEach(() => {
    rig = makeRig();
    ({ sys, bytes } = rig);
    fds = new Set();
  });

  afterEach(() => {
    for (const fd of fds) expect(sys.close(fd)).toBe(0);
    rig.finish();
  });

  function opened(fd: number): number {
    expect(fd).toBeGreaterThanOrEqual(0);
    fds.add(fd);
    return fd;
  }

  function close(fd: number): void {
    expect(sys.close(fd)).toBe(0);
    fds.delete(fd);
  }

  function pair(): [number, number] {
    expect(sys.socketpair()).toBe(0);
    return [opened(sys.pairFirst()), opened(sys.pairSecond())];
  }

  const listen = (): number => opened(sys.listen('127.0.0.1', 0, 16));

  /** Asks again until the answer is another than -EAGAIN, letting Node's own loop run in between. */
  async function soon(call: () => number, unwanted = -EAGAIN): Promise<number> {
    for (let turn = 0; turn < 1000; turn += 1) {
      const answer = call();
      if (answer !== unwanted) return answer;
      await nextTurn();
    }
    throw new Error('no answer in 1000 turns');
  }

  async function connection(): Promise<[number, Client]> {
    const listenFd = listen();
    const client = await rig.connect(sys.localPort(listenFd));
    return [opened(await soon(() => sys.accept(listenFd))), client];
  }

  function watch(fd: number): number {
    const epollFd = opened(sys.epollCreate());
    expect(sys.epollAddStream(epollFd, fd, 1, 2)).toBe(0);
    return epollFd;
  }

  /** Flags of the next event of the only registration. */
  async function flagsOf(epollFd: number): Promise<number> {
    expect(await soon(() => sys.epollWait(epollFd, 0), 0)).toBe(1);
    return sys.eventFlags(0);
  }

  async function flagsWith(epollFd: number, wanted: number): Promise<number> {
    for (;;) {
      const flags = await flagsOf(epollFd);
      if ((flags & wanted) === wanted) return flags;
    }
  }

  function writeSpans(spans: readonly (readonly [number, number])[]): void {
    new Uint32Array(bytes.buffer, TABLE).set(spans.flat());
  }

  /** Sends until the kernel takes no more; answers the bytes taken. */
  function fill(fd: number): number {
    for (let total = 0; ;) {
      const taken = sys.send(fd, OUT, 65536);
      if (taken === -EAGAIN) return total;
      expect(taken).toBeGreaterThan(0);
      total += taken;
    }
  }

  function drain(fd: number, byteCount: number): void {
    for (let left = byteCount; left > 0;) {
      const taken = sys.receive(fd, IN, 65536);
      expect(taken).toBeGreaterThan(0);
      left -= taken;
    }
  }

  describe(`${name}: bytes`, () => {
    test('a receive finds nothing, then bytes in order, then the end', () => {
      const [first, second] = pair();
      expect(sys.receive(second, IN, 10)).toBe(-EAGAIN);
      bytes.set([1, 2, 3, 4, 5], OUT);
      expect(sys.send(first, OUT, 5)).toBe(5);
      expect(sys.receive(second, IN + 1, 2)).toBe(2);
      expect(sys.receive(second, IN + 3, 10)).toBe(3);
      expect([...bytes.subarray(IN, IN + 7)]).toEqual([0, 1, 2, 3, 4, 5, 0]);
      expect(sys.receive(second, IN, 10)).toBe(-EAGAIN);
      expect(sys.shutdownWrite(first)).toBe(0);
      expect(sys.receive(second, IN, 10)).toBe(0);
      expect(sys.send(first, OUT, 1)).toBe(-EPIPE);
    });

    test('a peek leaves the bytes, a discard drops them unread', async () => {
      for (const kind of ['pair', 'tcp'] as const) {
        let near: number;
        if (kind === 'pair') {
          const [first, second] = pair();
          bytes.set([1, 2, 3, 4, 5, 6], OUT);
          expect(sys.send(first, OUT, 6)).toBe(6);
          near = second;
        } else {
          const [fd, client] = await connection();
          client.write(Uint8Array.of(1, 2, 3, 4, 5, 6));
          near = fd;
        }
        bytes.fill(0, IN, IN + 10);
        expect(await soon(() => sys.peek(near, IN, 2))).toBe(2);
        expect([...bytes.subarray(IN, IN + 3)]).toEqual([1, 2, 0]);
        expect(sys.discard(near, 3)).toBe(3);
        expect([...bytes.subarray(IN, IN + 3)]).toEqual([1, 2, 0]);
        expect(sys.receive(near, IN, 10)).toBe(3);
        expect([...bytes.subarray(IN, IN + 4)]).toEqual([4, 5, 6, 0]);
        expect(sys.discard(near, 3)).toBe(-EAGAIN);
      }
    });

    test('64 spans leave in the order of the table, empty ones among them', () => {
      const [first, second] = pair();
      const spans = Array.from({ length: 64 }, (_, at) => [OUT + (63 - at) * 100, at % 7] as const);
      const sent: number[] = [];
      for (const [byteOffset, byteCount] of spans) {
        for (let at = 0; at < byteCount; at += 1) {
          bytes[byteOffset + at] = byteOffset / 100 + at;
          sent.push(bytes[byteOffset + at]!);
        }
      }
      writeSpans(spans);
      expect(sys.sendSpans(first, TABLE, 64)).toBe(sent.length);
      expect(sys.receive(second, IN, 1000)).toBe(sent.length);
      expect([...bytes.subarray(IN, IN + sent.length)]).toEqual(sent);
    });

    test('one span is sent as it stands', () => {
      const [first, second] = pair();
      bytes.set([7, 8, 9], OUT + 3);
      writeSpans([[OUT + 3, 3]]);
      expect(sys.sendSpans(first, TABLE, 1)).toBe(3);
      expect(sys.receive(second, IN, 10)).toBe(3);
      expect([...bytes.subarray(IN, IN + 3)]).toEqual([7, 8, 9]);
    });

    test('a client over TCP gets what was sent, and its bytes arrive', async () => {
      const [fd, client] = await connection();
      bytes.set([9, 8, 7], OUT);
      expect(sys.send(fd, OUT, 3)).toBe(3);
      const got: number[] = [];
      await soon(() => got.push(...client.read()) - 3, -3);
      expect(got).toEqual([9, 8, 7]);
      client.write(Uint8Array.of(1, 2));
      expect(await soon(() => sys.receive(fd, IN, 10))).toBe(2);
      client.end();
      expect(await soon(() => sys.receive(fd, IN, 10))).toBe(0);
    });

    test('a reset reads as ECONNRESET once, and sending ends in EPIPE', async () => {
      const [fd, client] = await connection();
      client.reset();
      expect(await soon(() => sys.receive(fd, IN, 10))).toBe(-ECONNRESET);
      expect(sys.receive(fd, IN, 10)).toBe(0);
      expect(sys.send(fd, OUT, 1)).toBe(-EPIPE);
    });

    test('the pending error is told once', async () => {
      const [fd, client] = await connection();
      expect(sys.socketError(fd)).toBe(0);
      client.reset();
      expect(await soon(() => sys.socketError(fd), 0)).toBe(ECONNRESET);
      expect(sys.socketError(fd)).toBe(0);
    });

    test('sending to an end that was closed fails, and the process lives', () => {
      const [first, second] = pair();
      close(second);
      const answers = [sys.send(first, OUT, 1), sys.send(first, OUT, 1), sys.send(first, OUT, 1)];
      expect(answers.at(-1)).toBe(-EPIPE);
      writeSpans([
        [OUT, 1],
        [OUT, 1],
      ]);
      expect(sys.sendSpans(first, TABLE, 2)).toBe(-EPIPE);
    });
  });

  describe(`${name}: readiness`, () => {
    test('an event bears its slot and generation, all 32 bits of each', () => {
      const [first] = pair();
      const epollFd = opened(sys.epollCreate());
      expect(sys.epollAddStream(epollFd, first, 0xffff_fffe, 0x8000_0001)).toBe(0);
      expect(sys.epollWait(epollFd, 100)).toBe(1);
      expect(sys.eventFlags(0)).toBe(EPOLLOUT);
      expect(sys.eventSlot(0)).toBe(0xffff_fffe);
      expect(sys.eventGeneration(0)).toBe(0x8000_0001);
      expect(() => sys.eventFlags(1)).toThrow(AssertionError);
    });

    test('an edge is told once, and again only for new bytes', () => {
      const [first, second] = pair();
      expect(sys.send(first, OUT, 5)).toBe(5);
      const epollFd = watch(second);
      expect(sys.epollWait(epollFd, 0)).toBe(1);
      expect(sys.eventFlags(0)).toBe(EPOLLIN | EPOLLOUT);
      expect(sys.epollWait(epollFd, 0)).toBe(0);
      expect(sys.receive(second, IN, 2)).toBe(2);
      expect(sys.epollWait(epollFd, 0)).toBe(0);
      expect(sys.send(first, OUT, 1)).toBe(1);
      expect(sys.epollWait(epollFd, 0)).toBe(1);
      expect(sys.eventFlags(0) & EPOLLIN).toBe(EPOLLIN);
      expect(sys.epollWait(epollFd, 0)).toBe(0);
    });

    test('room after a full buffer is an edge', () => {
      const [first, second] = pair();
      const epollFd = watch(first);
      expect(sys.epollWait(epollFd, 0)).toBe(1);
      const taken = fill(first);
      expect(sys.epollWait(epollFd, 0)).toBe(0);
      drain(second, taken);
      expect(sys.epollWait(epollFd, 0)).toBe(1);
      expect(sys.eventFlags(0)).toBe(EPOLLOUT);
      expect(sys.epollWait(epollFd, 0)).toBe(0);
      expect(sys.send(first, OUT, 1)).toBe(1);
    });

    test('the end of the other side is EPOLLRDHUP, of both sides EPOLLHUP', async () => {
      const [fd, client] = await connection();
      const epollFd = watch(fd);
      expect(await flagsOf(epollFd)).toBe(EPOLLOUT);
      client.end();
      const flags = await flagsWith(epollFd, EPOLLRDHUP);
      expect(flags).toBe(EPOLLIN | EPOLLOUT | EPOLLRDHUP);
      expect(sys.shutdownWrite(fd)).toBe(0);
      expect(await flagsOf(epollFd)).toBe(EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP);
    });

    test('a reset is EPOLLERR and EPOLLHUP', async () => {
      const [fd, client] = await connection();
      const epollFd = watch(fd);
      expect(await flagsOf(epollFd)).toBe(EPOLLOUT);
      client.reset();
      const flags = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLERR | EPOLLHUP;
      expect(await flagsOf(epollFd)).toBe(flags);
    });

    test('a low-water mark holds readiness back until so many bytes are there', async () => {
      const [fd, client] = await connection();
      expect(sys.setReceiveLowWater(fd, 100)).toBe(0);
      const epollFd = watch(fd);
      expect(await flagsOf(epollFd)).toBe(EPOLLOUT);
      client.write(new Uint8Array(99));
      expect(await soon(() => sys.peek(fd, IN, 200))).toBe(99);
      expect(sys.epollWait(epollFd, 0)).toBe(0);
      client.write(new Uint8Array(1));
      expect(await flagsOf(epollFd)).toBe(EPOLLIN | EPOLLOUT);
      expect(sys.receive(fd, IN, 200)).toBe(100);
    });

    test('a listener is told level-triggered until all are accepted', async () => {
      const listenFd = listen();
      const epollFd = opened(sys.epollCreate());
      expect(sys.epollAddReadable(epollFd, listenFd, 3, 4)).toBe(0);
      expect(sys.epollWait(epollFd, 0)).toBe(0);
      expect(sys.accept(listenFd)).toBe(-EAGAIN);
      await rig.connect(sys.localPort(listenFd));
      expect(await flagsOf(epollFd)).toBe(EPOLLIN);
      expect(sys.epollWait(epollFd, 0)).toBe(1);
      expect(sys.eventSlot(0)).toBe(3);
      opened(sys.accept(listenFd));
      expect(sys.epollWait(epollFd, 0)).toBe(0);
    });

    test('an eventfd counts up, is cleared whole, and is told while it is not 0', () => {
      const eventFd = opened(sys.eventfd());
      const epollFd = opened(sys.epollCreate());
      expect(sys.epollAddReadable(epollFd, eventFd, 5, 6)).toBe(0);
      expect(sys.eventfdClear(eventFd)).toBe(-EAGAIN);
      expect(sys.epollWait(epollFd, 0)).toBe(0);
      expect([sys.eventfdSignal(eventFd), sys.eventfdSignal(eventFd)]).toEqual([0, 0]);
      expect([sys.epollWait(epollFd, 0), sys.epollWait(epollFd, 0)]).toEqual([1, 1]);
      expect(sys.eventfdClear(eventFd)).toBe(0);
      expect(sys.eventfdClear(eventFd)).toBe(-EAGAIN);
      expect(sys.epollWait(epollFd, 0)).toBe(0);
    });

    test('what is removed or closed is told no more', () => {
      const [first, second] = pair();
      const epollFd = watch(second);
      expect(sys.epollAddStream(epollFd, second, 1, 2)).toBe(-17);
      expect(sys.epollRemove(epollFd, second)).toBe(0);
      expect(sys.epollRemove(epollFd, second)).toBe(-2);
      expect(sys.send(first, OUT, 1)).toBe(1);
      expect(sys.epollWait(epollFd, 0)).toBe(0);
      expect(sys.epollAddStream(epollFd, second, 1, 2)).toBe(0);
      close(second);
      expect(sys.epollWait(epollFd, 0)).toBe(0);
    });

    test('one wait tells 256 events, and the next one the others', () => {
      const epollFd = opened(sys.epollCreate());
      for (let slot = 0; slot < 300; slot += 1) {
        const [fd] = slot % 2 === 0 ? pair() : [sys.pairSecond()];
        expect(sys.epollAddStream(epollFd, fd, slot, 0)).toBe(0);
      }
      const slots = new Set<number>();
      expect(sys.epollWait(epollFd, 0)).toBe(256);
      for (let index = 0; index < 256; index += 1) slots.add(sys.eventSlot(index));
      expect(sys.epollWait(epollFd, 0)).toBe(44);
      for (let index = 0; index < 44; index += 1) slots.add(sys.eventSlot(index));
      expect(slots.size).toBe(300);
      expect(sys.epollWait(epollFd, 0)).toBe(0);
    });
  });

  describe(`${name}: refusals`, () => {
    test('a port that is taken, and an address that is none', () => {
      const port = sys.localPort(listen());
      expect(port).toBeGreaterThan(0);
      expect(sys.listen('127.0.0.1', port, 16)).toBe(-EADDRINUSE);
      for (const address of ['', 'localhost', '127.0.0.256', '127.0.0.1 ', '::g']) {
        expect(sys.listen(address, 0, 16)).toBe(-EINVAL);
      }
    });

    test('a port can be had again after its listener closed', () => {
      const listenFd = listen();
      const port = sys.localPort(listenFd);
      close(listenFd);
      expect(sys.localPort(opened(sys.listen('127.0.0.1', port, 16)))).toBe(port);
    });

    test('a descriptor that is not open is EBADF everywhere', () => {
      const epollFd = opened(sys.epollCreate());
      writeSpans([
        [OUT, 1],
        [OUT, 1],
      ]);
      const calls: (() => number)[] = [
        () => sys.localPort(MISSING_FD),
        () => sys.accept(MISSING_FD),
        () => sys.receive(MISSING_FD, IN, 1),
        () => sys.peek(MISSING_FD, IN, 1),
        () => sys.discard(MISSING_FD, 1),
        () => sys.send(MISSING_FD, OUT, 1),
        () => sys.sendSpans(MISSING_FD, TABLE, 2),
        () => sys.shutdownWrite(MISSING_FD),
        () => sys.close(MISSING_FD),
        () => sys.socketError(MISSING_FD),
        () => sys.socketCookie(MISSING_FD, 0),
        () => sys.peerAddress(MISSING_FD, 0),
        () => sys.incomingCpu(MISSING_FD),
        () => sys.setReceiveLowWater(MISSING_FD, 1),
        () => sys.epollAddStream(MISSING_FD, epollFd, 0, 0),
        () => sys.epollAddStream(epollFd, MISSING_FD, 0, 0),
        () => sys.epollAddReadable(epollFd, MISSING_FD, 0, 0),
        () => sys.epollRemove(epollFd, MISSING_FD),
        () => sys.epollWait(MISSING_FD, 0),
        () => sys.eventfdSignal(MISSING_FD),
        () => sys.eventfdClear(MISSING_FD),
      ];
      for (const call of calls) expect(call(), call.toString()).toBe(-EBADF);
    });

    test('a range that is not inside of the arena never reaches the kernel', () => {
      const [first, second] = pair();
      expect(sys.send(first, OUT, 4)).toBe(4);
      const ranges = [
        [ARENA_BYTES, 1],
        [ARENA_BYTES - 1, 2],
        [-1, 2],
        [0, ARENA_BYTES + 1],
        [0.5, 1],
        [0, 1.5],
        [0, -1],
        [NaN, 1],
        [0, NaN],
        [2 ** 53, 1],
        [Infinity, 1],
      ] as const;
      for (const [byteOffset, byteCount] of ranges) {
        const calls = [
          () => sys.receive(second, byteOffset, byteCount),
          () => sys.peek(second, byteOffset, byteCount),
          () => sys.send(first, byteOffset, byteCount),
        ];
        for (const call of calls) expect(call, `${byteOffset}`).toThrow(AssertionError);
      }
      expect(sys.receive(second, IN, 100)).toBe(4);
      expect(sys.receive(second, ARENA_BYTES - 1, 1)).toBe(-EAGAIN);
      expect(sys.send(first, ARENA_BYTES, 0)).toBe(0);
    });

    test('one bad span keeps all of them from being sent', () => {
      const [first, second] = pair();
      const bad = [
        [ARENA_BYTES - 1, 2],
        [0xffff_ffff, 1],
        [0, 0xffff_ffff],
      ] as const;
      for (const span of bad) {
        writeSpans([[OUT, 4], span]);
        expect(() => sys.sendSpans(first, TABLE, 2)).toThrow(AssertionError);
        writeSpans([span]);
        expect(() => sys.sendSpans(first, TABLE, 1)).toThrow(AssertionError);
      }
      for (const count of [0, 65, 1.5, -1]) {
        expect(() => sys.sendSpans(first, TABLE, count)).toThrow(AssertionError);
      }
      expect(() => sys.sendSpans(first, TABLE + 2, 1)).toThrow(AssertionError);
      expect(() => sys.sendSpans(first, ARENA_BYTES - 8, 2)).toThrow(AssertionError);
      expect(sys.receive(second, IN, 100)).toBe(-EAGAIN);
    });

    test('other arguments that only a bug can pass', () => {
      const epollFd = opened(sys.epollCreate());
      const [first] = pair();
      const calls: (() => unknown)[] = [
        () => sys.receive(first, IN, 0),
        () => sys.peek(first, IN, 0),
        () => sys.discard(first, 0),
        () => sys.setReceiveLowWater(first, 0),
        () => sys.peerAddress(first, ARENA_BYTES - 15),
        () => sys.socketCookie(first, 4),
        () => sys.socketCookie(first, ARENA_BYTES),
        () => sys.clockRealtime(4),
        () => sys.clockRealtime(ARENA_BYTES),
        () => sys.epollWait(epollFd, 101),
        () => sys.epollWait(epollFd, -1),
        () => sys.epollWait(epollFd, 0.5),
        () => sys.epollAddStream(epollFd, first, 2 ** 32, 0),
        () => sys.epollAddReadable(epollFd, first, 0, -1),
        () => sys.eventSlot(0),
        () => sys.eventGeneration(-1),
        () => sys.listen('127.0.0.1', 65_536, 1),
        () => sys.listen('127.0.0.1', 0, 0),
        () => sys.setAffinity([]),
        () => sys.setAffinity([1024]),
        () => sys.setAffinity([-1]),
        () => sys.releasePages(1, 4096),
        () => sys.releasePages(0, 1),
        () => sys.releasePages(0, ARENA_BYTES * 2),
        () => sys.adviseHugePages(1, 4096),
        () => sys.adviseHugePages(0, ARENA_BYTES * 2),
        () => sys.nodeOfPage(ARENA_BYTES),
      ];
      for (const call of calls) expect(call, call.toString()).toThrow(AssertionError);
    });
  });

  describe(`${name}: machine`, () => {
    test('a peer has its address, and one of a pair has none', async () => {
      const [fd] = await connection();
      bytes.fill(0xee, 0, 24);
      expect(sys.peerAddress(fd, 8)).toBe(0);
      const mapped = '00000000000000000000ffff7f000001';
      expect(Buffer.from(bytes.slice(8, 24)).toString('hex')).toBe(mapped);
      expect(bytes[7]).toBe(0xee);
      const [first] = pair();
      expect(sys.peerAddress(first, 0)).toBe(0);
      expect(bytes.subarray(0, 16).every((byte) => byte === 0)).toBe(true);
    });

    test('cookies tell sockets apart and stay the same', () => {
      const [first, second] = pair();
      expect(sys.socketCookie(first, 0)).toBe(0);
      expect(sys.socketCookie(second, 8)).toBe(0);
      expect(sys.socketCookie(first, 16)).toBe(0);
      const [one, two, again] = new BigUint64Array(bytes.buffer, 0, 3);
      expect(one).not.toBe(0n);
      expect(two).not.toBe(one);
      expect(again).toBe(one);
    });

    test('a page that is given back reads as zero, its neighbours stay', () => {
      bytes.fill(1, 65536, 4 * 65536);
      expect(sys.releasePages(2 * 65536, 65536)).toBe(0);
      expect(bytes.subarray(65536, 2 * 65536).every((byte) => byte === 1)).toBe(true);
      expect(bytes.subarray(2 * 65536, 3 * 65536).every((byte) => byte === 0)).toBe(true);
      expect(bytes.subarray(3 * 65536, 4 * 65536).every((byte) => byte === 1)).toBe(true);
    });

    test('the thread runs where it is told to', () => {
      const before = sys.affinity();
      expect(before.length).toBeGreaterThan(0);
      expect(sys.setAffinity([before.at(-1)!])).toBe(0);
      expect(sys.affinity()).toEqual([before.at(-1)!]);
      expect(sys.setAffinity([1023])).toBe(-EINVAL);
      expect(sys.setAffinity(before)).toBe(0);
      expect(sys.affinity()).toEqual(before);
    });

    test('there is a limit of open files', () => {
      expect(sys.openFilesMax()).toBeGreaterThan(0);
    });
  });
}
