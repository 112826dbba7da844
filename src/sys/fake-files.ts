/**
 * What a file descriptor of the fake stands for: streams, listeners, eventfds.
 *
 * Invariant: whenever a file's readiness improves, its watchers hear of it, as the kernel's do;
 * they are never told that it became worse.
 */
import { strict as assert } from 'node:assert';
import { EBADF } from './layout.js';
import { ECONNRESET, EPIPE, EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP } from './sys.js';

/** Who waits for a file: an epoll registration, or the test's peer. */
export interface Watcher {
  wake(flags: number): void;
}

const EVERY_FLAG = EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLRDHUP;

export abstract class FakeFile {
  readonly watchers = new Set<Watcher>();

  /** The flags that hold now. */
  abstract poll(): number;
  /** What the kernel does when the last descriptor goes. */
  abstract release(): void;

  protected wake(flags: number): void {
    for (const watcher of [...this.watchers]) watcher.wake(flags);
  }
}

/** Bytes in order. */
export class ByteQueue {
  #chunks: Uint8Array[] = [];
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#chunks.push(Uint8Array.from(bytes));
    this.#bytes += bytes.length;
  }

  /** Copies the first `target.length` bytes, which must be there, and leaves them. */
  copyTo(target: Uint8Array): void {
    assert.ok(target.length <= this.#bytes);
    let filled = 0;
    for (const chunk of this.#chunks) {
      const part = chunk.subarray(0, target.length - filled);
      target.set(part, filled);
      filled += part.length;
      if (filled === target.length) return;
    }
  }

  drop(byteCount: number): void {
    assert.ok(byteCount <= this.#bytes);
    this.#bytes -= byteCount;
    for (let left = byteCount; left > 0;) {
      const first = this.#chunks.shift()!;
      if (first.length > left) this.#chunks.unshift(first.subarray(left));
      left -= Math.min(left, first.length);
    }
  }

  /** Takes the first `byteCount` bytes, which must be there. */
  take(byteCount: number): Uint8Array {
    const taken = new Uint8Array(byteCount);
    this.copyTo(taken);
    this.drop(byteCount);
    return taken;
  }
}

/** One end of a connection, modelled on TCP. What it has received and not given out is its inbox. */
export class FakeStream extends FakeFile {
  readonly inbox = new ByteQueue();
  readonly cookie: bigint;
  readonly capacityBytes: number;
  /** The CPU that its packets arrive on. */
  cpu = 0;
  /** Of its peer: 16 bytes, all zero where it has none. */
  peerAddress: Uint8Array = new Uint8Array(16);
  /** The other end. */
  other!: FakeStream;
  /** The other side has ended sending; bytes before that may still lie in the inbox. */
  endReceived = false;
  writeEnded = false;
  released = false;
  /** A reset has arrived, or was sent: nothing moves in either direction any more. */
  broken = false;
  /** The pending error, told once. */
  error = 0;
  #lowWaterBytes = 1;
  /** Somebody found no room, so room is news (SOCK_NOSPACE). */
  #roomAwaited = false;

  constructor(cookie: bigint, capacityBytes: number) {
    super();
    this.cookie = cookie;
    this.capacityBytes = capacityBytes;
  }

  static connect(first: FakeStream, second: FakeStream): void {
    first.other = second;
    second.other = first;
  }

  poll(): number {
    let flags = 0;
    if (this.#isReadable()) flags |= EPOLLIN;
    if (this.endReceived || this.broken) flags |= EPOLLIN | EPOLLRDHUP;
    if (this.writeEnded || this.broken || this.#hasRoom()) flags |= EPOLLOUT;
    else this.#roomAwaited = true;
    if (this.broken || (this.endReceived && this.writeEnded)) flags |= EPOLLHUP;
    if (this.error !== 0) flags |= EPOLLERR;
    return flags;
  }

  /** How many bytes a send would take now. */
  roomBytes(): number {
    return this.other.released
      ? Number.MAX_SAFE_INTEGER
      : this.other.capacityBytes - this.other.inbox.bytes;
  }

  /** What a send must answer in place of bytes: a negative errno, or 0 = it may send. */
  sendStatus(): number {
    if (this.error !== 0) return -this.takeError();
    return this.broken || this.writeEnded ? -EPIPE : 0;
  }

  /** Bytes of one send, for which there is room. */
  send(bytes: Uint8Array): void {
    if (this.other.released) {
      this.breakOff(EPIPE); // what arrives where nobody is any more is answered by a reset
      return;
    }
    this.other.inbox.push(bytes);
    if (this.other.#isReadable()) this.other.wake(EPOLLIN);
  }

  awaitRoom(): void {
    this.#roomAwaited = true;
  }

  /** After bytes left the inbox: tells the sender that there is room. */
  tellRoom(): void {
    const sender = this.other;
    if (!sender.#roomAwaited || sender.released || !sender.#hasRoom()) return;
    sender.#roomAwaited = false;
    sender.wake(EPOLLOUT);
  }

  setLowWater(byteCount: number): void {
    this.#lowWaterBytes = byteCount;
    if (this.#isReadable()) this.wake(EPOLLIN);
  }

  endWriting(): void {
    if (this.writeEnded) return;
    this.writeEnded = true;
    this.other.endReceived = true;
    this.other.wake(EVERY_FLAG);
    this.wake(EVERY_FLAG);
  }

  /** The connection ends by a reset that arrives here. What the inbox holds stays readable. */
  breakOff(errno: number): void {
    if (this.broken) return;
    this.broken = true;
    this.error = errno;
    this.wake(EVERY_FLAG);
  }

  /** This side resets: the other hears of it, with EPIPE where it had already seen the end (as Linux). */
  reset(): void {
    if (this.broken) return;
    this.broken = true;
    this.other.breakOff(this.writeEnded ? EPIPE : ECONNRESET);
  }

  /** As `breakOff` for both sides, where a call is to tell the error at once. */
  cutOff(): void {
    this.breakOff(ECONNRESET);
    this.takeError();
    this.other.breakOff(ECONNRESET);
  }

  release(): void {
    this.released = true;
    if (this.inbox.bytes > 0)
      this.reset(); // unread bytes: the sender must know
    else if (!this.broken) this.endWriting();
  }

  takeError(): number {
    const error = this.error;
    this.error = 0;
    return error;
  }

  /** Tells readiness again: what a fault held back is there now. */
  rearm(flags: number): void {
    this.wake(flags);
  }

  #isReadable(): boolean {
    const { bytes } = this.inbox;
    return bytes > 0 && bytes >= Math.min(this.#lowWaterBytes, this.capacityBytes);
  }

  /** Writable when a third of the buffer is free, so that a sender is not woken for each byte. */
  #hasRoom(): boolean {
    return this.roomBytes() * 3 >= this.other.capacityBytes;
  }
}

export class FakeListener extends FakeFile {
  readonly port: number;
  readonly backlog: number;
  readonly waiting: FakeStream[] = [];

  constructor(port: number, backlog: number) {
    super();
    this.port = port;
    this.backlog = backlog;
  }

  poll(): number {
    return this.waiting.length > 0 ? EPOLLIN : 0;
  }

  arrive(stream: FakeStream): void {
    this.waiting.push(stream);
    this.wake(EPOLLIN);
  }

  release(): void {
    for (const stream of this.waiting.splice(0)) stream.reset();
  }
}

export class FakeEventfd extends FakeFile {
  value = 0;

  poll(): number {
    return this.value > 0 ? EPOLLIN | EPOLLOUT : EPOLLOUT;
  }

  signal(): void {
    this.value += 1;
    this.wake(EPOLLIN);
  }

  release(): void {
    this.value = 0;
  }
}

/** Open files by descriptor. A number is never given out twice, so that every stale use is seen. */
export class FileTable {
  readonly #files = new Map<number, FakeFile>();
  /** Uses of descriptors that were not open, or not of that kind: bugs of the caller. */
  readonly violations: string[] = [];
  #nextFd = 3;

  open(file: FakeFile): number {
    const fd = this.#nextFd;
    this.#nextFd += 1;
    this.#files.set(fd, file);
    return fd;
  }

  fds(): number[] {
    return [...this.#files.keys()];
  }

  get count(): number {
    return this.#files.size;
  }

  /** The open file, or `-EBADF`, or `-wrongKindErrno` where it is no `kind`. */
  find<T extends FakeFile>(
    call: string,
    fd: number,
    kind: abstract new (...args: never[]) => T,
    wrongKindErrno: number,
  ): T | number {
    const file = this.#files.get(fd);
    if (file instanceof kind) return file;
    this.violations.push(`${call}(${fd}): ${file === undefined ? 'not open' : 'wrong kind'}`);
    return file === undefined ? -EBADF : -wrongKindErrno;
  }

  /** Takes the descriptor out of the table. */
  remove(fd: number): void {
    this.#files.delete(fd);
  }
}
