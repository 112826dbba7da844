/** Configurations from texts, on a large machine, with a file system that is only a table. */
import { posix } from 'node:path';
import type { FileContent, Files, Place } from '../../../src/config/files.js';
import {
  loadConfiguration,
  type Configuration,
  type ConfigurationSources,
} from '../../../src/config/load.js';
import type { Machine } from '../../../src/config/machine.js';
import { GIB } from '../../../src/config/units.js';
import { MemoryStreamerError } from '../../../src/errors.js';

export const LARGE: Machine = {
  memoryBytes: 64 * GIB,
  openFilesMax: 1_048_576,
  cpus: 8,
  availableBytes: 48 * GIB,
  nodes: 1,
};

const REGULAR = 0o100000;
const FOLDER = 0o040000;
const LINK = 0o120000;

export interface FakeFile {
  /** Text or bytes; or where a link leads; of a folder neither. */
  readonly content?: string | Uint8Array;
  readonly link?: string;
  readonly mode?: number;
  readonly uid?: number;
}

/**
 * Files by whole path; `mode` is what `stat` says, of a regular file by default. Folders that are not there by themselves
 * are root's, as links are.
 */
export function fakeFiles(table: Readonly<Record<string, string | Uint8Array | FakeFile>>): Files {
  const fail = (code: string, path: string): never => {
    throw Object.assign(new Error(`${code}: ${path}`), { code });
  };
  const at = (path: string): FakeFile | undefined => {
    const found = table[path];
    return typeof found === 'string' || found instanceof Uint8Array ? { content: found } : found;
  };
  const isFolder = (path: string) =>
    path === '/' || Object.keys(table).some((name) => name.startsWith(`${path}/`));
  const realPath = (path: string): string => {
    const whole = posix.resolve('/', path);
    for (let end = whole.length; end > 0; end = whole.lastIndexOf('/', end - 1)) {
      const link = at(whole.slice(0, end))?.link;
      if (link !== undefined) return realPath(link + whole.slice(end));
    }
    if (at(whole) === undefined && !isFolder(whole)) fail('ENOENT', path);
    return whole;
  };
  const print = (path: string) => JSON.stringify(table[path] ?? path);
  return {
    realPath,
    print,
    look(path): Place {
      const { content, link, mode, uid = 0 } = at(path) ?? {};
      if (link !== undefined) return { mode: LINK | 0o777, uid, target: link };
      if (isFolder(path)) return { mode: FOLDER | (mode ?? 0o755), uid };
      if (content === undefined) fail('ENOENT', path);
      return { mode: REGULAR | (mode ?? 0o600), uid };
    },
    list(folder) {
      const prefix = `${realPath(folder)}/`;
      const names = Object.keys(table).filter((path) => path.startsWith(prefix));
      return [...new Set(names.map((path) => path.slice(prefix.length).split('/')[0]!))];
    },
    read(path): FileContent {
      const { content = fail('EISDIR', path), mode = 0o600, uid = 1000 } = at(realPath(path)) ?? {};
      const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
      return { bytes, mode: mode > 0o7777 ? mode : REGULAR | mode, uid, print: print(path) };
    },
  };
}

export interface Given extends Partial<ConfigurationSources> {
  /** Of `/etc/ms/b.json`, which `--config` then names. */
  readonly file?: string | Uint8Array;
  /** The same with another ending. */
  readonly yaml?: string;
  readonly toml?: string;
}

export function load(given: Given = {}): Promise<Configuration> {
  const { file, yaml, toml, argv = [], env = {}, ...rest } = given;
  const named = { '/b.json': file, '/b.yaml': yaml, '/b.toml': toml };
  const there = Object.entries(named).filter(([, text]) => text !== undefined);
  return loadConfiguration({
    argv: [...there.flatMap(([path]) => ['--config', path]), ...argv],
    env,
    machine: LARGE,
    uid: 1000,
    files: fakeFiles(Object.fromEntries(there) as Record<string, string>),
    ...rest,
  });
}

/** The lines of what is refused; none where nothing is. */
export async function faultsOf(given: Given): Promise<string[]> {
  try {
    await load(given);
  } catch (error) {
    if (!(error instanceof MemoryStreamerError) || error.code !== 'MS_ERR_CONFIG') throw error;
    return error.message.split('\n');
  }
  return [];
}
