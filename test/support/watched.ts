/** Something that changes by events, and those who wait for it to be as they want it. */

/** Nothing on this machine takes so long, but for what is broken. */
export const PATIENCE_MS = 20_000;

interface Waiting {
  readonly isTrue: () => boolean;
  readonly done: () => void;
  readonly failed: (error: Error) => void;
}

export class Watched {
  readonly #waiting = new Set<Waiting>();

  /** Says that everybody should look again. */
  changed(): void {
    for (const waiting of [...this.#waiting]) {
      try {
        if (waiting.isTrue()) waiting.done();
      } catch (error) {
        waiting.failed(error instanceof Error ? error : new Error(String(error)));
      }
    }
  }

  /** Resolves once `isTrue` holds; rejects with `what()` when it does not come true in time. */
  async until(
    isTrue: () => boolean,
    what: () => string,
    timeoutMs: number = PATIENCE_MS,
  ): Promise<void> {
    if (isTrue()) return;
    await new Promise<void>((resolve, reject) => {
      const end = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(waiting);
      };
      const waiting: Waiting = {
        isTrue,
        done: () => {
          end();
          resolve();
        },
        failed: (error) => {
          end();
          reject(error);
        },
      };
      const timer = setTimeout(() => {
        waiting.failed(new Error(`not within ${timeoutMs} ms: ${what()}`));
      }, timeoutMs);
      this.#waiting.add(waiting);
    });
  }
}
