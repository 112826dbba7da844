// Text of HTML and SVG, escaped, and scales.

export function escape(text) {
  const named = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
  return String(text).replace(/[&<>"]/g, (character) => named[character]);
}

/** An element; children are markup already, attributes are text. Null children and attributes are left out. */
export function el(name, attributes = {}, ...children) {
  const set = Object.entries(attributes)
    .filter(([, value]) => value !== null && value !== undefined)
    .map(([key, value]) => ` ${key}="${escape(typeof value === 'number' ? place(value) : value)}"`);
  return `<${name}${set.join('')}>${children.flat(Infinity).filter(Boolean).join('')}</${name}>`;
}

export function text(attributes, content) {
  return el('text', attributes, escape(content));
}

function place(value) {
  return Number(value.toFixed(2));
}

export function linear([from, to], [a, b]) {
  return (value) => a + ((value - from) / (to - from || 1)) * (b - a);
}

export function logarithmic([from, to], range) {
  const scale = linear([Math.log10(from), Math.log10(to)], range);
  return (value) => scale(Math.log10(value));
}

/** Powers of ten from the last below `low` to the first above `high`. */
export function decades(low, high) {
  const first = Math.floor(Math.log10(low));
  const last = Math.ceil(Math.log10(high));
  return Array.from({ length: Math.max(1, last - first) + 1 }, (_, i) => 10 ** (first + i));
}

const SUFFIXES = [
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
];

/** Three figures: 8.39 M, 549 k, 12. */
export function short(value) {
  if (!Number.isFinite(value)) return '-';
  const [unit, suffix] = SUFFIXES.find(([one]) => Math.abs(value) >= one) ?? [1, ''];
  const scaled = value / unit;
  const digits = Math.abs(scaled) >= 100 ? 0 : Math.abs(scaled) >= 10 ? 1 : 2;
  return `${scaled.toFixed(Number.isInteger(scaled) ? 0 : digits)}${suffix && ` ${suffix}`}`;
}

/** Microseconds with the unit that suits them. */
export function duration(us) {
  if (!Number.isFinite(us)) return '-';
  if (us >= 1e6) return `${trim(us / 1e6)} s`;
  if (us >= 1e3) return `${trim(us / 1e3)} ms`;
  return `${trim(us)} µs`;
}

function trim(value) {
  return Number(value.toPrecision(3)).toString();
}

/** Moves labels apart, so that each has `gap` between it and the next; answers their places in the given order. */
export function apart(places, gap, [low, high]) {
  const order = places.map((y, i) => ({ y, i })).sort((a, b) => a.y - b.y);
  for (let k = 1; k < order.length; k++) {
    order[k].y = Math.max(order[k].y, order[k - 1].y + gap);
  }
  const over = (order.at(-1)?.y ?? 0) - high;
  if (over > 0) {
    order.at(-1).y -= over;
    for (let k = order.length - 2; k >= 0; k--) {
      order[k].y = Math.min(order[k].y, order[k + 1].y - gap);
    }
  }
  const moved = [];
  for (const { y, i } of order) moved[i] = Math.max(low, y);
  return moved;
}

/** 4.13x, 53.7x, 145x. */
export function ratioText(ratio) {
  return `${ratio.toFixed(ratio >= 100 ? 0 : ratio >= 10 ? 1 : 2)}x`;
}
