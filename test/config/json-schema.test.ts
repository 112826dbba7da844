import { expect, test } from 'vitest';
import { jsonSchema } from '../../src/config/json-schema.js';
import { TABLE } from '../../src/config/table.js';

interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly additionalProperties?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly $defs?: Readonly<Record<string, Schema>>;
  readonly [other: string]: unknown;
}

const schema = jsonSchema(TABLE) as Schema;

function at(root: Schema, key: string): Schema {
  return key.split('.').reduce((found, name) => found.properties![name]!, root);
}

test.each(TABLE)(
  '$key stands in it, nested, with its text and default',
  ({ key, doc, standard }) => {
    for (const root of [schema, schema.$defs!['values']!]) {
      expect(at(root, key).description).toContain(doc);
      expect(at(root, key).default).toEqual(standard);
    }
  },
);

test('types have their ranges', () => {
  expect(at(schema, 'listen.port')).toMatchObject({ type: 'integer', minimum: 0, maximum: 65535 });
  expect(at(schema, 'log.level')['enum']).toContain('warn');
  expect(at(schema, 'heartbeat.interval')['anyOf']).toEqual([
    { type: 'integer', minimum: 100, maximum: 3_600_000 },
    { type: 'string' },
  ]);
  expect(at(schema, 'streams.overrides')).toMatchObject({
    type: 'array',
    items: { type: 'object', required: ['subject'], additionalProperties: false },
  });
});

test('names that are unknown are refused in every group', () => {
  const groups = [schema, at(schema, 'listen'), at(schema, 'streams.default.retention')];
  for (const group of groups) expect(group.additionalProperties).toBe(false);
});
