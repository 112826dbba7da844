/**
 * One shard: its connections, and the turn in which everything happens to them.
 *
 *   turn: wait ▶ heed settings ▶ adopt ▶ hear control ▶ receive ▶ news ▶ deliver ▶ look after the slow and the silent ▶ signal
 *
 * Invariant: everything that a shard owns is touched by its turn only; a fault in it ends the thread, and
 * control recovers what it had claimed.
 */
import { CODE_IDLE_TIMEOUT, CODE_SLOW_CONSUMER, TYPE_PING } from '../frame/codes.js';
import { CURSOR_STREAM, ON_FULL_EVICT, STREAM_BYTES, STREAM_ON_FULL } from '../ring/layout.js';
import { EAGAIN, EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP } from '../sys/sys.js';
import { FLAGS_HELD, ShardContext, TICK_MS, type ShardOptions } from './context.js';
import { Input } from './input.js';
import { Handshakes } from './handshakes.js';
import * as layout from './layout.js';
import { Lifecycle } from './lifecycle.js';
import type { ControlMessage } from './messages.js';
import { permits } from './permissions.js';
import { Requests } from './requests.js';
import { settingsFault, type SettingsPage } from './settings.js';
import { payWakes } from '../ring/wakes.js';
import { Subscriptions } from './subscriptions.js';

/** A longer wait would hold up `terminate()` and the exit of the process. */
const WAIT_MS_MAX = 100;
/** While publishers wait for a slow subscriber, or a connection's end is timed. */
const WAIT_MS_TIMED = 20;
const ADOPTIONS_PER_TURN = 64;
const RECEIVERS_PER_TURN = 64;
/** What came is delivered before more is received: so it is still in the cache, and a turn does not last long. */
const RECEIVE_BYTES_PER_TURN = 1_048_576;
const SENDERS_PER_TURN = 256;
const RECEIVE_BYTES_BEFORE_GOODBYE = 1_048_576;
const NS_PER_MS = 1e6;
/** `backoff`: the shard polls for so long after it last had something to do, then it blocks. */
const BACKOFF_MS = 0.2;
/** Every connection is looked at so often per heartbeat, but no more often than each second. */
const SWEEPS_PER_HEARTBEAT = 8;
const SWEEP_STEP_MS = 50;
const EMPTY = new Uint8Array(0);

export type ShardState = 'serving' | 'draining' | 'finishing' | 'ended';

export class Shard {
  readonly context: ShardContext;
  readonly lifecycle: Lifecycle;
  readonly input: Input;
  readonly requests: Requests;
  readonly handshakes: Handshakes;
  readonly subscriptions: Subscriptions;
  readonly #settingsPage: SettingsPage;
  #settingsChange = -1;
  #settingsVersion = 0;
  readonly #streamsAt: number;
  readonly #epollFd: number;
  /** Connections that may be received from; two lists, exchanged each turn. */
  #receivers: number[] = [];
  #receiversNext: number[] = [];
  /** Streams whose publishers wait for our cursors (0 = the pool's). */
  readonly #pressed = new Set<number>();
  /** Connections with something ready and no room to write it down. */
  readonly #starved = new Set<number>();
  /** Connections whose output has room again, and that were not heard for want of it. */
  #relieved: number[] = [];
  #state: ShardState = 'serving';
  #isQuiesced = false;
  #lastBusyMs: number;
  #lastTimersTick = 0;
  #sweepSlot = 1;
  #sweptAtMs: number;
  readonly #beganMs: number;
  /** When the present turn's wait was over; and whether there was anything to do in it. */
  #turnBeganMs: number;
  #turnEndedMs: number;
  #worked = false;
  /** The turn before the present one: what the kernel counts of it when the next one begins. */
  #tookNs = 0;
  #tookWorked = false;
  /** When this thread was last known to be awake: set at a turn's end, and by who lets something else run between two turns. */
  awakeMs: number;
  #isControlDue = true;
  #faultAsked = false;

  constructor(options: ShardOptions) {
    const context = new ShardContext(options);
    this.context = context;
    this.#streamsAt = options.streamsAt;
    this.#settingsPage = options.settingsPage;
    context.kernel.openArea(options.areaAt);
    context.kernel.openQueue();
    this.subscriptions = new Subscriptions(context);
    this.lifecycle = new Lifecycle(context, { connectionClosing: (slot) => this.#forget(slot) });
    this.handshakes = new Handshakes(
      context,
      this.lifecycle,
      options.randomBytes,
      options.principals,
    );
    this.requests = new Requests(context, this.lifecycle, this.subscriptions, this.handshakes);
    this.input = new Input(context, this.lifecycle, this.requests);
    this.#beganMs = context.clock.monotonicMs();
    this.#turnBeganMs = this.#beganMs;
    this.#turnEndedMs = this.#beganMs;
    this.awakeMs = this.#beganMs;
    this.#lastBusyMs = this.#beganMs;
    this.#sweptAtMs = this.#beganMs;
    this.#epollFd = context.sys.epollCreate();
    if (this.#epollFd < 0) throw new Error(`epoll_create1: errno ${-this.#epollFd}`);
    context.shared.noteEpoll(context.thread, this.#epollFd);
    const status = context.sys.epollAddReadable(
      this.#epollFd,
      context.eventfds[context.thread]!,
      0,
      0,
    );
    if (status < 0) throw new Error(`epoll_ctl: errno ${-status}`);
  }

  get state(): ShardState {
    return this.#state;
  }

  /** One turn. Answers false once no connection is left and none will come. */
  turn(): boolean {
    const { kernel } = this.context;
    const sentNs = (this.#turnEndedMs - this.#turnBeganMs) * NS_PER_MS;
    kernel.turnBegins(this.#tookNs, this.#tookWorked, sentNs);
    this.#wait();
    if (this.#faultAsked) throw new Error('a fault was asked for (debug.faults)');
    if (this.#settingsPage.change !== this.#settingsChange) this.#heedSettings();
    this.#adopt();
    if (this.#isControlDue) this.#hearControl();
    if (this.handshakes.isReviewing) this.handshakes.review();
    this.#receive();
    this.#news();
    this.#deliver();
    this.#timers();
    this.#signal();
    const isAlive = this.#advanceState();
    this.awakeMs = this.context.clock.monotonicMs();
    this.#turnEndedMs = this.awakeMs;
    return isAlive;
  }

  /** Gives the epoll instance back; after the last turn. */
  close(): void {
    const { sys, shared, thread } = this.context;
    const fd = shared.takeEpoll(thread);
    if (fd >= 0) sys.close(fd);
  }

  // ---- Settings ----

  /** Takes over what is live, and says what it thinks of what is offered. */
  #heedSettings(): void {
    const page = this.#settingsPage;
    const { control } = this.context;
    this.#settingsChange = page.change;
    const live = page.live();
    if (live && live.version !== this.#settingsVersion) {
      this.#settingsVersion = live.version;
      const { auth } = this.context.settings;
      this.context.settings = { ...this.context.settings, ...live.settings };
      this.handshakes.settingsChanged(auth);
      control.post({ type: 'settings', version: live.version });
    }
    const offered = page.offered();
    if (!offered) return;
    const { offer, settings } = offered;
    control.post({ type: 'vote', offer, fault: settingsFault(settings) });
  }

  // ---- Waiting ----

  #wait(): void {
    const { sys, kernel, clock, areaAt } = this.context;
    const timeoutMs = this.#timeoutMs();
    const mayBlock = timeoutMs > 0 && this.#mayBlock();
    const events = sys.epollWait(this.#epollFd, mayBlock ? timeoutMs : 0);
    if (mayBlock) kernel.wokenUp();
    sys.clockRealtime(areaAt + layout.AREA_CLOCK);
    const nowMs = clock.monotonicMs();
    // What came after that was sleep.
    const endMs = mayBlock ? this.awakeMs : nowMs;
    this.#tookNs = (endMs - this.#turnBeganMs) * NS_PER_MS;
    this.#tookWorked = this.#worked;
    this.#turnBeganMs = nowMs;
    this.#worked = events > 0;
    this.context.tick = (Math.floor((nowMs - this.#beganMs) / TICK_MS) + 1) >>> 0;
    if (events < 0) throw new Error(`epoll_wait: errno ${-events}`);
    if (events > 0) this.#lastBusyMs = nowMs;
    for (let i = 0; i < events; i++) this.#event(i);
  }

  #timeoutMs(): number {
    if (this.#receivers.length > 0 || this.context.kernel.queueIsEmpty() === 0) return 0;
    if (this.handshakes.isReviewing) return 0;
    const strategy = this.context.settings.idleStrategy;
    if (strategy === 'spin') return 0;
    if (strategy === 'backoff') {
      if (this.context.clock.monotonicMs() - this.#lastBusyMs < BACKOFF_MS) return 0;
    }
    const isTimed =
      this.#pressed.size > 0 ||
      this.#starved.size > 0 ||
      this.lifecycle.hasDeadlines ||
      this.#state !== 'serving';
    return isTimed ? WAIT_MS_TIMED : WAIT_MS_MAX;
  }

  /** Says that this thread is about to sleep; false where something came in the meantime. */
  #mayBlock(): boolean {
    const { kernel, shared, thread } = this.context;
    if (kernel.prepareToSleep() === 0) return false;
    if (shared.ringIsEmpty(thread)) return true;
    kernel.wokenUp();
    return false;
  }

  #event(index: number): void {
    const { sys, shared } = this.context;
    const slot = sys.eventSlot(index);
    if (slot === 0) {
      sys.eventfdClear(this.context.eventfds[this.context.thread]!);
      this.#isControlDue = true;
      return;
    }
    if (shared.generation(slot) !== sys.eventGeneration(index) || shared.fd(slot) < 0) return;
    const flags = sys.eventFlags(index);
    if (flags & EPOLLERR) {
      this.lifecycle.closeNow(slot);
      return;
    }
    if (flags & (EPOLLRDHUP | EPOLLHUP)) this.context.raise(slot, layout.FLAG_END_SEEN);
    if (flags & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)) this.#readable(slot);
    if (flags & EPOLLOUT && this.context.has(slot, layout.FLAG_SEND_BLOCKED)) {
      this.context.lower(slot, layout.FLAG_SEND_BLOCKED);
      this.context.kernel.wantSend(slot);
    }
  }

  #readable(slot: number): void {
    this.context.raise(slot, layout.FLAG_READABLE);
    this.#mayReceive(slot);
  }

  #mayReceive(slot: number): void {
    if (this.context.has(slot, layout.FLAG_IN_RECEIVE_QUEUE)) return;
    this.context.raise(slot, layout.FLAG_IN_RECEIVE_QUEUE);
    this.#receivers.push(slot);
  }

  // ---- Taking connections over from the acceptor ----

  #adopt(): void {
    const { shared, thread } = this.context;
    for (let i = 0; i < ADOPTIONS_PER_TURN; i++) {
      const slot = shared.pop(thread);
      if (slot === 0) return;
      if (shared.own(slot, thread)) this.#adoptOne(slot);
    }
  }

  #adoptOne(slot: number): void {
    const { shared, sys, words } = this.context;
    const at = shared.rowAt(slot);
    words.fill(0, (at + layout.CONNECTION_PRIVATE) >>> 2, (at + layout.CONNECTION_BYTES) >>> 2);
    this.context.set(slot, layout.CONNECTION_HEARD, this.context.tick);
    this.context.set(slot, layout.CONNECTION_PINGED, this.context.tick);
    this.lifecycle.openCount++;
    this.handshakes.adopted(slot);
    if (shared.fd(slot) < 0) return;
    const generation = shared.generation(slot);
    if (sys.epollAddStream(this.#epollFd, shared.fd(slot), slot, generation) < 0) {
      this.lifecycle.closeNow(slot);
      return;
    }
    // Whatever the client sent before this is told by an edge of the addition itself.
    if (this.#state === 'draining') this.#sayGoodbye(slot);
    if (this.#state === 'finishing') this.lifecycle.closeNow(slot);
  }

  // ---- Control ----

  #hearControl(): void {
    this.#isControlDue = false;
    for (;;) {
      const message = this.context.control.receive();
      if (!message) return;
      this.#obey(message);
    }
  }

  #obey(message: ControlMessage): void {
    switch (message.type) {
      case 'opened': {
        const { ref, subject, stream } = message;
        if (this.requests.streamOpened(ref, subject, stream)) this.#goOn(ref.slot);
        return;
      }
      case 'refused':
        if (this.requests.requestRefused(message.ref, message.code, message.text)) {
          this.#goOn(message.ref.slot);
        }
        return;
      case 'subscribed': {
        const { ref, pattern, streams } = message;
        if (this.requests.patternRegistered(ref, pattern, streams)) this.#goOn(ref.slot);
        return;
      }
      case 'born':
        this.subscriptions.born(message.stream, message.subject, this.lifecycle, (slot) =>
          permits(this.handshakes.permissionsOf(slot).subscribe, message.subject),
        );
        this.context.control.post({ type: 'attached', stream: message.stream });
        return;
      case 'authenticated':
        if (this.handshakes.authenticated(message.ref, message.answer))
          this.#goOn(message.ref.slot);
        return;
      case 'principals':
        this.handshakes.exchange(message.gone, message.principals);
        return;
      case 'drain':
        this.#drain();
        return;
      case 'finish':
        this.#finish();
        return;
      case 'abort':
        this.#closeAll();
        this.#state = 'finishing';
        return;
      case 'fault':
        this.#faultAsked = true;
    }
  }

  /** A connection is no longer held: handles what it had waiting, and receives again. */
  #goOn(slot: number): void {
    if (this.context.shared.fd(slot) < 0) return;
    if (this.input.resume(slot)) this.#mayReceive(slot);
  }

  // ---- Receiving ----

  #receive(): void {
    const slots = this.#receivers;
    if (slots.length === 0) return;
    this.#worked = true;
    this.#receivers = this.#receiversNext;
    this.#receiversNext = slots;
    const count = Math.min(slots.length, RECEIVERS_PER_TURN);
    const bytesMax = this.input.receivedBytes + RECEIVE_BYTES_PER_TURN;
    // Who was not received from is first in the next turn.
    let i = 0;
    while (i < count && this.input.receivedBytes < bytesMax) this.#receiveFrom(slots[i++]!);
    slots.copyWithin(0, i);
    slots.length -= i;
    const again = this.#receivers;
    for (const slot of again) slots.push(slot);
    again.length = 0;
    this.#receivers = slots;
    this.#receiversNext = again;
  }

  #receiveFrom(slot: number): void {
    const { context } = this;
    if (context.shared.fd(slot) < 0 || context.shared.shardOf(slot) !== context.thread) return;
    context.lower(slot, layout.FLAG_IN_RECEIVE_QUEUE);
    if (this.input.receive(slot)) this.#mayReceive(slot);
  }

  // ---- News ----

  #news(): void {
    const { kernel, areaAt } = this.context;
    for (;;) {
      const listed = kernel.collectNews();
      for (let i = 0; i < listed; i++)
        this.#newsOf(this.context.u32(areaAt + layout.AREA_NEWS + i * 4));
      if (listed < layout.AREA_NEWS_MAX) return;
    }
  }

  #newsOf(stream: number): void {
    if (stream === 0) {
      // The pool has segments again, or somebody wants some: whoever waits for a log may wait for this.
      for (const held of [...this.input.heldStreams]) this.input.retry(held, this.#ready);
    } else {
      this.input.retry(stream, this.#ready);
    }
    if (this.context.kernel.somebodyWaits(stream) !== 0) this.#pressed.add(stream);
  }

  readonly #ready = (slot: number): void => this.#mayReceive(slot);

  // ---- Delivering ----

  #deliver(): void {
    const { kernel, clock } = this.context;
    for (let i = 1; i <= SENDERS_PER_TURN; i++) {
      const slot = kernel.nextToSend();
      if (slot === 0) break;
      this.#worked = true;
      this.#sendTo(slot);
      const isClockDue = layout.METERED && i % layout.SENDERS_PER_CLOCK === 0;
      if (isClockDue) this.#meterSends(clock.monotonicMs());
    }
    if (this.#relieved.length > 0) this.#relieve();
  }

  /** What was sent until `nowMs` has its delay by now. */
  #meterSends(nowMs: number): void {
    if (!layout.METERED) return;
    this.context.kernel.sendsEnd((nowMs - this.#turnBeganMs) * NS_PER_MS);
  }

  /** Connections whose answers have left are heard again; whether DATA waits for them is no matter. */
  #relieve(): void {
    const slots = this.#relieved;
    this.#relieved = [];
    for (const slot of slots) {
      // It may have ended since, and another one may have its slot.
      if (!this.context.has(slot, layout.FLAG_HELD_BY_OUTPUT)) continue;
      this.context.lower(slot, layout.FLAG_HELD_BY_OUTPUT);
      this.#goOn(slot);
    }
  }

  #sendTo(slot: number): void {
    const { kernel } = this.context;
    for (let i = 0; i < layout.SENDS_PER_CONNECTION; i++) {
      const spans = kernel.gather(slot);
      const announced = kernel.announceNeeded();
      if (spans === 0 && announced === 0) {
        this.#sentAll(slot);
        return;
      }
      if (spans > 0 && !this.#sendSpans(slot, spans)) return;
      if (announced !== 0 && !this.#announce(slot, announced)) return;
    }
    kernel.wantSend(slot);
  }

  /** False: the socket took less than all, or is gone. */
  #sendSpans(slot: number, spans: number): boolean {
    const { sys, kernel, shared, areaAt } = this.context;
    const bytes = kernel.gatheredBytes();
    const fd = shared.fd(slot);
    const isKeyed = this.context.get(slot, layout.CONNECTION_KEYS) !== 0;
    const spansAt = areaAt + (isKeyed ? layout.AREA_KEYED_SPANS : layout.AREA_SPANS);
    const sent =
      spans === 1
        ? sys.send(fd, this.context.u32(spansAt), bytes)
        : sys.sendSpans(fd, spansAt, spans);
    kernel.sent(slot, Math.max(sent, 0));
    if (this.context.has(slot, layout.FLAG_HELD_BY_OUTPUT)) this.#mayRelieve(slot);
    if (sent === bytes) return true;
    if (sent >= 0 || sent === -EAGAIN) this.context.raise(slot, layout.FLAG_SEND_BLOCKED);
    else this.lifecycle.closeNow(slot);
    return false;
  }

  #mayRelieve(slot: number): void {
    const blocks = this.context.get(slot, layout.CONNECTION_OUT_BLOCKS);
    if (blocks < layout.OUT_BLOCKS_HELD) this.#relieved.push(slot);
  }

  #announce(slot: number, cursor: number): boolean {
    const { kernel } = this.context;
    const stream = this.context.u32((kernel.cursorAt(cursor) >>> 0) + CURSOR_STREAM);
    if (this.requests.announce(slot, stream)) {
      kernel.clearAnnounce(cursor);
      return true;
    }
    this.#starved.add(slot);
    return false;
  }

  /** A connection has nothing more to send now. */
  #sentAll(slot: number): void {
    const { context } = this;
    if (context.kernel.isDrained(slot) === 0) {
      this.#starved.add(slot);
      return;
    }
    const flags = context.flags(slot);
    if (flags & layout.FLAG_LINGERING) return;
    if (flags & layout.FLAG_CLOSING) {
      this.lifecycle.linger(slot);
    } else if (flags & layout.FLAG_END_OF_INPUT && !(flags & FLAGS_HELD)) {
      this.lifecycle.closeNow(slot);
    } else if (this.#state === 'finishing' && flags & layout.FLAG_GOODBYE) {
      this.input.finishLate(slot);
    }
  }

  // ---- Whatever has its time ----

  #timers(): void {
    if (this.#pressed.size > 0) this.#press();
    if (this.context.tick === this.#lastTimersTick) return;
    this.#lastTimersTick = this.context.tick;
    this.lifecycle.expire();
    this.handshakes.expire();
    if (this.#starved.size > 0) this.#feed();
    for (const slot of this.requests.busySlots) {
      if (this.requests.placeBusy(slot)) this.#goOn(slot);
    }
    this.#sweep();
  }

  #feed(): void {
    const slots = [...this.#starved];
    this.#starved.clear();
    for (const slot of slots) {
      if (this.context.shared.fd(slot) >= 0) this.context.kernel.wantSend(slot);
    }
  }

  /** Publishers wait: subscribers that hold them for too long are moved on, with a GAP to come. */
  #press(): void {
    const { kernel, settings, tick } = this.context;
    for (const stream of this.#pressed) {
      if (kernel.somebodyWaits(stream) === 0) {
        this.#pressed.delete(stream);
        continue;
      }
      const ticksMax = this.#isEvicting(stream)
        ? 0
        : Math.max(1, Math.ceil(settings.slowConsumerTimeoutMs / TICK_MS));
      const holding = kernel.moveOn(stream, tick, ticksMax);
      const hopeless = kernel.hopelessConnection();
      if (hopeless !== 0) this.lifecycle.closeNow(hopeless);
      if (holding === 0 && hopeless === 0) this.#pressed.delete(stream);
    }
    // What was let go may be what a connection of this very shard waits for.
    this.#news();
  }

  #isEvicting(stream: number): boolean {
    if (stream === 0) return false;
    const at = this.#streamsAt + stream * STREAM_BYTES + STREAM_ON_FULL;
    return this.context.u32(at) === ON_FULL_EVICT;
  }

  /** Looks at a part of all connections: who is silent is asked, and who stays silent is taken for dead. */
  #sweep(): void {
    const { shared, settings, clock, thread } = this.context;
    const nowMs = clock.monotonicMs();
    const elapsedMs = nowMs - this.#sweptAtMs;
    if (elapsedMs < SWEEP_STEP_MS) return;
    this.#sweptAtMs = nowMs;
    const periodMs = Math.min(1000, settings.heartbeatMs / SWEEPS_PER_HEARTBEAT);
    const share = Math.min(1, elapsedMs / periodMs);
    for (let count = Math.ceil(shared.slots * share); count > 0; count--) {
      const slot = this.#sweepSlot;
      this.#sweepSlot = slot >= shared.slots ? 1 : slot + 1;
      if (shared.fd(slot) >= 0 && shared.shardOf(slot) === thread) this.#check(slot);
    }
  }

  #check(slot: number): void {
    const { context } = this;
    const flags = context.flags(slot);
    if (flags & layout.FLAG_CLOSING) return;
    const { tick } = context;
    const beat = Math.ceil(context.settings.heartbeatMs / TICK_MS);
    const silent = (tick - context.get(slot, layout.CONNECTION_HEARD)) >>> 0;
    const pinged = (tick - context.get(slot, layout.CONNECTION_PINGED)) >>> 0;
    // Whoever is held back can't be heard: he is told that we live, and not taken for dead.
    const isHeld = (flags & FLAGS_HELD) !== 0;
    if (flags & layout.FLAG_HELD_BY_OUTPUT && silent >= 2 * beat) {
      const text = `no answer was taken for ${2 * context.settings.heartbeatMs} ms`;
      this.lifecycle.error(slot, CODE_SLOW_CONSUMER, 0, 0n, text);
      return;
    }
    // Only who was asked, and had his time to answer: it may be this thread that was held up.
    const wasAsked = pinged < silent && pinged >= beat;
    if (!isHeld && silent >= 2 * beat && wasAsked) {
      const text = `nothing was heard for ${2 * context.settings.heartbeatMs} ms`;
      this.lifecycle.error(slot, CODE_IDLE_TIMEOUT, 0, 0n, text);
      return;
    }
    if (isHeld ? pinged >= beat / 3 : silent >= beat && pinged >= beat) {
      context.set(slot, layout.CONNECTION_PINGED, tick);
      this.lifecycle.reply(slot, TYPE_PING, 0, 0, BigInt(tick), EMPTY);
    }
  }

  /** Eventfds of threads that were asleep when this turn had news for them. */
  #signal(): void {
    payWakes(this.context.kernel, this.#wake);
  }

  readonly #wake = (thread: number): void => {
    this.context.sys.eventfdSignal(this.context.eventfds[thread]!);
  };

  // ---- The end ----

  *#ownSlots(): Iterable<number> {
    const { shared, thread } = this.context;
    for (let slot = 1; slot <= shared.slots; slot++) {
      if (shared.fd(slot) >= 0 && shared.shardOf(slot) === thread) yield slot;
    }
  }

  #drain(): void {
    if (this.#state !== 'serving') return;
    this.#state = 'draining';
    for (const slot of this.#ownSlots()) this.#sayGoodbye(slot);
  }

  /** First what the client has sent already, then GOODBYE. */
  #sayGoodbye(slot: number): void {
    const { context } = this;
    if (context.has(slot, layout.FLAG_CLOSING | layout.FLAG_GOODBYE)) return;
    context.raise(slot, layout.FLAG_READABLE);
    // A publisher at full speed never pauses: so much is taken, and what comes after it is late.
    const bytesMax = this.input.receivedBytes + RECEIVE_BYTES_BEFORE_GOODBYE;
    while (this.input.receivedBytes < bytesMax && this.input.receive(slot));
    if (context.shared.fd(slot) < 0) return;
    // One that is held is said goodbye when it is not; see `#advanceState`.
    if (context.flags(slot) & (FLAGS_HELD | layout.FLAG_CLOSING)) return;
    this.#pendingGoodbye(slot);
  }

  #pendingGoodbye(slot: number): void {
    if (!this.lifecycle.farewell(slot, 'the broker is shutting down')) {
      this.lifecycle.closeNow(slot);
      return;
    }
    this.context.raise(slot, layout.FLAG_GOODBYE);
  }

  #finish(): void {
    this.#state = 'finishing';
    for (const slot of this.#ownSlots()) {
      for (const cursor of this.subscriptions.of(slot)?.cursors.values() ?? []) {
        this.context.kernel.wakeCursor(cursor);
      }
      this.context.kernel.wantSend(slot);
    }
  }

  #closeAll(): void {
    for (const slot of this.#ownSlots()) this.lifecycle.closeNow(slot);
  }

  #advanceState(): boolean {
    if (this.#state === 'serving') return true;
    const { context } = this;
    if (this.#state === 'draining' && !this.#isQuiesced) {
      let waiting = 0;
      for (const slot of this.#ownSlots()) {
        if (context.has(slot, layout.FLAG_GOODBYE | layout.FLAG_CLOSING)) continue;
        this.#sayGoodbye(slot);
        if (!context.has(slot, layout.FLAG_GOODBYE | layout.FLAG_CLOSING)) waiting++;
      }
      if (waiting === 0) {
        this.#isQuiesced = true;
        context.control.post({ type: 'quiesced' });
      }
    }
    if (this.#state !== 'finishing' || this.lifecycle.openCount > 0) return true;
    this.#state = 'ended';
    context.control.post({ type: 'ended' });
    return false;
  }

  #forget(slot: number): void {
    this.handshakes.forget(slot);
    this.requests.forget(slot);
    this.input.forget(slot);
    this.subscriptions.forget(slot);
    this.#starved.delete(slot);
  }
}
