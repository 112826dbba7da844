import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

export interface Ended {
  code: number | null;
  stdout: Buffer;
  stderr: string;
}

/** A command of the built package. */
export class Command {
  readonly process: ChildProcessWithoutNullStreams;
  readonly ended: Promise<Ended>;
  #stdout: Buffer[] = [];
  #stderr = '';
  #waiters: { text: string; resolve: () => void; reject: (error: Error) => void }[] = [];

  constructor(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    this.process = spawn(process.execPath, [MAIN, ...args], { env: { ...process.env, ...env } });
    this.process.stdin.on('error', () => undefined);
    this.process.stdout.on('data', (bytes: Buffer) => this.#stdout.push(bytes));
    this.process.stderr.on('data', (bytes: Buffer) => {
      this.#stderr += bytes.toString();
      this.#waiters = this.#waiters.filter(({ text, resolve }) => {
        if (!this.#stderr.includes(text)) return true;
        resolve();
        return false;
      });
    });
    this.ended = new Promise((resolve) => {
      this.process.on('close', (code) => {
        const error = new Error(`ended with ${String(code)}: ${this.#stderr}`);
        for (const { reject } of this.#waiters.splice(0)) reject(error);
        resolve({ code, stdout: Buffer.concat(this.#stdout), stderr: this.#stderr });
      });
    });
  }

  /** Resolves once standard error has said `text`; rejects where the command ends before. */
  said(text: string): Promise<void> {
    if (this.#stderr.includes(text)) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiters.push({ text, resolve, reject }));
  }
}

/** Runs a command to its end with `input` as standard input. */
export async function runCommand(
  args: readonly string[],
  input: string | Uint8Array = '',
  env: NodeJS.ProcessEnv = {},
): Promise<Ended> {
  const command = new Command(args, env);
  command.process.stdin.end(input);
  return command.ended;
}
