// The protocol's frames once more, as plainly as docs/PROTOCOL.md has them, sharing nothing with src: the oracle
// of the fuzzer. Slow on purpose: one thing after another, in the order of section 1.
const U64 = (1n << 64n) - 1n;
const PRIMES = [
  0x9e3779b185ebca87n,
  0xc2b2ae3d27d4eb4fn,
  0x165667b19e3779f9n,
  0x85ebca77c2b2ae63n,
  0x27d4eb2f165667c5n,
];

const rotated = (value, by) => ((value << BigInt(by)) | (value >> BigInt(64 - by))) & U64;
const times = (a, b) => (a * b) & U64;
const plus = (a, b) => (a + b) & U64;

/** XXH64 with seed 0, from its specification. */
export function xxh64(bytes) {
  const [p1, p2, p3, p4, p5] = PRIMES;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const round = (lane, word) => times(rotated(plus(lane, times(word, p2)), 31), p1);
  let at = 0;
  let hash;
  if (bytes.length >= 32) {
    const lanes = [plus(p1, p2), p2, 0n, (0n - p1) & U64];
    for (; at + 32 <= bytes.length; at += 32) {
      for (let i = 0; i < 4; i++) lanes[i] = round(lanes[i], view.getBigUint64(at + 8 * i, true));
    }
    hash = [1, 7, 12, 18].reduce((sum, by, i) => plus(sum, rotated(lanes[i], by)), 0n);
    for (const lane of lanes) hash = plus(times(hash ^ round(0n, lane), p1), p4);
  } else {
    hash = p5;
  }
  hash = plus(hash, BigInt(bytes.length));
  for (; at + 8 <= bytes.length; at += 8) {
    hash = plus(times(rotated(hash ^ round(0n, view.getBigUint64(at, true)), 27), p1), p4);
  }
  for (; at + 4 <= bytes.length; at += 4) {
    hash = plus(times(rotated(hash ^ times(BigInt(view.getUint32(at, true)), p1), 23), p2), p3);
  }
  for (; at < bytes.length; at++)
    hash = times(rotated(hash ^ times(BigInt(bytes[at]), p5), 11), p1);
  hash = times(hash ^ (hash >> 33n), p2);
  hash = times(hash ^ (hash >> 29n), p3);
  return hash ^ (hash >> 32n);
}

/** SipHash-2-4, from its paper. */
export function siphash(key, bytes) {
  const k = [key.readBigUInt64LE(0), key.readBigUInt64LE(8)];
  const v = [
    k[0] ^ 0x736f6d6570736575n,
    k[1] ^ 0x646f72616e646f6dn,
    k[0] ^ 0x6c7967656e657261n,
    k[1] ^ 0x7465646279746573n,
  ];
  const rounds = (count) => {
    for (; count > 0; count--) {
      v[0] = plus(v[0], v[1]);
      v[2] = plus(v[2], v[3]);
      v[1] = rotated(v[1], 13) ^ v[0];
      v[3] = rotated(v[3], 16) ^ v[2];
      v[0] = rotated(v[0], 32);
      v[2] = plus(v[2], v[1]);
      v[0] = plus(v[0], v[3]);
      v[1] = rotated(v[1], 17) ^ v[2];
      v[3] = rotated(v[3], 21) ^ v[0];
      v[2] = rotated(v[2], 32);
    }
  };
  const padded = Buffer.alloc((bytes.length & ~7) + 8);
  padded.set(bytes);
  padded[padded.length - 1] = bytes.length & 0xff;
  for (let at = 0; at < padded.length; at += 8) {
    const word = padded.readBigUInt64LE(at);
    v[3] ^= word;
    rounds(2);
    v[0] ^= word;
  }
  v[2] ^= 0xffn;
  rounds(4);
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/** The tag of a whole frame. */
export function tagOf(key, counter, frame) {
  const payloadBytes = frame.readUInt32LE(12);
  const first = Buffer.alloc(8);
  first.writeBigUInt64LE(counter);
  return siphash(
    key,
    Buffer.concat([first, frame.subarray(0, 32), frame.subarray(40, 40 + payloadBytes)]),
  );
}

const low32 = (hash) => Number(hash & 0xffffffffn);

/** Sets the checks, or the tag, of the frame at the front of `bytes`, as far as it is there. */
export function finish(bytes, key, counter) {
  const payloadBytes = bytes.readUInt32LE(12);
  if (key !== undefined) {
    bytes.writeUInt16LE(bytes.readUInt16LE(4) | 0x8000, 4);
    bytes.writeBigUInt64LE(tagOf(key, counter, bytes), 32);
    return;
  }
  bytes.writeUInt32LE(low32(xxh64(bytes.subarray(40, 40 + payloadBytes))), 32);
  bytes.writeUInt32LE(low32(xxh64(bytes.subarray(0, 36))), 36);
}

const FROM_CLIENT = [0x01, 0x04, 0x05, 0x06, 0x08, 0x10, 0x12, 0x14, 0x16, 0x20, 0x21];

/** All frames of `bytes` that a server delivers or drops, and the error code that ends them, or 0. */
export function decode(bytes, key) {
  const frames = [];
  let counter = 0n;
  for (let at = 0; ;) {
    const rest = bytes.subarray(at);
    const fault = faultOf(rest, key, counter);
    if (fault !== undefined) return { frames, fault };
    const payload = rest.subarray(40, 40 + rest.readUInt32LE(12));
    frames.push({
      type: rest[3],
      flags: rest.readUInt16LE(4),
      code: rest.readUInt16LE(6),
      stream: rest.readUInt32LE(8),
      sequence: rest.readBigUInt64LE(16),
      timestamp: rest.readBigUInt64LE(24),
      payload: payload.toString('hex'),
      damaged: key === undefined && rest.readUInt32LE(32) !== low32(xxh64(payload)),
    });
    counter++;
    at += (40 + payload.length + 7) & ~7;
  }
}

/** Undefined: a whole frame stands there; 0: more bytes are needed; else the code. */
export function faultOf(bytes, key, counter) {
  for (const [i, byte] of [0x4d, 0x53].entries())
    if (bytes.length > i && bytes[i] !== byte) return 1;
  if (bytes.length > 2 && bytes[2] !== 1) return 2;
  if (bytes.length < 40) return 0;
  const payloadBytes = bytes.readUInt32LE(12);
  if (payloadBytes > 65496) return 4;
  const isKeyed = (bytes.readUInt16LE(4) & 0x8000) !== 0;
  if (isKeyed !== (key !== undefined)) return 7;
  if (!isKeyed && bytes.readUInt32LE(36) !== low32(xxh64(bytes.subarray(0, 36)))) return 5;
  if (!FROM_CLIENT.includes(bytes[3])) return 3;
  if (bytes.length < ((40 + payloadBytes + 7) & ~7)) return 0;
  if (isKeyed && bytes.readBigUInt64LE(32) !== tagOf(key, counter, bytes)) return 7;
  return undefined;
}
