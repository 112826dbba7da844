/** Standard output as a pipe: waits for its reader, and notices when the reader is gone (`| head`). */
import type { Writable } from 'node:stream';
import { MemoryStreamerError } from '../errors.js';

export class Output {
  readonly #stream: Writable;
  readonly #goneListeners: (() => void)[] = [];
  #gone = false;
  #error: Error | undefined;

  constructor(stream: Writable) {
    this.#stream = stream;
    stream.on('error', (error: NodeJS.ErrnoException) => {
      this.#gone = true;
      if (error.code !== 'EPIPE') this.#error = error;
      for (const told of this.#goneListeners.splice(0)) told();
    });
  }

  /** Nobody reads any more. */
  get gone(): boolean {
    return this.#gone;
  }

  /** Calls `told` once, when nobody reads any more. */
  onGone(told: () => void): void {
    this.#goneListeners.push(told);
  }

  /** Resolves when the system has taken all of `bytes`, or nobody reads any more. Throws MS_ERR_SYSTEM for another fault, as a full disk. */
  async write(bytes: Uint8Array): Promise<void> {
    if (bytes.length > 0 && !this.#gone) {
      await new Promise<void>((resolve) => {
        this.#stream.write(bytes, () => resolve());
      });
    }
    const error = this.#error;
    if (error === undefined) return;
    throw new MemoryStreamerError('MS_ERR_SYSTEM', `standard output: ${error.message}`, {
      cause: error,
    });
  }
}
