/**
 * Notices that files of the configuration have changed, however that was done: written in place, renamed over,
 * a symbolic link on their way exchanged, removed and made again, a file more in a folder.
 *
 * The kernel's notices only say when to look. What counts is the print of every path: what it resolves to, that
 * file's inode, size and times. Invariant: a change is told once its print has stood still between two looks,
 * so that a file is not read in the middle of being written if its writer writes on.
 */
import { lstatSync, readdirSync, realpathSync, statSync, watch, type FSWatcher } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { systemClock } from '../clock.js';

/** Between two looks at what has just changed. */
const SETTLE_MS = 50;
/** A writer that never rests is not waited for any longer. */
const SETTLE_MS_MAX = 1_000;
/** Also where the kernel gives no notice, as on network file systems. */
const POLL_MS = 2_000;

export interface WatcherOptions {
  /** Files and folders; asked again after each change. */
  readonly paths: () => readonly string[];
  /** Told that something has changed. */
  readonly changed: () => void;
  /** Told once where the kernel gives no notices, and why. */
  readonly deaf: (reason: string) => void;
}

export class Watcher {
  readonly #options: WatcherOptions;
  readonly #watches = new Map<string, FSWatcher>();
  readonly #poll: NodeJS.Timeout;
  #settling: NodeJS.Timeout | undefined;
  #settlingSince = 0;
  #told: string;
  #seen: string;
  #isDeaf = false;

  constructor(options: WatcherOptions) {
    this.#options = options;
    this.#told = this.#print();
    this.#seen = this.#told;
    this.#watchFolders();
    this.#poll = setInterval(() => this.#look(), POLL_MS).unref();
  }

  close(): void {
    clearInterval(this.#poll);
    clearTimeout(this.#settling);
    for (const each of this.#watches.values()) each.close();
    this.#watches.clear();
  }

  #look(): void {
    if (this.#settling !== undefined) return;
    this.#seen = this.#print();
    if (this.#seen === this.#told) return;
    this.#settlingSince = systemClock.monotonicMs();
    this.#settle();
  }

  #settle(): void {
    this.#settling = setTimeout(() => {
      this.#settling = undefined;
      const now = this.#print();
      const isLong = systemClock.monotonicMs() - this.#settlingSince >= SETTLE_MS_MAX;
      if (now !== this.#seen && !isLong) {
        this.#seen = now;
        this.#settle();
        return;
      }
      this.#told = now;
      this.#watchFolders();
      this.#options.changed();
      // Once more: what happened since the print was taken is another change.
      this.#look();
    }, SETTLE_MS).unref();
  }

  /** What all paths are like now, in one text. */
  #print(): string {
    return this.#options
      .paths()
      .map((path) => printOf(resolve(path)))
      .join('\n');
  }

  /** The folders in which something must happen for a path to change: its own, and that of what it leads to. */
  #watchFolders(): void {
    const wanted = new Set(this.#options.paths().flatMap((path) => foldersOf(resolve(path))));
    for (const [folder, each] of this.#watches) {
      if (wanted.has(folder)) continue;
      each.close();
      this.#watches.delete(folder);
    }
    for (const folder of wanted) {
      if (!this.#watches.has(folder)) this.#watchFolder(folder);
    }
  }

  #watchFolder(folder: string): void {
    try {
      const each = watch(folder, { persistent: false }, () => this.#look());
      each.on('error', () => {
        each.close();
        this.#watches.delete(folder);
      });
      this.#watches.set(folder, each);
    } catch (error) {
      if (this.#isDeaf) return;
      this.#isDeaf = true;
      this.#options.deaf(`${folder}: ${(error as Error).message}`);
    }
  }
}

/** Its target, inode, size and times; of a folder also its names. Empty where there is nothing. */
function printOf(path: string): string {
  try {
    const real = realpathSync(path);
    const { ino, size, mtimeNs, ctimeNs } = statSync(real, { bigint: true });
    const names = statSync(real).isDirectory() ? readdirSync(real).sort() : [];
    return [path, real, ino, size, mtimeNs, ctimeNs, ...names].join(' ');
  } catch {
    return path;
  }
}

function foldersOf(path: string): string[] {
  const folders = [dirname(path)];
  try {
    const real = realpathSync(path);
    folders.push(statSync(real).isDirectory() ? real : dirname(real));
    // A link on the way is exchanged in its own folder.
    for (let at = dirname(path); dirname(at) !== at; at = dirname(at)) {
      if (lstatSync(at).isSymbolicLink()) folders.push(dirname(at));
    }
  } catch {
    // It is not there now; its folder tells when it is.
  }
  return folders;
}
