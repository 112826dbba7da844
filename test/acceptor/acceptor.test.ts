import { Buffer } from 'node:buffer';
import { expect, onTestFinished, test } from 'vitest';
import { Acceptor, type AcceptorOptions } from '../../src/acceptor/acceptor.js';
import { createArena } from '../../src/ring/arena.js';
import { THREAD_BYTES, THREAD_SLEEPING } from '../../src/ring/layout.js';
import { connectionSlots, sharedBytes } from '../../src/shards/area.js';
import { loadKernel } from '../../src/shards/kernel.js';
import { HANDOFF_ENTRIES, SHARD_DEAD, SHARD_LIVE } from '../../src/shards/layout.js';
import { SharedArea } from '../../src/shards/shared.js';
import { FakeSys, type FakeOptions } from '../../src/sys/fake.js';
import type { FakePeer } from '../../src/sys/fake-peer.js';
import { ENOTCONN } from '../../src/sys/layout.js';
import { ECONNABORTED, EMFILE, ENFILE } from '../../src/sys/sys.js';
import { KERNEL_FILE } from '../support/shard-harness.js';
import { inWords, TestPeer } from '../support/test-peer.js';

interface RigOptions extends FakeOptions {
  shards?: number;
  connectionsMax?: number;
  /** Slots of the table are planned for so many connections. */
  connections?: number;
  nodeOfShard?: number[];
  nodeOfCpu?: number[];
}

class Rig {
  readonly sys: FakeSys;
  readonly shared: SharedArea;
  readonly acceptor: Acceptor;
  readonly options: AcceptorOptions;
  readonly logged: string[] = [];
  readonly words: Int32Array;
  readonly #own: number[];
  nowMs = 0;

  constructor(options: RigOptions) {
    const { shards = 2, connectionsMax = 8, connections = connectionsMax } = options;
    const { memory, geometry } = createArena({
      bytes: 8 << 20,
      threads: shards + 1,
      streams: 4,
      shardBytes: 4096,
      sharedBytes: sharedBytes(connections),
      nodes: 1,
    });
    this.words = new Int32Array(memory.buffer);
    this.sys = new FakeSys(memory, options);
    this.shared = new SharedArea(memory, geometry.sharedByteOffset, connectionSlots(connections));
    for (let shard = 1; shard <= shards; shard++) this.shared.setShardState(shard, SHARD_LIVE);
    const eventfds = Array.from({ length: shards + 1 }, () => this.sys.eventfd());
    this.options = {
      sys: this.sys,
      memory,
      kernel: loadKernel(memory, 0, KERNEL_FILE),
      shared: this.shared,
      threadsAt: geometry.threadsByteOffset,
      shards,
      nodeOfShard: options.nodeOfShard ?? [-1, ...Array.from({ length: shards }, () => 0)],
      nodeOfCpu: options.nodeOfCpu ?? [],
      connectionsMax,
      listenFd: this.sys.listen('127.0.0.1', 5555, 4096),
      eventfds,
      wakeFd: this.sys.eventfd(),
      nowMs: () => this.nowMs,
      log: (_level, message) => this.logged.push(message),
    };
    this.#own = [...eventfds, this.options.wakeFd];
    this.acceptor = new Acceptor(this.options);
  }

  connect(count = 1, cpu = 0): FakePeer[] {
    return Array.from({ length: count }, () => this.sys.connect(5555, cpu));
  }

  /** Slots in a shard's ring, taken and owned as the shard does. */
  adopt(shard: number): number[] {
    const slots: number[] = [];
    for (let slot = this.shared.pop(shard); slot !== 0; slot = this.shared.pop(shard)) {
      if (this.shared.own(slot, shard)) slots.push(slot);
    }
    return slots;
  }

  counts(): number[] {
    return this.options.eventfds.slice(1).map((_, i) => this.shared.connectionCount(i + 1));
  }

  isSignalled(shard: number): boolean {
    return this.sys.eventfdClear(this.options.eventfds[shard]!) === 0;
  }

  setSleeping(shard: number): void {
    this.words[(this.options.threadsAt + shard * THREAD_BYTES + THREAD_SLEEPING) >>> 2] = 1;
  }

  /** Every fd that is open is one of a row, or the test's. */
  finish(): void {
    this.acceptor.close();
    const rows: number[] = [];
    for (let slot = 1; slot <= this.shared.slots; slot++) {
      const fd = this.shared.release(slot);
      if (fd >= 0) rows.push(fd);
    }
    expect(this.sys.openFds().sort()).toEqual([...this.#own, ...rows].sort());
    expect(this.counts().every((count) => count === 0)).toBe(true);
    expect(this.sys.violations).toEqual([]);
  }
}

function rig(options: RigOptions = {}): Rig {
  const made = new Rig(options);
  onTestFinished((context) => {
    if (context.task.result?.state !== 'fail') made.finish();
  });
  return made;
}

function told(fake: FakePeer): string[] {
  return new TestPeer(fake, 0, 0, () => undefined).told();
}

test('all that wait are taken in one turn, and spread evenly', () => {
  const r = rig({ shards: 3, connectionsMax: 64 });
  r.connect(30);
  r.acceptor.turn();
  expect(r.counts()).toEqual([10, 10, 10]);
  const slots = [1, 2, 3].flatMap((shard) => r.adopt(shard));
  expect(new Set(slots).size).toBe(30);
  for (const slot of slots) {
    expect(r.sys.openFds()).toContain(r.shared.fd(slot));
    expect(r.shared.cookie(slot)).toBeGreaterThan(0n);
  }
});

test('a batch is bounded; the rest is taken in the next turn', () => {
  const r = rig({ shards: 1, connectionsMax: 400 });
  r.connect(200);
  r.acceptor.turn();
  expect(r.counts()).toEqual([128]);
  r.acceptor.turn();
  expect(r.counts()).toEqual([200]);
});

test('the shard with fewest connections is next', () => {
  const r = rig({ shards: 2, connectionsMax: 64 });
  r.connect(8);
  r.acceptor.turn();
  for (const slot of r.adopt(2)) r.sys.close(r.shared.release(slot));
  r.connect(4);
  r.acceptor.turn();
  expect(r.counts()).toEqual([4, 4]);
});

test('a shard that sleeps is signalled once, one that does not is not', () => {
  const r = rig({ shards: 2 });
  r.setSleeping(1);
  r.connect(4);
  r.acceptor.turn();
  expect([r.isSignalled(1), r.isSignalled(2)]).toEqual([true, false]);
  r.connect(2);
  r.acceptor.turn();
  expect([r.isSignalled(1), r.isSignalled(2)]).toEqual([false, false]);
});

test('a connection goes to the node where its packets arrive, also where that has more', () => {
  const r = rig({
    shards: 4,
    connectionsMax: 64,
    nodeOfShard: [-1, 0, 0, 1, 1],
    nodeOfCpu: [0, 0, 1, 1],
    cpus: [0, 1, 2, 3],
  });
  r.connect(10, 3);
  r.connect(2, 0);
  r.acceptor.turn();
  expect(r.counts()).toEqual([1, 1, 5, 5]);
  r.connect(8, 99); // of a CPU that belongs to no group
  r.acceptor.turn();
  expect(r.counts()).toEqual([5, 5, 5, 5]);
});

test('where no shard of that node lives, another node’s is taken', () => {
  const r = rig({ shards: 2, nodeOfShard: [-1, 0, 1], nodeOfCpu: [0, 1] });
  r.shared.setShardState(2, SHARD_DEAD);
  r.connect(3, 1);
  r.acceptor.turn();
  expect(r.counts()).toEqual([3, 0]);
});

test('one too many is told SERVER_FULL, and closed when it has gone or after a second', () => {
  const r = rig({ connectionsMax: 2 });
  const [, , polite, silent] = r.connect(4);
  r.acceptor.turn();
  expect(r.counts()).toEqual([1, 1]);
  for (const peer of [polite!, silent!]) {
    expect(told(peer)).toEqual(['ERROR SERVER_FULL 0#0']);
    expect([peer.ended, peer.closed]).toEqual([true, false]);
  }
  expect(r.logged).toEqual(['connection limit reached']);
  polite!.end();
  silent!.write(Buffer.alloc(100_000));
  r.acceptor.turn();
  // They are looked at every 20 ms, not each turn.
  expect(polite!.closed).toBe(false);
  r.nowMs = 20;
  r.acceptor.turn();
  expect([polite!.closed, silent!.closed]).toEqual([true, false]);
  r.nowMs = 1000;
  r.acceptor.turn();
  r.acceptor.turn();
  expect([silent!.closed, silent!.broken]).toEqual([true, false]);
});

test('a place that is free again is given again, with another generation', () => {
  const r = rig({ shards: 1, connectionsMax: 1, connections: 1 });
  const generations: string[] = [];
  for (let i = 0; i < 3 * r.shared.slots; i++) {
    r.connect();
    r.acceptor.turn();
    const [slot] = r.adopt(1);
    generations.push(`${slot}-${r.shared.generation(slot!)}`);
    r.sys.close(r.shared.release(slot!));
  }
  expect(new Set(generations).size).toBe(generations.length);
  expect(r.logged).toEqual([]);
});

test('more refusals at once than are worth holding are closed at once', () => {
  const r = rig({ connectionsMax: 1 });
  const [, ...refused] = r.connect(101);
  r.acceptor.turn();
  expect(refused.filter((peer) => !peer.closed)).toHaveLength(64);
  expect(r.logged).toHaveLength(1);
});

test.each([EMFILE, ENFILE])(
  'errno %i: the one that waits is taken with the spare fd and closed',
  (errno) => {
    const r = rig();
    const open = r.sys.openFds().length;
    const [lost, next] = r.connect(2);
    r.sys.failNext('accept', errno);
    r.acceptor.turn();
    expect([lost!.closed, next!.closed]).toEqual([true, false]);
    expect(r.sys.openFds()).toHaveLength(open);
    expect(r.logged).toEqual(['connection not accepted']);
    r.acceptor.turn();
    expect(r.counts()).toEqual([1, 0]);
  },
);

test('a process without any fd left goes on when there are some', () => {
  const r = rig({ openFilesMax: 3 + 1 + 1 + 2 + 3, connectionsMax: 64 });
  const peers = r.connect(10);
  for (let i = 0; i < 12; i++) r.acceptor.turn();
  const taken = r.counts().reduce((sum, count) => sum + count);
  expect(taken).toBeGreaterThanOrEqual(3);
  expect(peers.filter((peer) => peer.closed)).toHaveLength(10 - taken);
  for (const slot of [...r.adopt(1), ...r.adopt(2)]) r.sys.close(r.shared.release(slot));
  r.connect(2);
  r.acceptor.turn();
  expect(r.counts()).toEqual([1, 1]);
});

test('a connection that is gone before it is accepted stops nothing', () => {
  const r = rig();
  r.sys.failNext('accept', ECONNABORTED);
  r.connect(2);
  r.acceptor.turn();
  expect(r.counts()).toEqual([1, 1]);
});

test('nothing is handed to a shard that is dead, and without any connections wait until one lives again', () => {
  const r = rig();
  r.shared.setShardState(1, SHARD_DEAD);
  r.connect(2);
  r.acceptor.turn();
  expect(r.counts()).toEqual([0, 2]);
  r.shared.setShardState(2, SHARD_DEAD);
  const waiting = r.connect(2);
  for (const nowMs of [0, 1, 999]) {
    r.nowMs = nowMs;
    r.acceptor.turn();
  }
  expect(r.logged).toEqual([]);
  r.nowMs = 1000;
  r.acceptor.turn();
  expect(r.logged).toEqual(['no shard takes connections']);
  r.shared.setShardState(1, SHARD_LIVE);
  // One turn that finds it, and one that accepts.
  r.acceptor.turn();
  r.acceptor.turn();
  expect(r.counts()).toEqual([2, 2]);
  expect(waiting.some((peer) => peer.closed || peer.broken)).toBe(false);
});

test('a storm that is more than the rings hold waits, and nobody of it is cut', () => {
  const r = rig({ shards: 1, connectionsMax: 4000, openFilesMax: 8000 });
  const storm = r.connect(2 * HANDOFF_ENTRIES + 100);
  const taken: number[] = [];
  // Nothing is accepted that cannot be handed over; a turn without room costs no look at the listener.
  for (let turn = 0; turn < 20; turn++) r.acceptor.turn();
  expect(r.counts()).toEqual([HANDOFF_ENTRIES]);
  for (let turn = 0; turn < 60; turn++) {
    taken.push(...r.adopt(1));
    r.acceptor.turn();
  }
  expect(taken).toHaveLength(storm.length);
  expect(storm.some((peer) => peer.closed || peer.broken)).toBe(false);
  expect(r.logged).toEqual([]);
});

test('while there is no room the listener is not waited for, and the wait is a short one', () => {
  const r = rig({ shards: 1 });
  r.shared.setShardState(1, SHARD_DEAD);
  r.connect();
  r.acceptor.turn();
  const waits: number[] = [];
  const wait = r.sys.epollWait.bind(r.sys);
  r.sys.epollWait = (epollFd, timeoutMs) => {
    waits.push(timeoutMs);
    const events = wait(epollFd, timeoutMs);
    expect(events).toBe(0);
    return events;
  };
  r.acceptor.turn();
  expect(waits).toEqual([1]);
});

test('a listener that cannot be waited for again at once is tried again', () => {
  const r = rig({ shards: 1 });
  r.shared.setShardState(1, SHARD_DEAD);
  r.connect();
  r.acceptor.turn();
  r.shared.setShardState(1, SHARD_LIVE);
  const ENOMEM = 12;
  r.sys.failNext('epollAdd', ENOMEM);
  for (let turn = 0; turn < 3; turn++) r.acceptor.turn();
  expect(r.counts()).toEqual([1]);
});

test('one that was accepted when the only shard died is closed, and that is told', () => {
  const r = rig({ shards: 1 });
  const hand = r.shared.hand.bind(r.shared);
  r.shared.hand = (slot, fd, shard) => {
    hand(slot, fd, shard);
    r.shared.setShardState(1, SHARD_DEAD);
  };
  const [lost] = r.connect();
  r.acceptor.turn();
  expect(lost!.closed).toBe(true);
  expect(r.logged).toEqual(['no shard takes connections']);
});

test('a shard that dies between the choice and the hand-over: the connection goes to another', () => {
  const r = rig();
  const hand = r.shared.hand.bind(r.shared);
  r.shared.hand = (slot, fd, shard) => {
    hand(slot, fd, shard);
    r.shared.setShardState(1, SHARD_DEAD);
  };
  r.connect();
  r.acceptor.turn();
  expect(r.counts()).toEqual([0, 1]);
  expect(r.adopt(2)).toHaveLength(1);
});

test('a row that control has closed in the meantime is closed by nobody else', () => {
  const r = rig();
  const hand = r.shared.hand.bind(r.shared);
  r.shared.hand = (slot, fd, shard) => {
    hand(slot, fd, shard);
    r.shared.setShardState(shard, SHARD_DEAD);
    r.sys.close(r.shared.release(slot)); // as control does with a dead shard's rows
  };
  const [peer] = r.connect();
  r.acceptor.turn();
  expect(peer!.closed).toBe(true);
  expect(r.counts()).toEqual([0, 0]);
});

test('a shard whose ring is full does not keep connections from another', () => {
  const r = rig({ shards: 2, connectionsMax: 4000, openFilesMax: 8000 });
  // Shard 2 has the more connections, and takes them over; shard 1 does not move.
  for (let i = 0; i < 2 * HANDOFF_ENTRIES + 400; i += 100) {
    r.connect(100);
    r.acceptor.turn();
    r.adopt(2);
  }
  expect(r.counts()[0]).toBe(HANDOFF_ENTRIES);
  expect(r.counts()[1]).toBeGreaterThanOrEqual(HANDOFF_ENTRIES + 400 - 100);
  expect(r.logged).toEqual([]);
});

test('close gives everything back: what waits is reset, what lingers is closed', () => {
  const r = rig({ connectionsMax: 1 });
  const [taken, refused] = r.connect(2);
  r.acceptor.turn();
  const [waiting] = r.connect();
  r.acceptor.close();
  expect([taken!.closed, refused!.closed, waiting!.broken]).toEqual([false, true, true]);
  r.acceptor.close = () => undefined;
});

/** A client of 10.1.2.`last`. */
function knock(r: Rig, last: number): FakePeer {
  const address = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 1, 2, last];
  return r.sys.connect(5555, 0, Uint8Array.from(address));
}

test('whoever comes from a barred address is told AUTH_FAILED and not heard, until its time is over', () => {
  const r = rig({ shards: 1 });
  r.acceptor.bar('10.1.2.3', 1000);
  const [barred, other] = [knock(r, 3), knock(r, 4)];
  r.acceptor.turn();
  expect(r.counts()).toEqual([1]);
  const [frame] = new TestPeer(barred, 0, 0, () => undefined).take();
  expect(inWords(frame!)).toBe('ERROR AUTH_FAILED 0#0');
  // As everybody who fails is told.
  expect(frame!.payload.toString()).toBe('authentication failed');
  expect([barred.ended, other.ended]).toEqual([true, false]);
  expect(r.logged).toEqual(['too many failures from this address']);
  r.nowMs = 999;
  knock(r, 3);
  r.acceptor.turn();
  expect(r.counts()).toEqual([1]);
  r.nowMs = 1000;
  knock(r, 3);
  r.acceptor.turn();
  expect(r.counts()).toEqual([2]);
});

test('who was barred is let in once settings have changed', () => {
  const r = rig({ shards: 1 });
  r.acceptor.bar('10.1.2.3', 1000);
  r.acceptor.unbar();
  knock(r, 3);
  r.acceptor.turn();
  expect(r.counts()).toEqual([1]);
});

test('one whose address cannot be had is let in', () => {
  const r = rig({ shards: 1 });
  r.acceptor.bar('10.1.2.3', 1000);
  r.sys.peerAddress = () => -ENOTCONN;
  knock(r, 3);
  r.acceptor.turn();
  expect(r.counts()).toEqual([1]);
});

test('a flood from a barred address: so many are told at once, the others are closed without a word', () => {
  const r = rig({ shards: 1 });
  r.acceptor.bar('10.1.2.3', 100_000);
  const flood = Array.from({ length: 70 }, () => knock(r, 3));
  r.acceptor.turn();
  expect(flood.filter((peer) => told(peer).length === 1)).toHaveLength(64);
  expect(flood.filter((peer) => peer.closed)).toHaveLength(6);
  r.nowMs = 1000;
  r.acceptor.turn();
  expect(flood.every((peer) => peer.closed)).toBe(true);
});
