/**
 * Reads several files as they stood at one moment, though others may write them or exchange a link meanwhile.
 *
 * Invariant: where `changed()` answers undefined, everything that was read through this was there at once.
 */
import type { Files, FileContent, Place } from './files.js';

export class SteadyFiles implements Files {
  readonly #files: Files;
  /** By path: what it was like when it was read first. */
  readonly #prints = new Map<string, string>();

  constructor(files: Files) {
    this.#files = files;
  }

  read(path: string, bytesMax: number): FileContent {
    try {
      const content = this.#files.read(path, bytesMax);
      this.#note(path, content.print);
      return content;
    } catch {
      // What cannot be read tells no print: it is taken first then, and the file may be there by now.
      this.#note(path, this.#files.print(path));
      return this.#files.read(path, bytesMax);
    }
  }

  list(folder: string): string[] {
    this.#note(folder, this.#files.print(folder));
    return this.#files.list(folder);
  }

  realPath(path: string): string {
    return this.#files.realPath(path);
  }

  look(path: string): Place {
    return this.#files.look(path);
  }

  print(path: string): string {
    return this.#files.print(path);
  }

  /** One that is not now as it was when it was read, if there is one. */
  changed(): string | undefined {
    for (const [path, print] of this.#prints) {
      if (this.#files.print(path) !== print) return path;
    }
    return undefined;
  }

  #note(path: string, print: string): void {
    if (!this.#prints.has(path)) this.#prints.set(path, print);
  }
}
