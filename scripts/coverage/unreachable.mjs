// Code that no test of an ordinary machine can reach, each piece with its reason (unreachable.json).
//
// An entry names code by its text, so that a change elsewhere does not touch it; it is wrong once that text is
// gone, stands twice, or runs after all.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Ways around the table, which the converter would obey. */
const HINT = /(istanbul|v8|c8|node:coverage)\s+ignore/;

/** Marks what the entries excuse, and tells which entries are wrong. */
export function excuse(root, measured, entries) {
  const errors = [];
  const byFile = new Map(measured.map((each) => [each.file, each]));
  for (const file of byFile.keys()) {
    if (HINT.test(readFileSync(join(root, file), 'utf8'))) {
      errors.push(
        `${file} tells the counter to ignore something; list it in unreachable.json, with a reason`,
      );
    }
  }
  for (const entry of entries) {
    const error = apply(root, byFile.get(entry.file), entry);
    if (error !== undefined) errors.push(`unreachable.json, ${entry.file}: ${error}`);
  }
  return errors;
}

function apply(root, measured, entry) {
  if (!(entry.reason?.length > 0)) return 'an entry has no reason';
  if (measured === undefined) return 'there is no such file';
  const first = entry.code.split('\n')[0];
  const [range, another] = rangesOf(readFileSync(join(root, entry.file), 'utf8'), entry.code);
  if (range === undefined) return `no such code any more: ${first}`;
  if (another !== undefined) return `this code stands there twice, name more of it: ${first}`;
  const isInside = (line) => line >= range.from && line <= range.to;
  let excused = 0;
  for (const kind of ['lines', 'branches']) {
    const inside = measured[kind].missed.filter(isInside);
    excused += inside.length;
    measured[kind].excused = [...(measured[kind].excused ?? []), ...inside];
  }
  return excused === 0 ? `this is covered after all, take it out: ${first}` : undefined;
}

/** The lines on which a text stands, whatever its indentation. */
function rangesOf(text, code) {
  const wanted = code.split('\n').map((line) => line.trim());
  const lines = text.split('\n').map((line) => line.trim());
  return lines
    .map((_, at) => ({ from: at + 1, to: at + wanted.length }))
    .filter(({ from }) => wanted.every((line, index) => lines[from - 1 + index] === line));
}
