/** Configuration files: which there are, reading them within a limit, and their format by their name. */
import { isUtf8 } from 'node:buffer';
import {
  closeSync,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  realpathSync,
  statSync,
  type Stats,
} from 'node:fs';
import { basename, dirname, extname, join, sep } from 'node:path';
import { Faults, oneLine } from './faults.js';
import { readJson } from './json.js';
import { lineAndColumn, SyntaxFault, type ConfigNode, type GroupNode } from './node.js';

/** A file longer than this is refused. */
export const FILE_BYTES_MAX = 128 * 1024;
/** More files than this are refused. */
export const FILES_MAX = 256;

export interface FileContent {
  readonly bytes: Uint8Array;
  /** Type and permissions, as `stat` has them. */
  readonly mode: number;
  readonly uid: number;
  /** As `Files.print` tells it of what was read. */
  readonly print: string;
}

/** What stands at a path itself, be it a link. */
export interface Place {
  /** Type and permissions, as `lstat` has them. */
  readonly mode: number;
  readonly uid: number;
  /** Of a link: where it leads, as it is written. */
  readonly target?: string;
}

/** The file system, as far as a configuration needs it; what fails throws. */
export interface Files {
  /** May stop one byte after `bytesMax`. */
  read(path: string, bytesMax: number): FileContent;
  list(folder: string): string[];
  realPath(path: string): string;
  look(path: string): Place;
  /** A text that is another one once the file or folder that `path` leads to has changed; throws nothing. */
  print(path: string): string;
}

export const realFiles: Files = {
  read(path, bytesMax) {
    const fd = openSync(path, 'r');
    try {
      const found = fstatSync(fd);
      const { mode, uid, size } = found;
      // Pipes and devices tell no size; a file that grows meanwhile is read up to the size that it had.
      const wanted = size > 0 ? Math.min(size, bytesMax + 1) : bytesMax + 1;
      return { bytes: readUpTo(fd, wanted), mode, uid, print: printOf(found) };
    } finally {
      closeSync(fd);
    }
  },
  list: (folder) => readdirSync(folder),
  realPath: (path) => realpathSync(path),
  look(path) {
    const found = lstatSync(path);
    const { mode, uid } = found;
    return found.isSymbolicLink() ? { mode, uid, target: readlinkSync(path) } : { mode, uid };
  },
  print(path) {
    try {
      return printOf(statSync(path));
    } catch (error) {
      return causeOf(error);
    }
  },
};

function printOf(found: Stats): string {
  // A pipe that is written to is another one by then, and is read once for all that.
  if (!found.isFile() && !found.isDirectory()) return 'neither file nor folder';
  const { dev, ino, size, mtimeMs, ctimeMs } = found;
  return `${dev} ${ino} ${size} ${mtimeMs} ${ctimeMs}`;
}

function readUpTo(fd: number, bytesMax: number): Uint8Array {
  const bytes = new Uint8Array(bytesMax);
  let filled = 0;
  while (filled < bytes.length) {
    const count = readSync(fd, bytes, filled, bytes.length - filled, null);
    if (count === 0) break;
    filled += count;
  }
  return bytes.subarray(0, filled);
}

/** A file that could be read. */
export interface Document {
  readonly path: string;
  readonly text: string;
  /** Type and permissions of the file. */
  readonly mode: number;
  readonly root: GroupNode;
}

type Reader = (text: string) => ConfigNode;

/** By the ending of a file's name. A parser that is large is loaded with the first file that wants it. */
const READERS: ReadonlyMap<string, () => Promise<Reader>> = new Map([
  ['.json', () => Promise.resolve(readJson)],
  ['.yaml', async () => (await import('./yaml.js')).readYaml],
  ['.yml', async () => (await import('./yaml.js')).readYaml],
  ['.toml', async () => (await import('./toml.js')).readToml],
]);

/** Those that have been: to import a module again takes Node.js as long as a small file takes to read. */
const loaded = new Map<string, Reader>();

async function readerOf(path: string): Promise<Reader> {
  const name = extname(path).toLowerCase();
  const ending = READERS.has(name) ? name : '.json';
  const reader = loaded.get(ending) ?? (await READERS.get(ending)!());
  loaded.set(ending, reader);
  return reader;
}

/** What `path` holds, by its name as JSON, YAML or TOML, and any other name as JSON; undefined after a fault. */
export async function readDocument(
  path: string,
  files: Files,
  faults: Faults,
): Promise<Document | undefined> {
  const content = contentOf(path, files, faults);
  const text = content && textOf(path, content, faults);
  if (text === undefined) return undefined;
  const reader = await readerOf(path);
  let root: ConfigNode;
  try {
    root = reader(text);
  } catch (error) {
    faults.add(`${path}:${faultPlace(text, error)}`, reason(error));
    return undefined;
  }
  if (root.kind === 'group') return { path, text, root, mode: content!.mode };
  faults.add(`${path}:${lineAndColumn(text, root.at)}`, 'an object with keys is expected');
  return undefined;
}

function faultPlace(text: string, error: unknown): string {
  return lineAndColumn(text, error instanceof SyntaxFault ? error.at : 0);
}

function reason(error: unknown): string {
  return error instanceof SyntaxFault ? error.message : `cannot be understood: ${causeOf(error)}`;
}

function contentOf(path: string, files: Files, faults: Faults): FileContent | undefined {
  try {
    return files.read(path, FILE_BYTES_MAX);
  } catch (error) {
    faults.add(path, `cannot be read: ${causeOf(error)}; a readable file in UTF-8 is expected`);
    return undefined;
  }
}

function textOf(path: string, { bytes }: FileContent, faults: Faults): string | undefined {
  if (bytes.length > FILE_BYTES_MAX) {
    faults.add(path, `is too large; allowed: at most ${FILE_BYTES_MAX} bytes`);
    return undefined;
  }
  if (!isUtf8(bytes)) {
    faults.add(path, 'cannot be read: it is not UTF-8; a readable file in UTF-8 is expected');
    return undefined;
  }
  const text = withoutMark(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString());
  const control = CONTROL.exec(text);
  if (control === null) return text;
  const code = control[0].charCodeAt(0).toString(16).padStart(4, '0').toUpperCase();
  const place = lineAndColumn(text, control.index);
  faults.add(`${path}:${place}`, `the control character U+${code} is refused`);
  return undefined;
}

// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/;

/** Some editors begin a file with a byte order mark. */
function withoutMark(text: string): string {
  return text.startsWith('\ufeff') ? text.slice(1) : text;
}

/** What a failed call of the file system says: its code, without the path that the caller names. */
export function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return 'code' in error && typeof error.code === 'string' ? error.code : oneLine(error.message);
}

/**
 * The files of a `conf.d` folder by name: those with a known ending. Hidden ones are left out, as Kubernetes'
 * `..data` and editors' own are. A link may not lead out of the folder.
 */
export function filesIn(
  folder: string,
  files: Files,
  faults: Faults,
  warnings: string[],
): string[] {
  let names: string[];
  let home: string;
  try {
    names = files.list(folder).sort();
    home = files.realPath(folder);
  } catch (error) {
    faults.add(folder, `cannot be read: ${causeOf(error)}; a readable folder is expected`);
    return [];
  }
  const found: string[] = [];
  for (const name of names) {
    const path = join(folder, name);
    if (name.startsWith('.') || name.endsWith('~')) continue;
    if (!READERS.has(extname(name).toLowerCase())) {
      warnings.push(oneLine(`${path}: is not read: its name ends in none of ${endings()}`));
    } else if (isInside(home, path, files, faults)) {
      found.push(path);
    }
  }
  return found;
}

function endings(): string {
  return [...READERS.keys()].join(', ');
}

function isInside(home: string, path: string, files: Files, faults: Faults): boolean {
  try {
    const real = files.realPath(path);
    if (leadsOut(home, real)) faults.add(path, 'is a link that leads out of its folder');
    else return true;
  } catch (error) {
    faults.add(path, `cannot be read: ${causeOf(error)}`);
  }
  return false;
}

/** Whether a real path lies outside of a real folder. */
export function leadsOut(home: string, real: string): boolean {
  return !real.startsWith(home.endsWith(sep) ? home : home + sep);
}

/** The folder that relative paths in a file begin at. */
export function folderOf(path: string): string {
  return basename(path) === path ? '.' : dirname(path);
}
