/** How a command ends: its exit code, and the line that says why. */
import { MemoryStreamerError, type ErrorCode } from '../errors.js';

export const EXIT_DONE = 0;
export const EXIT_FAULT = 1;
export const EXIT_USAGE = 2;
export const EXIT_CONFIG = 3;
export const EXIT_UNREACHABLE = 4;
export const EXIT_REFUSED = 5;

/** What is not listed is a fault. */
const EXIT_CODES: Partial<Record<ErrorCode, number>> = {
  MS_ERR_USAGE: EXIT_USAGE,
  MS_ERR_SUBJECT: EXIT_USAGE,
  MS_ERR_CONFIG: EXIT_CONFIG,
  MS_ERR_LISTEN: EXIT_UNREACHABLE,
  MS_ERR_UNREACHABLE: EXIT_UNREACHABLE,
  MS_ERR_CONNECTION_LOST: EXIT_UNREACHABLE,
  MS_ERR_TIMEOUT: EXIT_UNREACHABLE,
  MS_ERR_REFUSED: EXIT_REFUSED,
  MS_ERR_UNTRUSTED: EXIT_REFUSED,
};

export function exitCodeOf(error: unknown): number {
  return error instanceof MemoryStreamerError ? (EXIT_CODES[error.code] ?? EXIT_FAULT) : EXIT_FAULT;
}

/**
 * `memorystreamer: message (CODE)`, once for each line of the message, with a line's end. An error that is
 * none of ours is a bug, and its stack follows.
 */
export function errorText(error: unknown): string {
  if (error instanceof MemoryStreamerError) {
    const lines = error.message.split('\n');
    return lines.map((line) => `memorystreamer: ${line} (${error.code})\n`).join('');
  }
  if (!(error instanceof Error)) return `memorystreamer: ${String(error)} (unexpected)\n`;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name;
  const firstLine = error.message.split('\n', 1).join('');
  return `memorystreamer: ${firstLine} (${code})\n${error.stack ?? ''}\n`;
}
