/**
 * The way to a file, from the root on: every folder in which a name of it stands, links followed. Whoever can
 * write one of them can put another file in the place of the one that is meant.
 */
import { isAbsolute, join } from 'node:path';
import type { Files } from './files.js';

/** As many as Linux follows. */
const LINKS_MAX = 40;
const OTHERS_WRITE = 0o022;
const STICKY = 0o1000;

/**
 * What speaks against the way to a whole path; undefined where only root and this user can change it. A folder
 * that others can write passes where it is sticky, as /tmp and what Kubernetes mounts are: who does not own what stands
 * in it cannot exchange it. Throws as the file system does where there is no such way.
 */
export function wayFault(path: string, files: Files, ownUid: number): string | undefined {
  const names = namesIn(path);
  let folder = '/';
  let links = 0;
  let fault = folderFault(folder, files, ownUid);
  while (names.length > 0 && fault === undefined) {
    const at = join(folder, names.shift()!);
    const { uid, target } = files.look(at);
    if (target !== undefined) {
      if (++links > LINKS_MAX) throw Object.assign(new Error('too many links'), { code: 'ELOOP' });
      if (isAbsolute(target)) folder = '/';
      names.unshift(...namesIn(target));
      fault = foreign('link', at, uid, ownUid);
    } else if (names.length > 0) {
      folder = at;
      fault = folderFault(folder, files, ownUid);
    }
  }
  return fault;
}

function namesIn(path: string): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.');
}

function folderFault(folder: string, files: Files, ownUid: number): string | undefined {
  const { mode, uid } = files.look(folder);
  const isExchangeable = (mode & OTHERS_WRITE) !== 0 && (mode & STICKY) === 0;
  if (!isExchangeable) return foreign('folder', folder, uid, ownUid);
  return `others can write the folder ${folder} on its way (mode ${modeText(mode)}); allowed: chmod go-w`;
}

function foreign(what: string, path: string, uid: number, ownUid: number): string | undefined {
  if (uid === 0 || uid === ownUid) return undefined;
  return `the ${what} ${path} on its way belongs to user ${uid}; allowed: this user (${ownUid}) or root`;
}

const TYPE_BITS = 0o170000;
const REGULAR = 0o100000;

export function isRegular(mode: number): boolean {
  return (mode & TYPE_BITS) === REGULAR;
}

/** The permissions as `chmod` takes them. */
export function modeText(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, '0');
}
