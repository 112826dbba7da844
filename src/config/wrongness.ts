/** What zod found, in words. */
import type * as z from 'zod/mini';
import { shown } from './faults.js';
import { holdsSecrets, type Kind } from './kinds.js';
import { nearest } from './nearest.js';
import { nameAt, nodeAt, plain, type ConfigNode } from './node.js';

export interface Wrongness {
  /** Offset in the text of the file. */
  readonly at: number;
  readonly path: readonly PropertyKey[];
  readonly text: string;
}

/** What zod found in what stands at `node`, each thing with its place. */
export function wrongnesses(
  kind: Kind<unknown>,
  node: ConfigNode,
  issues: readonly z.core.$ZodIssue[],
): Wrongness[] {
  const given = plain(node);
  return singly(issues).map((issue) => {
    const isField = issue.code === 'unrecognized_keys';
    const at = isField ? nameAt(node, issue.path, issue.keys[0]!) : nodeAt(node, issue.path).at;
    return { at, path: issue.path, text: wrongnessOf(kind, issue, given) };
  });
}

/** Issues of which each has one thing to tell: of several unknown fields each is one. */
export function singly(issues: readonly z.core.$ZodIssue[]): z.core.$ZodIssue[] {
  return issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((name): z.core.$ZodIssue => ({ ...issue, keys: [name] }))
      : [issue],
  );
}

/** What is wrong; what is allowed. */
export function wrongnessOf(kind: Kind<unknown>, issue: z.core.$ZodIssue, given: unknown): string {
  const inner = kindAt(kind, issue.path);
  const value = issue.path.reduce<unknown>(valueBelow, given);
  const names = fieldNames(kind, issue.path);
  if (issue.code === 'unrecognized_keys') {
    const [name = ''] = issue.keys;
    const wrong = `${JSON.stringify(name)} is not a known field${near(name, names)}`;
    return `${wrong}; allowed: ${names.join(', ')}`;
  }
  const allowed = inner?.allowed ?? `an object with ${names.join(', ')}`;
  if (value === undefined) return `is missing; allowed: ${allowed}`;
  // Where a secret's file is asked for, the secret itself may stand by mistake, and in any field.
  const text = holdsSecrets(kind) ? 'what is given' : shown(value);
  return `${problem(issue, text)}; allowed: ${allowed}`;
}

function problem(issue: z.core.$ZodIssue, text: string): string {
  if (issue.code === 'too_small') return `${text} is too small`;
  if (issue.code === 'too_big') return `${text} is too large`;
  return `${text} is not valid`;
}

function near(name: string, names: readonly string[]): string {
  const found = nearest(name, names);
  return found === undefined ? '' : `, did you mean ${found}?`;
}

/** `[2, 'retention', 'bytes']` → the field `retention.bytes` of the list's items. */
function kindAt(kind: Kind<unknown>, path: readonly PropertyKey[]): Kind<unknown> | undefined {
  if (path.length === 0) return kind;
  return kind.fields?.[path.slice(1).join('.')]?.kind;
}

/** Names that may stand at that place of an item. */
function fieldNames(kind: Kind<unknown>, path: readonly PropertyKey[]): string[] {
  const prefix = path
    .slice(1)
    .map((step) => `${String(step)}.`)
    .join('');
  const names = Object.keys(kind.fields ?? {})
    .filter((name) => name.startsWith(prefix))
    .map((name) => name.slice(prefix.length).split('.')[0]!);
  return [...new Set(names)];
}

function valueBelow(value: unknown, step: PropertyKey): unknown {
  return typeof value === 'object' && value !== null
    ? (value as Record<PropertyKey, unknown>)[step]
    : undefined;
}
