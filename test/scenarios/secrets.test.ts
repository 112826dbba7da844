// What a broker leaves behind that somebody else may read: its log, what it prints, the diagnostic reports that Node.js writes
// of it, and the words of a shard that crashes. No secret is in any of them, nor in what clients are told.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { runEntry } from '../cli/processes.js';
import { endBrokers, startBroker, type Broker } from '../support/broker.js';
import {
  Credentials,
  KEY,
  OTHER_SECRET,
  SECRET,
  TOKEN,
  TOKEN_CREDENTIAL,
} from '../support/credentials.js';
import { closePeers, Peer } from '../support/peer.js';

/** In no form in which they might be written. */
const SECRETS = [SECRET, OTHER_SECRET, TOKEN].flatMap((text) => {
  const bytes = Buffer.from(text);
  const inner = text.slice(3, 19);
  return [inner, bytes.toString('hex').slice(0, 24), bytes.toString('base64').slice(0, 20)];
});

function secretsIn(text: string): string[] {
  return SECRETS.filter((form) => text.includes(form));
}

const reports = mkdtempSync(join(tmpdir(), 'memorystreamer-reports-'));
let files: Credentials;
let broker: Broker;

beforeAll(async () => {
  const options = ['--report-on-signal', '--report-signal=SIGQUIT', '--report-on-fatalerror'];
  vi.stubEnv('NODE_OPTIONS', [...options, `--report-directory=${reports}`].join(' '));
  files = new Credentials();
  broker = await startBroker(
    ...['--shards', '2', '--log-level', 'trace', '--debug-faults', '--config'],
    files.configuration({ required: true, attemptsPerMinute: 1000 }),
  );
  vi.unstubAllEnvs();
});

afterEach(closePeers);

afterAll(async () => {
  await endBrokers();
  files.remove();
  rmSync(reports, { recursive: true });
});

/** Good and bad attempts of every kind; answers all that clients were told. */
async function attempts(): Promise<string> {
  const told: string[] = [];
  for (const credential of [
    KEY,
    TOKEN_CREDENTIAL,
    { ...KEY, secret: randomBytes(32) },
    { ...KEY, keyId: 'nobody' },
    { ...KEY, secret: Buffer.from(OTHER_SECRET) },
    { method: 'token', token: `${TOKEN}!` } as const,
  ]) {
    await Peer.prove(broker.port, credential).then(
      async (peer) => {
        const { stream } = await peer.open('secrets');
        peer.publish(stream, 1, [Buffer.from('x')]);
        await peer.ackedUpTo(stream, 1);
        told.push(JSON.stringify(peer.frames.map(({ payload }) => payload.toString('latin1'))));
      },
      (error: unknown) => told.push((error as Error).message),
    );
  }
  return told.join('\n');
}

describe('a broker with secrets', () => {
  it('tells clients none', async () => {
    const told = await attempts();
    expect(told).toContain('AUTH_FAILED');
    expect(secretsIn(told)).toEqual([]);
  });

  it('writes none into the diagnostic report that somebody asks for', async () => {
    await attempts();
    broker.signal('SIGQUIT');
    const found = () => readdirSync(reports).filter((name) => name.endsWith('.json'));
    await vi.waitUntil(() => found().length > 0 && isWhole(join(reports, found()[0]!)), {
      timeout: 20_000,
      interval: 50,
    });
    const report = readFileSync(join(reports, found()[0]!), 'utf8');
    // It is of that process, and says what it was called with.
    expect(JSON.parse(report)).toMatchObject({ header: { processId: broker.pid } });
    expect(report).toContain(files.folder);
    expect(secretsIn(report)).toEqual([]);
  });

  it('has none on its command line or in its environment', () => {
    for (const [name, known] of [
      ['cmdline', files.folder],
      ['environ', reports],
    ] as const) {
      const text = readFileSync(`/proc/${broker.pid}/${name}`, 'latin1');
      expect(text).toContain(known);
      expect(secretsIn(text)).toEqual([]);
    }
  });

  it('says none when a shard of it crashes, and logs none at all', async () => {
    const peer = await Peer.prove(broker.port, KEY);
    await broker.crashOneShard();
    await broker.crashOneShard();
    await attempts();
    peer.destroy();
    const said = JSON.stringify([broker.logs, broker.complaints, broker.output]);
    expect(said).toContain('shard failed');
    expect(said).toContain('authentication failed');
    expect(secretsIn(said)).toEqual([]);
  });
});

it('a command that is refused shows none', () => {
  const wrong = ['--key-id', 'bound', '--secret-file', files.path('all.secret')];
  const token = ['--token-file', files.file('wrong', `${TOKEN}!`)];
  for (const credential of [wrong, token]) {
    const { code, stdout, stderr } = runEntry(['ping', '--url', broker.url, ...credential]);
    expect(code).toBe(5);
    expect(stderr).toContain('AUTH_FAILED');
    expect(secretsIn(stdout + stderr)).toEqual([]);
  }
});

/** Node.js writes a report piece by piece. */
function isWhole(path: string): boolean {
  try {
    JSON.parse(readFileSync(path, 'utf8'));
    return true;
  } catch {
    return false;
  }
}
