import { beforeEach, describe, expect, test } from 'vitest';
import { SettingsVote } from '../../src/control/settings-vote.js';
import { SettingsPage, type HotSettings } from '../../src/shards/settings.js';

const OLD: HotSettings = {
  heartbeatMs: 100,
  slowConsumerTimeoutMs: 100,
  subscriptionsMax: 1,
  publicationsMax: 1,
  idleStrategy: 'block',
  auth: {
    isRequired: false,
    isKeyingRequired: false,
    handshakeTimeoutMs: 100,
    pendingMax: 1,
    areInsecureTokensTaken: false,
  },
};
const NEW: HotSettings = { ...OLD, heartbeatMs: 200 };

let page: SettingsPage;
let vote: SettingsVote;
let shards: number[];
let signalled: number[];
let expire: () => void;
let timers: number;
/** Versions that were live when the rest was committed. */
let commits: (number | undefined)[];

const committed = (): void => void commits.push(page.live()?.version);

beforeEach(() => {
  page = new SettingsPage(new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }), 0);
  page.begin(OLD);
  shards = [1, 2];
  signalled = [];
  timers = 0;
  commits = [];
  vote = new SettingsVote({
    page,
    shards: () => shards,
    signal: (shard) => void signalled.push(shard),
    schedule: (run) => {
      expire = run;
      timers++;
      return () => timers--;
    },
  });
});

const offer = (): number => page.offered()!.offer;
/** Everything that has been settled so far has been acted upon. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function outcome(applying: Promise<void>): Promise<string> {
  return applying.then(
    () => 'applied',
    (error: unknown) => `${(error as { code: string }).code}: ${(error as Error).message}`,
  );
}

describe('new settings', () => {
  test('are live once all have voted for them, and applied once all run with them', async () => {
    let isDone = false;
    const applying = vote.apply(NEW, committed).then(() => (isDone = true));
    expect(signalled).toEqual([1, 2]);
    vote.voted(1, offer(), undefined);
    await settled();
    expect(page.live()).toEqual({ version: 1, settings: OLD });
    vote.voted(2, offer(), undefined);
    await settled();
    expect(page.live()).toEqual({ version: 2, settings: NEW });
    expect(signalled).toEqual([1, 2, 1, 2]);
    expect(commits).toEqual([2]);
    vote.runs(2, 2);
    await settled();
    expect(isDone).toBe(false);
    vote.runs(1, 2);
    await applying;
    expect(timers).toBe(0);
  });

  test('are withdrawn where one votes against them', async () => {
    const applying = outcome(vote.apply(NEW, committed));
    vote.voted(1, offer(), undefined);
    vote.voted(2, offer(), 'no room');
    expect(await applying).toBe('MS_ERR_RELOAD: shard 2: no room');
    expect(page.offered()).toBeUndefined();
    expect(page.live()).toEqual({ version: 1, settings: OLD });
    expect(commits).toEqual([]);
    expect(timers).toBe(0);
  });

  test('are withdrawn where one does not answer in time, and another attempt is judged anew', async () => {
    const applying = outcome(vote.apply(NEW, committed));
    const late = offer();
    vote.voted(1, late, undefined);
    expire();
    expect(await applying).toBe('MS_ERR_RELOAD: no answer within 2000 ms of shard 2');
    expect(page.live()).toEqual({ version: 1, settings: OLD });
    const again = outcome(vote.apply(NEW, committed));
    // The late vote is for what was withdrawn.
    vote.voted(2, late, undefined);
    vote.voted(1, offer(), undefined);
    await settled();
    expect(page.live()!.version).toBe(1);
    vote.voted(2, offer(), undefined);
    await settled();
    expect(page.live()!.version).toBe(2);
    vote.runs(1, 2);
    vote.runs(2, 2);
    expect(await again).toBe('applied');
    expect(commits).toEqual([2]);
  });

  test('do not wait for a shard that has died', async () => {
    const applying = outcome(vote.apply(NEW, committed));
    vote.voted(1, offer(), undefined);
    shards = [1];
    vote.forget(2);
    await settled();
    vote.runs(1, 2);
    expect(await applying).toBe('applied');
  });

  test('count as applied where all have agreed and one is late to take them over', async () => {
    const applying = outcome(vote.apply(NEW, committed));
    vote.voted(1, offer(), undefined);
    vote.voted(2, offer(), undefined);
    await settled();
    vote.runs(1, 2);
    expire();
    expect(await applying).toBe('applied');
    expect(page.live()!.version).toBe(2);
  });

  test('come one after another', async () => {
    const applying = outcome(vote.apply(NEW, committed));
    expect(await outcome(vote.apply(OLD, committed))).toBe(
      'MS_ERR_RELOAD: another change is under way',
    );
    vote.voted(1, offer(), 'no');
    expect(await applying).toMatch(/^MS_ERR_RELOAD: shard 1/);
  });

  test('are live at once where there is no shard', async () => {
    shards = [];
    expect(await outcome(vote.apply(NEW, committed))).toBe('applied');
    expect(page.live()!.version).toBe(2);
  });
});
