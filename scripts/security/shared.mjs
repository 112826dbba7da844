// What the security checks have in common: their command line, the lock file, npm as a child, and how they end.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

export const EXIT_CLEAN = 0;
export const EXIT_FOUND = 1;
/** Wrong flags, or a file that the check needs and that cannot be read. */
export const EXIT_USAGE = 2;
/** Whom the check has to ask gave no answer, and `--require` was given. */
export const EXIT_UNREACHABLE = 3;

const here = dirname(fileURLToPath(import.meta.url));
export const root = join(here, '..', '..');

/** What one of npm's answers may weigh. */
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;

/** Ends the process with code 2. */
export function refuse(message) {
  console.error(message);
  process.exit(EXIT_USAGE);
}

/** Flags of this process; `--folder` is the project that is looked at, this one unless it is given. */
export function flags(options = {}) {
  try {
    const { values } = parseArgs({ options: { folder: { type: 'string' }, ...options } });
    return { ...values, folder: values.folder ?? root };
  } catch (error) {
    return refuse(error.message);
  }
}

/** Of `--timeout-s`. */
export function millisecondsOf(seconds) {
  const timeoutMs = Number(seconds) * 1000;
  return timeoutMs > 0 ? timeoutMs : refuse('--timeout-s: a number of seconds is wanted');
}

/** The JSON in `file`, or the end of the process with code 2. */
export function readJson(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    return refuse(`${file}: cannot be read: ${error.message}`);
  }
}

/** A reviewed list, which lies beside the scripts. */
export function readList(name, given) {
  return readJson(given ?? join(here, name));
}

export function readLock(folder) {
  const lock = readJson(join(folder, 'package-lock.json'));
  if (lock.packages?.[''] === undefined) refuse('package-lock.json: it has no root package');
  return lock;
}

/** The packages of a lock file without the root: name, version, path, and the lock file's entry. */
export function packagesOf(lock) {
  return Object.entries(lock.packages)
    .filter(([path]) => path !== '')
    .map(([path, entry]) => ({
      path,
      entry,
      name: entry.name ?? path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length),
      version: entry.version ?? '',
    }));
}

/**
 * Runs npm in `folder` and answers what it printed as JSON, or why there is none. It ends within `timeoutMs`,
 * killed if it must be: npm itself goes on asking for minutes where a network swallows what it is sent.
 */
export function npmJson(folder, args, timeoutMs) {
  const { status, stdout, stderr, error } = spawnSync('npm', [...args, '--json'], {
    cwd: folder,
    encoding: 'utf8',
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
    maxBuffer: OUTPUT_BYTES_MAX,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (error?.code === 'ETIMEDOUT') return { fault: `no answer within ${timeoutMs / 1000} s` };
  if (error !== undefined) return { fault: `npm cannot be run: ${error.message}` };
  try {
    return { status, answer: JSON.parse(stdout) };
  } catch {
    const line = stderr.split('\n').find((each) => each.startsWith('npm error '));
    return { fault: line?.slice('npm error '.length) ?? `no JSON from npm (exit code ${status})` };
  }
}

/** Prints the findings, or that there are none, and ends with the code for it. */
export function conclude(findings, clean) {
  for (const finding of findings) console.error(finding);
  if (findings.length === 0) console.log(clean);
  process.exitCode = findings.length === 0 ? EXIT_CLEAN : EXIT_FOUND;
}

/** Nobody answered: told as just that, and a failure where an answer is required. */
export function concludeUnreachable(what, fault, isRequired) {
  console.error(`${isRequired ? 'FAILED' : 'WARNING'}: ${what}: ${fault}. Nothing was checked.`);
  process.exitCode = isRequired ? EXIT_UNREACHABLE : EXIT_CLEAN;
}
