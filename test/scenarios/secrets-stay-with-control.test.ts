// No secret goes to a thread that handles frames: of every message between the threads of a broker each byte is looked at.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { ClientCredential } from '../../src/frame/handshake.js';
import { ROOT } from '../support/broker.js';
import { closePeers, Peer } from '../support/peer.js';
import { Watched } from '../support/watched.js';

const SECRETS = ['the first secret, of 32 bytes...', 'the second secret, of 32 bytes..'];
const TOKENS = ['the first token, long enough', 'the second token, long enough'];

/** A broker whose main thread looks through all that it posts, and says at its end what it has found. */
const LISTENING_BROKER = `
import { MessageChannel, MessagePort, Worker } from 'node:worker_threads';
const needles = JSON.parse(process.argv[2]).flatMap((text) => [
  Buffer.from(text),
  Buffer.from(Buffer.from(text).toString('hex')),
  Buffer.from(Buffer.from(text).toString('base64').slice(0, 24)),
]);
const seen = { messages: 0, credentials: 0, leaks: 0 };
const holds = (value, known = new Set()) => {
  if (typeof value === 'string') return needles.some((needle) => value.includes(needle.toString()));
  if (typeof value !== 'object' || value === null || known.has(value)) return false;
  known.add(value);
  if (ArrayBuffer.isView(value)) {
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    return needles.some((needle) => bytes.includes(needle));
  }
  const inner = value instanceof Map ? [...value].flat() : Object.values(value);
  return inner.some((one) => holds(one, known));
};
for (const { prototype } of [MessagePort, Worker]) {
  const post = prototype.postMessage;
  prototype.postMessage = function (message, ...rest) {
    seen.messages++;
    if (Array.isArray(message) && message.some(({ type }) => type === 'principals')) seen.credentials++;
    if (holds(message)) seen.leaks++;
    return post.call(this, message, ...rest);
  };
}
// It finds what is there: in a text, and in bytes.
const { port1, port2 } = new MessageChannel();
port1.postMessage({ a: [new Map([['b', needles[0].toString()]])] });
port1.postMessage({ a: { b: new Uint8Array(needles[0]) } });
port1.close();
port2.close();
if (seen.leaks !== 2) throw new Error('it is blind');
seen.leaks = 0;
process.on('exit', () => process.stdout.write('seen ' + JSON.stringify(seen) + '\\n'));
const { runServe } = await import(process.argv[3]);
await runServe(process.argv.slice(4));
`;

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'secrets-'));
});

afterEach(() => {
  closePeers();
  rmSync(folder, { recursive: true });
});

function write(name: string, text: string): void {
  const path = join(folder, name);
  writeFileSync(`${path}.new`, text, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

const key = (secret: string): ClientCredential => ({
  method: 'hmac-sha256',
  keyId: 'key',
  secret: Buffer.from(secret),
});

it('neither at the start, nor when somebody authenticates, nor when it is exchanged', async () => {
  write('key.secret', SECRETS[0]!);
  write('token.secret', TOKENS[0]!);
  const credential = (keyId: string, method: string, more = {}) => ({
    ...{ keyId, method, secretFile: `${keyId}.secret` },
    ...more,
  });
  const configure = (more: object) => {
    const credentials = [credential('key', 'hmac-sha256', more), credential('token', 'token')];
    write('broker.json', JSON.stringify({ auth: { required: true }, credentials }));
  };
  configure({});
  const serve = pathToFileURL(join(ROOT, 'dist', 'cli', 'serve.js')).href;
  const needles = JSON.stringify([...SECRETS, ...TOKENS]);
  const argv = ['--port', '0', '--shards', '2', '--config', join(folder, 'broker.json')];
  // A file: threads would inherit the flags of what is given on the command line.
  writeFileSync(join(folder, 'listening-broker.mjs'), LISTENING_BROKER);
  const child = spawn(
    process.execPath,
    [join(folder, 'listening-broker.mjs'), needles, serve, ...argv],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const watched = new Watched();
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      watched.changed();
    });
  }
  const says = (pattern: RegExp) =>
    watched.until(
      () => pattern.test(said),
      () => said,
    );
  await says(/ready url=\S+:\d+/);
  const port = Number(/ready url=\S+:(\d+)/.exec(said)![1]);
  await Peer.prove(port, key(SECRETS[0]!));
  await Peer.prove(port, { method: 'token', token: TOKENS[0]! });
  write('key.secret', SECRETS[1]!);
  await says(/"items":"changed key"/);
  write('token.secret', TOKENS[1]!);
  await says(/"items":"changed token"/);
  configure({ publish: { allow: ['a'] } });
  await says(/"items":"changed key"[^]*"items":"changed key"/);
  await Peer.prove(port, key(SECRETS[1]!));
  await Peer.prove(port, { method: 'token', token: TOKENS[1]! });
  closePeers();
  const ended = once(child, 'close');
  child.kill('SIGTERM');
  expect(await ended).toEqual([0, null]);
  const seen = JSON.parse(/^seen (.*)$/m.exec(said)![1]!) as Record<string, number>;
  expect(seen['messages']).toBeGreaterThan(10);
  // Both shards were told of the rights that became less.
  expect(seen['credentials']).toBe(2);
  expect(seen['leaks']).toBe(0);
});
