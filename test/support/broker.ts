/**
 * The built broker as a child process on a free port. Every one that a test starts is ended by
 * `endBrokers()`, by its own pid, whatever the test did.
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { Watched } from './watched.js';

export const ROOT = join(import.meta.dirname, '..', '..');
export const MAIN = join(ROOT, 'dist', 'main.js');
const START_MS = 15_000;
/** What is still kept of the log when a test fails. */
const TAIL_LINES = 20;
const MIB = 1024 * 1024;

export interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly [field: string]: unknown;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const running = new Set<Broker>();

export class Broker {
  readonly logs: LogLine[] = [];
  /** Standard error that is no JSON. */
  readonly complaints: string[] = [];
  port = 0;
  exit: Exit | undefined;
  readonly #child: ChildProcessByStdio<null, Readable, Readable>;
  readonly #watched = new Watched();
  #output = '';
  #errors = '';

  /**
   * @param port 0: a free one
   * @param main of another build
   */
  constructor(args: readonly string[], port = 0, main = MAIN) {
    if (!existsSync(main)) throw new Error(`${main} is missing: npm run build`);
    this.#child = spawn(process.execPath, [main, '--port', `${port}`, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: environment(),
    });
    running.add(this);
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => this.#hearOutput(text));
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => this.#hearErrors(text));
    // Not `exit`: what was written last is read before `close`.
    this.#child.once('close', (code, signal) => {
      this.exit = { code, signal };
      running.delete(this);
      this.#watched.changed();
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get output(): string {
    return this.#output;
  }

  get url(): string {
    return `ms://127.0.0.1:${this.port}`;
  }

  #hearOutput(text: string): void {
    this.#output += text;
    const ready = /^memorystreamer ready url=\S*:(\d+) shards=\d+ pid=\d+$/m.exec(this.#output);
    if (ready) this.port = Number(ready[1]);
    this.#watched.changed();
  }

  #hearErrors(text: string): void {
    const lines = (this.#errors + text).split('\n');
    this.#errors = lines.pop()!;
    for (const line of lines) {
      if (line.startsWith('{')) this.logs.push(JSON.parse(line) as LogLine);
      else if (line !== '') this.complaints.push(line);
    }
    this.#watched.changed();
  }

  /** Resolves once `isTrue` holds; looked at after everything that the process says, and at its end. */
  async until(isTrue: () => boolean, what: string, timeoutMs?: number): Promise<void> {
    await this.#watched.until(isTrue, () => `${what}\n${this.#story()}`, timeoutMs);
  }

  #story(): string {
    const lines = [...this.complaints, ...this.logs.map((line) => JSON.stringify(line))];
    const end = this.exit ? `ended: ${JSON.stringify(this.exit)}` : 'runs';
    return `broker ${this.pid} ${end}; it said:\n${lines.slice(-TAIL_LINES).join('\n')}`;
  }

  async ready(): Promise<void> {
    const isDone = (): boolean => this.port !== 0 || this.exit !== undefined;
    await this.until(isDone, 'the ready line', START_MS);
    if (this.exit) throw new Error(`the broker did not start\n${this.#story()}`);
  }

  linesWith(message: string): LogLine[] {
    return this.logs.filter((line) => line.msg === message);
  }

  /** Resolves once at least `count` lines bear this message. */
  async logged(message: string, count = 1, timeoutMs?: number): Promise<void> {
    const isLogged = (): boolean => this.linesWith(message).length >= count;
    await this.until(isLogged, `${count} × "${message}" in the log`, timeoutMs);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async ended(timeoutMs?: number): Promise<Exit> {
    await this.until(() => this.exit !== undefined, 'the end of the broker', timeoutMs);
    return this.exit!;
  }

  /** SIGTERM, and its end, which is an orderly one. */
  async stop(): Promise<void> {
    this.signal('SIGTERM');
    const { code, signal } = await this.ended();
    if (code !== 0) throw new Error(`code ${code}, signal ${signal}\n${this.#story()}`);
  }

  /** A fault was asked for by SIGUSR2, and its shard lives again. */
  async crashOneShard(): Promise<void> {
    const before = this.linesWith('shard replaced').length;
    this.signal('SIGUSR2');
    await this.logged('shard replaced', before + 1);
  }

  /** File descriptors that the process has open now. */
  get fdCount(): number {
    return readdirSync(`/proc/${this.pid}/fd`).length;
  }

  get residentMib(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
    return (Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)![1]) * 1024) / MIB;
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.ended();
  }
}

/** No key of the configuration comes from the environment in which the tests run. */
function environment(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env);
  return Object.fromEntries(entries.filter(([name]) => !name.startsWith('MEMORYSTREAMER_')));
}

/** Starts a broker with these flags, and resolves once it listens. */
export async function startBroker(...args: string[]): Promise<Broker> {
  const broker = new Broker(args);
  await broker.ready();
  return broker;
}

/** For `afterEach`. */
export async function endBrokers(): Promise<void> {
  await Promise.all([...running].map((broker) => broker.kill()));
}
