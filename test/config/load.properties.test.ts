import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { initialYaml, printJson, printYaml } from '../../src/config/print.js';
import type { FlatConfig, KeyName } from '../../src/config/table.js';
import { TABLE } from '../../src/config/table.js';
import { KIB, MIB } from '../../src/config/units.js';
import { MemoryStreamerError } from '../../src/errors.js';
import { fakeFiles, load } from './support/sources.js';

const token = fc.stringMatching(/^[a-zA-Z0-9_#:"'\\/-]{1,6}$/);
const subject = fc
  .array(fc.oneof(token, fc.constant('*')), { minLength: 1, maxLength: 4 })
  .map((tokens) => tokens.join('.'));
const retention = fc.integer({ min: 64 * KIB, max: 8 * MIB });
const duration = fc.integer({ min: 100, max: 3_600_000 });

/** Values that are valid together. */
const arbitraryValue: Readonly<Record<KeyName, fc.Arbitrary<unknown>>> = {
  'listen.host': fc.constantFrom('127.0.0.1', '::1', '127.3.2.1', '::ffff:127.0.0.1'),
  'listen.port': fc.integer({ min: 0, max: 65535 }),
  'listen.insecure': fc.boolean(),
  shards: fc.oneof(fc.constant('auto'), fc.integer({ min: 1, max: 63 })),
  'memory.arena': fc.integer({ min: 16 * MIB, max: 4096 * MIB }),
  'limits.connections': fc.integer({ min: 1, max: 1_000_000 }),
  'memory.prefault': fc.integer({ min: 0, max: 4 * 1024 ** 3 }),
  'limits.streams': fc.integer({ min: 1, max: 65535 }),
  'limits.subscriptions': fc.integer({ min: 1, max: 65535 }),
  'limits.publications': fc.integer({ min: 1, max: 65535 }),
  'streams.default.retention.bytes': retention,
  'streams.default.onFull': fc.constantFrom('block', 'evict'),
  'streams.overrides': fc.array(
    fc.record(
      {
        subject,
        retention: fc.record({ bytes: retention }),
        onFull: fc.constantFrom('block', 'evict'),
      },
      { requiredKeys: ['subject'] },
    ),
    { maxLength: 3 },
  ),
  'slowConsumer.timeout': duration,
  'heartbeat.interval': duration,
  'shutdown.grace': fc.integer({ min: 0, max: 600_000 }),
  'idle.strategy': fc.constantFrom('block', 'backoff', 'spin'),
  'auth.required': fc.constant(false),
  'auth.integrity': fc.constant('any'),
  'auth.handshakeTimeout': fc.integer({ min: 100, max: 600_000 }),
  'auth.maxPending': fc.integer({ min: 1, max: 1_000_000 }),
  'auth.attemptsPerMinute': fc.integer({ min: 1, max: 1_000_000 }),
  'auth.insecureTokens': fc.boolean(),
  // Their secrets are files; what a list of them must be is tested with the files.
  credentials: fc.constant([]),
  'reload.on': fc.constantFrom('change', 'signal'),
  'log.level': fc.constantFrom('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'),
  'log.histograms': fc.boolean(),
  'debug.faults': fc.boolean(),
};

const configuration = fc.record(arbitraryValue, { requiredKeys: [] }) as fc.Arbitrary<
  Partial<FlatConfig>
>;

function nested(values: Partial<FlatConfig>): string {
  const root: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(values)) {
    const path = key.split('.');
    const last = path.pop()!;
    let group = root;
    for (const name of path) group = (group[name] ??= {}) as Record<string, unknown>;
    group[last] = value;
  }
  return JSON.stringify(root);
}

describe('merging', () => {
  test('the last file that gives a key counts, whatever else they give: merging is associative', async () => {
    await fc.assert(
      fc.asyncProperty(configuration, configuration, configuration, async (a, b, c) => {
        const of = async (...files: Partial<FlatConfig>[]) => {
          const table = files.map((values, at): [string, string] => [
            `/${at}.json`,
            nested(values),
          ]);
          const argv = table.flatMap(([path]) => ['--config', path]);
          return (await load({ argv, files: fakeFiles(Object.fromEntries(table)) })).flat;
        };
        const model = { ...a, ...b, ...c };
        const all = await of(a, b, c);
        expect(all).toEqual(await of(model));
        expect(all).toEqual(await of({ ...a, ...b }, c));
        expect(all).toEqual(await of(a, { ...b, ...c }));
        for (const [key, value] of Object.entries(model))
          expect(all[key as KeyName]).toEqual(value);
      }),
      { numRuns: 60 },
    );
  });
});

describe('what is printed and read back is the same configuration', () => {
  test.each([
    ['YAML', 'yaml', printYaml],
    ['JSON', 'json', printJson],
  ])('as %s', async (_, ending, print) => {
    await fc.assert(
      fc.asyncProperty(configuration, async (values) => {
        const first = await load({ file: nested(values) });
        const path = `/again.${ending}`;
        const files = fakeFiles({ [path]: print(first, TABLE) });
        const again = await load({ argv: ['--config', path], files });
        expect(again.flat).toEqual(first.flat);
        expect(again.digest).toBe(first.digest);
      }),
      { numRuns: 100 },
    );
  });
});

describe('the loaders take anything', () => {
  const seeds = [
    initialYaml(TABLE).replaceAll('#', ''),
    nested({ 'listen.port': 1, 'streams.overrides': [{ subject: 'a.>', onFull: 'evict' }] }),
    'profiles:\n  a: {shards: 1}\n',
    'listen.port = 1\n[[streams.overrides]]\nsubject = "a"\nretention.bytes = "1MiB"\n',
  ];
  const pieces = fc.constantFrom(
    ...Array.from('{}[]",:\n#&*!|>-?=. \t\'\\%@`~'),
    ...[
      '__proto__',
      'shards',
      '1e999',
      '!!binary',
      '<<',
      '---',
      '...',
      '\r\n',
      '\ufeff',
      '0x1',
      '2026-11-24',
    ],
    ...['[[', ']]', '"""', "'''", '\ud800', '\u0000', 'configVersion', '$schema', 'overrides'],
  );
  const mutated = fc
    .tuple(
      fc.constantFrom(...seeds),
      fc.array(fc.tuple(fc.nat(), fc.nat({ max: 4 }), pieces), { maxLength: 6 }),
    )
    .map(([seed, changes]) =>
      changes.reduce((text, [at, cut, piece]) => {
        const place = at % (text.length + 1);
        return text.slice(0, place) + piece + text.slice(place + cut);
      }, seed),
    );
  const text = fc.oneof(
    mutated,
    fc.array(pieces, { maxLength: 40 }).map((all) => all.join('')),
  );
  const bytes = fc.oneof(
    text.map((some) => new TextEncoder().encode(some)),
    fc.uint8Array({ maxLength: 200 }),
  );

  test.each(['json', 'yaml', 'toml'])(
    'as .%s, and refuse it in words or give what is valid',
    async (ending) => {
      await fc.assert(
        fc.asyncProperty(bytes, async (content) => {
          const path = `/fuzz.${ending}`;
          try {
            const { flat } = await load({
              argv: ['--config', path],
              files: fakeFiles({ [path]: content }),
            });
            for (const row of TABLE) expect(row.type.safeParse(flat[row.key]).success).toBe(true);
          } catch (error) {
            if (!(error instanceof MemoryStreamerError)) throw error;
            expect(error.code).toBe('MS_ERR_CONFIG');
            for (const line of error.message.split('\n')) {
              expect(line).toMatch(/^\/fuzz\.[a-z]+(:\d+:\d+)?: |^and \d+ more faults$/);
              expect(line).not.toMatch(/\p{Cc}/u);
            }
          }
          expect(Object.keys(Object.prototype)).toEqual([]);
        }),
        { numRuns: 1_500 },
      );
    },
  );

  test('in the environment and in flags', async () => {
    const value = fc.oneof(text, fc.string());
    const row = fc.constantFrom(...TABLE);
    await fc.assert(
      fc.asyncProperty(row, value, fc.boolean(), async ({ env, flag }, given, isFlag) => {
        try {
          await load(isFlag ? { argv: [`--${flag}=${given}`] } : { env: { [env]: given } });
        } catch (error) {
          if (!(error instanceof MemoryStreamerError)) throw error;
          expect(error.code).toBe('MS_ERR_CONFIG');
        }
      }),
      { numRuns: 1_500 },
    );
  });
});
