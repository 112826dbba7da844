/**
 * Defaults < profile < files < folders < environment < flags, laid over each other and checked in three steps:
 * each value, values together, values on this machine. Invariant: the answer is deeply frozen, every value in
 * it passed its key's zod type and all rules, and nothing of the process has changed.
 */
import { digestOf } from './digest.js';
import { ConfigurationRefused, Faults, oneLine, placeOf, type Origin } from './faults.js';
import { FILES_MAX, filesIn, readDocument, realFiles, type Document, type Files } from './files.js';
import { parseFlags, type Flags } from './flags.js';
import { holdsSecrets } from './kinds.js';
import { layered } from './layering.js';
import { readMachine, type Machine } from './machine.js';
import { STEPS, type Step } from './migrate.js';
import { fitsMachine, fitsTogether, fittedDefaults, type Broken } from './rules.js';
import { withSecrets, type Owner, type Secret } from './secrets.js';
import { SteadyFiles } from './steady.js';
import {
  envLayer,
  fileLayers,
  flagLayer,
  suggestion,
  type FileLayers,
  type Given,
  type Layer,
  type Reading,
} from './sources.js';
import { isRegular, modeText } from './way.js';
import { TABLE, type Config, type FlatConfig, type KeyName, type TableRow } from './table.js';

/** All that a configuration depends on; what is left out is the real one. */
export interface ConfigurationSources {
  /** What follows the subcommand: flags only. */
  readonly argv: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly files?: Files;
  readonly machine?: Machine;
  /** Effective user of this process. */
  readonly uid?: number;
  readonly table?: readonly TableRow[];
  readonly steps?: readonly Step[];
  /** What else must hold between values, and on the machine. */
  readonly rules?: readonly Rule[];
}

/** Answers what is broken; called where every value is valid by itself. */
export type Rule = (values: FlatConfig, machine: Machine) => readonly Broken[];

export interface Configuration {
  readonly values: Config;
  /** The same by key. */
  readonly flat: FlatConfig;
  /** Where each key's value comes from. */
  readonly provenance: ReadonlyMap<KeyName, Origin>;
  /** What an operator should know, one line each. */
  readonly warnings: readonly string[];
  /** SHA-256 of the effective values and secrets, in hexadecimal digits; the same on every machine. */
  readonly digest: string;
  /** Files and folders that were read, secrets included: what to watch. */
  readonly paths: readonly string[];
  /** By the whole path of the file. */
  readonly secrets: ReadonlyMap<string, Secret>;
}

/**
 * Reads, merges and checks; may be called again at any time. Throws MS_ERR_USAGE for a wrong flag, and
 * MS_ERR_CONFIG with every fault of all sources, each one line `FILE:LINE:COLUMN: KEY: what is wrong; what is
 * allowed`, or with the name in the environment or the flag in place of file and key.
 */
export async function loadConfiguration(sources: ConfigurationSources): Promise<Configuration> {
  let changed: string | undefined;
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
    const files = new SteadyFiles(sources.files ?? realFiles);
    const loading = new Loading(sources, files).run();
    await Promise.allSettled([loading]);
    // Half of what was and half of what will be is neither, whether it has faults or not.
    changed = files.changed();
    if (changed === undefined) return loading;
  }
  const line = `${changed}: was written each of the ${ATTEMPTS_MAX} times that it was read; try again`;
  throw new ConfigurationRefused([{ line: oneLine(line), key: undefined }], [changed!]);
}

/** Reads that others disturb by changing a file in the middle of them. */
const ATTEMPTS_MAX = 5;

class Loading {
  readonly #sources: ConfigurationSources;
  readonly #table: readonly TableRow[];
  readonly #files: Files;
  readonly #faults = new Faults();
  readonly #warnings: string[] = [];
  readonly #secrets = new Map<string, Secret>();
  readonly #paths: string[] = [];
  readonly #secretPaths = new Set<string>();

  constructor(sources: ConfigurationSources, files: Files) {
    this.#sources = sources;
    this.#table = sources.table ?? TABLE;
    this.#files = files;
  }

  async run(): Promise<Configuration> {
    const flags = parseFlags(this.#sources.argv, this.#table);
    const layers = await this.#layers(flags);
    const given: Layer = new Map();
    for (const layer of layers) layer.forEach((value, key) => given.set(key, value));
    for (const row of this.#table) {
      const found = holdsSecrets(row) ? given.get(row.key) : undefined;
      if (found !== undefined) given.set(row.key, this.#withSecrets(row, found));
    }
    const machine = this.#sources.machine ?? readMachine();
    const fitted = fittedDefaults((key) => given.get(key)?.value, machine);
    const flat = layered(this.#table, fitted, given);
    this.#judge(flat, given, machine);
    if (!this.#faults.isEmpty) {
      throw new ConfigurationRefused(this.#faults.all, this.#allPaths);
    }
    return Object.freeze({
      values: nest(flat),
      flat,
      provenance: this.#provenance(given, fitted),
      warnings: Object.freeze(this.#warnings),
      digest: digestOf(this.#table, flat, this.#secrets),
      paths: this.#allPaths,
      secrets: this.#secrets,
    });
  }

  get #allPaths(): readonly string[] {
    return Object.freeze([...this.#paths, ...this.#secretPaths]);
  }

  /** Lowest first. */
  async #layers(flags: Flags): Promise<Layer[]> {
    const reading: Reading = {
      table: this.#table,
      steps: this.#sources.steps ?? STEPS,
      faults: this.#faults,
      warnings: this.#warnings,
    };
    const files = (await this.#documents(flags)).map((document) => fileLayers(document, reading));
    return [
      ...this.#profile(flags.profile, files),
      ...files.map(({ values }) => values),
      envLayer(this.#sources.env, reading),
      flagLayer(flags.values, reading),
    ];
  }

  async #documents({ files, folders }: Flags): Promise<Document[]> {
    const inFolders = folders.flatMap((folder) =>
      filesIn(folder, this.#files, this.#faults, this.#warnings),
    );
    const paths = [...files, ...inFolders];
    this.#paths.push(...paths, ...folders);
    if (paths.length > FILES_MAX) {
      this.#faults.add('--config', `${paths.length} files are too many; allowed: ${FILES_MAX}`);
      return [];
    }
    const documents: Document[] = [];
    for (const path of paths) {
      const document = await readDocument(path, this.#files, this.#faults);
      if (document === undefined) continue;
      documents.push(document);
      this.#warnOfWriters(document);
    }
    return documents;
  }

  /** Nobody is kept from it, as a file may be of a development; but it should be known. */
  #warnOfWriters({ path, mode }: Document): void {
    if ((mode & EVERYBODY_WRITES) === 0 || !isRegular(mode)) return;
    const text = `${path}: everybody can write this file (mode ${modeText(mode)}), and so the broker's settings`;
    this.#warnings.push(oneLine(text));
  }

  #profile(name: string | undefined, files: readonly FileLayers[]): Layer[] {
    if (name === undefined) return [];
    const layers = files.flatMap(({ profiles }) => profiles.get(name) ?? []);
    if (layers.length === 0) {
      const names = [...new Set(files.flatMap(({ profiles }) => [...profiles.keys()]))];
      const hint = names.length === 0 ? 'no file has any' : suggestion(name, names);
      this.#faults.add(
        '--profile',
        `${JSON.stringify(name)} is not a profile of any file; ${hint}`,
      );
    }
    return layers;
  }

  #withSecrets(row: TableRow, given: Given): Given {
    const { env, uid = process.geteuid?.() ?? 0 } = this.#sources;
    const owner: Owner = { uid, credentials: env['CREDENTIALS_DIRECTORY'] };
    const value = withSecrets(row, given, {
      files: this.#files,
      owner,
      faults: this.#faults,
      secrets: this.#secrets,
      paths: this.#secretPaths,
    });
    return { ...given, value };
  }

  #judge(flat: FlatConfig, given: Layer, machine: Machine): void {
    const line = ({ key, path = [], text }: Broken): string => {
      const found = given.get(key);
      const origin = found?.originAt(path) ?? STANDARD;
      return `${placeOf(origin, key, path)}: ${text}`;
    };
    const { rules = [] } = this.#sources;
    const others = rules.map((rule) => ({ errors: rule(flat, machine), warnings: [] }));
    for (const { errors, warnings } of [
      fitsTogether(flat),
      fitsMachine(flat, machine),
      ...others,
    ]) {
      for (const broken of errors) this.#faults.addOf(broken.key, line(broken));
      for (const broken of warnings) this.#warnings.push(oneLine(line(broken)));
    }
    const connections = flat['limits.connections'];
    const standard = this.#table.find(({ key }) => key === 'limits.connections')!
      .standard as number;
    if (!given.has('limits.connections') && connections < standard) {
      this.#warnings.push(
        `default: limits.connections: ${connections} instead of ${standard}: the process may have ` +
          `${machine.openFilesMax} file descriptors; see "ulimit -n"`,
      );
    }
  }

  #provenance(given: Layer, fitted: ReadonlyMap<KeyName, unknown>): ReadonlyMap<KeyName, Origin> {
    return new Map(
      this.#table.map(({ key, standard }) => {
        const isFitted = fitted.has(key) && fitted.get(key) !== standard;
        return [key, given.get(key)?.originAt([]) ?? (isFitted ? FITTED : STANDARD)];
      }),
    );
  }
}

const EVERYBODY_WRITES = 0o002;

const STANDARD: Origin = Object.freeze({ from: 'default', where: 'default' });
const FITTED: Origin = Object.freeze({ from: 'default', where: 'default, lowered to fit' });

type Group = Record<string, unknown>;

function nest(values: FlatConfig): Config {
  const root: Group = {};
  const groups = [root];
  for (const [key, value] of Object.entries(values)) {
    const path = key.split('.');
    const last = path.pop()!;
    let group = root;
    for (const name of path) {
      if (group[name] === undefined) groups.push((group[name] = {}));
      group = group[name] as Group;
    }
    group[last] = value;
  }
  for (const group of groups) Object.freeze(group);
  return root as unknown as Config;
}
