/**
 * YAML 1.2 (core schema), as far as a configuration needs it. Anchors, aliases and tags are refused: a few
 * lines of them can stand for a billion values, and a configuration can say all it has to without.
 */
import {
  boolCoreTag,
  EVENT_ID,
  floatCoreTag,
  getScalarValue,
  intCoreTag,
  NOT_RESOLVED,
  nullCoreTag,
  parseEvents,
  SCALAR_STYLE,
  YAMLException,
  type AliasEvent,
  type Event,
  type MappingEvent,
  type ScalarEvent,
  type ScalarTagDefinition,
  type SequenceEvent,
} from 'js-yaml';
import {
  DEPTH_MAX,
  SyntaxFault,
  TOO_DEEP,
  type ConfigNode,
  type Entry,
  type Scalar,
} from './node.js';

/** The value that `text` holds, an empty group where it holds none; throws a `SyntaxFault`. */
export function readYaml(text: string): ConfigNode {
  return new Reader(text).document();
}

/** Nodes that the parser lets lie within each other: one that is nested deeper than it may be is one too many. */
const PARSER_DEPTH_MAX = DEPTH_MAX + 1;
const TOO_DEEP_REASON = `nesting exceeded maxDepth (${PARSER_DEPTH_MAX})`;

function eventsOf(text: string): Event[] {
  try {
    return parseEvents(text, { maxDepth: PARSER_DEPTH_MAX });
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    const at = Math.min(error.mark?.position ?? 0, text.length);
    throw new SyntaxFault(at, error.reason === TOO_DEEP_REASON ? TOO_DEEP : error.reason);
  }
}

/** Where there is none the parser says -1: of a value, an anchor or a tag. */
function isThere(start: number): boolean {
  return start >= 0;
}

/** What a plain text may stand for in the core schema, by how it begins; of what is not here it is a text. */
const MEANINGS = new Map<string, ScalarTagDefinition[]>();
for (const meaning of [nullCoreTag, boolCoreTag, intCoreTag, floatCoreTag]) {
  for (const first of meaning.implicitFirstChars ?? []) {
    MEANINGS.set(first, [...(MEANINGS.get(first) ?? []), meaning]);
  }
}

/** What begins a value or a name; between the parser's beginnings and ends nothing else comes. */
type NodeEvent = AliasEvent | MappingEvent | ScalarEvent | SequenceEvent;

class Reader {
  readonly #text: string;
  readonly #events: readonly Event[];
  #next = 0;

  constructor(text: string) {
    this.#text = text;
    this.#events = eventsOf(text);
  }

  document(): ConfigNode {
    const empty: ConfigNode = { kind: 'group', entries: new Map(), at: 0 };
    const begin = this.#take();
    if (begin === undefined) return empty;
    const first = this.#events[this.#next];
    const root = this.#node(0);
    this.#next += 1;
    if (this.#next < this.#events.length) {
      throw new SyntaxFault(this.#secondDocumentAt(), 'a second document begins here');
    }
    return first?.type === EVENT_ID.SCALAR && !isThere(first.valueStart) ? empty : root;
  }

  #take(): Event | undefined {
    return this.#events[this.#next++];
  }

  /** `around` is where an empty value is said to stand: at its name, or at the list or group that it is in. */
  #node(around: number): ConfigNode {
    const event = this.#take() as NodeEvent;
    this.#refuseMarks(event);
    const at = placeOf(event) ?? around;
    if (event.type === EVENT_ID.SCALAR) return { kind: 'scalar', value: this.#scalar(event), at };
    if (event.type === EVENT_ID.MAPPING) return { kind: 'group', entries: this.#entries(at), at };
    const items: ConfigNode[] = [];
    while (!this.#ends()) items.push(this.#node(at));
    return { kind: 'list', items, at };
  }

  /** Throws where a value or a name is, or has, what a configuration is to do without. */
  #refuseMarks(event: NodeEvent): void {
    if (event.type === EVENT_ID.ALIAS) {
      throw new SyntaxFault(event.anchorStart - 1, 'aliases are refused: write the value out');
    }
    if (isThere(event.anchorStart)) {
      throw new SyntaxFault(event.anchorStart - 1, 'anchors are refused');
    }
    if (isThere(event.tagStart)) {
      const tag = this.#text.slice(event.tagStart, event.tagEnd);
      throw new SyntaxFault(event.tagStart, `the tag ${tag} is refused`);
    }
  }

  #entries(groupAt: number): Map<string, Entry> {
    const entries = new Map<string, Entry>();
    while (!this.#ends()) {
      const event = this.#take() as NodeEvent;
      const at = placeOf(event) ?? groupAt;
      this.#refuseMarks(event);
      if (event.type !== EVENT_ID.SCALAR || !isThere(event.valueStart)) {
        throw new SyntaxFault(at, 'a name is expected');
      }
      // `null: 1` and `8: 1` are names too, as they are written.
      const name = getScalarValue(this.#text, event);
      if (entries.has(name)) {
        throw new SyntaxFault(at, `${JSON.stringify(name)} stands here a second time`);
      }
      entries.set(name, { at, node: this.#node(at) });
    }
    return entries;
  }

  /** Whether the group or list ends here; goes on behind its end then. */
  #ends(): boolean {
    const isEnd = this.#events[this.#next]!.type === EVENT_ID.POP;
    if (isEnd) this.#next += 1;
    return isEnd;
  }

  #scalar(event: ScalarEvent): Scalar {
    const text = getScalarValue(this.#text, event);
    if (event.style !== SCALAR_STYLE.PLAIN) return text;
    for (const { resolve, tagName } of MEANINGS.get(text.charAt(0)) ?? []) {
      const value: unknown = resolve(text, false, tagName);
      if (value !== NOT_RESOLVED) return value as Scalar;
    }
    return text;
  }

  /** At its `---`, where it has one: the parser tells the place of what stands in it only. */
  #secondDocumentAt(): number {
    const [begin, first] = this.#events.slice(this.#next);
    const contentAt = first === undefined ? undefined : placeOf(first);
    const isMarked = begin?.type === EVENT_ID.DOCUMENT && begin.explicitStart;
    const at = contentAt ?? this.#text.length;
    return isMarked ? this.#text.lastIndexOf('\n---', at) + 1 : at;
  }
}

/** Undefined of what is empty, or no value. */
function placeOf(event: Event): number | undefined {
  if (event.type === EVENT_ID.MAPPING || event.type === EVENT_ID.SEQUENCE) return event.start;
  if (event.type !== EVENT_ID.SCALAR || !isThere(event.valueStart)) return undefined;
  const isQuoted = QUOTED.has(event.style);
  return isQuoted ? event.valueStart - 1 : event.valueStart;
}

const QUOTED: ReadonlySet<number> = new Set([
  SCALAR_STYLE.SINGLE_QUOTED,
  SCALAR_STYLE.DOUBLE_QUOTED,
]);
