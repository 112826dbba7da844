import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { TABLE } from '../src/config/table.js';
import * as rules from './tidy-rules.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const tree = rules.readTree(root);
const exists = (path: string) => existsSync(join(root, path));

/** Parts that are written but that nothing uses yet. */
function broken(...files: [path: string, text: string][]): rules.Tree {
  return new Map(files);
}

test('the tree is read', () => {
  expect([...tree.keys()]).toContain('src/main.ts');
  expect([...tree.keys()]).toContain('test/tidy.test.ts');
  expect([...tree.keys()]).toContain('.ci/run');
});

describe('imports go from shards to ring to frame, and never back', () => {
  test('here', () => {
    expect(rules.importsAgainstDirection(tree)).toEqual([]);
  });

  test.each([
    ['src/frame/a.ts', `import { x } from '../ring/layout.js';`],
    ['src/frame/kernel/a.ts', `import { x } from '../../ring/kernel/words';`],
    ['src/ring/a.ts', `import {\n  type X,\n} from "../shards/b.js";`],
    ['src/shards/a.ts', `export * from '../control/b.js';`],
    ['src/client/a.ts', `import '../sys/linux.js';`],
    ['src/client/a.ts', `const { x } = await import('../control/b.js');`],
    ['src/config/a.ts', `import { x } from '../client/b.js';`],
  ])('a breach in %s is found: %s', (path, text) => {
    expect(rules.importsAgainstDirection(broken([path, text]))).toHaveLength(1);
  });

  test('a comment is no import', () => {
    const text = `// as in '../ring/a.js'\n/* import '../ring/a.js' */`;
    expect(rules.importsAgainstDirection(broken(['src/frame/a.ts', text]))).toEqual([]);
  });
});

describe('only src/sys knows koffi', () => {
  test('here', () => {
    expect(rules.koffiOutsideOfSys(tree)).toEqual([]);
  });

  test('a breach is found', () => {
    const files = broken(
      ['src/sys/a.ts', `import koffi from 'koffi';`],
      ['src/ring/a.ts', `import koffi from 'koffi';`],
      ['src/log.ts', `const koffi = require('koffi');`],
    );
    expect(rules.koffiOutsideOfSys(files)).toHaveLength(2);
  });
});

describe('src/frame does no input and output', () => {
  test('here', () => {
    expect(rules.ioInFrame(tree)).toEqual([]);
  });

  test.each(['node:net', 'net', 'node:fs/promises', 'node:worker_threads', 'node:timers'])(
    '%s in it is found',
    (name) => {
      expect(rules.ioInFrame(broken(['src/frame/a.ts', `import x from '${name}';`]))).toHaveLength(
        1,
      );
    },
  );

  test('its kernel’s loader may read that file, and do no more', () => {
    const loader = (name: string) =>
      broken(['src/frame/frame-kernel.ts', `import { x } from '${name}';`]);
    expect(rules.ioInFrame(loader('node:fs'))).toEqual([]);
    expect(rules.ioInFrame(loader('node:net'))).toHaveLength(1);
  });
});

describe('every test mirrors a source, or is a scenario', () => {
  test('here', () => {
    expect(rules.testsOfNothing(tree)).toEqual([]);
  });

  test('a test of nothing is found', () => {
    const files = broken(
      ['src/ring/log.ts', ''],
      ['src/ring/kernel/pool.ts', ''],
      ['scripts/build.mjs', ''],
      ['.ci/run', ''],
      ['test/ring/log.test.ts', ''],
      ['test/ring/log.races.test.ts', ''],
      ['test/ring/pool.test.ts', ''],
      ['test/scripts/build.test.ts', ''],
      ['test/ci/run.test.ts', ''],
      ['test/scenarios/anything.test.ts', ''],
      ['test/ring/gone.test.ts', ''],
      ['test/log.test.ts', ''],
    );
    expect(rules.testsOfNothing(files).map((line) => line.split(' ')[0])).toEqual([
      'test/ring/gone.test.ts',
      'test/log.test.ts',
    ]);
  });
});

describe('every source is used', () => {
  test('here', () => {
    // Walks a whole arena for the tests of every part that uses one.
    const forTests = ['src/ring/invariants.ts'];
    expect(rules.sourcesUnused(tree, forTests)).toEqual([]);
  });

  test('what no entry point reaches is found, also where two use each other', () => {
    const files = broken(
      ['src/main.ts', `void import('./a.js'); const worker = new URL('b.js', here);`],
      ['src/a.ts', `import './deep/c.js';`],
      ['src/b.ts', ''],
      ['src/deep/c.ts', ''],
      ['src/sys/fake-net.ts', `import './fake-peer.js';`],
      ['src/sys/fake-peer.ts', ''],
      ['src/sys/fake-unused.ts', ''],
      ['src/x.ts', `import './y.js';`],
      ['src/y.ts', `import './x.js';`],
      ['test/sys/net.test.ts', `import '../../src/sys/fake-net.js'; import '../../src/x.js';`],
    );
    expect(rules.sourcesUnused(files).map((line) => line.split(' ')[0])).toEqual([
      'src/sys/fake-unused.ts',
      'src/x.ts',
      'src/y.ts',
    ]);
  });
});

describe('every key of the configuration is read', () => {
  const keys = ['a.b.c', 'a.d', 'e'];

  test('here', () => {
    const all = TABLE.map((row) => row.key);
    expect(rules.keysWithoutReader(tree, all)).toEqual([]);
  });

  test.each([
    'x(config.a.b.c, config.a.d, config.e);',
    'const part = this.#config.a.b; x(part.c); const { d } = options.config.a; x(config.e)',
    'const { d: other, z } = config.a; x(config.a.b.c, config.e)',
  ])('a reader is seen: %s', (text) => {
    expect(rules.keysWithoutReader(broken(['src/control/a.ts', text]), keys)).toEqual([]);
  });

  test('a key that nothing reads is found, also where it is only printed, checked or spoken of', () => {
    const files = broken(
      ['src/control/a.ts', 'x(config.a); // config.a.b.c\nx(config.a.bd)'],
      ['src/config/print.ts', 'x(config.a.d)'],
      ['src/config/rules.ts', "x(values['e'])"],
    );
    expect(rules.keysWithoutReader(files, keys)).toEqual([
      'a.b.c is read by nothing',
      'a.d is read by nothing',
    ]);
  });
});

describe('files have lower-case names', () => {
  test('here', () => {
    expect(rules.namesNotInKebabCase(tree)).toEqual([]);
  });

  test.each(['src/Broker.ts', 'src/sys/fakeNet.ts', 'test/Ring/a.test.ts', 'src/a b.ts'])(
    '%s is found',
    (path) => {
      expect(rules.namesNotInKebabCase(broken([path, '']))).toHaveLength(1);
    },
  );
});

describe('time and randomness stand in src/clock.ts alone', () => {
  test('here', () => {
    expect(rules.clocksOutsideOfClock(tree)).toEqual([]);
  });

  test.each(['Math.random()', 'Date.now()', 'new Date()'])('%s elsewhere is found', (text) => {
    expect(rules.clocksOutsideOfClock(broken(['src/ring/a.ts', `x = ${text};`]))).toHaveLength(1);
    expect(rules.clocksOutsideOfClock(broken(['src/clock.ts', `x = ${text};`]))).toEqual([]);
    expect(rules.clocksOutsideOfClock(broken(['src/a/kernel/b.ts', text]))).toEqual([]);
  });
});

describe('nothing refers to what lies outside of the repository', () => {
  test('here', () => {
    expect(rules.pathsOutside(tree)).toEqual([]);
  });

  test('a path that leads out is found', () => {
    const files = broken(
      ['src/a.ts', `import '../../elsewhere/b.js';`],
      ['src/deep/a.ts', `import '../../package.json';`],
      ['README.md', 'see /home/me/notes'],
    );
    expect(rules.pathsOutside(files).map((line) => line.split(' ')[0])).toEqual([
      'src/a.ts',
      'README.md',
    ]);
  });
});

describe('documents refer to what there is', () => {
  test('here', () => {
    expect(rules.linksToNothing(tree, exists)).toEqual([]);
    expect(rules.namedButAbsent(tree, exists)).toEqual([]);
  });

  test('a link to no file or to no heading is found, and a path that is not there', () => {
    const files = broken(
      ['README.md', '# A b\n[x](#a-b) [x](#c) [x](docs/A.md) [x](docs/B.md) [x](https://a.b/c)'],
      ['docs/A.md', '## What it: promises\n[x](A.md#what-it-promises) [x](A.md#what) [x](B.md)'],
      ['ARCHITECTURE.md', '`src/a.ts`, `src/b.ts`, `append.ts`'],
    );
    const there = (path: string) => files.has(path) || path === 'src/a.ts';
    expect(rules.linksToNothing(files, there)).toEqual([
      'README.md: #c leads to nothing',
      'README.md: docs/B.md leads to nothing',
      'docs/A.md: A.md#what leads to nothing',
      'docs/A.md: B.md leads to nothing',
    ]);
    expect(rules.namedButAbsent(files, there)).toHaveLength(1);
  });
});
