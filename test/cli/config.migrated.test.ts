// What the commands say of a file that was written for an older version of the names, here with steps that are made up.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, expect, test, vi } from 'vitest';
import { runConfig } from '../../src/cli/config.js';
import { STEPS, type Step } from '../../src/config/migrate.js';

// Each file of tests has modules of its own.
(STEPS as Step[]).push(
  { renamed: { workers: 'shards' } },
  { renamed: { 'net.port': 'listen.port' } },
);

const folder = mkdtempSync(join(tmpdir(), 'config-'));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const machine = file('machine.json', '{"memoryBytes": 68719476736, "cpus": 8}');
const old = file('old.yaml', 'configVersion: 1\nworkers: 2\nnet: {port: 7}\n');
let said: { output: string; errors: string };

beforeEach(() => {
  said = { output: '', errors: '' };
  const to = (name: keyof typeof said) => (text: string | Uint8Array) => {
    said[name] += String(text);
    return true;
  };
  const spies = [
    vi.spyOn(process.stdout, 'write').mockImplementation(to('output')),
    vi.spyOn(process.stderr, 'write').mockImplementation(to('errors')),
  ];
  return () => {
    for (const spy of spies) spy.mockRestore();
  };
});

const TOLD = [
  `memorystreamer: warning: ${old}:2:1: workers: is called shards now`,
  `memorystreamer: warning: ${old}:3:7: net.port: is called listen.port now`,
];

test('check tells what has another name now, and where, and takes it', async () => {
  expect(await runConfig(['check', old, '--machine', machine])).toBe(0);
  expect(said.errors.trimEnd().split('\n')).toEqual(TOLD);
  expect(said.output).toMatch(/^ok, 1 path read, digest /);
});

test('print says the same in the names and the version of today, of which there is nothing more to tell', async () => {
  await runConfig(['print', old, '--machine', machine]);
  expect(said.errors.trimEnd().split('\n')).toEqual(TOLD);
  const printed = said.output;
  expect(printed).toMatch(/^configVersion: 3$/m);
  expect(printed.replace(/ +/g, ' ')).toMatch(new RegExp(`^shards: 2 # ${old}:2:10$`, 'm'));
  said = { output: '', errors: '' };
  await runConfig(['print', file('new.yaml', printed), '--machine', machine]);
  expect(said.errors).toBe('');
  const digestOf = (text: string) => /^# digest \w+$/m.exec(text)![0];
  expect(digestOf(said.output)).toBe(digestOf(printed));
});

test('the schema takes the versions that there are', async () => {
  await runConfig(['schema']);
  const { properties } = JSON.parse(said.output) as {
    properties: { configVersion: { maximum: number } };
  };
  expect(properties.configVersion.maximum).toBe(3);
});
