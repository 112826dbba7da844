/** A configuration as text that can be read back: YAML for people, JSON for programs, and a file to begin with. */
import { oneLine } from './faults.js';
import type { Configuration } from './load.js';
import { newestVersion, STEPS } from './migrate.js';
import type { TableRow } from './table.js';

/** Effective values, each with where it comes from. Read back, it gives the same configuration. */
export function printYaml(
  { flat, provenance, digest }: Configuration,
  table: readonly TableRow[],
): string {
  const lines = table.map((row) => ({
    row,
    text: yamlOf(row, flat[row.key]),
    comment: provenance.get(row.key)?.where ?? '',
  }));
  const width = Math.min(40, Math.max(...lines.map((line) => indented(line).length)));
  const body = nestedLines(
    lines,
    (line) => `${indented(line).padEnd(width)} # ${oneLine(line.comment)}`,
  );
  return [`# digest ${digest}`, `configVersion: ${newestVersion(STEPS)}`, ...body, ''].join('\n');
}

/** The same as an object, with `$provenance` by key, which the loader does not look at. */
export function printJson(
  { flat, provenance, digest }: Configuration,
  table: readonly TableRow[],
): string {
  const root: Record<string, unknown> = { configVersion: newestVersion(STEPS) };
  for (const row of table) put(root, row.key.split('.'), fileValue(row, flat[row.key]));
  const where = [...provenance].map(([key, origin]) => [key, origin.where]);
  root['$provenance'] = { digest, ...Object.fromEntries(where) };
  return `${JSON.stringify(root, null, 2)}\n`;
}

/** A file that says nothing but the version, with every key and its default in comments. */
export function initialYaml(table: readonly TableRow[]): string {
  const lines = table.map((row) => ({ row, text: yamlOf(row, row.standard), comment: '' }));
  const body = nestedLines(lines, (line) => `${paragraph(line.row)}\n#${indented(line)}`, '#');
  return `# Configuration of MemoryStreamer. What is commented out shows the default; take the "#" away from a key
# and from the groups above it to set it. "memorystreamer config check FILE" tells what is wrong.
configVersion: ${newestVersion(STEPS)}

# Sets of values that --profile NAME chooses; all else in this file counts more.
#profiles:
#  small:
#    shards: 1
${body.join('\n')}
`;
}

export const APPLY_TEXT = {
  hot: 'hot: a broker that runs can take a change',
  restart: 'restart: the next broker takes a change',
} as const;

/** All that is known of a key. */
export function explain(row: TableRow): string {
  const flag = row.placeholder === '' ? `--${row.flag}` : `--${row.flag} ${row.placeholder}`;
  const fields = Object.entries(row.fields ?? {}).map(
    ([name, { kind, doc, isOptional }]) =>
      `  ${name}: ${doc}${isOptional ? ' May be left out.' : ''} Allowed: ${kind.allowed}.\n`,
  );
  return `${row.key}
${wrapped(row.doc, 98)
  .map((line) => `  ${line}\n`)
  .join('')}
  default      ${row.show(row.standard)}
  allowed      ${row.allowed}
  in a file    ${nestedJson(row)}
  environment  ${row.env}
  flag         ${flag}
  a change     ${APPLY_TEXT[row.apply]}
${fields.length === 0 ? '' : `\n  Fields of an item:\n${fields.map((line) => `  ${line}`).join('')}`}`;
}

interface Line {
  readonly row: TableRow;
  readonly text: string;
  readonly comment: string;
}

/** Lines of keys with those of the groups that they stand in; a group's keys follow each other in the table. */
function nestedLines(lines: readonly Line[], show: (line: Line) => string, mark = ''): string[] {
  const open: string[] = [];
  return lines.flatMap((line) => {
    const groups = line.row.key.split('.').slice(0, -1);
    let common = 0;
    while (common < open.length && open[common] === groups[common]) common += 1;
    open.length = common;
    const heads = groups.slice(common).map((name) => {
      open.push(name);
      const isTop = open.length === 1 && mark !== '';
      return `${isTop ? '\n' : ''}${mark}${'  '.repeat(open.length - 1)}${name}:`;
    });
    return [...heads, show(line)];
  });
}

function indented({ row, text }: Line): string {
  const path = row.key.split('.');
  return `${'  '.repeat(path.length - 1)}${path.at(-1)!}: ${text}`;
}

function paragraph(row: TableRow): string {
  const facts = `Allowed: ${row.allowed}. ${row.apply === 'hot' ? 'Hot' : 'Restart'}; ${row.env}, --${row.flag}.`;
  const lines = [...wrapped(row.doc, 96), ...wrapped(facts, 96)];
  return `\n${lines.map((line) => `# ${line}`).join('\n')}`;
}

/** What a file has for a value: sizes and durations as people write them. */
function fileValue(row: TableRow, value: unknown): unknown {
  return row.unit === 'bytes' || row.unit === 'milliseconds' ? row.show(value) : value;
}

function yamlOf(row: TableRow, value: unknown): string {
  const given = fileValue(row, value);
  // JSON is YAML; only words that YAML reads as themselves go without quotes.
  return typeof given === 'string' && PLAIN.test(given) && !RESERVED.test(given)
    ? given
    : JSON.stringify(given);
}

const PLAIN = /^(?:[A-Za-z][\w./-]*|\d+[A-Za-z]+)$/;
const RESERVED = /^(?:true|false|null|yes|no|on|off)$/i;

function nestedJson(row: TableRow): string {
  const parts = row.key.split('.');
  const value = JSON.stringify(fileValue(row, row.standard));
  return parts.map((part) => `{"${part}": `).join('') + value + '}'.repeat(parts.length);
}

function put(group: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [name = '', ...rest] = path;
  if (rest.length === 0) group[name] = value;
  else put((group[name] ??= {}) as Record<string, unknown>, rest, value);
}

/** Lines of at most `columns`, parted at blanks. */
export function wrapped(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = '';
    }
    line += line === '' ? word : ` ${word}`;
  }
  return [...lines, line];
}
