// What is fuzzed, each against an oracle of its own. `run` throws for what must not be.
import assert from 'node:assert/strict';
import { createHash, createHmac, hkdfSync } from 'node:crypto';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { TextDecoder } from 'node:util';
import { ingest } from './ingest.mjs';
import * as naive from './naive.mjs';

/** Names of the targets, and how each is made of the modules that were built with counters. */
export const TARGETS = { decoder, ingest, handshake, subject, config, yaml, toml };

/** The target, the arrays that its edges are counted in, and which kernels' those behind the first are. */
export async function loadTarget(name, built) {
  globalThis.fuzzEdges ??= new Uint8Array(built.javascriptEdges);
  const load = (path) => import(pathToFileURL(join(built.folder, 'src', path)).href);
  const counters = [globalThis.fuzzEdges];
  const kernels = [];
  const addCounters = (kernel, more) => {
    kernels.push(kernel);
    counters.push(more);
  };
  const target = await TARGETS[name](load, addCounters, built);
  return { target, counters, kernels };
}

const text = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
const isBit = (byte, bit) => ((byte >> bit) & 1) === 1;

// ---- decoder: byte 0 says how it is cut and whether it is keyed; what follows comes from the wire ----

async function decoder(load, addCounters, built) {
  const { FrameDecoder } = await load('frame/codec.js');
  const { FrameKernel, FrameKey } = await load('frame/frame-kernel.js');
  const { TYPES_FROM_CLIENT } = await load('frame/names.js');
  const kernelEdges = built.kernels.frame.edges;
  const capacityBytes = 4 * 65536;
  const kernel = new FrameKernel(
    FrameDecoder.areaBytes(capacityBytes) + FrameKey.areaBytes + kernelEdges + 16,
  );
  const base = kernel.reserve(kernelEdges);
  kernel.call.edgeBase.value = base;
  addCounters('frame', kernel.bytes.subarray(base, base + kernelEdges));
  const key = new FrameKey(kernel);
  const found = new FrameDecoder(kernel, TYPES_FROM_CLIENT, capacityBytes, key);
  const secret = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex');

  /** Splits at every `step` bytes, or not at all. */
  function decoded(bytes, step) {
    const frames = [];
    for (let at = 0; at < bytes.length && found.fault === 0; at += step) {
      found.push(bytes.subarray(at, at + step));
      while (found.next()) {
        const { type, flags, code, stream, sequence, timestamp, damaged } = found;
        const payload = found.payload.toString('hex');
        frames.push({ type, flags, code, stream, sequence, timestamp, payload, damaged });
      }
    }
    return { frames, fault: Math.abs(found.fault) };
  }

  return {
    seeds: [
      [0, { type: 0x20, stream: 7, payload: 'hello world' }],
      [1, { type: 0x10, payload: '{"subject":"orders.eu"}' }],
      [6, { type: 0x05, payload: '' }],
    ].map(([mode, frame]) =>
      Buffer.concat([Buffer.of(mode), frameOf(frame, isBit(mode, 0) ? secret : undefined)]),
    ),
    words: [
      frameOf({ type: 0x20, payload: '' }),
      Buffer.from('4d5301', 'hex'),
      Buffer.alloc(8),
      Buffer.alloc(8, 0xff),
    ],
    run(input) {
      const mode = input[0] ?? 0;
      const bytes = input.subarray(1);
      const isKeyed = isBit(mode, 0);
      if (isKeyed) key.set(secret);
      else key.clear();
      found.reset();
      const step = [bytes.length + 1, 1, 7, 41][(mode >> 1) & 3];
      assert.deepEqual(decoded(bytes, step), naive.decode(bytes, isKeyed ? secret : undefined));
    },
    /** Makes the checks of whole frames right again, so that what lies behind them is reached. */
    finish(input) {
      const isKeyed = isBit(input[0] ?? 0, 0);
      let counter = 0n;
      for (let at = 1; at + 40 <= input.length; counter++) {
        const frame = input.subarray(at);
        const payloadBytes = frame.readUInt32LE(12);
        naive.finish(frame, isKeyed ? secret : undefined, counter);
        if (payloadBytes > frame.length) break;
        at += (40 + payloadBytes + 7) & ~7;
      }
      return input;
    },
  };
}

function frameOf({ type, stream = 0, payload }, key) {
  const frame = Buffer.alloc((40 + payload.length + 7) & ~7);
  frame.write('4d5301', 'hex');
  frame[3] = type;
  frame.writeUInt32LE(stream, 8);
  frame.writeUInt32LE(payload.length, 12);
  frame.writeUInt32LE(42, 16);
  frame.write(payload, 40);
  naive.finish(frame, key, 0n);
  return frame;
}

// ---- handshake: byte 0 says which side and which policy; then HELLO, or CHALLENGE, a zero byte and WELCOME ----

const SECRET = text('a secret of thirty-two bytes, 1!');
const NONCE = Buffer.alloc(32, 9);
const sha256 = (bytes) => createHash('sha256').update(bytes).digest();
const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const isBase64 = (value) => typeof value === 'string' && /^[A-Za-z0-9+/]{43}=$/.test(value);

/** The object that a payload holds, or undefined. */
function objectOf(payload) {
  try {
    const value = JSON.parse(
      new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(payload),
    );
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** What section 4 makes of a HELLO, in one word. */
function helloVerdict(payload, { isAuthenticationRequired, isKeyingRequired }) {
  const hello = objectOf(payload);
  if (hello === undefined || !isHello(hello)) return 'MALFORMED';
  if (!hello.versions.includes(1)) return 'UNSUPPORTED_VERSION';
  const method = hello.auth?.method;
  if (method === undefined && isAuthenticationRequired) return 'AUTH_REQUIRED';
  const allowed = (hello.integrity ?? ['xxh64']).filter(
    (name) =>
      (name === 'siphash-2-4' && method === 'hmac-sha256') ||
      (name === 'xxh64' && !isKeyingRequired),
  );
  if (allowed.length === 0) return 'UNSUPPORTED_VERSION';
  if (method === undefined) return `welcome ${allowed[0]}`;
  if (method === 'token') return `token ${allowed[0]}`;
  return method === 'hmac-sha256' ? `challenge ${allowed[0]}` : 'AUTH_REQUIRED';
}

function isHello({ versions, client, integrity, auth }) {
  const isStrings = (value) =>
    Array.isArray(value) && value.every((item) => typeof item === 'string');
  return (
    Array.isArray(versions) &&
    versions.length > 0 &&
    versions.every(Number.isSafeInteger) &&
    (client === undefined || typeof client === 'string') &&
    (integrity === undefined || isStrings(integrity)) &&
    (auth === undefined || isAuth(auth))
  );
}

function isAuth(auth) {
  if (!isObject(auth) || typeof auth.method !== 'string') return false;
  if (auth.method === 'token') return typeof auth.token === 'string';
  if (auth.method !== 'hmac-sha256') return true;
  return (
    typeof auth.keyId === 'string' &&
    /^[A-Za-z0-9._-]{1,64}$/.test(auth.keyId) &&
    isBase64(auth.nonce)
  );
}

async function handshake(load) {
  const { answerHello, ClientHandshake, isFault } = await load('frame/handshake.js');
  const { errorName } = await load('frame/names.js');
  const random = () => NONCE;

  function server(mode, payload) {
    const policy = {
      versions: [1],
      isAuthenticationRequired: isBit(mode, 1),
      isKeyingRequired: isBit(mode, 2),
    };
    const answer = answerHello(payload, policy, random);
    const said =
      answer.kind === 'refused' ? errorName(answer.code) : `${answer.kind} ${answer.integrity}`;
    assert.equal(said, helloVerdict(payload, policy));
    if (answer.kind === 'challenge') {
      const { version, integrity } = objectOf(answer.payload);
      assert.deepEqual([version, integrity], [1, answer.integrity]);
      assert.deepEqual(
        Buffer.from(answer.transcript),
        Buffer.concat([sha256(payload), sha256(answer.payload)]),
      );
    }
  }

  function client(mode, challenge, welcome) {
    const isKeyingRequired = isBit(mode, 1);
    const credential = { method: 'hmac-sha256', keyId: 'k', secret: SECRET };
    const made = new ClientHandshake({
      versions: [1],
      name: 'f',
      credential,
      isKeyingRequired,
      random,
    });
    const proof = made.challenged(challenge);
    const answer = made.welcomed(welcome);
    const due = verdict(made.hello(), challenge, welcome, isKeyingRequired);
    assert.equal(!isFault(answer), due !== undefined, 'whether the server is believed');
    if (due === undefined) return;
    assert.deepEqual(Object.keys(objectOf(Buffer.from(proof))), ['proof']);
    const info = (direction) => `memorystreamer/1 ${direction}`;
    const key = (direction) =>
      Buffer.from(hkdfSync('sha256', SECRET, due.transcript, info(direction), 16));
    const keys = answer.keys && Object.values(answer.keys).map((each) => Buffer.from(each));
    const wanted = [key('client-to-server'), key('server-to-client')];
    assert.deepEqual(keys, due.isKeyed ? wanted : undefined);
  }

  /** What a client believes: only who knows the secret, and says twice the same. */
  function verdict(hello, challengePayload, welcomePayload, isKeyingRequired) {
    const challenge = objectOf(challengePayload);
    const welcome = objectOf(welcomePayload);
    if (challenge === undefined || welcome === undefined || !isBase64(challenge.nonce))
      return undefined;
    const offered = isKeyingRequired ? ['siphash-2-4'] : ['siphash-2-4', 'xxh64'];
    if (challenge.version !== 1 || !offered.includes(challenge.integrity)) return undefined;
    if (welcome.version !== 1 || welcome.integrity !== challenge.integrity) return undefined;
    const { server, connection, maxFrame, heartbeatMs, proof } = welcome;
    const isWelcome =
      typeof server === 'string' &&
      typeof connection === 'string' &&
      typeof proof === 'string' &&
      [maxFrame, heartbeatMs].every((each) => Number.isSafeInteger(each) && each > 0);
    const transcript = transcriptOf(hello, challengePayload);
    if (!isWelcome || !Buffer.from(proof, 'base64').equals(serverProof(transcript)))
      return undefined;
    return { transcript, isKeyed: challenge.integrity === 'siphash-2-4' };
  }

  const transcriptOf = (hello, challenge) => Buffer.concat([sha256(hello), sha256(challenge)]);
  const serverProof = (transcript) =>
    createHmac('sha256', SECRET).update('memorystreamer/1 server\0').update(transcript).digest();

  const nonce = NONCE.toString('base64');
  const hmac = { method: 'hmac-sha256', keyId: 'k', nonce };
  const challenge = text({ nonce, version: 1, integrity: 'siphash-2-4' });
  const welcome = text({
    version: 1,
    server: 's',
    connection: 'c',
    integrity: 'siphash-2-4',
    maxFrame: 65536,
    heartbeatMs: 1,
    proof: nonce,
  });
  return {
    seeds: [
      Buffer.concat([
        Buffer.of(0),
        text({ versions: [1], client: 'x', integrity: ['siphash-2-4', 'xxh64'], auth: hmac }),
      ]),
      Buffer.concat([Buffer.of(2), text({ versions: [1], auth: { method: 'token', token: 't' } })]),
      Buffer.concat([Buffer.of(1), challenge, Buffer.of(0), welcome]),
    ],
    words: [
      '"versions":[1]',
      '"integrity":["siphash-2-4"]',
      '"xxh64"',
      '"siphash-2-4"',
      '"auth":{}',
      '"method":"token"',
      '"hmac-sha256"',
      nonce,
      '[]',
      '{}',
      '2',
      '-1',
      '1e999',
      '\\u0000',
      '\ufeff',
      '"proof"',
      'null',
    ].map(text0),
    run(input) {
      const mode = input[0] ?? 0;
      const rest = input.subarray(1);
      if (!isBit(mode, 0)) return server(mode, rest);
      const end = rest.indexOf(0);
      return client(
        mode,
        rest.subarray(0, end < 0 ? rest.length : end),
        end < 0 ? Buffer.alloc(0) : rest.subarray(end + 1),
      );
    },
    /** Where a client is asked: puts in the proof that is due for the CHALLENGE, so that what lies behind it is reached. */
    finish(input) {
      const end = input.indexOf(0, 1);
      if (!isBit(input[0] ?? 0, 0) || end < 0) return input;
      const isKeyingRequired = isBit(input[0], 1);
      const credential = { method: 'hmac-sha256', keyId: 'k', secret: SECRET };
      const made = new ClientHandshake({
        versions: [1],
        name: 'f',
        credential,
        isKeyingRequired,
        random,
      });
      const proof = serverProof(transcriptOf(made.hello(), input.subarray(1, end))).toString(
        'base64',
      );
      const said = input
        .subarray(end + 1)
        .toString('latin1')
        .replace(/[A-Za-z0-9+/]{43}=/, proof);
      return Buffer.concat([input.subarray(0, end + 1), Buffer.from(said, 'latin1')]);
    },
  };
}

function text0(value) {
  return Buffer.from(value);
}

// ---- subject: a pattern, a zero byte, a subject ----

function isSubject(bytes, hasWildcards) {
  if (bytes.length < 1 || bytes.length > 255) return false;
  if (bytes.some((byte) => byte <= 0x20 || byte === 0x7f)) return false;
  const tokens = bytes.toString('latin1').split('.');
  return tokens.every((token, i) => {
    if (token === '') return false;
    if (!/[*>]/.test(token)) return true;
    return hasWildcards && (token === '*' || (token === '>' && i === tokens.length - 1));
  });
}

function covers([wanted, ...others], [token, ...rest]) {
  if (wanted === undefined || token === undefined) return wanted === token;
  if (wanted === '>') return true;
  return (wanted === '*' || wanted === token) && covers(others, rest);
}

async function subject(load) {
  const { matches, patternFault, subjectFault } = await load('frame/subject.js');
  return {
    seeds: ['orders.*\0orders.eu', 'a.>\0a.b.c', '>\0x'].map(text0),
    words: ['.', '*', '>', '.*', '.>', '\0', 'ü', '\x7f', 'a'.repeat(64)].map(text0),
    run(input) {
      let both;
      try {
        both = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(input);
      } catch {
        return;
      }
      const end = both.indexOf('\0');
      const [pattern, name] = end < 0 ? [both, ''] : [both.slice(0, end), both.slice(end + 1)];
      const isPattern = isSubject(Buffer.from(pattern), true);
      const isName = isSubject(Buffer.from(name), false);
      assert.equal(patternFault(pattern) === undefined, isPattern);
      assert.equal(subjectFault(name) === undefined, isName);
      if (isPattern && isName) {
        assert.equal(matches(pattern, name), covers(pattern.split('.'), name.split('.')));
      }
    },
  };
}

// ---- config: a file's text, as JSON ----

async function config(load) {
  const { readJson } = await load('config/json.js');
  const { DEPTH_MAX, plain, SyntaxFault } = await load('config/node.js');

  /** Whether JSON.parse would have lost something, or the nesting is too deep. */
  function isStricter(source) {
    const names = [];
    let depth = 0;
    let isDeep = false;
    let hasTwice = false;
    JSON.parse(source);
    const token = /"(?:[^"\\]|\\.)*"(\s*:)?|[{}[\]]/g;
    for (const [found, colon] of source.matchAll(token)) {
      if (found === '{' || found === '[') {
        depth++;
        names.push(new Set());
      } else if (found === '}' || found === ']') {
        depth--;
        names.pop();
      } else if (colon !== undefined) {
        const name = JSON.parse(found.slice(0, -colon.length));
        if (names.at(-1).has(name)) hasTwice = true;
        names.at(-1).add(name);
      }
      if (depth > DEPTH_MAX) isDeep = true;
    }
    return isDeep || hasTwice;
  }

  return {
    seeds: [{ listen: { port: 1 } }, [1.5e3, true, null, 'a\n'], { a: [{}] }].map(text),
    words: [
      '{',
      '}',
      '[[[[[[[[',
      ']]]]]]]]',
      '"a":',
      ',',
      '\\u00e9',
      '\\ud83d',
      '-0',
      '1e5',
      '"__proto__":1',
      'true',
      '\t',
    ].map(text0),
    run(input) {
      const source = input.toString('utf8');
      let expected;
      let isJson = true;
      try {
        expected = JSON.parse(source);
        if (isStricter(source)) isJson = false;
      } catch (error) {
        if (!(error instanceof SyntaxError)) throw error;
        isJson = false;
      }
      let value;
      try {
        value = plain(readJson(source));
      } catch (error) {
        if (!(error instanceof SyntaxFault)) throw error;
        assert.equal(isJson, false, `refused: ${error.message}`);
        return;
      }
      assert.equal(isJson, true, 'taken');
      assert.equal(JSON.stringify(value), JSON.stringify(expected));
    },
  };
}

// ---- yaml, toml: what was read, written as JSON, is read as the same; what is refused has a place in the text ----

async function yaml(load) {
  const { readYaml } = await load('config/yaml.js');
  const { readJson } = await load('config/json.js');
  return readerTarget(await load('config/node.js'), readYaml, [readYaml, readJson], {
    seeds: [
      'listen: {port: 1}\nlist:\n  - a: 1.5e3\n    b: ~\n  - [true, "x\\u0041"]\n',
      '? a\n: |\n  text\n  more\nb: >-\n  folded\n\n  it\n',
      "%YAML 1.2\n---\n'it''s': 0x1F # said\n...\n",
    ],
    words: [
      ...[
        '- ',
        ': ',
        '? ',
        '\n  ',
        '\n',
        '|+',
        '>-',
        '&a ',
        '!t ',
        '*a',
        '!!int ',
        '<<: ',
        '---\n',
        '...',
      ],
      ...[
        '{',
        '}',
        '[',
        ']',
        ',',
        '"',
        "'",
        '#',
        '%',
        '\\x41',
        '__proto__: 1',
        '[[[[[[[[',
        ']]]]]]]]',
        '- - - - - - - - ',
        '.inf',
        '0o17',
        '\t',
      ],
    ],
  });
}

async function toml(load) {
  const { readToml } = await load('config/toml.js');
  const { readJson } = await load('config/json.js');
  return readerTarget(await load('config/node.js'), readToml, [readJson], {
    seeds: [
      'a = 1\n[listen]\nport = 0x1F\n[[list]]\nb.c = "x\\u0041"\n[[list]]\n',
      'x = { y = [1, 2.5e3, true], \'z\' = """\nlines\n""" }\n',
      'd = 2026-11-24T10:00:00Z\n',
    ],
    words: [
      ...['[', ']', '[[', ']]', '=', '.', ',', '{', '}', '"', "'", '"""', "'''", '#', '\n', '\r\n'],
      ...[
        'a.b',
        '"__proto__" = 1',
        'a = [[[[[[[[',
        '[[[[[[[[',
        ']]]]]]]]',
        'a.a.a.a.a.a.a.a.',
        'inf',
        'nan',
        '0b1',
        '1_000',
        '\\u0041',
        '07:32:00',
        '\\',
        '\t',
      ],
    ],
  });
}

function readerTarget({ DEPTH_MAX, plain, SyntaxFault }, read, again, { seeds, words }) {
  function assertSound(node, depth, length) {
    assert.ok(depth <= DEPTH_MAX + 1, 'too deep');
    assert.ok(node.at >= 0 && node.at <= length, `a place beyond the text: ${node.at}`);
    if (node.kind === 'list') for (const item of node.items) assertSound(item, depth + 1, length);
    if (node.kind !== 'group') return;
    for (const { at, node: inner } of node.entries.values()) {
      assert.ok(at >= 0 && at <= length, `a name's place beyond the text: ${at}`);
      assertSound(inner, depth + 1, length);
    }
  }
  return {
    seeds: seeds.map(text),
    words: words.map(text0),
    run(input) {
      const source = input.toString('utf8');
      let root;
      try {
        root = read(source);
      } catch (error) {
        if (!(error instanceof SyntaxFault)) throw error;
        assert.ok(error.at >= 0 && error.at <= source.length, `refused at ${error.at}`);
        return;
      }
      assertSound(root, 0, source.length);
      const json = JSON.stringify(plain(root));
      // JSON has no infinity, and what stands for it is another value.
      if (json.includes('null')) return;
      for (const reader of again) assert.equal(JSON.stringify(plain(reader(json))), json);
    },
  };
}
