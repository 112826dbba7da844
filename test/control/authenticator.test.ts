/** Whatever is wrong with an attempt, the same is computed and the same is answered. */
import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { Authenticator } from '../../src/control/authenticator.js';
import { proofOf, tokenDigest } from '../../src/frame/handshake.js';
import type { AuthenticationRequest } from '../../src/shards/messages.js';

/** Every call of a function of node:crypto that takes its time, with how much it was given. */
const computed: string[] = [];
const NOTED = ['createHmac', 'createHash', 'hkdfSync', 'timingSafeEqual'] as const;
const real = { ...crypto };

function noted(name: (typeof NOTED)[number]): (...values: unknown[]) => unknown {
  const call = real[name] as (...values: unknown[]) => unknown;
  return (...values) => {
    const sizes = values.map((value) =>
      value instanceof Uint8Array ? `${value.length} bytes` : String(value),
    );
    computed.push(`${name}(${sizes.join(', ')})`);
    return call(...values);
  };
}

// In Node.js itself, so that it holds for what is built as well, which no mock of the test runner reaches.
beforeAll(() => {
  Object.assign(crypto, Object.fromEntries(NOTED.map((name) => [name, noted(name)])));
  syncBuiltinESMExports();
});

afterAll(() => {
  Object.assign(crypto, Object.fromEntries(NOTED.map((name) => [name, real[name]])));
  syncBuiltinESMExports();
});

const SECRET = Buffer.from('a secret of thirty-two bytes, 1!');
const TOKEN = 'a token of more than sixteen bytes';
const TRANSCRIPT = Buffer.alloc(64, 7);

let nowMs = 0;
let authenticator: Authenticator;
const warn = vi.fn();
const barred = vi.fn();

beforeEach(() => {
  nowMs = 1000;
  warn.mockClear();
  barred.mockClear();
  authenticator = new Authenticator({
    credentials: [
      { principal: 0, keyId: 'key', method: 'hmac-sha256', secret: SECRET },
      { principal: 1, keyId: 'other', method: 'hmac-sha256', secret: Buffer.alloc(32, 9) },
      { principal: 2, keyId: 'token', method: 'token', secret: Buffer.from(TOKEN) },
    ],
    attemptsPerMinute: 3,
    random: (byteCount) => Buffer.alloc(byteCount, 5),
    clock: { wallMs: () => nowMs, monotonicMs: () => nowMs },
    log: { warn },
    barred,
  });
});

afterEach(() => {
  vi.clearAllMocks();
});

const proofBy = (
  keyId: string,
  secret: Uint8Array,
  address = 'a',
  isKeyed = true,
): AuthenticationRequest => ({
  method: 'hmac-sha256',
  ...{ address, keyId, isKeyed, transcript: TRANSCRIPT },
  proof: proofOf('client', secret, TRANSCRIPT),
});

/** What is answered, and what was computed for it. */
function attempt(request: AuthenticationRequest) {
  computed.length = 0;
  const answer = authenticator.authenticate(request);
  return { answer, computed: [...computed] };
}

describe('a proof', () => {
  test('of an unknown keyId, and one of a secret that is not its own, cost and are answered alike', () => {
    const wrong = attempt(proofBy('key', Buffer.alloc(32, 1), 'a'));
    const unknown = attempt(proofBy('nobody', Buffer.alloc(32, 1), 'b'));
    const others = attempt(proofBy('key', Buffer.alloc(32, 9), 'c'));
    const ofToken = attempt(proofBy('token', Buffer.from(TOKEN), 'd'));
    expect(wrong).toEqual({
      answer: undefined,
      computed: ['createHmac(sha256, 32 bytes)', 'timingSafeEqual(32 bytes, 32 bytes)'],
    });
    expect([unknown, others, ofToken]).toEqual([wrong, wrong, wrong]);
  });

  test('that is made with what stands for the secret of nobody is no proof either', () => {
    expect(attempt(proofBy('nobody', Buffer.alloc(32, 5))).answer).toBeUndefined();
  });

  test('that fits is answered by the other one, and keys', () => {
    const { answer } = attempt(proofBy('key', SECRET));
    expect(answer).toMatchObject({ principal: 0, proof: proofOf('server', SECRET, TRANSCRIPT) });
    expect(answer!.keys!.clientToServer).toHaveLength(16);
    const checked = attempt(proofBy('key', SECRET, 'a', false));
    expect(checked.answer).toMatchObject({ principal: 0 });
    expect(checked.answer!.keys).toBeUndefined();
  });
});

describe('a token', () => {
  const tokenOf = (text: string, address = 'a'): AuthenticationRequest => ({
    method: 'token',
    address,
    digest: tokenDigest(text),
  });

  test('that nobody has costs as much as one that is somebody’s', () => {
    const good = attempt(tokenOf(TOKEN, 'a'));
    const wrong = attempt(tokenOf(`${TOKEN}!`, 'b'));
    const empty = attempt(tokenOf('', 'c'));
    expect(good.answer).toEqual({ principal: 2 });
    expect([wrong.answer, empty.answer]).toEqual([undefined, undefined]);
    expect([wrong.computed, empty.computed]).toEqual([good.computed, good.computed]);
    expect(good.computed).toEqual([
      'createHmac(sha256, 32 bytes)',
      'timingSafeEqual(32 bytes, 32 bytes)',
    ]);
  });
});

test('an address that has failed too often costs nothing any more, whether it is right now or not', () => {
  for (let i = 0; i < 2; i++) attempt(proofBy('key', Buffer.alloc(32, 1)));
  expect(barred).not.toHaveBeenCalled();
  attempt(proofBy('key', Buffer.alloc(32, 1)));
  // A third of a minute for one of three a minute.
  expect(barred.mock.calls).toEqual([['a', 20_000]]);
  expect(attempt(proofBy('key', SECRET))).toEqual({ answer: undefined, computed: [] });
  expect(attempt(proofBy('key', SECRET, 'b')).answer).toBeDefined();
  nowMs += 19_999;
  expect(attempt(proofBy('key', SECRET)).answer).toBeUndefined();
  nowMs += 1;
  expect(attempt(proofBy('key', SECRET)).answer).toBeDefined();
});
