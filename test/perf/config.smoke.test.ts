import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { runNode } from '../cli/processes.js';

const BENCHMARK = fileURLToPath(new URL('../../perf/config.mjs', import.meta.url));

/** Eighteen processes, one after the other, on a machine that may have other things to do. */
const DEADLINE_MS = 240_000;

test(
  'a configuration’s costs are measured for one file, ten and a folder of each kind',
  () => {
    const { code, stdout, stderr } = runNode([BENCHMARK, '--smoke'], {}, DEADLINE_MS);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const rows = stdout.split('\n').filter((line) => /^(?:\d+|conf\.d) [a-z]+ /.test(line));
    const endings = ['json', 'yaml', 'toml'];
    expect(rows.map((row) => row.split('  ')[0]!.trim())).toEqual(
      endings.flatMap((ending) => [`1 ${ending}`, `10 ${ending}`, `conf.d ${ending}`]),
    );
    for (const row of rows) {
      expect(row).toMatch(
        /^(?:\d+|conf\.d) [a-z]+( +[\d.,]+){2} +[\d.]+ … [\d.]+( +-?[\d.,]+){5}$/,
      );
    }
  },
  DEADLINE_MS,
);
