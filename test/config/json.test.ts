import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readJson } from '../../src/config/json.js';
import { DEPTH_MAX, lineAndColumn, nodeAt, plain, SyntaxFault } from '../../src/config/node.js';

function faultOf(text: string): string {
  try {
    readJson(text);
  } catch (error) {
    if (!(error instanceof SyntaxFault)) throw error;
    return `${lineAndColumn(text, error.at)} ${error.message}`;
  }
  return 'none';
}

test('reads whatever JSON.stringify writes', () => {
  const value = fc.jsonValue({ maxDepth: 5 });
  fc.assert(
    fc.property(value, fc.constantFrom(0, 2), (original, indent) => {
      const text = JSON.stringify(original, null, indent);
      expect(JSON.stringify(plain(readJson(text)))).toBe(JSON.stringify(JSON.parse(text)));
    }),
  );
});

test('accepts exactly the texts that JSON.parse accepts, but for second names', () => {
  const piece = fc.constantFrom(
    ...Array.from('{}[]",:0-1.eE+ \n\\ut'),
    '"a"',
    'true',
    'null',
    '"\\u0041"',
    'x',
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
      const text = pieces.join('');
      let isJson = true;
      try {
        JSON.parse(text);
      } catch {
        isJson = false;
      }
      const fault = faultOf(text);
      if (fault.includes('a second time')) return;
      expect(fault === 'none').toBe(isJson);
    }),
    { numRuns: 3_000 },
  );
});

test.each([
  ['', '1:1 a value is expected, but the text ends'],
  ['{"a": 1,\n  b: 2}', '2:3 a name in double quotes is expected'],
  ['{"a": 1,\n "b" 2}', '2:6 ":" is expected'],
  ['{"a": 1\n "b": 2}', '2:2 "," or "}" is expected'],
  ['{"a": 1,}', '1:9 a name in double quotes is expected'],
  ['[1,\n\n 2', '3:3 "," or "]" is expected, but the text ends'],
  ['{"a": 0x10}', '1:8 "," or "}" is expected'],
  ['{"a": "x\ny"}', '1:7 this string does not end, or holds what must be escaped'],
  ['{} // done', '1:4 the text goes on after its value'],
  ['{"a": 1,\n "a": 2}', '2:2 "a" stands here a second time'],
  ['{"__proto__": 1, "__proto__": 2}', '1:18 "__proto__" stands here a second time'],
])('%j is refused with line and column', (text, fault) => {
  expect(faultOf(text)).toBe(fault);
});

test('__proto__ is a name like any other, and changes no prototype', () => {
  const value = plain(readJson('{"__proto__": {"polluted": true}}')) as object;
  expect(Object.keys(value)).toEqual(['__proto__']);
  expect(Object.getPrototypeOf(value)).toBeNull();
  expect('polluted' in {}).toBe(false);
});

test('nesting is limited', () => {
  const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
  expect(faultOf(nested(DEPTH_MAX))).toBe('none');
  expect(faultOf(nested(DEPTH_MAX + 2))).toContain('nested more than 32 deep');
  expect(faultOf('['.repeat(100_000))).toContain('nested more than 32 deep');
});

test('a string of a megabyte is read', () => {
  const text = 'x'.repeat(1024 * 1024);
  expect(plain(readJson(JSON.stringify(text)))).toBe(text);
});

test('every value has its place', () => {
  const text = '{\n  "a": [1, {"b": "x"}],\n  "c": {"d": null}\n}';
  const root = readJson(text);
  const places = [[], ['a'], ['a', 0], ['a', 1, 'b'], ['c', 'd'], ['c', 'none']].map((path) =>
    lineAndColumn(text, nodeAt(root, path).at),
  );
  expect(places).toEqual(['1:1', '2:8', '2:9', '2:18', '3:14', '3:8']);
});
