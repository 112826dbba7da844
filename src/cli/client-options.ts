/** What the commands that are clients have in common: their address, and numbers in flags. */
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { DEFAULT_URL } from '../client/options.js';
import { MemoryStreamerError } from '../errors.js';

export function usageError(message: string): MemoryStreamerError {
  return new MemoryStreamerError('MS_ERR_USAGE', `${message} (try --help)`);
}

/** As `parseArgs` of Node.js; what it refuses is a MS_ERR_USAGE. */
export function parseFlags<const Config extends ParseArgsConfig>(
  config: Config,
): ReturnType<typeof parseArgs<Config>> {
  try {
    return parseArgs(config);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    // Its first sentence says what is wrong; those that follow are advice for shells.
    throw usageError(
      error.message
        .split(/[.;]\s/, 1)
        .join('')
        .replace(/\.$/, ''),
    );
  }
}

/** `--url`, else MEMORYSTREAMER_URL, else the default. */
export function urlOf(flag: string | undefined): string {
  const fromEnvironment = process.env['MEMORYSTREAMER_URL'];
  return (
    flag ??
    (fromEnvironment === undefined || fromEnvironment === '' ? DEFAULT_URL : fromEnvironment)
  );
}

/** The one positional argument: the subject. */
export function subjectOf(command: string, positionals: readonly string[]): string {
  const [subject] = positionals;
  if (subject !== undefined && positionals.length === 1) return subject;
  throw usageError(`${command} takes one SUBJECT, not ${positionals.length}`);
}

/** A whole number of `min` … `max`, or undefined where the flag is not given. */
export function numberOf(
  flag: string,
  value: string | undefined,
  min: number,
  max: number,
): number | undefined {
  if (value === undefined) return undefined;
  const number = Number(value);
  if (/^[0-9]+$/.test(value) && number >= min && number <= max) return number;
  throw usageError(
    `--${flag} ${JSON.stringify(value)}: a whole number from ${min} to ${max} is wanted`,
  );
}
