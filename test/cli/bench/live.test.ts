import { expect, test, vi } from 'vitest';
import { Board } from '../../../src/cli/bench/board.js';
import { liveLine, startLive } from '../../../src/cli/bench/live.js';

test('a line says the rate since the one before, and all that came', () => {
  const board = new Board();
  const line = liveLine('pub', [board], 1000);
  board.add('sent', 500);
  expect(line(1500)).toBe('pub 0.5s  1,000/s  500 frames');
  board.add('sent', 100);
  expect(line(3500)).toBe('pub 2.5s  50/s  600 frames');
  expect(line(3500)).toBe('pub 2.5s  0/s  600 frames');
});

test('what was skipped and the times so far are in it', () => {
  const board = new Board();
  const line = liveLine('latency', [board], 0);
  board.add('sent', 99);
  board.add('received', 10);
  board.add('skipped', 3);
  board.times.record(50_000, 10);
  expect(line(1000)).toBe(
    'latency 1.0s  10/s  10 frames  3 skipped  p50 50.0us  p99 50.0us  max 50.0us',
  );
});

test('on a terminal the line is written over again, no longer than the terminal is wide, and taken away', () => {
  vi.useFakeTimers();
  try {
    const board = new Board();
    board.times.record(50_000, 10);
    const written: string[] = [];
    const terminal = { isTTY: true, columns: 30, write: (text: string) => written.push(text) };
    const end = startLive('rtt', [board], terminal);
    vi.advanceTimersByTime(1100);
    end();
    vi.advanceTimersByTime(1100);
    expect(written).toHaveLength(5);
    for (const text of written) expect(text.startsWith('\r\u001b[K')).toBe(true);
    expect(written[0]).toHaveLength(4 + 29);
    expect(written[4]).toBe('\r\u001b[K');
  } finally {
    vi.useRealTimers();
  }
});

test('elsewhere nothing is written', () => {
  vi.useFakeTimers();
  try {
    const written: string[] = [];
    const write = (text: string) => written.push(text);
    const end = startLive('rtt', [new Board()], { write });
    vi.advanceTimersByTime(1100);
    end();
    expect(written).toEqual([]);
    // Where nobody knows how wide a terminal is.
    const endToo = startLive('rtt', [new Board()], { isTTY: true, write });
    vi.advanceTimersByTime(300);
    endToo();
    expect(written).toHaveLength(2);
  } finally {
    vi.useRealTimers();
  }
});
