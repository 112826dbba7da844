/** What is wrong with a configuration: gathered, so that all of it is told at once. */

/** Where a value comes from. */
export interface Origin {
  readonly from: 'default' | 'profile' | 'file' | 'environment' | 'flag';
  /** `FILE:LINE:COLUMN`, the name in the environment, `--flag`, or what made the default. */
  readonly where: string;
}

/** Faults beyond this many are counted, not told: a hostile file shall not fill a log. */
const LINES_MAX = 1_000;

/** Lines `WHERE: KEY: what is wrong; what is allowed`. */
export class Faults {
  readonly #lines: string[] = [];
  #more = 0;

  get lines(): readonly string[] {
    return this.#more === 0 ? this.#lines : [...this.#lines, `and ${this.#more} more faults`];
  }

  get isEmpty(): boolean {
    return this.#lines.length === 0;
  }

  add(...parts: readonly string[]): void {
    this.addBy(() => parts.join(': '));
  }

  /** For a line that takes work to make: `make` is called only where the line is kept. */
  addBy(make: () => string): void {
    if (this.#lines.length === LINES_MAX) this.#more += 1;
    else this.#lines.push(oneLine(make()));
  }
}

/** Where a value or a part of it stands, and its key where the place does not say so by itself. */
export function placeOf(
  { from, where }: Origin,
  key: string,
  path: readonly PropertyKey[] = [],
): string {
  const isNamed = (from === 'environment' || from === 'flag') && path.length === 0;
  return isNamed ? where : `${where}: ${key}${pathText(path)}`;
}

/** `[2, 'secretFile']` as `[2].secretFile`. */
function pathText(path: readonly PropertyKey[]): string {
  return path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`)).join('');
}

/** A name or value from outside must not break the line, nor steer a terminal. */
export function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '?');
}

/** A value in a message: as JSON, cut where it is long. */
export function shown(value: unknown): string {
  const text = typeof value === 'number' ? String(value) : JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
