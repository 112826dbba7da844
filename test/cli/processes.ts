/** Commands as processes of their own, from the build in dist/. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export const ENTRY = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
export const FAKE_BROKER = fileURLToPath(new URL('fixtures/fake-broker.mjs', import.meta.url));
export const PRETEND = new URL('fixtures/pretend.mjs', import.meta.url).href;

const DEADLINE_MS = 60_000;

export interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs node with `argv` to its end. The environment is the given one, and the path to programs. */
export function runNode(
  argv: readonly string[],
  env: NodeJS.ProcessEnv = {},
  deadlineMs = DEADLINE_MS,
): Outcome {
  const { status, stdout, stderr } = spawnSync(process.execPath, argv, {
    env: { PATH: process.env['PATH'], ...env },
    encoding: 'utf8',
    input: '',
    timeout: deadlineMs,
  });
  return { code: status, stdout, stderr };
}

/** Runs `memorystreamer` with `argv` to its end. */
export function runEntry(argv: readonly string[], env: NodeJS.ProcessEnv = {}): Outcome {
  return runNode([ENTRY, ...argv], env);
}

/** A process that is talked to while it runs. */
export class Running {
  stdout = '';
  stderr = '';
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown[]>;
  #isClosed = false;
  #changed: () => void = () => undefined;

  constructor(argv: readonly string[], env: NodeJS.ProcessEnv = {}) {
    this.#child = spawn(process.execPath, argv, {
      env: { PATH: process.env['PATH'], ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: DEADLINE_MS,
      killSignal: 'SIGKILL',
    });
    this.#child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
      this.#changed();
    });
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
      this.#changed();
    });
    this.#closed = once(this.#child, 'close');
    this.#child.on('close', () => {
      this.#isClosed = true;
      this.#changed();
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  send(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Resolves once `text` was printed; rejects when the process ends without it. */
  async until(stream: 'stdout' | 'stderr', text: string): Promise<void> {
    while (!this[stream].includes(text)) {
      if (this.#isClosed) throw new Error(`ended without "${text}": ${this.stdout}${this.stderr}`);
      await new Promise<void>((resolve) => (this.#changed = resolve));
    }
  }

  /** The exit code, or null where a signal ended the process. */
  async code(): Promise<number | null> {
    const [code] = await this.#closed;
    return code as number | null;
  }
}
