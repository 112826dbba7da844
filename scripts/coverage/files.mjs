import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';

/** Paths from `root` of the files below `folder` whose names end so, sorted. */
export function filesBelow(root, folder, ending) {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
    .map((entry) => relative(root, join(entry.parentPath ?? entry.path, entry.name)))
    .sort();
}
