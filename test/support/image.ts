/**
 * Follows the Dockerfile without an engine: each stage is a folder, COPY copies into it, and RUN runs in it with
 * this machine's node and npm. What only an engine can do, as the base images, is left out.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, posix } from 'node:path';
import { DockerfileParser, JSONInstruction, ModifiableInstruction } from 'dockerfile-ast';
import { ROOT } from './broker.js';

const RUN_MS = 120_000;
const ARCHITECTURES: Record<string, string> = { x64: 'amd64' };

export interface Step {
  readonly keyword: string;
  readonly args: readonly string[];
  /** Flags by name, as `from` of `--from=build`. */
  readonly flags: Readonly<Record<string, string>>;
  /** The whole text behind the keyword, lines joined. */
  readonly text: string;
  /** What a JSON form holds, where it is one. */
  readonly json: readonly string[] | undefined;
}

export interface Stage {
  readonly name: string;
  readonly base: string;
  readonly steps: readonly Step[];
}

export function readStages(text = readFileSync(join(ROOT, 'Dockerfile'), 'utf8')): Stage[] {
  const stages: { name: string; base: string; steps: Step[] }[] = [];
  for (const instruction of DockerfileParser.parse(text).getInstructions()) {
    const keyword = instruction.getKeyword();
    const args = instruction.getArguments().map((argument) => argument.getValue());
    const flagged = instruction instanceof ModifiableInstruction ? instruction.getFlags() : [];
    const flags = Object.fromEntries(
      flagged.map((flag) => [flag.getName(), flag.getValue() ?? '']),
    );
    if (keyword === 'FROM') {
      const [base = '', , name = 'final'] = args.filter((each) => !each.startsWith('--'));
      stages.push({ name, base, steps: [] });
      continue;
    }
    const strings = instruction instanceof JSONInstruction ? instruction.getJSONStrings() : [];
    const json = strings.map((each) => each.getJSONValue());
    stages.at(-1)?.steps.push({
      keyword,
      args: args.filter((each) => !each.startsWith('--')),
      flags,
      text: args.join(' '),
      json: json.length > 0 ? json : undefined,
    });
  }
  return stages;
}

export class Image {
  readonly folder = mkdtempSync(join(tmpdir(), 'memorystreamer-image-'));
  readonly env: Record<string, string> = {};
  readonly #folders = new Map<string, string>();
  #workdir = '/';

  constructor(stages: readonly Stage[]) {
    // Temporary folders are their maker's alone; the image's user is another.
    chmodSync(this.folder, 0o755);
    for (const stage of stages) this.#build(stage);
  }

  /** Where a path of the final stage lies. */
  at(path: string): string {
    return join(this.folder, 'final', path);
  }

  #build({ name, steps }: Stage): void {
    const root = join(this.folder, name);
    this.#folders.set(name, root);
    this.#workdir = '/';
    mkdirSync(root);
    for (const step of steps) {
      if (step.keyword === 'WORKDIR') {
        this.#workdir = step.text;
        mkdirSync(join(root, this.#workdir), { recursive: true });
      } else if (step.keyword === 'COPY') {
        this.#copy(root, step);
      } else if (step.keyword === 'RUN') {
        this.#run(root, step);
      } else if (step.keyword === 'ENV' && name === 'final') {
        for (const [, key, value] of step.text.matchAll(/(\w+)=(\S+)/g)) this.env[key!] = value!;
      }
    }
  }

  #copy(root: string, { args, flags }: Step): void {
    const from = flags['from'] === undefined ? ROOT : this.#folders.get(flags['from'])!;
    const to = join(root, posix.resolve(this.#workdir, args.at(-1)!));
    for (const source of args.slice(0, -1)) {
      const path = join(from, source);
      const isFolder = statSync(path).isDirectory();
      cpSync(path, isFolder ? to : join(to, basename(source)), { recursive: true });
    }
  }

  #run(root: string, { text }: Step): void {
    execFileSync('sh', ['-ec', text], {
      cwd: join(root, this.#workdir),
      timeout: RUN_MS,
      stdio: 'pipe',
      env: {
        PATH: process.env['PATH'],
        HOME: process.env['HOME'],
        TARGETARCH: ARCHITECTURES[process.arch] ?? process.arch,
        npm_config_prefer_offline: 'true',
      },
    });
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }
}
