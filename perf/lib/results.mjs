// Results as files: JSON that is small and can still be read in a difference, and the history that they make.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Arrays of numbers and single runs, which nobody reads line by line, stand on a line each. */
function isDense(key, value) {
  if (key === 'curve' || key === 'bins' || key === 'sizes' || key === 'rates') return true;
  return Array.isArray(value) && value.length > 0 && value.every((one) => typeof one !== 'object');
}

function textOf(value, key, indent) {
  if (value === undefined) return 'null';
  if (value === null || typeof value !== 'object' || isDense(key, value)) {
    return JSON.stringify(value) ?? 'null';
  }
  const inner = `${indent} `;
  if (Array.isArray(value)) {
    if (value.length === 0) return '[]';
    const rows = value.map(
      (one) => inner + (key === 'runs' ? JSON.stringify(one) : textOf(one, '', inner)),
    );
    return `[\n${rows.join(',\n')}\n${indent}]`;
  }
  const rows = Object.entries(value)
    .filter(([, one]) => one !== undefined)
    .map(([name, one]) => `${inner}${JSON.stringify(name)}: ${textOf(one, name, inner)}`);
  return rows.length === 0 ? '{}' : `{\n${rows.join(',\n')}\n${indent}}`;
}

export function resultText(whole) {
  return `${textOf(whole, '', '')}\n`;
}

/** Every result in `directory`, oldest first; files that are none of ours are passed over. */
export function storedResults(directory) {
  return readdirSync(directory)
    .filter((name) => name.endsWith('.json'))
    .map((name) => ({ name, ...JSON.parse(readFileSync(join(directory, name), 'utf8')) }))
    .filter(({ machine, results }) => machine?.date && results)
    .sort((a, b) => a.machine.date.localeCompare(b.machine.date));
}
