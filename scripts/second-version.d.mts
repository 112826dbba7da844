/** Makes a broker that speaks versions 1 and 2, of what is built below `root`, in `out`; answers its entry. */
export function makeSecondVersion(root: string, out: string): string;
