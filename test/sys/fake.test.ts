/** What the fake adds to the contract: faults by seed, a clock, and books of what went on. */
import { beforeEach, expect, test } from 'vitest';
import { FakeSys, type FakeOptions } from '../../src/sys/fake.js';
import type { FakeFaults } from '../../src/sys/fake-faults.js';
import type { FakePeer } from '../../src/sys/fake-peer.js';
import { EAGAIN, ECONNABORTED, ECONNRESET, EINVAL, EMFILE, EPIPE } from '../../src/sys/sys.js';
import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT } from '../../src/sys/sys.js';

const arena = new WebAssembly.Memory({ initial: 4, maximum: 4, shared: true });
const bytes = new Uint8Array(arena.buffer);
const OUT = 1024;
const IN = 65536;

beforeEach(() => bytes.fill(0));

interface Connection {
  readonly sys: FakeSys;
  readonly peer: FakePeer;
  readonly listenFd: number;
  readonly fd: number;
  readonly epollFd: number;
}

function connection(options: FakeOptions = {}): Connection {
  const sys = new FakeSys(arena, options);
  const listenFd = sys.listen('127.0.0.1', 0, 8);
  const peer = sys.connect(sys.localPort(listenFd), 5);
  const fd = sys.accept(listenFd);
  const epollFd = sys.epollCreate();
  expect(sys.epollAddStream(epollFd, fd, 1, 2)).toBe(0);
  return { sys, peer, listenFd, fd, epollFd };
}

/** Echoes by the rules of edge-triggered epoll until the peer ended; answers a trace of all calls. */
function echo(seed: number, faults: Partial<FakeFaults>): { trace: number[]; echoed: number[] } {
  const { sys, peer, fd, epollFd } = connection({ seed, faults, socketBufferBytes: 50 });
  const sent = Array.from({ length: 1000 }, (_, at) => (at * 7) & 0xff);
  peer.write(Uint8Array.from(sent));
  peer.end();
  const trace: number[] = [];
  const echoed: number[] = [];
  let [held, ended] = [0, false];
  const note = (answer: number): number => (trace.push(answer), answer);
  for (let turn = 0; turn < 20_000 && !peer.ended; turn += 1) {
    echoed.push(...peer.read());
    note(sys.epollWait(epollFd, 10));
    for (let blocked = false; !blocked && !ended;) {
      if (held === 0) {
        held = note(sys.receive(fd, IN, 64));
        ended = held === 0;
        blocked = held < 0;
        if (held < 0) held = 0;
        if (ended) sys.shutdownWrite(fd);
      } else {
        new Uint32Array(arena.buffer, 0, 4).set([IN, held >> 1, IN + (held >> 1), (held + 1) >> 1]);
        const taken = note(sys.sendSpans(fd, 0, 2));
        blocked = taken < 0;
        if (taken > 0) bytes.copyWithin(IN, IN + taken, IN + held);
        if (taken > 0) held -= taken;
      }
    }
  }
  expect(echoed, `seed ${seed}`).toEqual(sent);
  expect(sys.violations).toEqual([]);
  return { trace, echoed };
}

const SOFT_FAULTS: Partial<FakeFaults> = {
  shortRead: 0.4,
  shortWrite: 0.4,
  readWouldBlock: 0.3,
  writeWouldBlock: 0.3,
  spuriousWakeup: 0.2,
  interruptedWait: 0.2,
};

test('a caller that obeys edges loses no byte and never hangs, whatever soft faults strike', () => {
  for (let seed = 1; seed <= 200; seed += 1) echo(seed, SOFT_FAULTS);
  for (const [name, probability] of Object.entries(SOFT_FAULTS)) {
    for (let seed = 1; seed <= 20; seed += 1) echo(seed, { [name]: probability });
  }
});

test('the same seed gives the same run, another seed another', () => {
  const traces = [7, 7, 8].map((seed) => echo(seed, SOFT_FAULTS).trace);
  expect(traces[0]).toEqual(traces[1]);
  expect(traces[0]).not.toEqual(traces[2]);
});

test('without faults every receive and send is whole', () => {
  const { sys, peer, fd } = connection();
  peer.write(new Uint8Array(1000));
  expect(sys.receive(fd, IN, 2000)).toBe(1000);
  expect(sys.send(fd, OUT, 2000)).toBe(2000);
  expect(peer.unreadBytes).toBe(2000);
});

test.each([
  ['shortRead', 1, 99],
  ['readWouldBlock', -EAGAIN, -EAGAIN],
  ['readReset', -ECONNRESET, -ECONNRESET],
] as const)('%s strikes receives', (fault, min, max) => {
  const { sys, peer, fd } = connection({ faults: { [fault]: 1 } });
  peer.write(new Uint8Array(100));
  const answer = sys.receive(fd, IN, 100);
  expect(answer).toBeGreaterThanOrEqual(min);
  expect(answer).toBeLessThanOrEqual(max);
  expect(peer.broken).toBe(fault === 'readReset');
});

test.each([
  ['shortWrite', 1, 99],
  ['writeWouldBlock', -EAGAIN, -EAGAIN],
  ['writeBroken', -EPIPE, -EPIPE],
] as const)('%s strikes sends', (fault, min, max) => {
  const { sys, peer, fd } = connection({ faults: { [fault]: 1 } });
  const answer = sys.send(fd, OUT, 100);
  expect(answer).toBeGreaterThanOrEqual(min);
  expect(answer).toBeLessThanOrEqual(max);
  expect(peer.unreadBytes).toBe(Math.max(0, answer));
  expect(peer.broken).toBe(fault === 'writeBroken');
});

test('bytes that a fault held back are told of again, without new ones', () => {
  const { sys, peer, fd, epollFd } = connection();
  peer.write(new Uint8Array(100));
  expect(sys.epollWait(epollFd, 0)).toBe(1);
  sys.faults.readWouldBlock = 1;
  expect(sys.receive(fd, IN, 100)).toBe(-EAGAIN);
  expect(sys.epollWait(epollFd, 0)).toBe(1);
  expect(sys.eventFlags(0) & EPOLLIN).toBe(EPOLLIN);
  sys.faults.readWouldBlock = 0;
  expect(sys.receive(fd, IN, 100)).toBe(100);
});

test.each(['shortRead', 'shortWrite'] as const)(
  'a caller that stops at a transfer cut by %s, as epoll(7) allows, is told again',
  (fault) => {
    const { sys, peer, fd, epollFd } = connection();
    peer.write(new Uint8Array(100));
    expect([sys.epollWait(epollFd, 0), sys.epollWait(epollFd, 0)]).toEqual([1, 0]);
    sys.faults[fault] = 1;
    const moved = fault === 'shortRead' ? sys.receive(fd, IN, 100) : sys.send(fd, OUT, 100);
    expect(moved).toBeGreaterThan(0);
    expect(moved).toBeLessThan(100);
    expect([sys.epollWait(epollFd, 0), sys.epollWait(epollFd, 0)]).toEqual([1, 0]);
  },
);

test('a stream that was full when epoll looked is told of room, without a refused send', () => {
  const { sys, peer, fd, epollFd } = connection({ socketBufferBytes: 30 });
  expect(sys.send(fd, OUT, 30)).toBe(30);
  expect(sys.epollWait(epollFd, 0)).toBe(0);
  peer.read();
  expect(sys.epollWait(epollFd, 0)).toBe(1);
});

test('an accept may find no descriptor left, or the connection gone', () => {
  const { sys, listenFd } = connection({ openFilesMax: 4 });
  const port = sys.localPort(listenFd);
  const [second, third] = [sys.connect(port), sys.connect(port)];
  sys.faults.acceptTooManyFiles = 1;
  expect(sys.accept(listenFd)).toBe(-EMFILE);
  sys.faults.acceptTooManyFiles = 0;
  sys.faults.acceptAborted = 1;
  expect(sys.accept(listenFd)).toBe(-ECONNABORTED);
  expect([second.broken, third.broken]).toEqual([true, false]);
  sys.faults.acceptAborted = 0;
  expect(sys.accept(listenFd)).toBeGreaterThan(0);
  expect(sys.openFds()).toHaveLength(4);
  sys.connect(port);
  expect(sys.accept(listenFd)).toBe(-EMFILE);
  expect([sys.socketpair(), sys.eventfd(), sys.epollCreate()]).toEqual([-EMFILE, -EMFILE, -EMFILE]);
});

test('a script makes the next calls of a name fail, once each', () => {
  const { sys, fd } = connection();
  sys.failNext('send', EAGAIN);
  sys.failNext('send', EPIPE);
  expect([sys.send(fd, OUT, 1), sys.send(fd, OUT, 1)]).toEqual([-EAGAIN, -EPIPE]);
  expect(sys.receive(fd, IN, 1)).toBe(0);
  sys.failNext('listen', EINVAL);
  expect(sys.listen('127.0.0.1', 0, 1)).toBe(-EINVAL);
  expect(sys.listen('127.0.0.1', 0, 1)).toBeGreaterThan(0);
});

test('socket buffers are bounded, and the peer sends on as room is made', () => {
  const { sys, peer, fd } = connection({ socketBufferBytes: 30 });
  peer.write(Uint8Array.from({ length: 100 }, (_, at) => at));
  peer.end();
  expect(peer.unsentBytes).toBe(70);
  const got: number[] = [];
  for (let taken = 1; taken > 0;) {
    taken = sys.receive(fd, IN, 7);
    got.push(...bytes.subarray(IN, IN + taken));
  }
  expect(got).toEqual(Array.from({ length: 100 }, (_, at) => at));
  expect(sys.send(fd, OUT, 100)).toBe(30);
  expect(sys.send(fd, OUT, 100)).toBe(-EAGAIN);
  expect(peer.read(5)).toHaveLength(5);
  expect(sys.send(fd, OUT, 100)).toBe(5);
});

test('room is an edge only when a third of the buffer is free', () => {
  const { sys, peer, fd, epollFd } = connection({ socketBufferBytes: 30 });
  expect(sys.epollWait(epollFd, 0)).toBe(1);
  expect(sys.send(fd, OUT, 100)).toBe(30);
  peer.read(9);
  expect(sys.epollWait(epollFd, 0)).toBe(0);
  peer.read(1);
  expect(sys.epollWait(epollFd, 0)).toBe(1);
  expect(sys.eventFlags(0)).toBe(EPOLLOUT);
});

test('closing with unread bytes resets the peer, without them ends it', () => {
  const gentle = connection();
  expect(gentle.sys.close(gentle.fd)).toBe(0);
  expect([gentle.peer.closed, gentle.peer.ended, gentle.peer.broken]).toEqual([true, true, false]);
  gentle.peer.write(Uint8Array.of(1));
  expect(gentle.peer.broken).toBe(true);
  const rude = connection();
  rude.peer.write(Uint8Array.of(1));
  expect(rude.sys.close(rude.fd)).toBe(0);
  expect([rude.peer.closed, rude.peer.ended, rude.peer.broken]).toEqual([true, false, true]);
});

test('bytes that came before a reset can still be received', () => {
  const { sys, peer, fd, epollFd } = connection();
  peer.write(Uint8Array.of(1, 2));
  peer.reset();
  expect(sys.epollWait(epollFd, 0)).toBe(1);
  expect(sys.eventFlags(0) & (EPOLLERR | EPOLLHUP)).toBe(EPOLLERR | EPOLLHUP);
  expect([1, 2, 3].map(() => sys.receive(fd, IN, 9))).toEqual([2, -ECONNRESET, 0]);
});

test('each delivered span is noted, cut where the send was', () => {
  const { sys, fd } = connection({ socketBufferBytes: 10 });
  new Uint32Array(arena.buffer, 0, 6).set([OUT, 4, OUT + 100, 0, OUT + 50, 9]);
  expect(sys.sendSpans(fd, 0, 3)).toBe(10);
  expect(sys.send(fd, OUT, 4)).toBe(-EAGAIN);
  expect(sys.deliveries).toEqual([
    { fd, byteOffset: OUT, byteCount: 4 },
    { fd, byteOffset: OUT + 50, byteCount: 6 },
  ]);
});

test('time passes only when a wait finds nothing, or the test says so', () => {
  const { sys, epollFd } = connection({ clockNs: 1_000n });
  expect(sys.epollWait(epollFd, 100)).toBe(1);
  expect(sys.clockNs).toBe(1_000n);
  expect(sys.epollWait(epollFd, 100)).toBe(0);
  sys.advanceClockMs(3);
  expect(sys.clockRealtime(16)).toBe(0);
  expect(new BigUint64Array(arena.buffer, 16, 1)[0]).toBe(103_001_000n);
});

test('a wait may be interrupted, or tell of a stream without news', () => {
  const { sys, epollFd } = connection({ faults: { interruptedWait: 1 } });
  expect(sys.epollWait(epollFd, 100)).toBe(0);
  sys.faults.interruptedWait = 0;
  expect(sys.epollWait(epollFd, 0)).toBe(1);
  expect(sys.epollWait(epollFd, 0)).toBe(0);
  sys.faults.spuriousWakeup = 1;
  expect(sys.epollWait(epollFd, 0)).toBe(1);
  expect([sys.eventSlot(0), sys.eventGeneration(0)]).toEqual([1, 2]);
});

test('a use of a closed or wrong descriptor is refused and noted', () => {
  const { sys, fd, epollFd, listenFd } = connection();
  expect(sys.violations).toEqual([]);
  expect(sys.close(fd)).toBe(0);
  expect(sys.receive(fd, IN, 1)).toBe(-9);
  expect(sys.close(fd)).toBe(-9);
  expect(sys.send(epollFd, OUT, 1)).toBe(-88);
  expect(sys.violations).toEqual([
    `receive(${fd}): not open`,
    `close(${fd}): not open`,
    `send(${epollFd}): wrong kind`,
  ]);
  expect(sys.eventfd()).not.toBe(fd);
  expect(sys.openFds()).toHaveLength(3);
  expect(sys.openFds()).toEqual(expect.arrayContaining([epollFd, listenFd]));
});

test('nothing listens after the listener closed, and who waited there is reset', () => {
  const { sys, listenFd } = connection();
  const port = sys.localPort(listenFd);
  const waiting = sys.connect(port);
  expect(sys.close(listenFd)).toBe(0);
  expect(waiting.broken).toBe(true);
  expect(() => sys.connect(port)).toThrow('nothing listens');
});

test('the machine is what the test says', () => {
  const { sys, fd } = connection({ cpus: [2, 3], nodeOfPage: (at) => (at < 4096 ? -2 : 1) });
  expect(sys.incomingCpu(fd)).toBe(5);
  expect(sys.affinity()).toEqual([2, 3]);
  expect([sys.setAffinity([3, 9]), sys.setAffinity([1])]).toEqual([0, -EINVAL]);
  expect(sys.affinity()).toEqual([3]);
  expect([sys.nodeOfPage(0), sys.nodeOfPage(4096)]).toEqual([-2, 1]);
});
