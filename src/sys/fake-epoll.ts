/**
 * epoll as Linux does it: a wake-up queues a registration once; a wait looks at what is queued and
 * tells the flags that hold then; an edge-triggered one leaves the queue, a level-triggered one stays.
 */
import { FakeFile, type Watcher } from './fake-files.js';
import { EEXIST, ENOENT } from './layout.js';
import { EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP } from './sys.js';

export interface FakeEvent {
  readonly flags: number;
  readonly slot: number;
  readonly generation: number;
}

class Registration implements Watcher {
  readonly file: FakeFile;
  readonly interest: number;
  readonly edgeTriggered: boolean;
  readonly slot: number;
  readonly generation: number;
  readonly #queue: Set<Registration>;

  constructor(
    queue: Set<Registration>,
    file: FakeFile,
    edgeTriggered: boolean,
    slot: number,
    generation: number,
  ) {
    this.#queue = queue;
    this.file = file;
    this.edgeTriggered = edgeTriggered;
    this.interest = edgeTriggered ? EPOLLIN | EPOLLOUT | EPOLLRDHUP : EPOLLIN;
    this.slot = slot;
    this.generation = generation;
  }

  wake(flags: number): void {
    if ((flags & (this.interest | EPOLLERR | EPOLLHUP)) !== 0) this.#queue.add(this);
  }

  flags(): number {
    return this.file.poll() & (this.interest | EPOLLERR | EPOLLHUP);
  }
}

export class FakeEpoll extends FakeFile {
  readonly #registrations = new Map<FakeFile, Registration>();
  /** In the order of the wake-ups. */
  readonly #queue = new Set<Registration>();

  /** Nested epoll is not modelled. */
  poll(): number {
    return 0;
  }

  add(file: FakeFile, edgeTriggered: boolean, slot: number, generation: number): number {
    if (this.#registrations.has(file)) return -EEXIST;
    const registration = new Registration(this.#queue, file, edgeTriggered, slot, generation);
    this.#registrations.set(file, registration);
    file.watchers.add(registration);
    if (registration.flags() !== 0) this.#queue.add(registration);
    return 0;
  }

  remove(file: FakeFile): number {
    const registration = this.#registrations.get(file);
    if (registration === undefined) return -ENOENT;
    this.#registrations.delete(file);
    this.#queue.delete(registration);
    file.watchers.delete(registration);
    return 0;
  }

  /** Takes up to `eventsMax` events. */
  collect(eventsMax: number): FakeEvent[] {
    const events: FakeEvent[] = [];
    for (const registration of [...this.#queue]) {
      if (events.length === eventsMax) break;
      this.#queue.delete(registration);
      const flags = registration.flags();
      if (flags === 0) continue;
      const { slot, generation } = registration;
      events.push({ flags, slot, generation });
      if (!registration.edgeTriggered) this.#queue.add(registration);
    }
    return events;
  }

  /** The streams registered here, in the order of their registration. */
  streamEvents(): FakeEvent[] {
    const streams = [...this.#registrations.values()].filter(({ edgeTriggered }) => edgeTriggered);
    return streams.map(({ slot, generation }) => ({
      flags: EPOLLIN | EPOLLOUT,
      slot,
      generation,
    }));
  }

  release(): void {
    for (const file of [...this.#registrations.keys()]) this.remove(file);
  }
}
