// The fuzzer's target for the way in: the shard's kernel on an arena of its own, with its connection rows, publications and
// logs, fed what a client sends in pieces, against a model that knows none of them (ingest-model.mjs).
//
// Byte 0 of an input: bits 0 and 1 say who sends (0, 3: anybody; 1: keyed; 2: a stranger), bits 2 to 4 how it is cut.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Chance } from './chance.mjs';
import { IngestModel, isFatal } from './ingest-model.mjs';
import * as naive from './naive.mjs';

const SECRET = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex');
const CLOCK_NS = 1_750_000_000_123_456_789n;
const MIB = 1024 * 1024;
const [ANYBODY, KEYED, STRANGER] = [1, 2, 3];
/** Streams: one with room; one whose log is full and whose oldest segment is read; one about to go on in another segment; one that nobody has opened. */
const [ROOMY, FULL, TURNING, FOREIGN] = [1, 2, 3, 4];
const OPENED = [ROOMY, FULL, TURNING];
const INGEST = { done: 0, control: 1, full: 2, fault: 3 };

/** An arena with one shard, brought to the state in which each input finds it. */
async function makeWorld(load, built) {
  const { createArena } = await load('ring/arena.js');
  const { connectionSlots, planArea, sharedBytes, writeArea } = await load('shards/area.js');
  const ring = await load('ring/layout.js');
  const layout = await load('shards/layout.js');
  // There are as many small segments as there may be streams.
  const [connections, streams] = [4, 16];
  const plan = planArea({ arenaBytes: MIB, shards: 1, connections, streams });
  const { memory, geometry } = createArena({
    bytes: plan.bytes + 4 * MIB,
    threads: 2,
    streams,
    shardBytes: plan.bytes + built.kernels.shards.edges + 4096,
    sharedBytes: sharedBytes(connections),
    nodes: 1,
  });
  const areaAt = geometry.shardsByteOffset;
  writeArea(memory, areaAt, geometry.sharedByteOffset, streams, plan);
  const module = new WebAssembly.Module(
    readFileSync(join(built.folder, built.kernels.shards.file)),
  );
  const kernelOf = (thread) => {
    const { exports } = new WebAssembly.Instance(module, { env: { memory, abort: () => {} } });
    exports.edgeBase.value = areaAt + plan.bytes;
    exports.attach(thread);
    return exports;
  };
  const [reader, kernel] = [kernelOf(0), kernelOf(1)];
  reader.setAlive(1, true);
  kernel.openArea(areaAt);
  assert.ok(connectionSlots(connections) > STRANGER);
  assert.ok(geometry.smallCount >= 8);
  return { memory, geometry, layout, ring, plan, areaAt, reader, kernel };
}

/** Puts frames into logs as others have published them, and opens what the connections have. */
function furnish(world, bytes) {
  const { reader, kernel, ring, layout, areaAt, geometry } = world;
  const scratch = geometry.sharedByteOffset + layout.SHARED_RINGS_BYTE_OFFSET;
  world.words.setBigUint64(areaAt + layout.AREA_CLOCK, CLOCK_NS, true);
  const limits = new Map([[FULL, 8192]]);
  for (const stream of [ROOMY, FULL, TURNING, FOREIGN]) {
    assert.ok(reader.createStream(stream, limits.get(stream) ?? MIB, ring.ON_FULL_BLOCK, 7n));
  }
  const old = dataFrame(ROOMY, 0n, Buffer.alloc(104));
  const append = (stream, count) => {
    for (let i = 0; i < count; i++) bytes.set(old, scratch + i * old.length);
    assert.equal(reader.append(stream, scratch, count, count * old.length, 5n), count);
  };
  // So that one small segment is full and pinned, and the next has room for a frame or two.
  append(FULL, 27);
  append(FULL, 26);
  append(TURNING, 26);
  const readerRows = areaAt + layout.AREA_KEYED_SCRATCH;
  world.cursorOf = (stream) => readerRows + stream * ring.CURSOR_BYTES;
  world.pinAt = readerRows;
  reader.seek(world.pinAt, FULL, ring.FROM_FIRST, 0n);
  for (const stream of OPENED) reader.seek(world.cursorOf(stream), stream, ring.FROM_NEW, 0n);
  world.next = new Map(
    OPENED.map((stream) => [stream, BigInt.asUintN(64, reader.nextSequenceOf(stream))]),
  );
  for (const stream of OPENED) {
    for (const slot of [ANYBODY, KEYED]) assert.notEqual(kernel.addPublication(slot, stream), 0);
  }
  bytes.set(SECRET, areaAt + layout.AREA_NEW_KEYS);
  kernel.openKeys(KEYED);
  world.set(STRANGER, layout.CONNECTION_FLAGS, layout.FLAG_STRANGER);
  world.blockAt =
    kernel.rowAt(layout.POOL_RECEIVE_BLOCKS, kernel.takeRow(layout.POOL_RECEIVE_BLOCKS)) >>> 0;
}

function dataFrame(stream, number, payload, flags = 0, key = undefined, counter = 0n) {
  const frame = Buffer.alloc((40 + payload.length + 7) & ~7);
  frame.set([0x4d, 0x53, 1, 0x20]);
  frame.writeUInt16LE(flags, 4);
  frame.writeUInt32LE(stream, 8);
  frame.writeUInt32LE(payload.length, 12);
  frame.writeBigUInt64LE(number, 16);
  frame.set(payload, 40);
  naive.finish(frame, key, counter);
  return frame;
}

/** Remembers what an input can change, and puts it back. */
function makeRestore({ geometry, layout, areaAt, kernel }, bytes) {
  const { small, medium } = { small: 8 * 4096, medium: 2 * 32768 };
  const mediumAt = geometry.dataByteOffset + geometry.smallCount * 4096;
  const table = geometry.sharedByteOffset + layout.SHARED_TABLE_BYTE_OFFSET;
  const rows = (pool, count) => {
    const at = areaAt + layout.AREA_POOLS + pool * layout.POOL_BYTES;
    return [bytes.readUInt32LE(at), count * bytes.readUInt32LE(at + layout.POOL_ROW_BYTES)];
  };
  const kept = [
    [0, geometry.sharedByteOffset],
    [table, 4 * layout.CONNECTION_BYTES],
    [areaAt, layout.AREA_KEYED_SCRATCH + 4096],
    rows(layout.POOL_PUBLICATIONS, 8),
    rows(layout.POOL_KEYS, 2),
    [geometry.statesByteOffset, geometry.dataByteOffset - geometry.statesByteOffset],
    [geometry.dataByteOffset, small],
    [mediumAt, medium],
  ].map(([at, byteCount]) => [at, Buffer.from(bytes.subarray(at, at + byteCount))]);
  return () => {
    for (const [at, content] of kept) bytes.set(content, at);
    kernel.attach(1);
  };
}

/** One input on its way through the kernel. */
class Passage {
  #world;
  #slot;
  #model;
  #wire;
  #consumed = 0;
  #isPinned = true;
  #found = new Map(OPENED.map((stream) => [stream, []]));
  #before;

  constructor(world, slot, wire) {
    this.#world = world;
    this.#slot = slot;
    this.#wire = wire;
    const key = slot === KEYED ? SECRET : undefined;
    this.#model = new IngestModel({
      key,
      isStranger: slot === STRANGER,
      opened: slot === STRANGER ? [] : OPENED,
    });
    this.#before = { frames: world.kernel.ingestedFrames(), bytes: world.kernel.ingestedBytes() };
  }

  /** Takes the wire's bytes up to `end` into account; false: the connection is at its end. */
  hear(end) {
    const { kernel, bytes, blockAt } = this.#world;
    const arrived = this.#wire.subarray(this.#consumed, end);
    bytes.set(arrived, blockAt);
    let at = blockAt;
    const endAt = blockAt + arrived.length;
    for (;;) {
      const answer = kernel.ingest(this.#slot, at, endAt);
      const stoppedAt = kernel.ingestStoppedAt() >>> 0;
      this.#advance(stoppedAt - at);
      at = stoppedAt;
      const rest = this.#wire.subarray(this.#consumed, end);
      const due = this.#model.verdict(rest);
      this.#model.look(rest, due);
      if (answer === INGEST.done) {
        assert.equal(due.kind, 'more');
        this.#compare();
        return true;
      }
      if (answer === INGEST.full) {
        this.#makeRoom(rest, due);
        continue;
      }
      const code = answer === INGEST.fault ? kernel.ingestStoppedCode() : undefined;
      const said = {
        kind: answer === INGEST.fault ? 'fault' : 'control',
        bytes: kernel.ingestStoppedBytes(),
      };
      assert.deepEqual(code === undefined ? said : { ...said, code }, due);
      if (code !== undefined && isFatal(code)) {
        this.#compare();
        return false;
      }
      this.#model.handle(rest, due);
      this.#consumed += due.bytes;
      at += due.bytes;
      kernel.frameHandled(this.#slot);
      this.#compare();
    }
  }

  /** All frames in so many bytes must have been DATA that was to be taken. */
  #advance(byteCount) {
    for (let left = byteCount; left > 0;) {
      const rest = this.#wire.subarray(this.#consumed);
      const due = this.#model.verdict(rest);
      assert.equal(due.kind, 'data', 'it was taken');
      this.#model.look(rest, due);
      this.#model.handle(rest, due);
      this.#consumed += due.bytes;
      left -= due.bytes;
      assert.ok(left >= 0, 'it stopped between two frames');
    }
  }

  /** What there is besides the logs. */
  #compare() {
    const { kernel, layout, words, rowOf, get } = this.#world;
    const model = this.#model;
    for (const [stream, { number, ack, ackPlace }] of model.streams) {
      const row = rowOf(this.#slot, stream);
      const field = (offset) => words.getBigUint64(row + offset, true);
      const place = ack === 0n ? 0n : this.#world.next.get(stream) + BigInt(ackPlace) - 1n;
      assert.equal(field(layout.PUBLICATION_NUMBER), number, `highest number on ${stream}`);
      assert.equal(field(layout.PUBLICATION_ACK_NUMBER), ack, `to be acknowledged on ${stream}`);
      if (ack !== 0n) assert.equal(field(layout.PUBLICATION_ACK_SEQUENCE), place);
    }
    const flags = get(this.#slot, layout.CONNECTION_FLAGS);
    assert.equal((flags & layout.FLAG_STARTED) !== 0, model.hasStarted);
    assert.equal(kernel.ingestedFrames() - this.#before.frames, model.taken);
    assert.equal(kernel.ingestedBytes() - this.#before.bytes, model.takenBytes);
    if (this.#slot === KEYED) assert.equal(this.#world.counterIn(), model.handled);
  }

  /** The log is full: it must be that one, and all else as it would be without the frame. Then its reader lets go. */
  #makeRoom(rest, due) {
    assert.equal(due.kind, 'data');
    assert.equal(rest.readUInt32LE(8), FULL);
    assert.ok(this.#isPinned, 'full, though nobody holds it back');
    this.#isPinned = false;
    this.#compare();
    this.#readLogs();
    const { reader, pinAt } = this.#world;
    reader.closeCursor(pinAt);
  }

  #readLogs() {
    for (const stream of OPENED) this.#readLog(stream);
  }

  #readLog(stream) {
    const { reader, ring, words, bytes, cursorOf } = this.#world;
    const cursor = cursorOf(stream);
    for (;;) {
      const kind = reader.peek(cursor, 0x7fffffff, true, 0x7fffffff);
      if (kind === ring.SPAN_NONE) return;
      assert.equal(kind, ring.SPAN_DATA);
      const at = words.getUint32(cursor + ring.CURSOR_SPAN_ADDRESS, true);
      const byteCount = words.getUint32(cursor + ring.CURSOR_SPAN_BYTES, true);
      this.#found.get(stream).push(Buffer.from(bytes.subarray(at, at + byteCount)));
      reader.advance(cursor, byteCount);
    }
  }

  /** What every reader will see, byte for byte: frames of the broker's own making around the payloads. */
  end() {
    this.#readLogs();
    for (const stream of OPENED) {
      const payloads = this.#model.streams.get(stream)?.payloads ?? [];
      const due = payloads.map((payload, i) => {
        const sequence = this.#world.next.get(stream) + BigInt(i);
        const frame = dataFrame(stream, sequence, Buffer.from(payload, 'hex'));
        frame.writeBigUInt64LE(CLOCK_NS, 24);
        naive.finish(frame);
        return frame;
      });
      const found = Buffer.concat(this.#found.get(stream));
      assert.equal(found.toString('hex'), Buffer.concat(due).toString('hex'), `log of ${stream}`);
    }
    this.#checkAcks();
  }

  /** The list of what is to be acknowledged names each publication once that has something. */
  #checkAcks() {
    const { layout, words, get, rowAt } = this.#world;
    const listed = [];
    for (let row = get(this.#slot, layout.CONNECTION_ACKS); row !== 0;) {
      const at = rowAt(layout.POOL_PUBLICATIONS, row);
      listed.push(words.getUint32(at + layout.PUBLICATION_STREAM, true));
      assert.ok(listed.length <= OPENED.length, 'the list of ACKs has an end');
      row = words.getUint32(at + layout.PUBLICATION_ACK_NEXT, true);
    }
    const due = [...this.#model.streams]
      .filter(([, { ack }]) => ack !== 0n)
      .map(([stream]) => stream);
    assert.deepEqual(listed.sort(), due.sort());
  }
}

/** Where the input is cut: not at all, into equal pieces, or anywhere. */
function cutsOf(mode, wire) {
  const step = [Infinity, 1, 7, 41, 104, 0, 0, 0][(mode >> 2) & 7];
  const cuts = [];
  const chance = new Chance(wire.length * 31 + mode);
  for (let at = 0; at < wire.length;) {
    at += step || 1 + chance.below(200);
    cuts.push(Math.min(at, wire.length));
  }
  return cuts;
}

const slotOf = (mode) => [ANYBODY, KEYED, STRANGER, ANYBODY][mode & 3];

export async function ingest(load, addCounters, built) {
  const world = await makeWorld(load, built);
  const { memory, geometry, layout, areaAt, plan, kernel } = world;
  const bytes = Buffer.from(memory.buffer);
  const table = geometry.sharedByteOffset + layout.SHARED_TABLE_BYTE_OFFSET;
  const rowAt = (pool, row) => kernel.rowAt(pool, row) >>> 0;
  const at = (slot, field) => table + slot * layout.CONNECTION_BYTES + field;
  Object.assign(world, {
    bytes,
    words: new DataView(memory.buffer),
    rowAt,
    get: (slot, field) => bytes.readUInt32LE(at(slot, field)),
    set: (slot, field, value) => bytes.writeUInt32LE(value, at(slot, field)),
    rowOf: (slot, stream) => rowAt(layout.POOL_PUBLICATIONS, kernel.findPublication(slot, stream)),
  });
  world.counterIn = () => {
    const row = world.get(KEYED, layout.CONNECTION_KEYS);
    return bytes.readBigUInt64LE(rowAt(layout.POOL_KEYS, row) + layout.KEYS_IN + 16);
  };
  furnish(world, bytes);
  const restore = makeRestore(world, bytes);
  const edgesAt = areaAt + plan.bytes;
  addCounters('shards', bytes.subarray(edgesAt, edgesAt + built.kernels.shards.edges));

  const numbered = (mode, frames) => {
    const key = slotOf(mode) === KEYED ? SECRET : undefined;
    const made = frames.map(([stream, number, payload, flags], i) =>
      dataFrame(stream, BigInt(number), Buffer.from(payload), flags, key, BigInt(i)),
    );
    return Buffer.concat([Buffer.of(mode), ...made]);
  };
  const few = [
    [ROOMY, 1, 'hello', 1],
    [ROOMY, 2, 'world', 0],
    [TURNING, 0, 'x'.repeat(100), 0],
  ];
  // More than the log takes, so that it takes the front of a run.
  const many = [5, 3, 9, 0, 2, 11, 12].map((number, i) => [
    FULL,
    number,
    'y'.repeat(40),
    i > 4 ? 1 : 0,
  ]);
  return {
    seeds: [
      numbered(0, few),
      numbered(1, few),
      numbered(2, [[ROOMY, 1, '', 0]]),
      numbered(0, many),
      numbered(1, many),
    ],
    words: [
      ...OPENED.map((stream) => dataFrame(stream, 9n, Buffer.alloc(0), 1)),
      dataFrame(FULL, 0n, Buffer.alloc(104)),
      dataFrame(FOREIGN, 1n, Buffer.alloc(8)),
      Buffer.from('4d530105', 'hex'),
      Buffer.of(FULL, 0, 0, 0),
      Buffer.of(TURNING, 0, 0, 0),
    ],
    run(input) {
      restore();
      const mode = input[0] ?? 0;
      const wire = input.subarray(1);
      const passage = new Passage(world, slotOf(mode), wire);
      for (const end of cutsOf(mode, wire)) if (!passage.hear(end)) break;
      passage.end();
    },
    /** Makes checks and tags right again, so that what lies behind them is reached. */
    finish(input) {
      const key = slotOf(input[0] ?? 0) === KEYED ? SECRET : undefined;
      let counter = 0n;
      for (let from = 1; from + 40 <= input.length; counter++) {
        const frame = input.subarray(from);
        const payloadBytes = frame.readUInt32LE(12);
        naive.finish(frame, key, counter);
        if (payloadBytes > frame.length) break;
        from += (40 + payloadBytes + 7) & ~7;
      }
      return input;
    },
  };
}
