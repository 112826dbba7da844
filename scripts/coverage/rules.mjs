// What is asked of the counts: thresholds, and a floor that only rises.

/** Asked of all sources together. */
export const TOTAL_PERCENT_MIN = 90;

/** Asked of each file where a fault costs the most: what threads share, bytes of the wire, system calls. */
export const STRICT_PERCENT_MIN = { lines: 95, branches: 95 };
export const STRICT_PARTS = ['src/frame', 'src/ring', 'src/sys'];

const KINDS = ['lines', 'branches'];

/** `total` and each folder of src: how much there is and how much of it ran. */
export function sums(measured) {
  const found = { total: none() };
  for (const each of measured) {
    for (const name of ['total', partOf(each.file)]) {
      const sum = (found[name] ??= none());
      for (const kind of KINDS) {
        sum[kind].total += each[kind].total;
        sum[kind].covered += each[kind].total - each[kind].missed.length;
      }
    }
  }
  return found;
}

function none() {
  return { lines: { total: 0, covered: 0 }, branches: { total: 0, covered: 0 } };
}

/** `src/ring` of `src/ring/layout.ts`; `src` of a file that lies there itself. */
export function partOf(file) {
  return file
    .split('/')
    .slice(0, 2)
    .join('/')
    .replace(/\/[^/]*\.ts$/, '');
}

export function percent({ total, covered }) {
  return total === 0 ? 100 : (100 * covered) / total;
}

/** Rounded down, so that what is written is never more than what was measured. */
export function written(value, digits = 2) {
  return Math.floor(value * 10 ** digits) / 10 ** digits;
}

export function belowThresholds(measured, found) {
  const errors = [];
  for (const kind of KINDS) {
    const value = percent(found.total[kind]);
    if (value < TOTAL_PERCENT_MIN) {
      errors.push({
        text: `total: ${written(value)} % of ${kind}, asked are ${TOTAL_PERCENT_MIN} %`,
      });
    }
  }
  for (const each of measured.filter(({ file }) => STRICT_PARTS.includes(partOf(file)))) {
    const low = KINDS.filter((kind) => strictPercent(each[kind]) < STRICT_PERCENT_MIN[kind]);
    if (low.length === 0) continue;
    const texts = low.map(
      (kind) =>
        `${written(strictPercent(each[kind]))} % of ${kind}, asked are ${STRICT_PERCENT_MIN[kind]} %`,
    );
    errors.push({ text: `${each.file}: ${texts.join('; ')}`, files: [each.file] });
  }
  return errors;
}

/** Of what can run at all. */
function strictPercent({ total, missed, excused = [] }) {
  return percent({ total: total - excused.length, covered: total - missed.length });
}

export function belowFloor(measured, found, floor, margins) {
  const errors = [];
  for (const [name, asked] of Object.entries(floor)) {
    const sum = found[name];
    if (sum === undefined) {
      errors.push({
        text: `floor.json names ${name}, which is not there: raise the floor to take it out`,
      });
      continue;
    }
    for (const kind of KINDS) {
      const margin = (100 * margins) / Math.max(1, sum[kind].total);
      if (percent(sum[kind]) >= asked[kind] - margin) continue;
      const text = `${name}: ${written(percent(sum[kind]))} % of ${kind}, below the floor of ${asked[kind]} %`;
      errors.push({ text, files: filesOf(measured, name) });
    }
  }
  for (const name of Object.keys(found).filter((each) => floor[each] === undefined)) {
    errors.push({
      text: `${name} has no floor yet: raise it, and commit scripts/coverage/floor.json`,
    });
  }
  return errors;
}

function filesOf(measured, name) {
  return measured
    .map(({ file }) => file)
    .filter((file) => name === 'total' || partOf(file) === name);
}

/** The floor after a run: never lower, and without the parts that are gone. */
export function raised(found, floor) {
  const names = Object.keys(found).sort((a, b) =>
    a === 'total' ? -1 : b === 'total' ? 1 : a < b ? -1 : 1,
  );
  return Object.fromEntries(
    names.map((name) => [
      name,
      Object.fromEntries(
        KINDS.map((kind) => [
          kind,
          Math.max(floor[name]?.[kind] ?? 0, written(percent(found[name][kind]))),
        ]),
      ),
    ]),
  );
}

/** Where a floor is lower than another one, or no longer asks for a part that is still there. */
export function lowered(floor, base, found) {
  const errors = [];
  for (const [name, before] of Object.entries(base)) {
    if (found[name] === undefined) continue;
    for (const kind of KINDS) {
      const now = floor[name]?.[kind];
      if (now !== undefined && now >= before[kind]) continue;
      const text = `floor.json asks for ${now ?? 'no'} % of ${kind} in ${name}; the base asks for ${before[kind]} %`;
      errors.push({ text });
    }
  }
  return errors;
}
