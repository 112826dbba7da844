// The lines that a broker logs, as objects, for who waits for some of them.
import { createInterface } from 'node:readline';
import { clearTimeout, setTimeout } from 'node:timers';

const TIMEOUT_MS = 15_000;

/** Reads what `start` began, from now on. */
export class LogLines {
  #handle;
  #heard = new Set();

  constructor(handle) {
    this.#handle = handle;
    createInterface({ input: handle.child.stderr }).on('line', (text) => {
      if (!text.startsWith('{')) return;
      const line = JSON.parse(text);
      for (const hear of this.#heard) hear(line);
    });
  }

  /** The next `count` lines with this message; rejects where they do not come, or the process ends. */
  next(message, count, what) {
    return new Promise((resolve, reject) => {
      const lines = [];
      const hear = (line) => {
        if (line.msg === message) lines.push(line);
        if (lines.length < count) return;
        end();
        resolve(lines);
      };
      const timer = setTimeout(() => fail('it did not come'), TIMEOUT_MS);
      const end = () => {
        clearTimeout(timer);
        this.#heard.delete(hear);
      };
      const fail = (why) => {
        end();
        reject(new Error(`${what}: ${why}. ${this.#handle.stderr.trim()}`.trim()));
      };
      this.#heard.add(hear);
      void this.#handle.ended.then((status) => fail(`it ended (${status})`));
    });
  }
}
