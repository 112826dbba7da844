import { createHmac, hkdfSync, createHash, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  CODE_AUTH_REQUIRED,
  CODE_MALFORMED,
  CODE_UNSUPPORTED_VERSION,
} from '../../src/frame/codes.js';
import {
  answerHello,
  ClientHandshake,
  directionKeysOf,
  isFault,
  proofFits,
  proofOf,
  readProof,
  transcriptOf,
  type ClientCredential,
  type HelloAnswer,
  type ServerPolicy,
} from '../../src/frame/handshake.js';
import { encodePayload } from '../../src/frame/payloads.js';
import { readVectors } from './support.js';

const SECRET = Buffer.from('a secret of thirty-two bytes, 1!');
const OPEN: ServerPolicy = {
  versions: [1],
  isAuthenticationRequired: false,
  isKeyingRequired: false,
};
const CLOSED: ServerPolicy = { ...OPEN, isAuthenticationRequired: true };
const KEYED: ServerPolicy = { ...CLOSED, isKeyingRequired: true };
const hmac: ClientCredential = { method: 'hmac-sha256', keyId: 'k', secret: SECRET };
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

function client(
  credential: ClientCredential | undefined,
  isKeyingRequired = false,
  versions = [1],
) {
  const options = { versions, name: 'test/1', credential, isKeyingRequired, random: randomBytes };
  return new ClientHandshake(options);
}

function answer(hello: object | Uint8Array, policy: ServerPolicy = OPEN): HelloAnswer {
  const payload = hello instanceof Uint8Array ? hello : encodePayload(hello);
  return answerHello(payload, policy, randomBytes);
}

function challenged(hello: object | Uint8Array, policy: ServerPolicy = OPEN) {
  const given = answer(hello, policy);
  if (given.kind !== 'challenge') throw new Error(`a challenge was due, not ${given.kind}`);
  return given;
}

function welcome(fields: object): Uint8Array {
  const usual = { version: 1, server: 's', connection: 'c', maxFrame: 65536, heartbeatMs: 1000 };
  return encodePayload({ ...usual, integrity: 'siphash-2-4', ...fields });
}

describe('the contract’s vector', () => {
  const vector = readVectors()['hmac-sha256'];
  const secret = Buffer.from(vector.secret, 'hex');
  const transcript = transcriptOf(
    Buffer.from(vector.helloPayload),
    Buffer.from(vector.challengePayload),
  );

  it('proofs', () => {
    expect(base64(proofOf('client', secret, transcript))).toBe(vector.clientProof);
    expect(base64(proofOf('server', secret, transcript))).toBe(vector.serverProof);
  });

  it('direction keys', () => {
    const keys = directionKeysOf(secret, transcript);
    expect(hex(keys.clientToServer)).toBe(vector.clientToServerKey);
    expect(hex(keys.serverToClient)).toBe(vector.serverToClientKey);
  });

  it('the server makes the same transcript of that HELLO, and its own CHALLENGE', () => {
    const hello = Buffer.from(vector.helloPayload);
    const nonce = Buffer.from('ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1+f4CBgoM=', 'base64');
    const given = answerHello(hello, OPEN, () => nonce);
    expect(given).toMatchObject({ kind: 'challenge', keyId: 'vectors' });
    if (given.kind !== 'challenge') return;
    expect(Buffer.from(given.payload).toString()).toBe(vector.challengePayload);
    expect(hex(given.transcript)).toBe(hex(transcript));
  });
});

describe('what the server answers to HELLO', () => {
  const auth = { method: 'hmac-sha256', keyId: 'k', nonce: base64(randomBytes(32)) };
  const token = { method: 'token', token: 'x' };
  const both = ['siphash-2-4', 'xxh64'];
  const refusal = (code: number) => ({ kind: 'refused', code });

  it.each([
    [
      'nothing said, nothing asked',
      { versions: [1] },
      OPEN,
      { kind: 'welcome', integrity: 'xxh64' },
    ],
    ['no version in common', { versions: [2, 3] }, OPEN, refusal(CODE_UNSUPPORTED_VERSION)],
    ['no auth where it is asked for', { versions: [1] }, CLOSED, refusal(CODE_AUTH_REQUIRED)],
    [
      'an unknown method',
      { versions: [1], auth: { method: 'x' } },
      OPEN,
      refusal(CODE_AUTH_REQUIRED),
    ],
    [
      'siphash without keys is passed over',
      { versions: [1], integrity: both },
      OPEN,
      { integrity: 'xxh64' },
    ],
    [
      'siphash alone, with a token',
      { versions: [1], integrity: ['siphash-2-4'], auth: token },
      OPEN,
      refusal(CODE_UNSUPPORTED_VERSION),
    ],
    [
      'the client’s preference counts',
      { versions: [1], integrity: both, auth },
      CLOSED,
      { kind: 'challenge', integrity: 'siphash-2-4' },
    ],
    [
      'also where it prefers less',
      { versions: [1], integrity: ['xxh64', 'siphash-2-4'], auth },
      CLOSED,
      { kind: 'challenge', integrity: 'xxh64' },
    ],
    [
      'unless the server demands keys',
      { versions: [1], integrity: ['xxh64', 'siphash-2-4'], auth },
      KEYED,
      { kind: 'challenge', integrity: 'siphash-2-4' },
    ],
    [
      'which a token does not make',
      { versions: [1], integrity: both, auth: token },
      KEYED,
      refusal(CODE_UNSUPPORTED_VERSION),
    ],
    [
      'nor does a client that offers none',
      { versions: [1], auth },
      KEYED,
      refusal(CODE_UNSUPPORTED_VERSION),
    ],
    [
      'an integrity that nobody knows',
      { versions: [1], integrity: ['md5'] },
      OPEN,
      refusal(CODE_UNSUPPORTED_VERSION),
    ],
    [
      'a token',
      { versions: [1], auth: token },
      CLOSED,
      { kind: 'token', token: 'x', integrity: 'xxh64' },
    ],
    ['no form', { versions: 'one' }, OPEN, refusal(CODE_MALFORMED)],
    [
      'a keyId with a forbidden character',
      { versions: [1], auth: { ...auth, keyId: 'a b' } },
      OPEN,
      refusal(CODE_MALFORMED),
    ],
    [
      'a nonce of another length',
      { versions: [1], auth: { ...auth, nonce: 'AAAA' } },
      OPEN,
      refusal(CODE_MALFORMED),
    ],
  ])('%s', (_what, hello, policy, expected) => {
    expect(answer(hello, policy)).toMatchObject(expected);
  });

  it('the newest version that both speak', () => {
    const policy = { ...OPEN, versions: [1, 2] };
    expect(answer({ versions: [1, 2, 3] }, policy)).toMatchObject({ version: 2 });
    expect(answer({ versions: [1] }, policy)).toMatchObject({ version: 1 });
  });

  it('every CHALLENGE has a nonce of its own', () => {
    const hello = { versions: [1], auth };
    const seen = new Set([1, 2, 3].map(() => hex(challenged(hello).transcript)));
    expect(seen.size).toBe(3);
  });
});

describe('client and server together', () => {
  it.each([true, false])(
    'prove themselves to one another (keys demanded: %s)',
    (isKeyingRequired) => {
      const one = client(hmac, isKeyingRequired);
      const challenge = challenged(one.hello(), isKeyingRequired ? KEYED : CLOSED);
      const proofPayload = one.challenged(challenge.payload);
      if (isFault(proofPayload)) throw new Error(proofPayload.fault);
      const proof = readProof(proofPayload)!;
      expect(proofFits('client', SECRET, challenge.transcript, proof)).toBe(true);
      const answerProof = base64(proofOf('server', SECRET, challenge.transcript));
      const greeted = one.welcomed(welcome({ proof: answerProof }));
      if (isFault(greeted)) throw new Error(greeted.fault);
      expect(greeted.keys).toEqual(directionKeysOf(SECRET, challenge.transcript));
    },
  );

  it('agrees with what node:crypto makes of the protocol’s words', () => {
    const [hello, challenge] = [Buffer.from('{"a":1}'), Buffer.from('{"b":2}')];
    const sha = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest();
    const both = Buffer.concat([sha(hello), sha(challenge)]);
    const message = Buffer.concat([Buffer.from('memorystreamer/1 client'), Buffer.of(0), both]);
    const due = createHmac('sha256', SECRET).update(message).digest();
    const transcript = transcriptOf(hello, challenge);
    expect(hex(proofOf('client', SECRET, transcript))).toBe(hex(due));
    const info = 'memorystreamer/1 server-to-client';
    const key = hkdfSync('sha256', SECRET, both, info, 16);
    expect(hex(directionKeysOf(SECRET, transcript).serverToClient)).toBe(hex(new Uint8Array(key)));
  });

  it('a changed HELLO or CHALLENGE, another secret, or the other side’s label: the proof does not fit', () => {
    const one = client(hmac);
    const { transcript, payload } = challenged(one.hello());
    const proof = proofOf('client', SECRET, transcript);
    const changed = (bytes: Uint8Array) => Buffer.concat([bytes, Buffer.from(' ')]);
    expect(proofFits('client', SECRET, transcriptOf(one.hello(), payload), proof)).toBe(true);
    expect(proofFits('client', SECRET, transcriptOf(changed(one.hello()), payload), proof)).toBe(
      false,
    );
    expect(proofFits('client', SECRET, transcriptOf(one.hello(), changed(payload)), proof)).toBe(
      false,
    );
    expect(proofFits('client', randomBytes(32), transcript, proof)).toBe(false);
    expect(proofFits('server', SECRET, transcript, proof)).toBe(false);
    expect(proofFits('client', SECRET, transcript, proof.subarray(0, 31))).toBe(false);
  });
});

describe('a client trusts nothing less', () => {
  const begin = () => {
    const one = client(hmac);
    const challenge = challenged(one.hello());
    one.challenged(challenge.payload);
    return { one, proof: base64(proofOf('server', SECRET, challenge.transcript)) };
  };

  it('a WELCOME without a proof, with a wrong one, or with its own sent back', () => {
    const one = client(hmac);
    const { payload, transcript } = challenged(one.hello());
    one.challenged(payload);
    const wrong = { isUntrusted: true };
    expect(one.welcomed(welcome({}))).toMatchObject(wrong);
    expect(one.welcomed(welcome({ proof: base64(randomBytes(32)) }))).toMatchObject(wrong);
    const own = base64(proofOf('client', SECRET, transcript));
    expect(one.welcomed(welcome({ proof: own }))).toMatchObject(wrong);
  });

  it('a WELCOME that skips the CHALLENGE', () => {
    expect(client(hmac).welcomed(welcome({}))).toMatchObject({ isUntrusted: true });
  });

  it('another integrity in WELCOME than in CHALLENGE', () => {
    const { one, proof } = begin();
    expect(one.welcomed(welcome({ proof, integrity: 'xxh64' }))).toMatchObject({
      isUntrusted: true,
    });
  });

  it('an integrity or a version in CHALLENGE that it did not offer', () => {
    const nonce = base64(randomBytes(32));
    const less = encodePayload({ nonce, version: 1, integrity: 'xxh64' });
    expect(client(hmac, true).challenged(less)).toMatchObject({ isUntrusted: false });
    const other = encodePayload({ nonce, version: 2, integrity: 'siphash-2-4' });
    expect(client(hmac).challenged(other)).toHaveProperty('fault');
  });

  it('a second CHALLENGE, or one that it did not ask for', () => {
    const one = client(hmac);
    const { payload } = challenged(one.hello());
    one.challenged(payload);
    expect(one.challenged(payload)).toHaveProperty('fault');
    expect(client(undefined).challenged(payload)).toHaveProperty('fault');
  });

  it('a WELCOME that says nothing, or names a version that it did not offer', () => {
    const { one, proof } = begin();
    const does = { fault: 'its WELCOME does not fit', isUntrusted: false };
    expect(one.welcomed(Buffer.from('{}'))).toMatchObject(does);
    expect(one.welcomed(welcome({ proof, version: 2 }))).toMatchObject(does);
  });

  it('another version in WELCOME than in CHALLENGE, though it offered both', () => {
    const one = client(hmac, false, [1, 2]);
    const challenge = challenged(one.hello());
    one.challenged(challenge.payload);
    const proof = base64(proofOf('server', SECRET, challenge.transcript));
    expect(one.welcomed(welcome({ proof, version: 2 }))).toMatchObject({ isUntrusted: true });
  });

  it('keys where it has none', () => {
    expect(client(undefined).welcomed(welcome({}))).toHaveProperty('fault');
  });
});

describe('HELLO of the client', () => {
  const hello = (...given: Parameters<typeof client>) =>
    JSON.parse(Buffer.from(client(...given).hello()).toString()) as Record<string, unknown>;

  it('offers keys where it has a secret, and nothing else where it insists', () => {
    expect(hello(undefined)['integrity']).toBeUndefined();
    expect(hello(hmac)['integrity']).toEqual(['siphash-2-4', 'xxh64']);
    expect(hello(hmac, true)['integrity']).toEqual(['siphash-2-4']);
  });

  it('names the key, never the secret', () => {
    const text = Buffer.from(client(hmac).hello()).toString();
    expect(text).toContain('"keyId":"k"');
    for (const form of ['latin1', 'hex', 'base64'] as const) {
      expect(text).not.toContain(SECRET.toString(form));
    }
  });
});
