/**
 * Accepting: connections in batches, each placed on a shard and handed over. When no shard has room for one,
 * they wait where they are, in the kernel's queue: a storm of them is taken as fast as it can be, not cut.
 *
 * Invariant: every fd that `accept` gave is, at the end of a turn, handed to a shard or closed, but for the
 * few that linger after a refusal.
 */
import { Buffer } from 'node:buffer';
import { CODE_AUTH_FAILED, CODE_SERVER_FULL, TYPE_ERROR } from '../frame/codes.js';
import { FRAME_HEADER_BYTES } from '../frame/layout.js';
import { THREAD_BYTES, THREAD_SLEEPING } from '../ring/layout.js';
import { ADDRESS_BYTES, addressText } from '../shards/address.js';
import type { BrokerKernel } from '../shards/kernel.js';
import { SHARD_LIVE } from '../shards/layout.js';
import { faultText } from '../shards/refusals.js';
import type { SharedArea } from '../shards/shared.js';
import { EAGAIN, ECONNABORTED, EMFILE, ENFILE, type Sys } from '../sys/sys.js';
import { Barred } from './barred.js';

const ACCEPTS_PER_TURN = 128;
const WAIT_MS = 100;
const WAIT_MS_LINGERING = 20;
/** While no shard has room: so often it is looked for. */
const WAIT_MS_PAUSED = 1;
/** A pause that is longer than a storm makes it is worth a line. */
const PAUSE_MS_TOLD = 1000;
/** A refused connection is held so long, so that the ERROR is not swallowed by a reset. */
const LINGER_MS = 1000;
/** More refusals than this at once are closed without lingering. */
const LINGERING_MAX = 64;
const DISCARD_BYTES = 65536;
const LISTENER_TAG = 1;
const WAKE_TAG = 0;
/** In the acceptor's scratch: two frames that refuse, and the address of whoever knocks. */
const FULL_AT = 0;
const FAILED_AT = 512;
const ADDRESS_AT = 1024;

export interface AcceptorOptions {
  readonly sys: Sys;
  readonly memory: WebAssembly.Memory;
  /** For the frames of refusals. */
  readonly kernel: Pick<BrokerKernel, 'encode'>;
  readonly shared: SharedArea;
  /** Byte offset of the table of threads, whose `sleeping` words say who needs a signal. */
  readonly threadsAt: number;
  /** Shards are threads 1 … this. */
  readonly shards: number;
  /** By thread: shards of the same NUMA node have the same value. */
  readonly nodeOfShard: readonly number[];
  /** By CPU. */
  readonly nodeOfCpu: readonly number[];
  readonly connectionsMax: number;
  readonly listenFd: number;
  /** By thread. */
  readonly eventfds: readonly number[];
  /** The acceptor's own: written to end it. */
  readonly wakeFd: number;
  readonly nowMs: () => number;
  readonly log: (level: 'warn' | 'error', message: string, fields: Record<string, unknown>) => void;
}

/** A frame that is sent before a connection is closed. */
interface Refusal {
  readonly at: number;
  readonly bytes: number;
}

export class Acceptor {
  readonly #options: AcceptorOptions;
  readonly #sys: Sys;
  readonly #shared: SharedArea;
  readonly #words: Int32Array;
  readonly #epollFd: number;
  readonly #full: Refusal;
  readonly #failed: Refusal;
  readonly #barred = new Barred();
  readonly #lingering = new Map<number, number>();
  /** Given up for an instant when no fd is left, so that the connection can be taken and closed. */
  #spareFd: number;
  #hint = 1;
  #nextShard = 1;
  #toSignal = new Set<number>();
  /** Shards that could not take the connection that is being placed: dead, or their ring is full. */
  readonly #triedShards = new Set<number>();
  #complainedMs = -Infinity;
  #expiredMs = -Infinity;
  #refusedCount = 0;
  /** Since when no shard has room, so that the listener is not waited for. */
  #pausedMs: number | undefined;

  constructor(options: AcceptorOptions) {
    this.#options = options;
    this.#sys = options.sys;
    this.#shared = options.shared;
    this.#words = new Int32Array(options.memory.buffer);
    const { connectionsMax } = options;
    const fullText = `this broker has its ${connectionsMax} connections already`;
    this.#full = this.#writeRefusal(FULL_AT, CODE_SERVER_FULL, fullText);
    this.#failed = this.#writeRefusal(FAILED_AT, CODE_AUTH_FAILED, faultText(CODE_AUTH_FAILED));
    this.#spareFd = this.#sys.eventfd();
    this.#epollFd = this.#sys.epollCreate();
    const status = [
      this.#epollFd,
      this.#sys.epollAddReadable(this.#epollFd, options.listenFd, LISTENER_TAG, 0),
      this.#sys.epollAddReadable(this.#epollFd, options.wakeFd, WAKE_TAG, 0),
    ].find((answer) => answer < 0);
    if (status !== undefined) throw new Error(`the acceptor's epoll: errno ${-status}`);
  }

  /** One turn. */
  turn(): void {
    const isPaused = this.#pausedMs !== undefined;
    const waitMs = this.#lingering.size > 0 ? WAIT_MS_LINGERING : WAIT_MS;
    const events = this.#sys.epollWait(this.#epollFd, isPaused ? WAIT_MS_PAUSED : waitMs);
    for (let i = 0; i < events; i++) {
      if (this.#sys.eventSlot(i) === LISTENER_TAG) this.#acceptBatch();
    }
    if (isPaused) this.#resume();
    if (this.#lingering.size > 0) this.#expire();
  }

  /** However often it turns, those that linger are looked at so often: a flood is to cost no look at them for each. */
  #expire(): void {
    const nowMs = this.#options.nowMs();
    if (nowMs - this.#expiredMs < WAIT_MS_LINGERING) return;
    this.#expiredMs = nowMs;
    for (const [fd, deadlineMs] of this.#lingering) {
      const dropped = this.#sys.discard(fd, DISCARD_BYTES);
      if (nowMs < deadlineMs && (dropped > 0 || dropped === -EAGAIN)) continue;
      this.#lingering.delete(fd);
      this.#sys.close(fd);
    }
  }

  /** For so long nobody is let in from there: it costs less than to hear him. */
  bar(address: string, forMs: number): void {
    this.#barred.bar(address, this.#options.nowMs() + forMs);
  }

  /** Settings have changed: whoever was barred is heard again. */
  unbar(): void {
    this.#barred.clear();
  }

  /** Closes everything that is the acceptor's: the listening socket first. */
  close(): void {
    this.#sys.close(this.#options.listenFd);
    for (const fd of this.#lingering.keys()) this.#sys.close(fd);
    this.#lingering.clear();
    if (this.#spareFd >= 0) this.#sys.close(this.#spareFd);
    this.#sys.close(this.#epollFd);
  }

  // ---- A pause ----

  #hasRoom(): boolean {
    for (let shard = 1; shard <= this.#options.shards; shard++) {
      if (this.#shared.shardState(shard) === SHARD_LIVE && this.#shared.hasRoom(shard)) return true;
    }
    return false;
  }

  /** The listener is readable all the while: it would be told at once, again and again. */
  #pause(): void {
    if (this.#sys.epollRemove(this.#epollFd, this.#options.listenFd) < 0) return;
    this.#pausedMs = this.#options.nowMs();
  }

  #resume(): void {
    const pausedForMs = this.#options.nowMs() - this.#pausedMs!;
    if (!this.#hasRoom()) {
      if (pausedForMs >= PAUSE_MS_TOLD)
        this.#complain('no shard takes connections', { pausedForMs });
      return;
    }
    const { listenFd } = this.#options;
    if (this.#sys.epollAddReadable(this.#epollFd, listenFd, LISTENER_TAG, 0) < 0) return;
    this.#pausedMs = undefined;
  }

  // ---- Accepting ----

  #acceptBatch(): void {
    for (let i = 0; i < ACCEPTS_PER_TURN; i++) {
      if (!this.#hasRoom()) {
        this.#pause();
        break;
      }
      const fd = this.#sys.accept(this.#options.listenFd);
      if (fd === -EAGAIN) break;
      if (fd === -ECONNABORTED) continue;
      if (fd < 0) {
        this.#acceptFailed(-fd);
        break;
      }
      this.#place(fd);
    }
    for (const shard of this.#toSignal) this.#signal(shard);
    this.#toSignal.clear();
  }

  /** No fd is left: the one that waits is taken with the spare one and closed, or it would wait for ever. */
  #acceptFailed(errno: number): void {
    this.#complain('connection not accepted', { errno });
    if (errno !== EMFILE && errno !== ENFILE) return;
    if (this.#spareFd >= 0) this.#sys.close(this.#spareFd);
    const fd = this.#sys.accept(this.#options.listenFd);
    if (fd >= 0) this.#sys.close(fd);
    this.#spareFd = this.#sys.eventfd();
  }

  /** At most a line a second, however many there are. */
  #complain(message: string, fields: Record<string, unknown>): void {
    this.#refusedCount++;
    const nowMs = this.#options.nowMs();
    if (nowMs - this.#complainedMs < 1000) return;
    this.#complainedMs = nowMs;
    this.#options.log('warn', message, { ...fields, count: this.#refusedCount });
    this.#refusedCount = 0;
  }

  // ---- Placement ----

  #place(fd: number): void {
    if (!this.#barred.isEmpty && this.#isBarred(fd)) {
      this.#complain('too many failures from this address', {});
      this.#refuse(fd, this.#failed);
      return;
    }
    let count = 0;
    for (let shard = 1; shard <= this.#options.shards; shard++) {
      count += this.#shared.connectionCount(shard);
    }
    const slot = count < this.#options.connectionsMax ? this.#freeSlot() : 0;
    if (slot === 0) {
      this.#complain('connection limit reached', { limit: this.#options.connectionsMax });
      this.#refuse(fd, this.#full);
      return;
    }
    this.#sys.socketCookie(fd, this.#shared.cookieAt(slot));
    this.#triedShards.clear();
    // A shard may die between our look and the hand-over; then the row is ours again, or control has closed it.
    for (let attempt = 0; attempt <= this.#options.shards; attempt++) {
      const shard = this.#chooseShard(fd);
      if (shard === 0) break;
      this.#shared.hand(slot, fd, shard);
      if (this.#shared.shardState(shard) === SHARD_LIVE && this.#shared.push(shard, slot)) {
        this.#toSignal.add(shard);
        return;
      }
      if (this.#shared.release(slot) < 0) return;
      this.#triedShards.add(shard);
    }
    this.#complain('no shard takes connections', {});
    this.#sys.close(fd);
  }

  #freeSlot(): number {
    const { slots } = this.#shared;
    for (let i = 0; i < slots; i++) {
      const slot = this.#hint;
      this.#hint = slot >= slots ? 1 : slot + 1;
      if (this.#shared.isFree(slot)) return slot;
    }
    return 0;
  }

  /** The shard with fewest connections, on the node where the packets arrive if there is one; 0 = none lives. */
  #chooseShard(fd: number): number {
    const { shards, nodeOfShard, nodeOfCpu } = this.#options;
    const isOneNode = nodeOfShard.every((node, shard) => shard === 0 || node === nodeOfShard[1]);
    const node = isOneNode ? undefined : nodeOfCpu[this.#sys.incomingCpu(fd)];
    return this.#fewest(shards, node) || (node === undefined ? 0 : this.#fewest(shards, undefined));
  }

  #fewest(shards: number, node: number | undefined): number {
    let best = 0;
    let bestCount = Infinity;
    const first = this.#nextShard;
    for (let i = 0; i < shards; i++) {
      const shard = ((first - 1 + i) % shards) + 1;
      if (this.#shared.shardState(shard) !== SHARD_LIVE || this.#triedShards.has(shard)) continue;
      if (node !== undefined && this.#options.nodeOfShard[shard] !== node) continue;
      const count = this.#shared.connectionCount(shard);
      if (count >= bestCount) continue;
      best = shard;
      bestCount = count;
    }
    if (best !== 0) this.#nextShard = (best % shards) + 1;
    return best;
  }

  /** Pairs with the shard's `prepareToSleep`, after which it looks at its ring once more. */
  #signal(shard: number): void {
    const sleeping = (this.#options.threadsAt + shard * THREAD_BYTES + THREAD_SLEEPING) >>> 2;
    if (Atomics.load(this.#words, sleeping) === 0) return;
    if (Atomics.exchange(this.#words, sleeping, 0) === 0) return;
    this.#sys.eventfdSignal(this.#options.eventfds[shard]!);
  }

  // ---- Refusal ----

  #isBarred(fd: number): boolean {
    const { memory, shared, nowMs } = this.#options;
    const at = shared.acceptorScratchAt + ADDRESS_AT;
    if (this.#sys.peerAddress(fd, at) < 0) return false;
    const address = Buffer.from(new Uint8Array(memory.buffer, at, ADDRESS_BYTES));
    return this.#barred.has(addressText(address), nowMs());
  }

  #writeRefusal(offset: number, code: number, text: string): Refusal {
    const { memory, shared, kernel } = this.#options;
    const at = shared.acceptorScratchAt + offset;
    const payload = Buffer.from(text);
    new Uint8Array(memory.buffer).set(payload, at + FRAME_HEADER_BYTES);
    const bytes = kernel.encode(at, TYPE_ERROR, 0, code, 0, payload.length, 0, 0, 0, 0);
    return { at, bytes };
  }

  #refuse(fd: number, refusal: Refusal): void {
    const isFlood = this.#lingering.size >= LINGERING_MAX;
    // Of a flood from an address that is not heard only so many are told: the others are to cost as little as can be.
    if (!isFlood || refusal !== this.#failed) this.#sys.send(fd, refusal.at, refusal.bytes);
    if (isFlood || this.#sys.shutdownWrite(fd) < 0) {
      this.#sys.close(fd);
      return;
    }
    this.#lingering.set(fd, this.#options.nowMs() + LINGER_MS);
  }
}
