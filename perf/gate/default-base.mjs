// Prints the commit to compare with when nobody named one: the newest release before HEAD, so that drifts too
// small for any one change are seen; without a release, the commit before.
import { execFileSync } from 'node:child_process';

function git(...args) {
  return execFileSync('git', args, { stdio: ['ignore', 'pipe', 'ignore'] })
    .toString()
    .trim();
}

/** The newest tag `v*` that HEAD~1 reaches, else HEAD~1 itself. */
export function defaultBase(ask = git) {
  const before = ask('rev-parse', '--verify', 'HEAD~1');
  try {
    return ask('describe', '--tags', '--match', 'v[0-9]*', '--abbrev=0', before);
  } catch {
    return before;
  }
}

if (process.argv[1] === import.meta.filename) console.log(defaultBase());
