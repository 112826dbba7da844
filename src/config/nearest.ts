/** The name of `names` that `wrong` most likely stands for, or undefined where none is near. */
export function nearest(wrong: string, names: readonly string[]): string | undefined {
  let best: string | undefined;
  // More than half of the letters wrong is no misspelling any more.
  let bestDistance = Math.floor(wrong.length / 2) + 1;
  for (const name of names) {
    const distance = distanceOf(wrong.toLowerCase(), name.toLowerCase());
    if (distance < bestDistance) {
      best = name;
      bestDistance = distance;
    }
  }
  return best;
}

/** A beginning this long stands for the whole: `prof` for `profile`, and `publish` for `pub`. */
const BEGINNING_MIN = 3;

function distanceOf(wrong: string, name: string): number {
  const shorter = Math.min(wrong.length, name.length);
  const isBeginning = wrong.startsWith(name) || name.startsWith(wrong);
  return isBeginning && shorter >= BEGINNING_MIN ? 1 : editDistance(wrong, name);
}

/** Levenshtein's distance: letters to insert, delete or replace; long names are cut, as a limit on work. */
function editDistance(left: string, right: string): number {
  const a = left.slice(0, 100);
  const b = right.slice(0, 100);
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const replaced = previous[column - 1]! + (a[row - 1] === b[column - 1] ? 0 : 1);
      current.push(Math.min(replaced, previous[column]! + 1, current[column - 1]! + 1));
    }
    previous = current;
  }
  return previous[b.length]!;
}
