/** Numbers that follow from a seed (Mulberry32). */
export class Chance {
  #state;
  constructor(seed) {
    this.#state = seed >>> 0;
  }
  below(end) {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let value = this.#state;
    value = Math.imul(value ^ (value >>> 15), value | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return Math.floor((((value ^ (value >>> 14)) >>> 0) / 2 ** 32) * end);
  }
  one(items) {
    return items[this.below(items.length)];
  }
}
