/** The table of keys as a JSON Schema (draft 2020-12), for editors. */
import { z } from 'zod';
import { FIRST_VERSION, newestVersion, STEPS } from './migrate.js';
import type { TableRow } from './table.js';

type Schema = Record<string, unknown>;

export function jsonSchema(table: readonly TableRow[]): Schema {
  const values = groupOf(table, '');
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Configuration of MemoryStreamer',
    $defs: { values },
    ...values,
    properties: {
      $schema: { type: 'string' },
      $provenance: { description: 'Not looked at.' },
      configVersion: { type: 'integer', minimum: FIRST_VERSION, maximum: newestVersion(STEPS) },
      profiles: { type: 'object', additionalProperties: { $ref: '#/$defs/values' } },
      ...(values['properties'] as Schema),
    },
  };
}

function groupOf(rows: readonly TableRow[], prefix: string): Schema {
  const names = new Set(rows.map((row) => row.key.slice(prefix.length).split('.')[0]!));
  const properties = [...names].map((name): [string, Schema] => {
    const key = prefix + name;
    const row = rows.find((candidate) => candidate.key === key);
    const below = rows.filter((candidate) => candidate.key.startsWith(`${key}.`));
    return [name, row === undefined ? groupOf(below, `${key}.`) : keyOf(row)];
  });
  return {
    type: 'object',
    properties: Object.fromEntries(properties),
    additionalProperties: false,
  };
}

function keyOf(row: TableRow): Schema {
  const type = z.toJSONSchema(row.type, { io: 'input', unrepresentable: 'any' });
  delete type.$schema;
  return {
    ...type,
    description: `${row.doc} Allowed: ${row.allowed}. A change: ${row.apply}.`,
    default: row.standard,
  };
}
