/** The line that is written over again while a bench runs, where a person can see it. */
import { systemClock } from '../../clock.js';
import { countText, durationText } from '../figures.js';
import { summed, type Board, type Counts } from './board.js';
import type { BenchKind } from './task.js';

const EVERY_MS = 250;
const WIDTH = 80;
/** Back to the line's beginning, and nothing more on it. */
const CLEAR = '\r\u001b[K';

export interface LiveTerminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Begins to show what the boards say; answers how to end it. Does nothing where there is no terminal. */
export function startLive(
  kind: BenchKind,
  boards: readonly Board[],
  terminal: LiveTerminal,
): () => void {
  if (terminal.isTTY !== true) return () => undefined;
  const line = liveLine(kind, boards, systemClock.monotonicMs());
  const timer = setInterval(() => {
    const text = line(systemClock.monotonicMs());
    terminal.write(CLEAR + text.slice(0, (terminal.columns ?? WIDTH) - 1));
  }, EVERY_MS);
  return () => {
    clearInterval(timer);
    terminal.write(CLEAR);
  };
}

/** What the line says at a time (ms, monotonic): rates are those since the line before. */
export function liveLine(
  kind: BenchKind,
  boards: readonly Board[],
  startMs: number,
): (nowMs: number) => string {
  let beforeMs = startMs;
  let before = progressOf(kind, summed(boards).counts);
  return (nowMs) => {
    const { counts, times } = summed(boards);
    const frames = progressOf(kind, counts);
    const seconds = (nowMs - beforeMs) / 1000;
    const rate = seconds > 0 ? Math.max(0, frames - before) / seconds : 0;
    [beforeMs, before] = [nowMs, frames];
    const parts = [
      `${kind} ${((nowMs - startMs) / 1000).toFixed(1)}s`,
      `${countText(rate)}/s`,
      `${countText(frames)} frames`,
      ...(counts.skipped > 0 ? [`${countText(counts.skipped)} skipped`] : []),
    ];
    if (times.count > 0) {
      const [p50, p99] = [0.5, 0.99].map((part) => durationText(times.valueAt(part)));
      parts.push(`p50 ${p50}`, `p99 ${p99}`, `max ${durationText(times.max)}`);
    }
    return parts.join('  ');
  };
}

function progressOf(kind: BenchKind, { sent, received }: Counts): number {
  return kind === 'pub' ? sent : received;
}
