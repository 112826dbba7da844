/** The far end of a connection to the fake system, in the hands of a test. */
import { ByteQueue, type FakeStream, type Watcher } from './fake-files.js';

/**
 * What it writes waits here until the other side's socket buffer has room, and then arrives at once:
 * a network without delay. It never blocks, and takes only what it is told to read.
 */
export class FakePeer implements Watcher {
  readonly #stream: FakeStream;
  readonly #unsent = new ByteQueue();
  #ending = false;

  constructor(stream: FakeStream) {
    this.#stream = stream;
    stream.watchers.add(this);
  }

  /** Bytes written that have not arrived yet, for want of room. */
  get unsentBytes(): number {
    return this.#unsent.bytes;
  }

  /** Bytes that have arrived here and were not read. */
  get unreadBytes(): number {
    return this.#stream.inbox.bytes;
  }

  /** The other side has ended its sending, and everything that it sent was read. */
  get ended(): boolean {
    return this.#stream.endReceived && this.unreadBytes === 0;
  }

  /** The connection was reset, by whichever side. */
  get broken(): boolean {
    return this.#stream.broken;
  }

  /** The other side has closed its descriptor. */
  get closed(): boolean {
    return this.#stream.other.released;
  }

  write(bytes: Uint8Array): void {
    this.#unsent.push(bytes);
    this.#flush();
  }

  /** Takes up to `bytesMax` of the bytes that have arrived. */
  read(bytesMax = Number.MAX_SAFE_INTEGER): Uint8Array {
    const taken = this.#stream.inbox.take(Math.min(bytesMax, this.unreadBytes));
    if (taken.length > 0) this.#stream.tellRoom();
    return taken;
  }

  /** Ends sending, once all that was written has arrived. */
  end(): void {
    this.#ending = true;
    this.#flush();
  }

  /** Breaks the connection off; what has not arrived never will. */
  reset(): void {
    this.#unsent.drop(this.#unsent.bytes);
    this.#stream.reset();
  }

  wake(): void {
    this.#flush();
  }

  #flush(): void {
    while (this.#unsent.bytes > 0 && this.#isOpen()) {
      const roomBytes = Math.min(this.#stream.roomBytes(), this.#unsent.bytes);
      if (roomBytes === 0) {
        this.#stream.awaitRoom();
        return;
      }
      this.#stream.send(this.#unsent.take(roomBytes));
    }
    if (this.#ending && this.#isOpen()) this.#stream.endWriting();
  }

  #isOpen(): boolean {
    return !this.#stream.broken && !this.#stream.writeEnded;
  }
}
