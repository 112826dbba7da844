/** Clients that do anything at any time, on a system that fails at any call: what every run must keep. */
import { Buffer } from 'node:buffer';
import { expect, test } from 'vitest';
import * as codes from '../../src/frame/codes.js';
import { POOL_LARGE_STASHES, POOL_RECEIVE_BLOCKS } from '../../src/shards/layout.js';
import { FaultSource } from '../../src/sys/fake-faults.js';
import { type Harness, harness } from '../support/shard-harness.js';
import { type Frame, json, ping, type TestPeer } from '../support/test-peer.js';

const SUBJECTS = ['a', 'b', 'a.x', 'a.y', 'b.x'];
const PATTERNS = ['a', 'b', 'a.*', '*', '>', 'b.>', 'a.x', '*.x'];
const KEY = {
  method: 'hmac-sha256',
  keyId: 'key',
  secret: Buffer.from('a secret of thirty-two bytes, 1!'),
} as const;
const FROM = ['new', 'first', 'last', { last: 3 }, { sequence: 5 }, { time: 1 }];

/** One client, what it did, and what it was told. */
class Actor {
  readonly peer: TestPeer;
  readonly name: number;
  readonly opened = new Map<string, number>();
  readonly numbers = new Map<number, number>();
  readonly acked = new Map<number, bigint>();
  /** By stream: the sequence that must come next, where that is known. */
  readonly next = new Map<number, bigint>();
  readonly known = new Set<number>();
  isSound = true;
  #request = 1n;

  constructor(peer: TestPeer, name: number) {
    this.peer = peer;
    this.name = name;
  }

  ask(type: number, value: object, sequence = this.#request++): void {
    this.peer.send({ type, sequence, payload: json(value) });
  }
}

class Storm {
  readonly h: Harness;
  readonly actors: Actor[] = [];
  /** What each sequence of each stream holds: the same for everybody. */
  readonly log = new Map<string, string>();
  /** Memory may be so scarce that a connection is ended for want of a place for its bytes. */
  mayRefuse = false;
  isMixed = false;
  keyedCount = 0;
  readonly #chance: FaultSource;
  readonly #shards: number;
  #names = 0;

  constructor(h: Harness, seed: number, shards: number) {
    this.h = h;
    this.#chance = new FaultSource(seed * 7919);
    this.#shards = shards;
  }

  #below(count: number): number {
    return this.#chance.between(0, count - 1);
  }

  #any<T>(values: readonly T[]): T {
    return values[this.#below(values.length)]!;
  }

  step(): void {
    if (this.actors.length < 4 || (this.actors.length < 8 && this.#below(30) === 0)) {
      const peer = this.h.connect(1 + this.#below(this.#shards));
      // Keyed connections and others share the streams.
      if (this.isMixed && this.#below(2) === 0) this.keyedCount += this.#key(peer);
      this.actors.push(new Actor(peer, ++this.#names));
    }
    const actor = this.#any(this.actors);
    switch (this.#below(16)) {
      case 0:
      case 1: {
        actor.ask(codes.TYPE_OPEN, { subject: this.#any(SUBJECTS) });
        return;
      }
      case 2: {
        actor.ask(codes.TYPE_SUBSCRIBE, {
          subject: this.#any(PATTERNS),
          from: this.#any(FROM),
          credit: this.#any([undefined, undefined, 0, 5]),
        });
        return;
      }
      case 3: {
        actor.ask(codes.TYPE_UNSUBSCRIBE, { subject: this.#any(PATTERNS) });
        return;
      }
      case 4: {
        actor.ask(codes.TYPE_CREDIT, { subject: this.#any(PATTERNS) }, 7n);
        return;
      }
      case 5:
        actor.peer.isReading = !actor.peer.isReading;
        return;
      case 6: {
        this.h.run();
        return;
      }
      case 7: {
        this.h.advance(this.#any([10, 100, 700]));
        return;
      }
      case 8: {
        actor.peer.send(ping());
        return;
      }
      case 9:
        if (this.#below(10) === 0) this.#leave(actor);
        return;
      default:
        this.#publish(actor);
        this.h.round();
    }
    this.hear();
  }

  #key(peer: TestPeer): number {
    return peer.greet(KEY) === 'WELCOME siphash-2-4' ? 1 : 0;
  }

  #publish(actor: Actor): void {
    const streams = [...actor.opened.values()];
    if (streams.length === 0) return;
    const stream = this.#any(streams);
    for (let i = this.#below(12); i >= 0; i--) {
      const number = (actor.numbers.get(stream) ?? 0) + 1;
      actor.numbers.set(stream, number);
      const text = `${actor.name}/${number}/`;
      const payload = Buffer.alloc(text.length + this.#any([0, 1, 8, 100, 3000]), '.');
      payload.write(text);
      actor.peer.publish(stream, payload, number);
    }
  }

  #leave(actor: Actor): void {
    this.actors.splice(this.actors.indexOf(actor), 1);
    switch (this.#below(3)) {
      case 0: {
        actor.peer.fake.reset();
        return;
      }
      case 1: {
        actor.peer.fake.end();
        return;
      }
      default:
        actor.peer.send({ type: codes.TYPE_GOODBYE });
    }
  }

  hear(): void {
    for (const actor of this.actors) {
      for (const frame of actor.peer.frames.splice(0)) this.#check(actor, frame);
      if (actor.peer.fake.closed) actor.isSound = false;
    }
  }

  #check(actor: Actor, frame: Frame): void {
    const { type, stream, sequence, payload } = frame;
    switch (type) {
      case codes.TYPE_OPENED: {
        const { subject } = JSON.parse(payload.toString()) as { subject: string };
        actor.known.add(stream);
        if (sequence !== 0n) actor.opened.set(subject, stream);
        return;
      }
      case codes.TYPE_SUBSCRIBED: {
        const { streams } = JSON.parse(payload.toString()) as { streams: { id: number }[] };
        for (const { id } of streams) actor.known.add(id);
        actor.next.clear();
        return;
      }
      case codes.TYPE_UNSUBSCRIBED:
        actor.next.clear();
        return;
      case codes.TYPE_GAP:
        this.#expectNext(actor, stream, sequence);
        actor.next.set(stream, payload.readBigUInt64LE());
        expect(payload.readBigUInt64LE()).toBeGreaterThan(sequence);
        return;
      case codes.TYPE_DATA:
        this.#expectNext(actor, stream, sequence);
        actor.next.set(stream, sequence + 1n);
        this.#compare(stream, sequence, payload);
        return;
      case codes.TYPE_ACK:
        expect(sequence).toBeGreaterThan(actor.acked.get(stream) ?? 0n);
        actor.acked.set(stream, sequence);
        this.#compareAck(actor, frame);
        return;
      case codes.TYPE_ERROR:
        expect([
          codes.CODE_ALREADY_SUBSCRIBED,
          codes.CODE_MALFORMED,
          codes.CODE_IDLE_TIMEOUT,
          codes.CODE_SLOW_CONSUMER,
          ...(this.mayRefuse ? [codes.CODE_INTERNAL] : []),
        ]).toContain(frame.code);
    }
  }

  #expectNext(actor: Actor, stream: number, sequence: bigint): void {
    expect(actor.known.has(stream), 'announced before its first DATA').toBe(true);
    const next = actor.next.get(stream);
    if (next !== undefined) expect(sequence).toBe(next);
  }

  #compare(stream: number, sequence: bigint, payload: Buffer): void {
    const text = payload.toString().replaceAll('.', '');
    const key = `${stream}#${sequence}`;
    expect(this.log.get(key) ?? text).toBe(text);
    this.log.set(key, text);
  }

  #compareAck(actor: Actor, { stream, sequence, payload }: Frame): void {
    const key = `${stream}#${payload.readBigUInt64LE()}`;
    const text = `${actor.name}/${sequence}/`;
    expect(this.log.get(key) ?? text).toBe(text);
    this.log.set(key, text);
  }

  /** Frames of one publisher keep their order, and none is there twice. */
  checkLog(): void {
    const entries = [...this.log].map(([key, text]) => {
      const [stream, sequence] = key.split('#');
      const [name, number] = text.split('/');
      return { of: `${stream} ${name}`, sequence: Number(sequence), number: Number(number) };
    });
    entries.sort((a, b) => a.sequence - b.sequence);
    const last = new Map<string, number>();
    for (const { of, number } of entries) {
      expect(number).toBeGreaterThan(last.get(of) ?? 0);
      last.set(of, number);
    }
  }
}

const WORLDS = [
  { name: 'all is well', faults: {} },
  {
    name: 'transfers are cut',
    faults: { shortRead: 0.3, shortWrite: 0.3, readWouldBlock: 0.1, writeWouldBlock: 0.1 },
  },
  {
    name: 'waits are interrupted and connections break',
    faults: { interruptedWait: 0.1, spuriousWakeup: 0.1, readReset: 0.003, writeBroken: 0.003 },
  },
];

const everyCase = WORLDS.flatMap((world) =>
  [1, 2, 3].map((seed) => ({ ...world, seed, isScarce: false })),
).concat(
  [7, 8, 9, 10].map((seed) => ({ ...WORLDS[0]!, name: 'memory is scarce', seed, isScarce: true })),
);

const cases = everyCase.flatMap((one) => [
  { ...one, isMixed: false },
  { ...one, name: `${one.name}, some are keyed`, isMixed: true },
]);

test.each(cases)('$name, seed $seed', ({ faults, seed, isScarce, isMixed }) => {
  const shards = 1 + (seed % 3);
  const h = harness({
    seed,
    faults,
    shards,
    credentials: [KEY],
    arenaBytes: 16 << 20,
    streams: 16,
    retentionBytes: [16, 64, 256][seed % 3]! * 1024,
    socketBufferBytes: [700, 5000, 70_000][seed % 3]!,
    onFull: seed % 4 === 0 ? 'evict' : 'block',
    settings: { slowConsumerTimeoutMs: 300, heartbeatMs: 5000, subscriptionsMax: 8 },
  });
  const storm = new Storm(h, seed, shards);
  storm.mayRefuse = isScarce;
  storm.isMixed = isMixed;
  const give: (() => void)[] = [];
  for (let i = 0; i < 500; i++) {
    if (isScarce && i % 100 === 50) {
      give.push(h.exhaust(1, POOL_LARGE_STASHES, (i / 50) % 3 === 0 ? 1 : 0));
      give.push(h.exhaust(1, POOL_RECEIVE_BLOCKS, 1));
    }
    if (isScarce && i % 100 === 99) for (const back of give.splice(0)) back();
    storm.step();
  }
  for (const back of give) back();
  Object.assign(h.sys.faults, { readReset: 0, writeBroken: 0 });
  for (const { peer } of storm.actors) peer.isReading = true;
  for (let i = 0; i < 8; i++) {
    h.advance(500);
    storm.hear();
  }
  storm.checkLog();
  if (isMixed) expect(storm.keyedCount).toBeGreaterThan(0);
  expect(storm.log.size).toBeGreaterThan(50);
  for (const { isSound, numbers, acked } of storm.actors) {
    if (!isSound) continue;
    for (const [stream, number] of numbers) expect(acked.get(stream)).toBe(BigInt(number));
  }
  h.assertSound();
});
