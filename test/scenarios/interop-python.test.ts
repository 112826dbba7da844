/**
 * A client in another language, written from the protocol's text, meets the broker and this project's own client.
 * It is Python's standard library alone; where there is no python3, these tests fail.
 */
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, expect, test } from 'vitest';
import { connect } from '../../src/client/client.js';
import type { ConnectOptions } from '../../src/client/options.js';
import { Credentials, SECRET } from '../support/credentials.js';
import { endBrokers, ROOT, startBroker } from '../support/broker.js';

const INTEROP = join(ROOT, 'test', 'interop');
const FRAMES = 120;
const ENVIRONMENT = { ...process.env, PYTHONDONTWRITEBYTECODE: '1' };

afterEach(endBrokers);

test('its codec passes the vectors', () => {
  const vectors = join(ROOT, 'docs', 'vectors.json');
  const said = execFileSync('python3', [join(INTEROP, 'vectors.py'), vectors], {
    encoding: 'utf8',
    env: ENVIRONMENT,
  });
  expect(Number(/^(\d+) vectors pass\n$/.exec(said)?.[1])).toBeGreaterThan(50);
});

interface Exchange {
  welcome: { integrity: string; version: number };
  last: number;
  published: string;
  delivered: string;
}

/** Runs exchange.py beside a client of this project, which reads what it publishes and answers. */
async function exchange(
  port: number,
  credential: { python: readonly string[]; client: ConnectOptions } = { python: [], client: {} },
): Promise<Exchange> {
  const args = [join(INTEROP, 'exchange.py'), '127.0.0.1', `${port}`, 'py', `${FRAMES}`];
  const python = spawn('python3', [...args, ...credential.python], {
    env: ENVIRONMENT,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let complaint = '';
  python.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text));
  const closed = once(python, 'close');
  const lines: string[] = [];
  const client = await connect(`ms://127.0.0.1:${port}`, credential.client);
  try {
    for await (const line of createInterface({ input: python.stdout })) {
      lines.push(line);
      if (lines.length > 1) continue;
      for (let i = 0; i < FRAMES; i++) await client.publish('py.other', `answer ${i}, grün`);
    }
    expect([await closed, complaint]).toEqual([[0, null], '']);
    expect(lines.slice(1)).toEqual(Array.from({ length: FRAMES }, (_, i) => `answer ${i}, grün`));
    const found = JSON.parse(lines[0]!) as Exchange;
    expect(await hashOf(client, found)).toBe(found.published);
    return found;
  } finally {
    await client.close();
    python.kill();
  }
}

/** The SHA-256 of all payloads of `py.own`, as this project's client reads them. */
async function hashOf(client: Awaited<ReturnType<typeof connect>>, { last }: Exchange) {
  const hash = createHash('sha256');
  const subscription = client.subscribe('py.own', { from: 'first' });
  let count = 0;
  for await (const message of subscription) {
    hash.update(message.payload);
    if (++count === last) break;
  }
  return hash.digest('hex');
}

test('it publishes and subscribes, beside this project’s client', async () => {
  const broker = await startBroker();
  const { welcome, last, published, delivered } = await exchange(broker.port);
  expect(welcome).toMatchObject({ integrity: 'xxh64', version: 1 });
  expect(last).toBe(FRAMES);
  expect(delivered).toBe(published);
});

test('with a key it proves itself, has the broker prove itself, and publishes and subscribes by keyed frames', async () => {
  const credentials = new Credentials();
  try {
    const broker = await startBroker('--config', credentials.configuration({ required: true }));
    const secretFile = credentials.path('all.secret');
    const { welcome, last, published, delivered } = await exchange(broker.port, {
      python: ['all', secretFile],
      client: { auth: { keyId: 'all', secret: SECRET }, integrity: 'siphash-2-4' },
    });
    expect(welcome).toMatchObject({ integrity: 'siphash-2-4', version: 1 });
    expect(last).toBe(FRAMES);
    expect(delivered).toBe(published);
  } finally {
    credentials.remove();
  }
});
