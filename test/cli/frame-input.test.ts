import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { HexReader, readFrames, readObjects } from '../../src/cli/frame-input.js';

const folder = mkdtempSync(join(tmpdir(), 'frame-input-'));
afterAll(() => rmSync(folder, { recursive: true }));

function file(content: string | Uint8Array): string {
  const path = join(folder, 'input');
  writeFileSync(path, content);
  return path;
}

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const found: Item[] = [];
  for await (const item of items) found.push(item);
  return found;
}

const bytesOf = async (content: string | Uint8Array, form: 'auto' | 'hex' | 'raw' = 'auto') =>
  Buffer.concat(await all(readFrames(file(content), form))).toString('hex');

describe('hex', () => {
  test('with white space, capitals and remarks', async () => {
    expect(await bytesOf('# a frame: beef\n4D 53\t01\r\n20 # type ab\n\nFf')).toBe('4d530120ff');
  });

  test('in pieces that part a byte and a remark', () => {
    const text = '4d5#ab\n3 01#';
    for (let cut = 0; cut <= text.length; cut++) {
      const reader = new HexReader('f');
      const parts = [text.slice(0, cut), text.slice(cut)].map((part) =>
        reader.take(Buffer.from(part)),
      );
      reader.end();
      expect(Buffer.concat(parts).toString('hex')).toBe('4d5301');
    }
  });

  test('what is none is told with its line, and half a byte', async () => {
    await expect(bytesOf('4d\n53\n0g')).rejects.toThrow(/line 3: "g" is no hex digit/);
    await expect(bytesOf('4d5')).rejects.toMatchObject({ code: 'MS_ERR_INPUT' });
  });
});

test('what begins with MS is raw, and --hex and --raw insist', async () => {
  expect(await bytesOf('MS01')).toBe('4d533031');
  expect(await bytesOf('4d53', 'raw')).toBe('34643533');
  await expect(bytesOf('MS', 'hex')).rejects.toThrow(/"M" is no hex digit/);
});

test('a file that is not there is told', async () => {
  await expect(all(readFrames(join(folder, 'none'), 'auto'))).rejects.toMatchObject({
    code: 'MS_ERR_INPUT',
  });
});

describe('objects', () => {
  const objects = [{ a: '}"{\\' }, { b: { c: [1, {}] } }, { d: 'ü' }];

  test.each([
    ['in lines', objects.map((each) => JSON.stringify(each)).join('\n')],
    ['one after another', objects.map((each) => JSON.stringify(each)).join('')],
    ['in an array', JSON.stringify(objects)],
    ['over several lines', JSON.stringify(objects, null, 2)],
  ])('%s', async (_name, text) => {
    expect(await all(readObjects(file(text)))).toEqual(objects);
  });

  test('many, so that reads part them', async () => {
    const many = Array.from({ length: 20_000 }, (_, i) => ({ i, text: 'ü}{"' }));
    expect(await all(readObjects(file(JSON.stringify(many))))).toEqual(many);
  });

  test.each([
    ['{"a":1} x', /"x" where an object/],
    ['{"a":1}\n{"a":}', /object 2: /],
    ['{"a":1', /object 1 does not end/],
    [`{"a":"${'x'.repeat(2 ** 21)}"}`, /object 1 is larger than 1 MiB/],
    [Buffer.of(0x7b, 0x22, 0xff), /is not UTF-8/],
  ])('case %# is refused', async (text, message) => {
    await expect(all(readObjects(file(text)))).rejects.toThrow(message);
  });
});
