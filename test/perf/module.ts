/** perf/ is plain JavaScript without types: what a test needs of it is said where it is loaded. */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

export const root = join(import.meta.dirname, '..', '..');

/** The module `path` below perf/, as what the caller says it exports. */
export async function perfModule<Exports>(path: string): Promise<Exports> {
  return (await import(pathToFileURL(join(root, 'perf', path)).href)) as Exports;
}
