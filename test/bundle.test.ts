import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Bundle } from '../src/bundle.js';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'a bundle-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true });
});

function write(name: string, body: string): void {
  writeFileSync(
    join(folder, name),
    `(function (exports, require, module, moduleUrl) {"use strict";${body}})\n`,
  );
}

function open(): Bundle {
  return new Bundle(pathToFileURL(`${folder}/`));
}

/** What `name` exports, in a bundle that has loaded nothing else. */
function loaded(name: string): unknown {
  return open().load(name);
}

describe('scripts', () => {
  test('require each other, each once, and all else as a module beside does', () => {
    write('a.cjs', 'exports.b = require("./b.cjs"); exports.path = require("node:path").sep;');
    write('b.cjs', 'exports.a = require("./a.cjs"); exports.made = Math.random();');
    const bundle = open();
    const a = bundle.load('a.cjs') as { b: { a: unknown; made: number }; path: string };
    expect(a.b.a).toBe(a);
    expect(a.path).toBe('/');
    expect(bundle.load('b.cjs')).toBe(a.b);
    expect((loaded('b.cjs') as { made: number }).made).not.toBe(a.b.made);
  });

  test('find the files beside the module that they were made of', () => {
    write('a.cjs', 'module.exports = moduleUrl("control/broker.js");');
    expect(loaded('a.cjs')).toBe(new URL('../control/broker.js', pathToFileURL(`${folder}/`)).href);
  });

  test('name their file where they fail', () => {
    write('a.cjs', '\nthrow new Error("of a");');
    expect(() => loaded('a.cjs')).toThrow(
      expect.objectContaining({
        stack: expect.stringContaining(`${folder}/a.cjs:2:7`) as unknown,
      }) as Error,
    );
  });

  test('one that is not there is told by its path', () => {
    expect(() => loaded('none.cjs')).toThrow(`${folder}/none.cjs`);
  });
});

describe('code', () => {
  const node = `${process.version}-${process.arch}`;
  const codeFile = () => join(folder, 'code', node, 'a.code');

  beforeEach(() => {
    write('a.cjs', 'module.exports = function answer() { return 41; };');
    const bundle = open();
    const answer = bundle.load('a.cjs') as () => number;
    expect(answer()).toBe(41);
    expect(bundle.hasCode('a.cjs')).toBe(false);
    bundle.writeCode();
    expect(readdirSync(join(folder, 'code', node))).toEqual(['a.code']);
  });

  /** Whether V8 took the code, and what the function in the script answers. */
  function outcome(): { hasCode: boolean; answer: number } {
    const bundle = open();
    const answer = bundle.load('a.cjs') as () => number;
    return { hasCode: bundle.hasCode('a.cjs'), answer: answer() };
  }

  test('is taken by the next one', () => {
    expect(outcome()).toEqual({ hasCode: true, answer: 41 });
  });

  test('is not taken for another text, and be it of the same length', () => {
    write('a.cjs', 'module.exports = function answer() { return 42; };');
    expect(outcome()).toEqual({ hasCode: false, answer: 42 });
  });

  test('is not taken where a bit of it has changed, or its end is missing', () => {
    const bytes = readFileSync(codeFile());
    for (const at of [0, 31, 32, bytes.length >> 1, bytes.length - 1]) {
      const wrong = Buffer.from(bytes);
      wrong[at]! ^= 1;
      writeFileSync(codeFile(), wrong);
      expect(outcome()).toEqual({ hasCode: false, answer: 41 });
    }
    for (const length of [0, 31, 32, bytes.length - 1]) {
      writeFileSync(codeFile(), bytes.subarray(0, length));
      expect(outcome()).toEqual({ hasCode: false, answer: 41 });
    }
    writeFileSync(codeFile(), bytes);
    expect(outcome()).toEqual({ hasCode: true, answer: 41 });
  });

  test('of another Node.js is left alone', () => {
    renameSync(join(folder, 'code', node), join(folder, 'code', 'v20.0.0-x64'));
    expect(outcome()).toEqual({ hasCode: false, answer: 41 });
  });

  test('of a script that was not loaded there is none', () => {
    expect(open().hasCode('a.cjs')).toBe(false);
  });
});
