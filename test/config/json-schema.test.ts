import { readFileSync } from 'node:fs';
import { Ajv, type ValidateFunction } from 'ajv';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { jsonSchema } from '../../src/config/json-schema.js';
import { printJson } from '../../src/config/print.js';
import { TABLE } from '../../src/config/table.js';
import { DURATION, parseDuration, parseSize, SIZE } from '../../src/config/units.js';
import { faultsOf, load } from './support/sources.js';

interface Schema {
  readonly description?: string;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly [other: string]: unknown;
}

const schema = jsonSchema(TABLE) as Schema;
let validate: ValidateFunction;

beforeAll(() => {
  // Strict about the schema itself, which is held against that of draft-07 first.
  validate = new Ajv({ strict: true, allowUnionTypes: true }).compile(schema);
});

function at(root: Schema, key: string): Schema {
  return key.split('.').reduce((found, name) => found.properties![name]!, root);
}

test.each(TABLE)(
  '$key stands in it, nested, with its text and default',
  ({ key, doc, standard }) => {
    const { values } = schema['definitions'] as Record<string, Schema>;
    for (const root of [schema, values!]) {
      expect(at(root, key).description).toContain(doc);
      expect(at(root, key).default).toEqual(standard);
    }
  },
);

test('types have their ranges, fields their texts', () => {
  expect(at(schema, 'listen.port')).toMatchObject({ type: 'integer', minimum: 0, maximum: 65535 });
  expect(at(schema, 'log.level')['enum']).toContain('warn');
  expect(at(schema, 'heartbeat.interval')['anyOf']).toEqual([
    { type: 'integer', minimum: 100, maximum: 3_600_000 },
    { type: 'string', pattern: DURATION.source },
  ]);
  const item = at(schema, 'streams.overrides')['items'] as Schema;
  expect(item).toMatchObject({ type: 'object', required: ['subject'] });
  expect(at(item, 'retention.bytes').description).toContain('As streams.default.retention.bytes.');
});

describe('an editor', () => {
  const of = (object: unknown) => validate(object);

  test.each<[string, object]>([
    ['nothing', {}],
    ['the example', JSON.parse(readFileSync('docs/memorystreamer.example.json', 'utf8')) as object],
    [
      'what stands beside keys',
      { $schema: 'x', $provenance: { a: 1 }, configVersion: 1, profiles: { p: { shards: 2 } } },
    ],
    [
      'sizes and times as people write them',
      { memory: { arena: '1.5 GiB' }, shutdown: { grace: 0 } },
    ],
    [
      'lists',
      {
        credentials: [{ keyId: 'a', method: 'token', secretFile: 'a', publish: { deny: ['a.>'] } }],
        streams: { overrides: [{ subject: 'a.*', retention: { bytes: 65536 }, onFull: 'evict' }] },
      },
    ],
  ])('takes %s', (_, object) => {
    expect(of(object), JSON.stringify(validate.errors)).toBe(true);
  });

  test.each<[string, object]>([
    ['a name that is none', { lisen: {} }],
    ['one in a group', { listen: { prot: 1 } }],
    ['one in a profile', { profiles: { p: { shard: 1 } } }],
    ['one in an item', { streams: { overrides: [{ subject: 'a', sub: 1 }] } }],
    ['an item without its subject', { streams: { overrides: [{}] } }],
    ['a value out of its range', { listen: { port: 65536 } }],
    ['a value of another type', { listen: { port: '1' } }],
    ['a word that is none', { log: { level: 'loud' } }],
    ['a unit that is none', { memory: { arena: '1GB' } }],
    ['a time with the unit of a size', { heartbeat: { interval: '1MiB' } }],
    ['a version that is none', { configVersion: 0 }],
    ['a list', []],
  ])('underlines %s, which the loader refuses too', async (_, object) => {
    expect(of(object)).toBe(false);
    expect(await faultsOf({ file: JSON.stringify(object) })).not.toEqual([]);
  });

  test('underlines nothing of what config print --json says', async () => {
    const port = fc.integer({ min: 0, max: 65535 });
    const interval = fc.integer({ min: 100, max: 3_600_000 });
    const arena = fc.integer({ min: 16 * 1024 ** 2, max: 4 * 1024 ** 3 });
    await fc.assert(
      fc.asyncProperty(port, interval, arena, async (...values) => {
        const argv = ['--port', '--heartbeat-interval', '--memory-arena'].map(
          (flag, index) => `${flag}=${values[index]}`,
        );
        const printed = printJson(await load({ argv }), TABLE);
        expect(of(JSON.parse(printed)), JSON.stringify(validate.errors)).toBe(true);
      }),
    );
  });
});

test('the forms of sizes and durations let through all that is read', () => {
  const text = fc.stringMatching(/^[0-9]{1,4}(\.[0-9]{1,3})? ?[a-zA-Z]{0,3}$/);
  fc.assert(
    fc.property(text, (some) => {
      if (parseSize(some) !== undefined) expect(some).toMatch(SIZE);
      if (parseDuration(some) !== undefined) expect(some).toMatch(DURATION);
      if (!SIZE.test(some)) expect(parseSize(some)).toBeUndefined();
    }),
    { numRuns: 5_000 },
  );
  for (const size of ['1', '1B', '1 b', '1KiB', '1.5mib', '9 GIB']) expect(size).toMatch(SIZE);
  for (const time of ['1', '1ms', '1.5 s', '2m', '1h']) expect(time).toMatch(DURATION);
});
