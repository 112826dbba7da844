// Puts an edge counter into every branch of a WebAssembly module, for the fuzzer: one byte of memory for each
// function's start, each arm of an `if`, each loop, each `br_if` that is not taken, and what follows a block's end.
// The counters begin at the global `edgeBase`, which the host sets to memory of its own; they wrap.
const SECTION_GLOBAL = 6;
const SECTION_EXPORT = 7;
const SECTION_IMPORT = 2;
const SECTION_CODE = 10;
const VOID = 0x40;
const OP = { block: 2, loop: 3, if: 4, else: 5, end: 11, br: 12, brIf: 13, brTable: 14 };

class Reader {
  constructor(bytes, at = 0, end = bytes.length) {
    Object.assign(this, { bytes, at, end });
  }
  byte() {
    return this.bytes[this.at++];
  }
  /** Any LEB128; its value as far as 32 bits go. */
  number() {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if ((byte & 0x80) === 0) return value >>> 0;
    }
  }
  skip(count) {
    this.at += count;
  }
}

function leb(value) {
  const bytes = [];
  do {
    bytes.push((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
    value >>>= 7;
  } while (value > 0);
  return bytes;
}

/** Skips the immediates of `op`. Throws for an opcode that is not known here: a silent mistake would break the code. */
function skipImmediates(reader, op) {
  if (op === OP.brTable) {
    for (let left = reader.number() + 1; left > 0; left--) reader.number();
  } else if (op === 0x11) {
    reader.number();
    reader.number();
  } else if ((op >= OP.br && op <= OP.brIf) || op === 0x10 || (op >= 0x20 && op <= 0x26)) {
    reader.number();
  } else if (op >= 0x28 && op <= 0x3e) {
    reader.number();
    reader.number();
  } else if (op === 0x3f || op === 0x40 || op === 0x41 || op === 0x42) {
    reader.number();
  } else if (op === 0x43) {
    reader.skip(4);
  } else if (op === 0x44) {
    reader.skip(8);
  } else if (op === 0xfc) {
    const sub = reader.number();
    const counts = { 8: 2, 9: 1, 10: 2, 11: 1 };
    for (let left = counts[sub] ?? 0; left > 0; left--) reader.number();
    if (sub > 11) throw new Error(`opcode 0xfc ${sub} is not known to the instrumentation`);
  } else if (op === 0xfe) {
    if (reader.number() === 3) reader.skip(1);
    else {
      reader.number();
      reader.number();
    }
  } else if (op === 0xfd) {
    skipVectorImmediates(reader);
  } else if ((op > 0x11 && op < 0x1a) || op === 0x1c || op > 0xc4) {
    throw new Error(`opcode 0x${op.toString(16)} is not known to the instrumentation`);
  }
}

/** Of the vector instructions: a place in memory, sixteen bytes, or the number of a lane. */
function skipVectorImmediates(reader) {
  const op = reader.number();
  const isLaneOfMemory = op >= 0x54 && op <= 0x5b;
  if (op <= 0x0b || isLaneOfMemory || op === 0x5c || op === 0x5d) {
    reader.number();
    reader.number();
  }
  if (op === 0x0c || op === 0x0d) reader.skip(16);
  if (isLaneOfMemory || (op >= 0x15 && op <= 0x22)) reader.skip(1);
  if (op > 0xff) throw new Error(`opcode 0xfd ${op} is not known to the instrumentation`);
}

/** The module with its counters, and how many there are. */
export function withEdges(bytes) {
  const out = [...bytes.subarray(0, 8)];
  const state = { edges: 0, base: 0 };
  const reader = new Reader(bytes, 8);
  while (reader.at < bytes.length) {
    const id = reader.byte();
    const size = reader.number();
    const section = bytes.subarray(reader.at, reader.at + size);
    reader.skip(size);
    const body = rewritten(id, section, state);
    out.push(id, ...leb(body.length));
    for (const byte of body) out.push(byte);
  }
  return { bytes: Uint8Array.from(out), edges: state.edges };
}

function rewritten(id, section, state) {
  if (id === SECTION_IMPORT) refuseGlobals(section);
  if (id === SECTION_GLOBAL) {
    const reader = new Reader(section);
    state.base = reader.number();
    // A mutable i32 of 0 behind all others, so that none of those changes its number.
    return [...leb(state.base + 1), ...section.subarray(reader.at), 0x7f, 1, 0x41, 0, OP.end];
  }
  if (id === SECTION_EXPORT) {
    const reader = new Reader(section);
    const count = reader.number();
    const name = Buffer.from('edgeBase');
    return [
      ...leb(count + 1),
      ...section.subarray(reader.at),
      name.length,
      ...name,
      3,
      ...leb(state.base),
    ];
  }
  if (id !== SECTION_CODE) return section;
  const reader = new Reader(section);
  const count = reader.number();
  const out = leb(count);
  for (let i = 0; i < count; i++) {
    const size = reader.number();
    const body = functionWithEdges(section.subarray(reader.at, reader.at + size), state);
    reader.skip(size);
    out.push(...leb(body.length));
    for (const byte of body) out.push(byte);
  }
  return out;
}

function refuseGlobals(section) {
  const reader = new Reader(section);
  for (let left = reader.number(); left > 0; left--) {
    for (let names = 2; names > 0; names--) reader.skip(reader.number());
    const kind = reader.byte();
    if (kind === 3) throw new Error('imported globals are not known to the instrumentation');
    if (kind === 0) reader.number();
    else {
      if (kind === 1) reader.byte();
      const flags = reader.byte();
      reader.number();
      if (flags & 1) reader.number();
    }
  }
}

function functionWithEdges(body, state) {
  const out = [];
  const reader = new Reader(body);
  for (let groups = reader.number(); groups > 0; groups--) {
    reader.number();
    reader.byte();
  }
  copy(0);
  count();
  const open = [];
  let copied = reader.at;
  while (reader.at < body.length) {
    const op = reader.byte();
    if (op === OP.block || op === OP.loop || op === OP.if) {
      const type = reader.byte();
      open.push({ op, isVoid: type === VOID, hasElse: false });
      if (op === OP.block) continue;
    } else if (op === OP.else) {
      open.at(-1).hasElse = true;
    } else if (op === OP.end) {
      if (reader.at === body.length) break;
      const closed = open.pop();
      if (closed.op === OP.if && closed.isVoid && !closed.hasElse) {
        flush(reader.at - 1);
        out.push(OP.else);
        count();
      }
    } else {
      skipImmediates(reader, op);
      if (op !== OP.brIf) continue;
    }
    flush(reader.at);
    count();
  }
  flush(body.length);
  return out;

  function copy(from) {
    for (let at = from; at < reader.at; at++) out.push(body[at]);
  }
  function flush(end) {
    for (; copied < end; copied++) out.push(body[copied]);
  }
  /** memory[edgeBase + edge]++ */
  function count() {
    const get = [0x23, ...leb(state.base)];
    const edge = leb(state.edges++);
    out.push(...get, ...get, 0x2d, 0, ...edge, 0x41, 1, 0x6a, 0x3a, 0, ...edge);
  }
}
