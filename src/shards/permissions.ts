/**
 * What a connection may do: patterns that allow and patterns that deny, for publishing, subscribing and creating.
 * Looked at for OPEN, for SUBSCRIBE, and for each stream that a subscription comes to cover; never for a frame.
 */
import { covers, matches, overlaps } from '../frame/subject.js';

export interface Rule {
  /** Absent: everything is allowed that is not denied. */
  readonly allow?: readonly string[];
  readonly deny?: readonly string[];
}

export interface Permissions {
  readonly publish: Rule;
  readonly subscribe: Rule;
  /** Whether an OPEN may make a stream that does not exist yet. */
  readonly create: Rule;
}

/** Of whom nobody has said anything. */
export const ALL_ALLOWED: Permissions = { publish: {}, subscribe: {}, create: {} };

const NOTHING: Rule = { allow: [] };
/** Of whom there was something to say that no longer holds. */
export const NOTHING_ALLOWED: Permissions = {
  publish: NOTHING,
  subscribe: NOTHING,
  create: NOTHING,
};

/** Somebody who may connect, under a number that nobody else ever has. */
export interface Principal {
  readonly id: number;
  readonly permissions: Permissions;
}

/** Whether `after` lets through all that `before` does, as far as the patterns tell by themselves. */
export function keepsAll(before: Permissions, after: Permissions): boolean {
  const actions = ['publish', 'subscribe', 'create'] as const;
  return actions.every((action) => keeps(before[action], after[action]));
}

function keeps(before: Rule, after: Rule): boolean {
  const isAllowed = (pattern: string) =>
    after.allow?.some((allowed) => covers(allowed, pattern)) ?? true;
  const wasDenied = (pattern: string) =>
    before.deny?.some((denied) => covers(denied, pattern)) === true ||
    before.allow?.some((allowed) => overlaps(allowed, pattern)) === false;
  return (before.allow ?? ['>']).every(isAllowed) && (after.deny ?? []).every(wasDenied);
}

/** Whether a rule lets a subject through. Deny beats allow. */
export function permits(rule: Rule, subject: string): boolean {
  if (rule.deny?.some((pattern) => matches(pattern, subject)) === true) return false;
  return rule.allow?.some((pattern) => matches(pattern, subject)) ?? true;
}

/**
 * Whether a subscription may be made. A literal one as `permits` says. One with wildcards unless nothing could ever
 * come of it: a denied pattern covers it whole, or no allowed pattern has a subject in common with it. Of the
 * streams that it covers it then gets those that `permits` lets through, one by one.
 */
export function permitsPattern(rule: Rule, pattern: string): boolean {
  if (rule.deny?.some((denied) => covers(denied, pattern)) === true) return false;
  return rule.allow?.some((allowed) => overlaps(allowed, pattern)) ?? true;
}
