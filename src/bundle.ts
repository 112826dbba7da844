/**
 * The command as the build puts it together (scripts/bundle.mjs): a few scripts in place of hundreds of modules,
 * each with the code that V8 has made of it. Most of the time of a start goes into finding modules and into
 * compiling what runs for the first time; this saves both.
 *
 * Invariant: V8 is given its code only with the very script, Node.js and processor that the code was made for.
 * V8 itself looks at lengths and versions alone, and would run what a bad disk, or a copy that was cut short,
 * has made of it.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { Script } from 'node:vm';

interface ScriptModule {
  exports: unknown;
}

/** What the text of a script stands for: the build has put these parameters around it. */
type ScriptFunction = (
  exports: unknown,
  require: (name: string) => unknown,
  module: ScriptModule,
  /** `import.meta.url` of the module with this path in dist/, whose text is part of the script now. */
  moduleUrl: (path: string) => string,
) => void;

const NODE = `${process.version}-${process.arch}`;
const DIGEST_BYTES = 32;

/** Scripts that refer to each other by `require('./name.cjs')`, and to all else as a module in dist/ does. */
export class Bundle {
  readonly #folder: URL;
  readonly #requireOther: NodeJS.Require;
  readonly #modules = new Map<string, ScriptModule>();
  readonly #scripts = new Map<string, { readonly script: Script; readonly text: string }>();

  /** `folder` is dist/bundle/, with its last slash. */
  constructor(folder: URL) {
    this.#folder = folder;
    this.#requireOther = createRequire(folder);
  }

  /** What the script `name` exports; the first time it runs, and before it those that it needs. */
  load(name: string): unknown {
    const known = this.#modules.get(name);
    if (known !== undefined) return known.exports;
    const module: ScriptModule = { exports: {} };
    this.#modules.set(name, module);
    const run = this.#compiled(name).runInThisContext() as ScriptFunction;
    run(
      module.exports,
      (other) => this.#required(other),
      module,
      (path) => this.#url(path),
    );
    return module.exports;
  }

  /** Whether V8 runs `name`, which was loaded, by code that was made before. */
  hasCode(name: string): boolean {
    return this.#scripts.get(name)?.script.cachedDataRejected === false;
  }

  /** Keeps what V8 has compiled of the scripts that were loaded, for later processes of this Node.js. */
  writeCode(): void {
    mkdirSync(new URL(`code/${NODE}/`, this.#folder), { recursive: true });
    for (const [name, { script, text }] of this.#scripts) {
      const code = script.createCachedData();
      writeFileSync(this.#codeFile(name), Buffer.concat([digestOf(text, code), code]));
    }
  }

  #required(name: string): unknown {
    return name.startsWith('./') ? this.load(name.slice(2)) : this.#requireOther(name);
  }

  #url(path: string): string {
    return new URL(`../${path}`, this.#folder).href;
  }

  #compiled(name: string): Script {
    const file = new URL(name, this.#folder);
    const text = readFileSync(file, 'utf8');
    const cachedData = this.#code(name, text);
    const script = new Script(text, {
      filename: fileURLToPath(file),
      ...(cachedData && { cachedData }),
    });
    this.#scripts.set(name, { script, text });
    return script;
  }

  /** Undefined where there is none for this Node.js, or it is not what was made for `text`. */
  #code(name: string, text: string): Buffer | undefined {
    let bytes: Buffer;
    try {
      bytes = readFileSync(this.#codeFile(name));
    } catch {
      return undefined;
    }
    const code = bytes.subarray(DIGEST_BYTES);
    return digestOf(text, code).equals(bytes.subarray(0, DIGEST_BYTES)) ? code : undefined;
  }

  #codeFile(name: string): URL {
    return new URL(`code/${NODE}/${name.replace(/\.cjs$/, '.code')}`, this.#folder);
  }
}

/** SHA-256, against accidents: whoever can write the code can write the scripts too. */
function digestOf(text: string, code: Buffer): Buffer {
  return createHash('sha256')
    .update(`${NODE}\n${text.length}\n`)
    .update(text)
    .update(code)
    .digest();
}
