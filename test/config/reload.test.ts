import { expect, test } from 'vitest';
import { MemoryStreamerError } from '../../src/errors.js';
import { loadConfiguration, type Configuration } from '../../src/config/load.js';
import { Reloader } from '../../src/config/reload.js';

const MACHINE = { openFilesMax: 20_000, memoryBytes: 8 * 2 ** 30, cpus: 4, nodes: 1 };

async function configuration(...argv: string[]): Promise<Configuration> {
  return loadConfiguration({ argv, env: {}, machine: MACHINE as never });
}

interface Rig {
  reloader: Reloader;
  applied: Configuration[];
  lines: { level: string; fields: Record<string, unknown> }[];
  /** What is read next; an error is thrown. */
  next: Configuration | Error;
  loads: number;
  refuse: string | undefined;
  /** While set, loading waits for it. */
  gate: Promise<void> | undefined;
}

async function rig(...argv: string[]): Promise<Rig> {
  const current = await configuration(...argv);
  let nowMs = 0;
  const made: Rig = {
    reloader: undefined as unknown as Reloader,
    applied: [],
    lines: [],
    next: current,
    loads: 0,
    refuse: undefined,
    gate: undefined,
  };
  const line = (level: string) => (fields: object, message: string) => {
    expect(message).toBe('config reload');
    made.lines.push({ level, fields: fields as Record<string, unknown> });
  };
  made.reloader = new Reloader({
    current,
    load: async () => {
      made.loads++;
      const { next } = made;
      await made.gate;
      if (next instanceof Error) throw next;
      return next;
    },
    apply: (next) => {
      if (made.refuse !== undefined) {
        return Promise.reject(new MemoryStreamerError('MS_ERR_RELOAD', made.refuse));
      }
      made.applied.push(next);
      return Promise.resolve();
    },
    log: { info: line('info'), warn: line('warn') },
    clock: { wallMs: () => 1_700_000_000_000, monotonicMs: () => (nowMs += 2.5) },
  });
  return made;
}

test('a hot key is applied, and the line says what changed, from what and to what', async () => {
  const r = await rig();
  r.next = await configuration('--limits-subscriptions', '7');
  const record = await r.reloader.reload('SIGHUP');
  expect(record).toMatchObject({ result: 'applied', by: 'SIGHUP', atMs: 1_700_000_000_000 });
  expect(r.applied).toEqual([r.next]);
  expect(r.reloader.current).toBe(r.next);
  expect(r.lines).toEqual([
    {
      level: 'info',
      fields: {
        result: 'applied',
        digest: r.next.digest,
        by: 'SIGHUP',
        tookMs: 2.5,
        changed: [{ key: 'limits.subscriptions', before: '1024', after: '7' }],
      },
    },
  ]);
});

test('what is the same is a success, and nothing is applied', async () => {
  const r = await rig('--log-level', 'warn');
  r.next = await configuration('--log-level', 'warn');
  expect((await r.reloader.reload('watch')).result).toBe('unchanged');
  expect(r.applied).toEqual([]);
  expect(r.lines[0]!.level).toBe('info');
});

test('a key that needs a restart is named, and the hot ones beside it are not applied either', async () => {
  const r = await rig();
  const before = r.reloader.current;
  r.next = await configuration('--limits-subscriptions', '7', '--limits-streams', '9');
  const record = await r.reloader.reload('watch');
  expect(record.result).toBe('needs-restart');
  expect(record.digest).toBe(before.digest);
  expect(r.applied).toEqual([]);
  expect(r.reloader.current).toBe(before);
  expect(r.lines[0]).toMatchObject({
    level: 'warn',
    fields: {
      changed: [
        { key: 'limits.streams', before: '16384', after: '9', needs: 'restart' },
        { key: 'limits.subscriptions', before: '1024', after: '7' },
      ],
    },
  });
});

test('sources with faults are refused, each fault is a reason, and the old one stays', async () => {
  const r = await rig();
  const before = r.reloader.current;
  r.next = new MemoryStreamerError('MS_ERR_CONFIG', 'a.json:1:2: shards: no\nb.json:3:4: x: no');
  const record = await r.reloader.reload('watch');
  expect(record).toMatchObject({
    result: 'refused',
    digest: before.digest,
    reasons: ['a.json:1:2: shards: no', 'b.json:3:4: x: no'],
  });
  expect(r.reloader.current).toBe(before);
});

test('what a shard cannot take over is refused, with old and new value', async () => {
  const r = await rig();
  const before = r.reloader.current;
  r.next = await configuration('--limits-subscriptions', '7');
  r.refuse = 'shard 2: no room';
  await r.reloader.reload('watch');
  expect(r.reloader.current).toBe(before);
  expect(r.lines[0]!.fields).toMatchObject({
    result: 'refused',
    reasons: ['shard 2: no room'],
    changed: [{ key: 'limits.subscriptions', before: '1024', after: '7' }],
  });
  r.refuse = undefined;
  expect((await r.reloader.reload('watch')).result).toBe('applied');
});

test('a wrong value is told with the one that stays', async () => {
  const r = await rig('--limits-subscriptions', '7');
  r.next = await configuration('--limits-subscriptions', '0', '--nothing', 'x').catch(
    (error: unknown) => error as Error,
  );
  expect((await r.reloader.reload('watch')).reasons).toEqual([
    '--nothing is not a flag of serve (try --help)',
  ]);
  r.next = await configuration('--limits-subscriptions', '0').catch(
    (error: unknown) => error as Error,
  );
  expect((await r.reloader.reload('watch')).reasons).toEqual([
    '--limits-subscriptions: 0 is too small; allowed: a whole number from 1 to 65535; it stays 7',
  ]);
});

test('a file for want of which an attempt was refused is watched', async () => {
  const r = await rig('--limits-subscriptions', '7');
  expect(r.reloader.paths).toEqual([]);
  r.next = await configuration('--config', '/nowhere/a.json').catch(
    (error: unknown) => error as Error,
  );
  expect((await r.reloader.reload('watch')).result).toBe('refused');
  expect(r.reloader.paths).toEqual(['/nowhere/a.json']);
  r.next = await configuration('--limits-subscriptions', '7');
  await r.reloader.reload('watch');
  expect(r.reloader.paths).toEqual([]);
});

test('what is long is cut, in the line and in the history', async () => {
  const r = await rig();
  const overrides = Array.from({ length: 500 }, (_, at) => ({ subject: `subject.${at}` }));
  r.next = await configuration('--streams-overrides', JSON.stringify(overrides));
  const { changed } = await r.reloader.reload('watch');
  expect(changed[0]!.after).toHaveLength(201);
  expect(changed[0]!.items).toMatch(/^added (subject\.\d, ){9}subject\.9 and 490 more$/);
});

test('who asks while one is under way gets one more behind it, and many share that one', async () => {
  const r = await rig();
  let open = (): void => undefined;
  r.gate = new Promise((resolve) => (open = resolve));
  const first = r.reloader.reload('a');
  r.next = await configuration('--limits-subscriptions', '7');
  const others = [r.reloader.reload('b'), r.reloader.reload('c')];
  expect(r.loads).toBe(1);
  open();
  expect((await first).result).toBe('unchanged');
  const [b, c] = await Promise.all(others);
  expect(b).toBe(c);
  expect(b).toMatchObject({ by: 'b', result: 'applied' });
  expect(r.loads).toBe(2);
  expect((await r.reloader.reload('d')).result).toBe('unchanged');
});

test('the history keeps the last 32, and a bounded part of each', async () => {
  const r = await rig();
  r.next = new Error(Array.from({ length: 1000 }, (_, i) => `fault ${i}`).join('\n'));
  for (let i = 0; i < 40; i++) await r.reloader.reload(`${i}`);
  const { history } = r.reloader;
  expect(history.map(({ by }) => by)).toEqual(Array.from({ length: 32 }, (_, i) => `${i + 8}`));
  expect(history[0]!.reasons).toHaveLength(20);
});
