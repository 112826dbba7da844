import { expect, test } from 'vitest';
import type { Configuration } from '../../src/config/load.js';
import { printYaml } from '../../src/config/print.js';
import type { TableRow } from '../../src/config/table.js';
import { readYaml } from '../../src/config/yaml.js';
import { nodeAt } from '../../src/config/node.js';

const row = { key: 'word', unit: 'none' } as unknown as TableRow;

/** Only what is printed of the one key matters here. */
function printed(value: unknown): Configuration {
  const origin = { from: 'flag', where: '--word' };
  return {
    flat: { word: value },
    provenance: new Map([['word', origin]]),
    digest: '',
  } as unknown as Configuration;
}

test.each([
  'true',
  'null',
  'yes',
  '1',
  '1e3',
  '0x1f',
  '-',
  '.inf',
  'a: b',
  '#',
  "it's",
  '"',
  'plain/path.x',
  '',
  ' x',
])('the text %j is read back as a text', (text) => {
  const root = readYaml(printYaml(printed(text), [row]));
  expect(nodeAt(root, ['word'])).toMatchObject({ kind: 'scalar', value: text });
});
