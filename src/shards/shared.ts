/**
 * What the acceptor, the shards and control share: the connection table and the hand-off rings.
 *
 * Invariant: a file descriptor has one owner at every instant. Its row says who: the acceptor until the
 * state is HANDED, the shard from the moment it turns that into OWNED, and nobody once the row is FREE.
 * Whoever takes a row from HANDED or OWNED to FREE, by compare-and-swap, closes the fd, and nobody else.
 */
import * as layout from './layout.js';

export class SharedArea {
  readonly #words: Uint32Array;
  readonly #longs: BigUint64Array;
  readonly #at: number;
  /** Slots of the table: 1 … this. */
  readonly slots: number;

  constructor(memory: WebAssembly.Memory, byteOffset: number, slots: number) {
    this.#words = new Uint32Array(memory.buffer);
    this.#longs = new BigUint64Array(memory.buffer);
    this.#at = byteOffset;
    this.slots = slots;
  }

  /** Index, in u32 words, of a field of a connection's row. */
  #connection(slot: number, field: number): number {
    return (
      (this.#at + layout.SHARED_TABLE_BYTE_OFFSET + slot * layout.CONNECTION_BYTES + field) >>> 2
    );
  }

  #shard(shard: number, field: number): number {
    return (this.#at + layout.SHARED_HEADER_BYTES + shard * layout.SHARD_ROW_BYTES + field) >>> 2;
  }

  #ringEntry(shard: number, position: number): number {
    const entry = position & (layout.HANDOFF_ENTRIES - 1);
    return (
      (this.#at +
        layout.SHARED_RINGS_BYTE_OFFSET +
        shard * layout.HANDOFF_RING_BYTES +
        entry * 4) >>>
      2
    );
  }

  /** Byte offset of a connection's row. */
  rowAt(slot: number): number {
    return this.#connection(slot, 0) * 4;
  }

  /** Byte offset at which the acceptor lets the kernel write the socket's cookie. */
  cookieAt(slot: number): number {
    return this.#connection(slot, layout.CONNECTION_COOKIE) * 4;
  }

  cookie(slot: number): bigint {
    return this.#longs[this.#connection(slot, layout.CONNECTION_COOKIE) >>> 1]!;
  }

  // ---- Shards ----

  shardState(shard: number): number {
    return Atomics.load(this.#words, this.#shard(shard, layout.SHARD_STATE));
  }

  setShardState(shard: number, state: number): void {
    // Pairs with the acceptor's look after it has written a row: one of the two sees the other.
    Atomics.store(this.#words, this.#shard(shard, layout.SHARD_STATE), state);
  }

  /** Shard only: notes its epoll fd; -1 = none. */
  noteEpoll(shard: number, fd: number): void {
    Atomics.store(this.#words, this.#shard(shard, layout.SHARD_EPOLL), fd + 1);
  }

  /** Control only: the epoll fd that a dead shard has left behind, or -1. */
  takeEpoll(shard: number): number {
    return Atomics.exchange(this.#words, this.#shard(shard, layout.SHARD_EPOLL), 0) - 1;
  }

  /** Byte offset of 4 KiB that only the acceptor uses. */
  get acceptorScratchAt(): number {
    return this.#at + layout.SHARED_RINGS_BYTE_OFFSET;
  }

  connectionCount(shard: number): number {
    return Atomics.load(this.#words, this.#shard(shard, layout.SHARD_CONNECTIONS));
  }

  #countConnection(shard: number, change: number): void {
    Atomics.add(this.#words, this.#shard(shard, layout.SHARD_CONNECTIONS), change);
  }

  // ---- Rows ----

  isFree(slot: number): boolean {
    return Atomics.load(this.#words, this.#connection(slot, layout.CONNECTION_STATE)) === 0;
  }

  /** Acceptor only: fills a free row and gives it to `shard`. */
  hand(slot: number, fd: number, shard: number): void {
    const words = this.#words;
    const generation = this.#connection(slot, layout.CONNECTION_GENERATION);
    words[generation] = (words[generation]! + 1) >>> 0;
    words[this.#connection(slot, layout.CONNECTION_SHARD)] = shard;
    this.#countConnection(shard, 1);
    Atomics.store(words, this.#connection(slot, layout.CONNECTION_FD), fd + 1);
    // Publishes the row; pairs with the exchange in `own` and `release`.
    Atomics.store(words, this.#connection(slot, layout.CONNECTION_STATE), layout.CONNECTION_HANDED);
  }

  /** Shard only: takes a handed row over. False: control has closed it, when an earlier life of this shard ended. */
  own(slot: number, shard: number): boolean {
    return (
      this.shardOf(slot) === shard &&
      Atomics.compareExchange(
        this.#words,
        this.#connection(slot, layout.CONNECTION_STATE),
        layout.CONNECTION_HANDED,
        layout.CONNECTION_OWNED,
      ) === layout.CONNECTION_HANDED
    );
  }

  /** Takes the fd out of a row and frees it; the caller closes that fd. -1: somebody else has done so. */
  release(slot: number): number {
    const stateIndex = this.#connection(slot, layout.CONNECTION_STATE);
    const state = Atomics.load(this.#words, stateIndex);
    if (state === layout.CONNECTION_FREE) return -1;
    const fd = Atomics.exchange(this.#words, this.#connection(slot, layout.CONNECTION_FD), 0) - 1;
    if (fd < 0) return -1;
    this.#countConnection(this.shardOf(slot), -1);
    Atomics.store(this.#words, stateIndex, layout.CONNECTION_FREE);
    return fd;
  }

  fd(slot: number): number {
    return Atomics.load(this.#words, this.#connection(slot, layout.CONNECTION_FD)) - 1;
  }

  shardOf(slot: number): number {
    return this.#words[this.#connection(slot, layout.CONNECTION_SHARD)]!;
  }

  generation(slot: number): number {
    return this.#words[this.#connection(slot, layout.CONNECTION_GENERATION)]!;
  }

  // ---- Hand-off rings: one producer (the acceptor), one consumer (the shard) ----

  /** Acceptor only, as nobody else makes its ring fuller. */
  hasRoom(shard: number): boolean {
    const tail = this.#words[this.#shard(shard, layout.SHARD_RING_TAIL)]!;
    const head = Atomics.load(this.#words, this.#shard(shard, layout.SHARD_RING_HEAD));
    return ((tail - head) & 0xffff_ffff) >>> 0 < layout.HANDOFF_ENTRIES;
  }

  /** Acceptor only. False: the ring is full. */
  push(shard: number, slot: number): boolean {
    if (!this.hasRoom(shard)) return false;
    const tailIndex = this.#shard(shard, layout.SHARD_RING_TAIL);
    const tail = this.#words[tailIndex]!;
    this.#words[this.#ringEntry(shard, tail)] = slot;
    // Publishes the entry; pairs with the load in `pop`.
    Atomics.store(this.#words, tailIndex, (tail + 1) >>> 0);
    return true;
  }

  /** Shard only: the next slot, 0 = none. */
  pop(shard: number): number {
    const headIndex = this.#shard(shard, layout.SHARD_RING_HEAD);
    const head = this.#words[headIndex]!;
    if (Atomics.load(this.#words, this.#shard(shard, layout.SHARD_RING_TAIL)) === head) return 0;
    const slot = this.#words[this.#ringEntry(shard, head)]!;
    Atomics.store(this.#words, headIndex, (head + 1) >>> 0);
    return slot;
  }

  ringIsEmpty(shard: number): boolean {
    return (
      Atomics.load(this.#words, this.#shard(shard, layout.SHARD_RING_TAIL)) ===
      Atomics.load(this.#words, this.#shard(shard, layout.SHARD_RING_HEAD))
    );
  }

  /** Control only, while the shard is dead: what lies in its ring is found by the rows. */
  emptyRing(shard: number): void {
    const tail = Atomics.load(this.#words, this.#shard(shard, layout.SHARD_RING_TAIL));
    Atomics.store(this.#words, this.#shard(shard, layout.SHARD_RING_HEAD), tail);
  }
}
