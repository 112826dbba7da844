import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { runNode } from '../cli/processes.js';
import { errorName } from '../../src/frame/names.js';
import { pattern, readVectors } from '../frame/support.js';
import * as naive from '../fuzz/naive.mjs';

const SCRIPT = fileURLToPath(new URL('../../scripts/fuzz.mjs', import.meta.url));
const CORPUS = new URL('../fuzz/corpus/', import.meta.url);
const vectors = readVectors();
/** Runs of thousands of executions, each a process. */
const FUZZ_TIMES = { timeout: 240_000 };

const fuzz = (...args: string[]) => runNode([SCRIPT, ...args, '--dry'], {}, FUZZ_TIMES.timeout);

describe('the oracle passes the vectors of the protocol', () => {
  test.each(vectors.xxh64)('XXH64 of $length bytes', ({ length, hash }) => {
    expect(naive.xxh64(pattern(length))).toBe(BigInt(`0x${hash}`));
  });

  test.each(vectors.siphash24)('SipHash-2-4 of $length bytes', ({ key, length, tag }) => {
    const message = Uint8Array.from({ length }, (_, i) => i & 0xff);
    const found = naive.siphash(Buffer.from(key, 'hex'), message);
    expect(found).toBe(BigInt(`0x${tag}`));
  });

  test('frames', () => {
    const wire = Buffer.from(vectors.valid.map(({ hex }) => hex).join(''), 'hex');
    // It stands for a server: of what a server sends it takes nothing.
    const first = vectors.valid.findIndex(({ type }) => type === 'ERROR');
    expect(errorName(naive.decode(wire).fault)).toBe('UNKNOWN_TYPE');
    expect(naive.decode(wire).frames.map(({ payload }) => payload)).toEqual(
      vectors.valid.slice(0, first).map(({ payload }) => payload),
    );
    for (const { hex, error, note } of vectors.invalid) {
      const { frames, fault } = naive.decode(Buffer.from(hex, 'hex'));
      if (fault !== 0) expect([errorName(fault), note.startsWith('fatal')]).toEqual([error, true]);
      else expect(frames[0]!.damaged).toBe(error === 'PAYLOAD_CORRUPT');
    }
  });

  test.each(vectors.keyed)('$name', ({ key, counter, hex, ok }) => {
    const frame = Buffer.from(hex, 'hex');
    const tag = naive.tagOf(Buffer.from(key, 'hex'), BigInt(counter), frame);
    expect(tag === frame.readBigUInt64LE(32)).toBe(ok);
  });
});

test(
  'the kept corpus and some thousand inputs more break no rule, in any target',
  FUZZ_TIMES,
  () => {
    const { code, stdout, stderr } = fuzz('--executions', '3000');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const target of readdirSync(CORPUS)) {
      const kept = readdirSync(new URL(`${target}/`, CORPUS)).length;
      expect(kept, target).toBeGreaterThan(5);
      expect(stdout).toContain(`${target}: seed 1, 3000 executions`);
    }
    expect(readdirSync(CORPUS)).toEqual([
      ...['config', 'decoder', 'handshake', 'ingest', 'subject', 'toml', 'yaml'],
    ]);
  },
);

test.each([
  ['decoder', '3'],
  ['ingest', '3'],
])(
  'guided by edges it finds a bug planted in the way of %s, and the seed finds it again; without guidance it does not',
  FUZZ_TIMES,
  (target, seed) => {
    const args = ['--target', target, '--planted', '--seed', seed, '--executions'];
    const first = fuzz(...args, '100000');
    expect(first.code, first.stdout).toBe(1);
    const found = /FOUND after (\d+) executions, seed \d+[^]*input [0-9a-f]+\n/.exec(first.stdout);
    expect(found, first.stdout).not.toBeNull();
    const again = fuzz(...args, '100000');
    expect(/FOUND[^]*/.exec(again.stdout)?.[0]).toBe(/FOUND[^]*/.exec(first.stdout)![0]);
    expect(first.stdout.match(/after \d+: \d+ edges/g)!.length).toBeGreaterThan(5);
    const blind = fuzz(...args, found![1]!, '--blind');
    expect(blind.code, blind.stdout).toBe(0);
  },
);
