/** A project in a folder of its own, with the files that a check looks at. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Running, type Outcome } from '../cli/processes.js';

export const INTEGRITY = `sha512-${'A'.repeat(86)}==`;

export interface Entry {
  version: string;
  integrity?: string;
  license?: string;
  [field: string]: unknown;
}

export class Project {
  readonly folder = mkdtempSync(join(tmpdir(), 'memorystreamer-project-'));

  /** Writes a file, text as it is and anything else as JSON. */
  write(name: string, content: unknown): this {
    const path = join(this.folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
    return this;
  }

  /** package.json and package-lock.json, in step: `dependencies` and what is pinned, by path. */
  lock(dependencies: Record<string, string>, packages: Record<string, Entry>): this {
    const root = { name: 'planted', version: '1.0.0', license: 'MIT', dependencies };
    this.write('package.json', root);
    return this.write('package-lock.json', {
      name: 'planted',
      version: '1.0.0',
      lockfileVersion: 3,
      requires: true,
      packages: { '': root, ...packages },
    });
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }
}

/** Runs `scripts/NAME` of this repository on the project; servers of the test go on meanwhile. */
export async function runScript(
  name: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<Outcome> {
  const script = fileURLToPath(new URL(`../../scripts/${name}`, import.meta.url));
  const running = new Running([script, ...args], env);
  const code = await running.code();
  return { code, stdout: running.stdout, stderr: running.stderr };
}
