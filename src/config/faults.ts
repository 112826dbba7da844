/** What is wrong with a configuration: gathered, so that all of it is told at once. */
import { MemoryStreamerError } from '../errors.js';
import type { KeyName } from './table.js';

/** Where a value comes from. */
export interface Origin {
  readonly from: 'default' | 'profile' | 'file' | 'environment' | 'flag';
  /** `FILE:LINE:COLUMN`, the name in the environment, `--flag`, or what made the default. */
  readonly where: string;
}

/** Faults beyond this many are counted, not told: a hostile file shall not fill a log. */
const LINES_MAX = 1_000;

export interface Fault {
  /** `WHERE: KEY: what is wrong; what is allowed` */
  readonly line: string;
  /** The key whose value is wrong, where it is one that there is. */
  readonly key: KeyName | undefined;
}

export class Faults {
  readonly #faults: Fault[] = [];
  #more = 0;

  get all(): readonly Fault[] {
    if (this.#more === 0) return this.#faults;
    return [...this.#faults, { line: `and ${this.#more} more faults`, key: undefined }];
  }

  get isEmpty(): boolean {
    return this.#faults.length === 0;
  }

  add(...parts: readonly string[]): void {
    this.addBy(() => parts.join(': '));
  }

  /** The same of a value of that key. */
  addOf(key: KeyName, ...parts: readonly string[]): void {
    this.addBy(() => parts.join(': '), key);
  }

  /** For a line that takes work to make: `make` is called only where the line is kept. */
  addBy(make: () => string, key?: KeyName): void {
    if (this.#faults.length === LINES_MAX) this.#more += 1;
    else this.#faults.push({ line: oneLine(make()), key });
  }
}

/** MS_ERR_CONFIG with every fault; the message has a line for each. */
export class ConfigurationRefused extends MemoryStreamerError {
  readonly faults: readonly Fault[];
  /** Files and folders that were read, or looked for: a change of one may heal it. */
  readonly paths: readonly string[];

  constructor(faults: readonly Fault[], paths: readonly string[]) {
    super('MS_ERR_CONFIG', faults.map(({ line }) => line).join('\n'));
    this.faults = faults;
    this.paths = paths;
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

/** Nearly every line, and to know that costs V8 less than what `oneLine` looks for. */
const PRINTABLE = /^[ -~]*$/;

/** A name or value from outside must not break the line, nor steer a terminal. */
export function oneLine(text: string): string {
  if (PRINTABLE.test(text)) return text;
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '?');
}

/** A value in a message: as JSON, cut where it is long. */
export function shown(value: unknown): string {
  const text = typeof value === 'number' ? String(value) : JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
