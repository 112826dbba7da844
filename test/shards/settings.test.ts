import { Worker } from 'node:worker_threads';
import { fileURLToPath } from 'node:url';
import { once } from 'node:events';
import { describe, expect, test } from 'vitest';
import {
  SETTINGS_SLOT_BYTES,
  SETTINGS_SLOTS,
  SHARED_HEADER_BYTES,
} from '../../src/shards/layout.js';
import { settingsFault, SettingsPage, type HotSettings } from '../../src/shards/settings.js';
import * as codes from '../../src/frame/codes.js';
import { harness } from '../support/shard-harness.js';
import { ping } from '../support/test-peer.js';

const SETTINGS: HotSettings = {
  heartbeatMs: 30_000,
  slowConsumerTimeoutMs: 1_000,
  subscriptionsMax: 4,
  publicationsMax: 5,
  idleStrategy: 'backoff',
  auth: {
    isRequired: false,
    isKeyingRequired: false,
    handshakeTimeoutMs: 100,
    pendingMax: 7,
    areInsecureTokensTaken: true,
  },
};
const OTHER_AUTH: HotSettings['auth'] = {
  isRequired: true,
  isKeyingRequired: true,
  handshakeTimeoutMs: 2 ** 31 - 1,
  pendingMax: 1_000_000,
  areInsecureTokensTaken: false,
};

function page(): { page: SettingsPage; memory: WebAssembly.Memory } {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  return { page: new SettingsPage(memory, 256), memory };
}

test('the page lies within the header of the shared area', () => {
  expect(SETTINGS_SLOTS + 2 * SETTINGS_SLOT_BYTES).toBeLessThanOrEqual(SHARED_HEADER_BYTES);
});

describe('the page', () => {
  test('has nothing until it begins, then version 1', () => {
    const { page: settings } = page();
    expect(settings.live()).toBeUndefined();
    settings.begin(SETTINGS);
    expect(settings.live()).toEqual({ version: 1, settings: SETTINGS });
    expect(settings.offered()).toBeUndefined();
  });

  test('an offer is not live until it is committed, and gone once it is withdrawn', () => {
    const { page: settings } = page();
    settings.begin(SETTINGS);
    const other: HotSettings = {
      ...SETTINGS,
      heartbeatMs: 5,
      idleStrategy: 'spin',
      auth: OTHER_AUTH,
    };
    const offer = settings.offer(other);
    expect(settings.offered()).toEqual({ offer, settings: other });
    expect(settings.live()).toEqual({ version: 1, settings: SETTINGS });
    settings.withdraw();
    expect(settings.offered()).toBeUndefined();
    expect(settings.live()).toEqual({ version: 1, settings: SETTINGS });
    const again = settings.offer({ ...other, heartbeatMs: 6 });
    expect(again).not.toBe(offer);
    settings.commit();
    expect(settings.live()).toEqual({ version: 2, settings: { ...other, heartbeatMs: 6 } });
    expect(settings.offered()).toBeUndefined();
  });

  test('every step is a change that a reader sees by one load', () => {
    const { page: settings } = page();
    const seen = [settings.change];
    settings.begin(SETTINGS);
    seen.push(settings.change);
    settings.offer(SETTINGS);
    seen.push(settings.change);
    settings.withdraw();
    seen.push(settings.change);
    settings.offer(SETTINGS);
    settings.commit();
    seen.push(settings.change);
    expect(new Set(seen).size).toBe(seen.length);
  });

  /** What a writer makes live holds together; the reader must never see a mixture of two versions. */
  test('a reader in another thread sees whole versions only', async () => {
    const { page: settings, memory } = page();
    const whole = (n: number): HotSettings => ({
      heartbeatMs: n,
      slowConsumerTimeoutMs: n,
      subscriptionsMax: (n % 60_000) + 1,
      publicationsMax: (n % 60_000) + 1,
      idleStrategy: 'block',
      auth: { ...OTHER_AUTH, handshakeTimeoutMs: n, pendingMax: n, isRequired: n % 2 === 1 },
    });
    settings.begin(whole(1));
    const file = fileURLToPath(new URL('../../dist/shards/settings.js', import.meta.url));
    const worker = new Worker(
      `const { workerData, parentPort } = require('node:worker_threads');
       void import(workerData.file).then(({ SettingsPage }) => {
         const page = new SettingsPage(workerData.memory, 256);
         let torn = 0, versions = 0, last = 0;
         parentPort.postMessage('ready');
         while (last < workerData.until) {
           const { version, settings } = page.live();
           if (settings.heartbeatMs !== settings.slowConsumerTimeoutMs) torn++;
           if (settings.heartbeatMs !== version) torn++;
           const { auth } = settings;
           if (auth.handshakeTimeoutMs !== version || auth.pendingMax !== version) torn++;
           if (auth.isRequired !== (version % 2 === 1)) torn++;
           if (settings.subscriptionsMax !== settings.publicationsMax) torn++;
           if (version < last) torn++;
           if (version !== last) versions++;
           last = version;
         }
         parentPort.postMessage({ torn, versions });
       });`,
      { eval: true, workerData: { memory, file, until: 200_000 } },
    );
    // What a thread said last and its end may be told in one go: both are listened for before it can end.
    const exited = once(worker, 'exit');
    await once(worker, 'message');
    const report = once(worker, 'message');
    for (let version = 2; version <= 200_000; version++) {
      settings.offer(whole(version));
      settings.commit();
    }
    const [{ torn, versions }] = (await report) as [{ torn: number; versions: number }];
    expect(torn).toBe(0);
    expect(versions).toBeGreaterThan(0);
    await exited;
  });
});

describe('what a shard can run with', () => {
  test.each<[string, Partial<HotSettings>]>([
    ['heartbeatMs is 0; allowed: 1 to 2147483647', { heartbeatMs: 0 }],
    ['slowConsumerTimeoutMs is 1.5; allowed: 1 to 2147483647', { slowConsumerTimeoutMs: 1.5 }],
    ['subscriptionsMax is 65536; allowed: 1 to 65535', { subscriptionsMax: 65_536 }],
    ['publicationsMax is -1; allowed: 1 to 65535', { publicationsMax: -1 }],
    [
      'handshakeTimeoutMs is 0; allowed: 1 to 2147483647',
      { auth: { ...OTHER_AUTH, handshakeTimeoutMs: 0 } },
    ],
    [
      'pendingMax is 1000001; allowed: 1 to 1000000',
      { auth: { ...OTHER_AUTH, pendingMax: 1_000_001 } },
    ],
    ['idleStrategy is none that is known', { idleStrategy: 'sleep' as 'spin' }],
  ])('%s', (fault, change) => {
    expect(settingsFault(SETTINGS)).toBeUndefined();
    expect(settingsFault({ ...SETTINGS, ...change })).toBe(fault);
  });
});

describe('a shard', () => {
  test('votes for an offer, keeps what it has, and takes it over once it is live', () => {
    const h = harness({ shards: 2, settings: SETTINGS });
    h.settingsPage.begin(SETTINGS);
    h.run();
    expect(h.runsWith).toEqual([undefined, 1, 1]);
    const offer = h.settingsPage.offer({ ...SETTINGS, heartbeatMs: 1_000 });
    const silent = h.connect();
    h.run();
    expect(h.votes).toEqual([
      { shard: 1, offer, fault: undefined },
      { shard: 2, offer, fault: undefined },
    ]);
    h.advance(1_500);
    expect(silent.told()).toEqual([]);
    h.settingsPage.commit();
    h.run();
    expect(h.runsWith).toEqual([undefined, 2, 2]);
    h.advance(200);
    expect(silent.told()).toEqual([expect.stringMatching(/^PING/)]);
  });

  test('votes against what it cannot run with, and says why', () => {
    const h = harness({ settings: SETTINGS });
    h.settingsPage.begin(SETTINGS);
    const offer = h.settingsPage.offer({ ...SETTINGS, heartbeatMs: 0 });
    h.run();
    const fault = 'heartbeatMs is 0; allowed: 1 to 2147483647';
    expect(h.votes).toEqual([{ shard: 1, offer, fault }]);
  });

  test('votes once for each offer, also where one was withdrawn before', () => {
    const h = harness({ settings: SETTINGS });
    h.settingsPage.begin(SETTINGS);
    const first = h.settingsPage.offer(SETTINGS);
    h.run();
    h.settingsPage.withdraw();
    h.run();
    const second = h.settingsPage.offer(SETTINGS);
    h.run();
    h.run();
    expect(h.votes.map(({ offer }) => offer)).toEqual([first, second]);
  });

  test('limits connections that are there by what is live', () => {
    const h = harness({ settings: SETTINGS });
    h.settingsPage.begin(SETTINGS);
    const peer = h.connect();
    for (const subject of ['a', 'b', 'c', 'd']) peer.subscribe(subject);
    expect(peer.ask(ping())).toEqual(['PONG #1']);
    const subscribe = (subject: string): string[] => {
      const payload = Buffer.from(JSON.stringify({ subject }));
      return peer.ask({ type: codes.TYPE_SUBSCRIBE, sequence: 9n, payload });
    };
    expect(subscribe('e')).toEqual(['ERROR LIMIT_EXCEEDED 0#9']);
    h.settingsPage.offer({ ...SETTINGS, subscriptionsMax: 5 });
    h.settingsPage.commit();
    expect(subscribe('e').join()).toContain('SUBSCRIBED e');
  });
});
