/**
 * The log: JSON lines on standard error, or readable text where that is a terminal. Invariant: a line is
 * written before the call that logs it returns, so that the last words before an exit are never lost.
 */
import { createRequire } from 'node:module';
import { pino, type DestinationStream, type Level, type Logger } from 'pino';

export type { Logger } from 'pino';
export type LogLevel = Level | 'silent';

const STANDARD_ERROR_FD = 2;

/** Logs lines of `level` and above. */
export function createLogger(level: LogLevel): Logger {
  const destination = process.stderr.isTTY ? readable() : jsonLines();
  return pino({ level, timestamp: pino.stdTimeFunctions.isoTime }, destination);
}

function jsonLines(): DestinationStream {
  const destination = pino.destination({ dest: STANDARD_ERROR_FD, sync: true });
  // Whoever read the log has gone: that ends the log, not the broker.
  destination.on('error', () => undefined);
  return destination;
}

function readable(): DestinationStream {
  // Loaded here and not above: a broker without a terminal never needs it.
  const load = createRequire(import.meta.url);
  const pretty = load('pino-pretty') as typeof import('pino-pretty');
  return pretty({ destination: STANDARD_ERROR_FD, sync: true, ignore: 'hostname' });
}
