/**
 * Subjects (docs/PROTOCOL.md, section 5): 1–255 bytes of UTF-8, tokens parted by `.`; in a
 * subscription `*` stands for one whole token and `>` as the last one for one or more.
 */
export const SUBJECT_BYTES_MAX = 255;

const encoder = new TextEncoder();
// Unpaired surrogates have no UTF-8 form; bytes up to 0x20 and 0x7F are not allowed.
// eslint-disable-next-line no-control-regex
const FORBIDDEN = /[\u0000-\u0020\u007f]/;

/** Why `text` is not a subject to publish on, or undefined. */
export function subjectFault(text: string): string | undefined {
  return fault(text, false);
}

/** Why `text` is not a subject to subscribe to, or undefined. */
export function patternFault(text: string): string | undefined {
  return fault(text, true);
}

function fault(text: string, wildcards: boolean): string | undefined {
  if (text.length === 0) return 'a subject is not empty';
  if (!text.isWellFormed()) return 'a subject is valid UTF-8';
  if (text.length > SUBJECT_BYTES_MAX || encoder.encode(text).length > SUBJECT_BYTES_MAX) {
    return `a subject has at most ${SUBJECT_BYTES_MAX} bytes`;
  }
  if (FORBIDDEN.test(text)) return 'a subject has no spaces and no control characters';
  const tokens = text.split('.');
  for (const [index, token] of tokens.entries()) {
    if (token === '') return 'a subject has no empty token';
    if (token === '*' || token === '>') {
      if (!wildcards) return `"${token}" is for subscriptions only`;
      if (token === '>' && index !== tokens.length - 1) return '">" stands only as the last token';
    } else if (token.includes('*') || token.includes('>')) {
      return 'a wildcard stands for a whole token';
    }
  }
  return undefined;
}

export function hasWildcard(pattern: string): boolean {
  return pattern.split('.').some((token) => token === '*' || token === '>');
}

/** Whether a valid pattern covers a valid subject. */
export function matches(pattern: string, subject: string): boolean {
  const wanted = pattern.split('.');
  const tokens = subject.split('.');
  for (const [index, token] of wanted.entries()) {
    if (token === '>') return tokens.length > index;
    if (index >= tokens.length || (token !== '*' && token !== tokens[index])) return false;
  }
  return wanted.length === tokens.length;
}

/** Whether a valid pattern covers every subject that another one covers. */
export function covers(pattern: string, other: string): boolean {
  const wide = pattern.split('.');
  const narrow = other.split('.');
  for (const [index, token] of wide.entries()) {
    if (token === '>') return narrow.length > index;
    if (index >= narrow.length || narrow[index] === '>') return false;
    if (token !== '*' && token !== narrow[index]) return false;
  }
  return wide.length === narrow.length;
}

/** Whether there is a subject that both patterns cover. */
export function overlaps(pattern: string, other: string): boolean {
  const ones = pattern.split('.');
  const others = other.split('.');
  for (let index = 0; index < Math.max(ones.length, others.length); index++) {
    const [one, two] = [ones[index], others[index]];
    if (one === undefined || two === undefined) return false;
    if (one === '>' || two === '>') return true;
    if (one !== two && one !== '*' && two !== '*') return false;
  }
  return true;
}
