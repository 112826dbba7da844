// A fuzzer that is guided by coverage: an input that reaches an edge, or reaches it more often than any before, is kept
// and changed further. All chance comes from a seed, so that a run of so many executions can be had again.
import { Chance } from './chance.mjs';

const INPUT_BYTES_MAX = 1024;
const PIONEERS = 4;
const VALUES = [0, 1, 7, 8, 0x20, 0x40, 0x7f, 0x80, 0xff];
const WORDS = [0, 1, 40, 64, 65, 0xffff, 65496, 65497, 0x7fffffff, 0xffffffff];

/** Counts of an edge that are told apart: 1, 2, 3, 4–7, 8–15, 16–31, 32–127, and more. */
function bucket(count) {
  if (count <= 3) return 1 << (count - 1);
  if (count < 8) return 8;
  if (count < 16) return 16;
  if (count < 32) return 32;
  return count < 128 ? 64 : 128;
}

const BUCKETS = Uint8Array.from({ length: 256 }, (_, count) => (count === 0 ? 0 : bucket(count)));

export class Fuzzer {
  executions = 0;
  /** Inputs that reached something new, in order. */
  corpus = [];
  /** `{executions, edges}` at each step up. */
  growth = [];
  edges = 0;
  #target;
  #counters;
  #seen;
  #chance;
  #isBlind;
  /** Inputs that reached an edge which none had reached before. */
  #pioneers = [];

  /**
   * `target` has `run(bytes)`, which throws for what must not be, `seeds`, and may have `finish(bytes)` and `words`.
   * `counters` are arrays of bytes that `run` counts its edges in. `isBlind`: nothing is learnt, for comparison.
   */
  constructor({ target, counters, seed, isBlind = false }) {
    this.#target = target;
    this.#counters = counters;
    this.#seen = counters.map(({ length }) => new Uint8Array(length));
    this.#chance = new Chance(seed);
    this.#isBlind = isBlind;
  }

  /** Which edges were reached, one array for each of the counters'. */
  get seen() {
    return this.#seen;
  }

  /** Runs one input; whether it reached anything new. Throws what the target throws, with the input. */
  execute(input) {
    for (const counters of this.#counters) counters.fill(0);
    this.executions++;
    try {
      this.#target.run(Buffer.from(input));
    } catch (error) {
      throw Object.assign(error, { input, executions: this.executions });
    }
    return this.#learn();
  }

  #learn() {
    let isNew = false;
    for (const [i, counters] of this.#counters.entries()) {
      const seen = this.#seen[i];
      for (let edge = 0; edge < counters.length; edge++) {
        const bits = BUCKETS[counters[edge]];
        if ((bits & ~seen[edge]) === 0) continue;
        if (seen[edge] === 0) this.edges++;
        seen[edge] |= bits;
        isNew = true;
      }
    }
    return isNew;
  }

  /** Takes inputs as they are: the corpus that was kept, and the target's own. */
  start(inputs) {
    for (const input of [...this.#target.seeds, ...inputs]) {
      if (this.execute(input) || this.corpus.length === 0) this.#keep(input);
    }
  }

  #keep(input) {
    this.corpus.push(input);
    if (this.growth.at(-1)?.edges !== this.edges) this.#pioneers.push(input);
    this.growth.push({
      executions: this.executions,
      edges: this.edges,
      corpus: this.corpus.length,
    });
  }

  /** Goes on for so many executions. */
  run(executions) {
    for (let left = executions; left > 0; left--) {
      const input = this.#isBlind
        ? this.#changed(this.#chance.one(this.#target.seeds))
        : this.#next();
      if (this.execute(input) && !this.#isBlind) this.#keep(input);
    }
  }

  /** Half of the time one of those that reached a new edge last: what lies behind that edge is not known yet. */
  #next() {
    const latest = this.#pioneers.slice(-PIONEERS);
    return this.#changed(this.#chance.one(this.#chance.below(2) ? latest : this.corpus));
  }

  #changed(parent) {
    let input = Buffer.from(parent);
    for (let times = 1 + this.#chance.below(4); times > 0; times--) input = this.#mutated(input);
    input = input.subarray(0, INPUT_BYTES_MAX);
    const { finish } = this.#target;
    return finish && this.#chance.below(8) > 0 ? finish(Buffer.from(input)) : input;
  }

  #mutated(input) {
    const chance = this.#chance;
    const at = chance.below(input.length + 1);
    const bytes = Buffer.from(input);
    switch (chance.below(9)) {
      case 0:
        if (at < bytes.length) bytes[at] ^= 1 << chance.below(8);
        return bytes;
      case 1:
        if (at < bytes.length) bytes[at] = chance.below(256);
        return bytes;
      case 2:
        if (at < bytes.length) bytes[at] = chance.one(VALUES);
        return bytes;
      case 3:
        if (at + 4 <= bytes.length) bytes.writeUInt32LE(chance.one(WORDS), at);
        return bytes;
      case 4:
        return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + chance.below(16))]);
      case 5:
        return Buffer.concat([
          bytes.subarray(0, at),
          Buffer.alloc(1 + chance.below(16), chance.below(256)),
          bytes.subarray(at),
        ]);
      case 6: {
        const from = chance.below(bytes.length + 1);
        const part = bytes.subarray(from, from + chance.below(80));
        return Buffer.concat([bytes.subarray(0, at), part, bytes.subarray(at)]);
      }
      case 7: {
        const other = chance.one(this.corpus.length > 0 ? this.corpus : this.#target.seeds);
        return Buffer.concat([
          bytes.subarray(0, at),
          other.subarray(chance.below(other.length + 1)),
        ]);
      }
      default: {
        const word = chance.one(this.#target.words ?? [Buffer.of(chance.below(256))]);
        const end = at + (chance.below(2) ? word.length : 0);
        return Buffer.concat([bytes.subarray(0, at), word, bytes.subarray(end)]);
      }
    }
  }

  /** Of the inputs, smallest first, those that reach an edge which neither those before them nor `kept` reach. */
  minimised(kept = []) {
    const fresh = new Fuzzer({ target: this.#target, counters: this.#counters, seed: 0 });
    for (const input of kept) fresh.execute(input);
    const inputs = [...this.corpus].sort((a, b) => a.length - b.length);
    return inputs.filter((input) => {
      const before = fresh.edges;
      fresh.execute(input);
      return fresh.edges > before;
    });
  }
}
