import { expect, test } from 'vitest';
import { parseBench } from '../../../src/cli/bench/options.js';

const parse = (...argv: string[]) => parseBench([...argv, '--url', 'ms://h:1'])!;

test('without flags: one connection, one thread, ten seconds; sub waits for ever', () => {
  const pub = parse('pub');
  expect(pub).toMatchObject({ subject: 'bench', connections: 1, sizeBytes: 128, ack: 'bulk' });
  expect(pub).toMatchObject({ durationMs: 10_000, rate: undefined, count: undefined });
  expect(pub.tasks.map(({ subjects }) => subjects)).toEqual([['bench']]);
  expect(parse('sub').durationMs).toBeUndefined();
  expect(parse('latency')).toMatchObject({ rate: 1000, durationMs: 10_000 });
  expect(parse('rtt').tasks[0]!.subjects).toEqual(['bench.rtt.1']);
});

test('a count needs no duration, and both may be given', () => {
  expect(parse('pub', '--count', '5')).toMatchObject({ count: 5, durationMs: undefined });
  const both = parse('pub', '--count', '5', '--duration', '2s');
  expect(both).toMatchObject({ count: 5, durationMs: 2000 });
});

test('connections, frames and rate are shared out among threads', () => {
  const args = ['--connections', '5', '--threads', '2', '--count', '9', '--rate', '1000'];
  const { tasks } = parse('pub', 's', ...args, '--streams', '3');
  expect(tasks.map(({ subjects }) => subjects)).toEqual([
    ['s.1', 's.2'],
    ['s.3', 's.1', 's.2'],
  ]);
  expect(tasks.map(({ count }) => count)).toEqual([4, 5]);
  expect(tasks.map(({ rate }) => rate)).toEqual([400, 600]);
});

test('every pair has streams of its own, and all threads are of one run', () => {
  const { tasks } = parse('latency', 's', '--connections', '3', '--threads', '2');
  expect(tasks.flatMap(({ subjects }) => subjects)).toEqual([
    's.latency.1',
    's.latency.2',
    's.latency.3',
  ]);
  expect(new Set(tasks.map(({ run }) => run)).size).toBe(1);
  expect(parse('latency').tasks[0]!.run).not.toBe(parse('latency').tasks[0]!.run);
});

test('--help wants nothing else to be right', () => {
  expect(parseBench(['--help'])).toBeUndefined();
  expect(parseBench(['speed', '--help'])).toBeUndefined();
});
