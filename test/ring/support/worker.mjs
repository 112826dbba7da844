// One thread of the thread tests: a turn like a shard's, with an appender's and a reader's part, either of
// which can be off. It checks every frame that it is shown.
import { parentPort, workerData } from 'node:worker_threads';
import * as layout from '../../../dist/ring/layout.js';
import {
  Area,
  NOISE,
  NOISE_BYTES,
  PHASE_RUN,
  PHASE_STOP,
  SOURCE,
  SOURCE_BYTES,
  identityOf,
  loadKernel,
  makeRandom,
  numberOf,
  publisherOf,
} from './rig.mjs';

const { memory, geometry, thread, config, incarnation, kernelPath } = workerData;
/** So often, and for so long each time, a signal is waited for: a stop of the whole process ends one of the waits only. */
const BLOCK_WAITS = 4;
const BLOCK_MS = 625;
const SEEK_BUSY = 2;
const TYPE_DATA = 0x20;
const ANY = 0x7fffffff;
/** Timestamps: publisher and first number of the run, plus this, so that they look like nanoseconds. */
const TIME_BASE = 1_700_000_000_000_000_000n;

const area = new Area(memory, geometry, thread);
const others = Array.from({ length: geometry.threads }, (_, t) =>
  t === 0 ? null : new Area(memory, geometry, t),
);
const bytes = new Uint8Array(memory.buffer);
const view = new DataView(memory.buffer);
const random = makeRandom(config.seed * 7919 + thread * 104729 + incarnation * 1299709);
const role = config.roles[thread - 1];
const deathWeight = role.reads ? config.readerDeathOneIn : config.deathOneIn;
const streams = config.streamIds;
const source = area.at + SOURCE;
const noise = area.at + NOISE;

let kernel;
let lives = 0;
let deathOneIn = 0;

function beginLife() {
  lives++;
  kernel = loadKernel(kernelPath, memory);
  kernel.attach(thread);
  kernel.seedChaos?.((config.seed * 31 + thread * 1009 + incarnation * 65537 + lives * 257) >>> 0);
  kernel.setDeathOneIn?.(deathOneIn);
  kernel.beginTurn();
}

const stats = {
  thread,
  role,
  frames: 0,
  appended: 0,
  gapSequences: 0,
  gaps: 0,
  evictions: 0,
  spans: 0,
  blocks: 0,
  full: 0,
  deaths: 0,
  spurious: 0,
  busySeeks: 0,
  resets: 0,
};

class Failure extends Error {}
const fail = (what) => {
  throw new Failure(what);
};

// ---- Appending ----

const pending = { stream: 0, at: 0, bytes: 0, frames: 0, number: 0 };
let awaitsRoom = false;

function generate() {
  const stream = streams[random.below(streams.length)];
  const large = random.oneIn(config.largeOneIn);
  const count = large ? 1 + random.below(2) : 1 + random.below(config.maxRun);
  const first = area.attempted(stream);
  area.setAttempted(stream, first + count);
  let at = source;
  let frames = 0;
  for (; frames < count; frames++) {
    const payload = large ? 65496 - random.below(2) : random.below(config.maxPayload + 1);
    if (at + payload + 48 > source + SOURCE_BYTES) break;
    const from = noise + random.below(NOISE_BYTES - 65536);
    bytes.copyWithin(at + 40, from, from + payload);
    at += kernel.encode(
      at,
      TYPE_DATA,
      1,
      77,
      identityOf(thread, first + frames),
      payload,
      1,
      0,
      2,
      0,
    );
  }
  area.setAttempted(stream, first + frames);
  pending.stream = stream;
  pending.at = source;
  pending.bytes = at - source;
  pending.frames = frames;
  pending.number = first;
}

/** True when frames were taken. */
function append() {
  if (area.phase() !== PHASE_RUN) return false;
  if (pending.frames === 0) generate();
  const { stream } = pending;
  const time = TIME_BASE + (BigInt(pending.number) << 8n) + BigInt(thread);
  const taken = kernel.append(stream, pending.at, pending.frames, pending.bytes, time);
  const takenBytes = kernel.appendedBytes();
  stats.appended += taken;
  pending.number += taken;
  pending.frames -= taken;
  pending.at += takenBytes;
  pending.bytes -= takenBytes;
  area.setAcknowledged(stream, pending.number);
  if (pending.frames === 0 && pending.bytes !== 0) fail('bytes are left of a run of no frames');
  if (pending.frames !== 0) {
    stats.full++;
    awaitsRoom = true;
  }
  return taken !== 0;
}

// ---- Reading ----

/** By stream: what comes next, what came from each publisher, and the numbers that never came. */
const readers = new Map();
/** Nobody can say what such a reader must have seen: it began in the middle. */
let exact = incarnation === 1;
const dirty = new Set();

function subscribe(stream) {
  const reader = readers.get(stream);
  kernel.subscribeThread(stream);
  if (reader.expected === 0n) return place(stream, layout.FROM_FIRST, 0n);
  return place(stream, layout.FROM_SEQUENCE, reader.expected);
}

/** False: the place is claimed, and not committed. */
function place(stream, from, argument) {
  const reader = readers.get(stream);
  reader.placed = false;
  const how = kernel.seek(area.cursor(stream), stream, from, argument);
  if (how === SEEK_BUSY) {
    stats.busySeeks++;
    return false;
  }
  if (how !== layout.SEEK_OK) fail(`seek answered ${how} for stream ${stream}`);
  reader.placed = true;
  return true;
}

function newReader() {
  return { expected: 0n, numbers: new Map(), jumps: [], afterGap: false, placed: false, rest: 0 };
}

/** Checks the frames of the span from its start until `sentBytes` are covered; answers the bytes checked. */
function checkFrames(stream, reader, at, spanBytes, sentBytes) {
  let reached = 0;
  while (reached < sentBytes) {
    const frame = at + reached;
    const whole = kernel.check(frame, spanBytes - reached);
    if (whole <= 0)
      fail(`a frame of stream ${stream} is damaged: ${whole}, after ${reader.expected}`);
    if (view.getUint32(frame + 4, true) !== 0) fail('flags or code were passed on');
    const sequence = view.getBigUint64(frame + 16, true);
    if (reader.expected !== 0n && sequence !== reader.expected) {
      fail(`stream ${stream}: sequence ${sequence} came where ${reader.expected} was due`);
    }
    reader.expected = sequence + 1n;
    checkIdentity(stream, reader, frame);
    reached += whole;
    stats.frames++;
  }
  return reached;
}

function checkIdentity(stream, reader, frame) {
  const identity = view.getUint32(frame + 8, true);
  const publisher = publisherOf(identity);
  const number = numberOf(identity);
  const due = reader.numbers.get(publisher) ?? (exact ? 0 : number);
  if (number < due) {
    fail(`stream ${stream}: number ${number} of publisher ${publisher} came after ${due - 1}`);
  }
  if (number > due) reader.jumps.push(publisher, due, number);
  reader.numbers.set(publisher, number + 1);
  const time = view.getBigUint64(frame + 24, true) - TIME_BASE;
  const first = Number(time >> 8n);
  if (Number(time & 0xffn) !== publisher || first > number || number - first > config.maxRun) {
    fail(`stream ${stream}: frame ${number} of publisher ${publisher} has a strange timestamp`);
  }
}

const BYTES_MAX = [1, 500, 4096, 65536, ANY];
const FRAMES_MAX = [1, 3, 20, ANY, ANY];

/** Reads at most `spans` spans; true when nothing more is there. It may stop at a segment's end, unless it `looksBeyond`. */
function drain(stream, spans, looksBeyond = false) {
  const reader = readers.get(stream);
  const cursor = area.cursor(stream);
  if (!reader.placed && !subscribe(stream)) return true;
  for (let i = 0; i < spans; i++) {
    const bytesMax = BYTES_MAX[random.below(BYTES_MAX.length)];
    const framesMax = FRAMES_MAX[random.below(FRAMES_MAX.length)];
    const crosses = looksBeyond || !random.oneIn(8);
    const kind = kernel.peek(cursor, bytesMax, crosses, framesMax);
    if (kind === layout.SPAN_NONE) {
      if (crosses) return true;
      continue;
    }
    if (kind === layout.SPAN_GAP) takeGap(stream, reader, cursor);
    else takeData(stream, reader, cursor, framesMax);
  }
  return false;
}

function takeGap(stream, reader, cursor) {
  const first = kernel.takeGap(cursor);
  const next = kernel.cursorSequence(cursor);
  if (reader.expected !== 0n && BigInt.asUintN(64, first) !== reader.expected) {
    fail(`stream ${stream}: a gap begins at ${first}, ${reader.expected} was due`);
  }
  if (next <= first) fail(`stream ${stream}: a gap from ${first} to ${next}`);
  stats.gaps++;
  stats.gapSequences += Number(next - first);
  reader.expected = next;
}

function takeData(stream, reader, cursor, framesMax) {
  const at = view.getUint32(cursor + layout.CURSOR_SPAN_ADDRESS, true);
  const spanBytes = view.getUint32(cursor + layout.CURSOR_SPAN_BYTES, true);
  const before = reader.expected === 0n ? kernel.cursorSequence(cursor) : reader.expected;
  if (spanBytes === 0) fail('an empty span');
  const sent = random.oneIn(4) ? 1 + random.below(spanBytes) : spanBytes;
  const reached = checkFrames(stream, reader, at, spanBytes, sent);
  if (reader.expected - before > BigInt(framesMax)) fail('more frames than were asked for');
  stats.spans++;
  const rest = kernel.advance(cursor, sent);
  if (rest !== reached - sent) fail(`advance answered ${rest}, not ${reached - sent}`);
  if (kernel.cursorSequence(cursor) !== reader.expected) {
    fail(`the cursor stands at ${kernel.cursorSequence(cursor)}, not at ${reader.expected}`);
  }
}

/** What a reader does beside reading: dawdle, let go, come back elsewhere. */
function misbehave(stream) {
  const reader = readers.get(stream);
  if (!reader.placed) return;
  const cursor = area.cursor(stream);
  if (random.oneIn(config.detachOneIn)) {
    kernel.detach(cursor);
    reader.rest = random.below(40);
  } else if (random.oneIn(config.dawdleOneIn)) {
    reader.rest = random.below(40);
  } else if (random.oneIn(config.reseekOneIn)) {
    kernel.closeCursor(cursor);
    reseek(stream, reader);
  }
}

function reseek(stream, reader) {
  reader.placed = false;
  const how = random.below(5);
  if (how < 3) {
    // Where it stood: nothing may be lost by that.
    place(
      stream,
      reader.expected === 0n ? layout.FROM_FIRST : layout.FROM_SEQUENCE,
      reader.expected,
    );
    return;
  }
  exact = false;
  const froms = [layout.FROM_FIRST, layout.FROM_NEW, layout.FROM_LAST, layout.FROM_TIME];
  const from = froms[random.below(4)];
  const argument = from === layout.FROM_LAST ? BigInt(random.below(300)) : TIME_BASE;
  Object.assign(reader, newReader());
  place(stream, from, argument);
}

// ---- The turn ----

function signalOwed() {
  for (const high of [0, 1]) {
    let owed = kernel.takeWakes(high) >>> 0;
    while (owed !== 0) {
      const bit = 31 - Math.clz32(owed);
      owed = (owed & ~(1 << bit)) >>> 0;
      others[bit + 32 * high].signal();
    }
  }
}

function takeNews() {
  let any = false;
  for (let stream; (stream = kernel.nextNews()) >= 0;) {
    any = true;
    awaitsRoom = false;
    if (stream !== 0 && readers.has(stream)) dirty.add(stream);
  }
  return any;
}

function readTurn() {
  for (const stream of [...dirty]) {
    const reader = readers.get(stream);
    misbehave(stream);
    if (reader.rest > 0) {
      reader.rest--;
      continue;
    }
    const before = stats.spans + stats.gaps;
    if (drain(stream, 8)) dirty.delete(stream);
    if (stats.spans + stats.gaps === before) stats.spurious++;
  }
}

function mayBlock() {
  if (dirty.size !== 0) return false;
  return !role.appends || awaitsRoom || area.phase() !== PHASE_RUN;
}

function block() {
  if (!kernel.prepareToSleep()) return;
  stats.blocks++;
  const phase = area.phase();
  let signalled = false;
  for (let i = 0; i < BLOCK_WAITS && !signalled; i++) signalled = area.block(BLOCK_MS);
  kernel.wokenUp();
  if (signalled || phase !== area.phase()) return;
  if (kernel.nextNews() >= 0) fail('a thread blocked, and had news');
  kernel.beginTurn();
  if (awaitsRoom && area.phase() === PHASE_RUN && append()) {
    fail(`lost wake-up: room in stream ${pending.stream}`);
  }
  for (const stream of readers.keys()) {
    const before = stats.spans + stats.gaps;
    drain(stream, 1, true);
    if (stats.spans + stats.gaps !== before) fail(`lost wake-up: frames in stream ${stream}`);
  }
}

function finished() {
  const phase = area.phase();
  if (phase === PHASE_RUN) return false;
  if (!role.reads) return true;
  if (phase !== PHASE_STOP) return false;
  for (const stream of readers.keys()) {
    readers.get(stream).rest = 0;
    if (dirty.has(stream)) return false;
    const before = stats.spans + stats.gaps;
    drain(stream, 1, true);
    if (stats.spans + stats.gaps !== before) {
      dirty.add(stream);
      return false;
    }
  }
  return true;
}

function turn() {
  kernel.beginTurn();
  const news = takeNews();
  readTurn();
  signalOwed();
  if (role.appends && !awaitsRoom) append();
  signalOwed();
  if (!news && mayBlock()) block();
}

/** A death in the kernel's middle: this instance is gone with all it knew; control mends the arena. */
function die() {
  stats.deaths++;
  parentPort.postMessage({ dead: thread, appended: role.appends });
  area.awaitRestart();
  pending.frames = 0;
  awaitsRoom = false;
  deathOneIn = deathWeight;
  // What it had pinned may have been taken back meanwhile: gaps are then nobody's fault.
  if (role.reads) exact = false;
  beginLife();
  for (const [stream, reader] of readers) {
    reader.placed = false;
    reader.rest = 0;
    dirty.add(stream);
  }
}

const isDeath = (error) =>
  error instanceof WebAssembly.RuntimeError && /unreachable/.test(error.message);

function survive(work) {
  try {
    return work();
  } catch (error) {
    if (!isDeath(error) || deathOneIn <= 0) throw error;
    die();
    return undefined;
  }
}

function report() {
  const read = [...readers].map(([stream, reader]) => ({
    stream,
    expected: reader.expected,
    numbers: [...reader.numbers],
    jumps: reader.jumps,
  }));
  for (const stream of readers.keys()) kernel.closeCursor(area.cursor(stream));
  signalOwed();
  const counters = {
    rotations: kernel.rotationCount(),
    lostSwaps: kernel.lostSwapCount(),
    reclaimed: kernel.reclaimedCount(),
    flaps: kernel.flapCount(),
  };
  parentPort.postMessage({ final: { ...stats, ...counters, exact, read } });
}

function main() {
  for (let i = 0; i < NOISE_BYTES; i += 4) {
    view.setUint32(noise + i, random.below(0xffffffff), true);
  }
  beginLife();
  if (role.reads) {
    for (const stream of streams) {
      readers.set(stream, newReader());
      subscribe(stream);
      dirty.add(stream);
    }
  }
  signalOwed();
  parentPort.postMessage({ ready: thread });
  area.awaitStart();
  deathOneIn = deathWeight;
  kernel.setDeathOneIn?.(deathOneIn);
  let done = false;
  while (!done) {
    survive(turn);
    if (area.phase() !== PHASE_RUN) {
      if (deathOneIn !== -1) parentPort.postMessage({ quiet: thread });
      deathOneIn = -1;
      kernel.setDeathOneIn?.(0);
      done = finished();
      signalOwed();
    }
  }
  report();
}

try {
  main();
} catch (error) {
  const what = error instanceof Failure ? error.message : error.stack;
  parentPort.postMessage({ error: `thread ${thread}: ${what}` });
}
