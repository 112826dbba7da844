/**
 * Patterns by subject: literals in a map, wildcards in a tree of tokens, so that a stream's birth finds
 * whom it concerns without trying every pattern.
 *
 * Invariant: a value is in the index exactly as often as it was added and not removed.
 */
import { hasWildcard } from '../frame/subject.js';

interface Node<Value> {
  readonly children: Map<string, Node<Value>>;
  /** Values whose pattern ends here. */
  readonly values: Set<Value>;
}

const emptyNode = <Value>(): Node<Value> => ({ children: new Map(), values: new Set() });

export class SubjectIndex<Value> {
  readonly #literals = new Map<string, Set<Value>>();
  readonly #root: Node<Value> = emptyNode();

  add(pattern: string, value: Value): void {
    if (!hasWildcard(pattern)) {
      const values = this.#literals.get(pattern);
      if (values) values.add(value);
      else this.#literals.set(pattern, new Set([value]));
      return;
    }
    let node = this.#root;
    for (const token of pattern.split('.')) {
      let child = node.children.get(token);
      if (!child) {
        child = emptyNode();
        node.children.set(token, child);
      }
      node = child;
    }
    node.values.add(value);
  }

  remove(pattern: string, value: Value): void {
    if (!hasWildcard(pattern)) {
      const values = this.#literals.get(pattern);
      values?.delete(value);
      if (values?.size === 0) this.#literals.delete(pattern);
      return;
    }
    this.#removeFrom(this.#root, pattern.split('.'), 0, value);
  }

  /** True when the node has become empty, so that its parent drops it. */
  #removeFrom(node: Node<Value>, tokens: string[], depth: number, value: Value): boolean {
    if (depth === tokens.length) {
      node.values.delete(value);
    } else {
      const token = tokens[depth]!;
      const child = node.children.get(token);
      if (child && this.#removeFrom(child, tokens, depth + 1, value)) node.children.delete(token);
    }
    return node.values.size === 0 && node.children.size === 0;
  }

  /** Every value whose pattern covers `subject`, each once. */
  match(subject: string): Set<Value> {
    const found = new Set(this.#literals.get(subject));
    this.#collect(this.#root, subject.split('.'), 0, found);
    return found;
  }

  #collect(node: Node<Value>, tokens: string[], depth: number, found: Set<Value>): void {
    if (depth === tokens.length) {
      for (const value of node.values) found.add(value);
      return;
    }
    const rest = node.children.get('>');
    if (rest) for (const value of rest.values) found.add(value);
    const any = node.children.get('*');
    if (any) this.#collect(any, tokens, depth + 1, found);
    const same = node.children.get(tokens[depth]!);
    if (same) this.#collect(same, tokens, depth + 1, found);
  }
}
