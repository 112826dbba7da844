/**
 * The table of keys as a JSON Schema for editors: of draft-07, the newest that all of them know. It takes whatever the
 * loader takes, and less of what it refuses: ranges of texts such as "512MiB" and rules between keys are not in it.
 */
import * as z from 'zod/mini';
import type { Field } from './kinds.js';
import { FIRST_VERSION, newestVersion, STEPS } from './migrate.js';
import type { TableRow } from './table.js';

interface Schema {
  [word: string]: unknown;
  properties?: Record<string, Schema>;
  items?: Schema;
}

export function jsonSchema(table: readonly TableRow[]): Schema {
  const values = groupOf(table, '');
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Configuration of MemoryStreamer',
    definitions: { values },
    ...values,
    properties: {
      $schema: { type: 'string' },
      $provenance: { description: 'Not looked at.' },
      configVersion: {
        description: 'The version of the names of keys for which the file was written.',
        type: 'integer',
        minimum: FIRST_VERSION,
        maximum: newestVersion(STEPS),
      },
      profiles: {
        description:
          'Named sets of values, of which --profile chooses one; all else in the file counts more.',
        type: 'object',
        additionalProperties: { $ref: '#/definitions/values' },
      },
      ...values.properties,
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
  const options = { io: 'input', unrepresentable: 'any', target: 'draft-7' } as const;
  const schema = z.toJSONSchema(row.type, options) as Schema;
  delete schema['$schema'];
  for (const [name, field] of Object.entries(row.fields ?? {})) {
    describe(schema.items!, name.split('.'), field);
  }
  const description = `${row.doc} Allowed: ${row.allowed}. A change: ${row.apply}.`;
  return { ...schema, description, default: row.standard };
}

/** Texts for whoever fills in an item of a list. */
function describe(item: Schema, path: readonly string[], { kind, doc }: Field): void {
  const at = path.reduce((schema, name) => schema.properties![name]!, item);
  at['description'] = `${doc} Allowed: ${kind.allowed}.`;
}
