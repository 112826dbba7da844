// Plants faults in the stream log, one at a time, in a copy of the sources, and runs the tests that must
// catch each: the enumerated interleavings and the model first, then threads. Ends with a table; the exit
// code is 1 if a fault survived.
//
//   node scripts/mutate-ring.mjs [--only TEXT|TEXT…] [--rounds 3] [--milliseconds 4000]
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { root } from './kernels.mjs';

const KERNEL = 'src/ring/kernel/';
const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    rounds: { type: 'string', default: '3' },
    milliseconds: { type: 'string', default: '4000' },
  },
});

/** Thread configurations; a fault names the ones that it is likeliest to be caught by. */
const CONFIGURATIONS = {
  crowd: { appenders: 3, readers: 2, maxRun: 10, maxPayload: 300, limitBytes: 24576 },
  deaths: { appenders: 3, readers: 1, maxRun: 8, limitBytes: 16384, deathOneIn: 1500 },
  alone: { appenders: 1, readers: 1, maxRun: 8, maxPayload: 300, limitBytes: 8192 },
  reseek: {
    appenders: 2,
    readers: 2,
    maxRun: 5,
    maxPayload: 200,
    limitBytes: 12288,
    reseekOneIn: 5,
    detachOneIn: 30,
    poolBytes: 2_000_000,
  },
  wide: { appenders: 2, readers: 2, maxRun: 3, maxPayload: 100, streams: 4, limitBytes: 16384 },
  pool: { both: 3, appenders: 0, readers: 0, streams: 12, limitBytes: 1e7, poolBytes: 2_500_000 },
};

/** None: the tests must pass, or they would catch anything. */
const SOUND = {
  name: 'no fault at all',
  file: `${KERNEL}cursor.ts`,
  from: 'pin(next);',
  to: 'pin(next);',
  threads: Object.keys(CONFIGURATIONS),
};

const mutations = [
  {
    name: 'cursor: lets go of its segment before it pins the next',
    file: `${KERNEL}cursor.ts`,
    from: `  pin(segment);
  chaos(20);
  stand(cursor, segment, 0, 0, 0);
  unpinCursor(old);`,
    to: `  unpinCursor(old);
  chaos(20);
  pin(segment);
  stand(cursor, segment, 0, 0, 0);`,
    threads: ['crowd', 'alone'],
  },
  {
    name: 'subscribe: no second look at the head',
    file: `${KERNEL}cursor.ts`,
    from: 'if (atomic.load<u32>(row, STREAM_HEAD) == head) return head;',
    to: 'if (head) return head;',
    threads: ['reseek'],
  },
  {
    name: 'subscribe: no second look at the tail',
    file: `${KERNEL}cursor.ts`,
    from: 'if (tailSegment(seenTail) == segment) return segment;',
    to: 'if (segment) return segment;',
    threads: ['reseek'],
  },
  {
    name: 'reclaim: overlooks records that are not written',
    file: `${KERNEL}reclaim.ts`,
    from: 'if (record == 0) return 0;',
    to: 'if (record == 0) continue;',
    threads: ['crowd', 'reseek'],
  },
  {
    name: 'reclaim: no second look at the pins',
    file: `${KERNEL}reclaim.ts`,
    from: `    if (atomic.load<u64>(segmentRow(head), SEGMENT_PINS)) {
      flaps++;`,
    to: `    if (flaps == 0xffffffff) {
      flaps++;`,
    threads: ['reseek'],
  },
  {
    name: 'reclaim: looks at no pins',
    file: `${KERNEL}reclaim.ts`,
    from: 'if (atomic.load<u64>(segmentRow(head), SEGMENT_PINS)) break;',
    to: '',
    also: [{ from: 'if (atomic.load<u64>(segmentRow(head), SEGMENT_PINS)) {', to: 'if (!me) {' }],
    threads: ['crowd'],
  },
  {
    name: 'reclaim: zeros only the records used',
    file: `${KERNEL}pool.ts`,
    from: 'const zone = segmentCapacity(segment) >> 3;',
    to: `let zone: u32 = 0;
  while (zone < segmentCapacity(segment) >> 3 && load<u64>(segmentAt(segment) + segmentCapacity(segment) - 8 - zone)) zone += 8;`,
    threads: ['crowd'],
  },
  {
    name: 'reclaim: who found the lock taken leaves no word',
    file: `${KERNEL}reclaim.ts`,
    from: 'held | LOCK_CONTENDED, STREAM_LOCK',
    to: 'held, STREAM_LOCK',
    threads: ['crowd', 'pool'],
  },
  {
    name: 'reclaim: the owner of the lock does not read the word left on it',
    file: `${KERNEL}reclaim.ts`,
    from: 'STREAM_LOCK) & LOCK_CONTENDED) {',
    to: 'STREAM_LOCK) & 0) {',
    threads: ['crowd', 'pool'],
  },
  {
    name: 'reclaim for the pool: does not say on which stream it works',
    file: `${KERNEL}reclaim.ts`,
    from: 'workOn(stream);',
    to: '',
    threads: ['pool'],
  },
  {
    name: 'rotate: no pin before the second look at the tail',
    file: `${KERNEL}append.ts`,
    from: `  chaos(8);
  pin(old);
  // The pin came too late if the tail has moved on: the segment may be another one's by now.
  if (atomic.load<u64>(row, STREAM_TAIL) != tail) {
    unpinTail(old);
    return ROTATE_AGAIN;
  }`,
    to: `  const early = baseSequence(old);
  chaos(8);
  pin(old);`,
    also: [{ from: 'baseSequence(old) + tailFrames(tail)', to: 'early + tailFrames(tail)' }],
    threads: ['crowd'],
  },
  {
    name: 'rotate: registers as a waiter after its last look',
    file: `${KERNEL}append.ts`,
    from: '    if (attempt == 1) {',
    to: `    {
      chaos(5);
      awaitRoom(stream);`,
    threads: ['alone', 'crowd'],
  },
  {
    name: 'rotate: a segment is not given back when the swap is lost',
    file: `${KERNEL}append.ts`,
    from: `    lostSwaps++;
    freeSegment(segment);`,
    to: '    lostSwaps++;',
    threads: ['crowd'],
  },
  {
    name: 'rotate: the segment does not name its stream',
    file: `${KERNEL}append.ts`,
    from: '  atomic.store<u32>(fields, stream, SEGMENT_STREAM);\n',
    to: '',
    threads: ['wide'],
  },
  {
    name: 'rotate: its unpin wakes nobody',
    file: `${KERNEL}pool.ts`,
    from: '    wakeBehindTail(stream, segment);\n',
    to: '',
    threads: ['crowd', 'wide'],
  },
  {
    name: 'rotate: its unpin wakes also who waits for this very tail',
    file: `${KERNEL}pool.ts`,
    from: 'if (tailSegment(atomic.load<u64>(row, STREAM_TAIL)) == segment) return;',
    to: '',
    threads: ['crowd'],
  },
  {
    name: 'append: no room is left for the seal',
    file: `${KERNEL}append.ts`,
    from: '<i32>((record + 2) * RECORD_BYTES)',
    to: '<i32>((record + 1) * RECORD_BYTES)',
    threads: ['crowd'],
  },
  {
    name: 'append: the last record is not kept for the seal',
    file: `${KERNEL}append.ts`,
    from: 'record + 2 <= capacity / SEGMENT_BYTES_PER_RECORD',
    to: 'record + 1 <= capacity / SEGMENT_BYTES_PER_RECORD',
    threads: ['crowd'],
  },
  {
    name: 'append: the record is written before the copy',
    file: `${KERNEL}append.ts`,
    from: '  memory.copy(at, source, bytes);',
    to: `  atomic.store<u64>(recordAt(segment, record), makeRecord(RECORD_DATA, offset, offset + bytes, frame, frame + frames));
  chaos(10);
  memory.copy(at, source, bytes);`,
    threads: ['crowd'],
  },
  {
    name: 'append: a late commit tells nobody who waits',
    file: `${KERNEL}append.ts`,
    from: '    wakeBehindTail(stream, into);\n',
    to: '',
    threads: ['wide'],
  },
  {
    name: 'append: subscribers are told before the commit',
    file: `${KERNEL}append.ts`,
    from: '  let at = segmentAt(segment) + offset;',
    to: `  tellMask(atomic.load<u64>(streamRow(atomic.load<u32>(segmentRow(segment), SEGMENT_STREAM)), STREAM_SUBSCRIBERS), atomic.load<u32>(segmentRow(segment), SEGMENT_STREAM), false);
  chaos(5);
  let at = segmentAt(segment) + offset;`,
    also: [
      {
        from: '    tellMask(atomic.load<u64>(row, STREAM_SUBSCRIBERS), stream, false);\n  }\n  return done;',
        to: '  }\n  return done;',
      },
    ],
    threads: ['alone'],
  },
  {
    name: 'pins: a cursor wakes nobody when it leaves',
    file: `${KERNEL}pool.ts`,
    from: '    wakeWaiters(atomic.load<u32>(segmentRow(segment), SEGMENT_STREAM), true);\n',
    to: '',
    threads: ['crowd'],
  },
  {
    name: 'pins: a cursor does not wake who waits for the pool',
    file: `${KERNEL}pool.ts`,
    from: `SEGMENT_STREAM), true);
    wakePoolWaiters(true);`,
    to: 'SEGMENT_STREAM), true);',
    threads: ['pool'],
  },
  {
    name: 'pins: cleared at the first of two cursors that leave',
    file: `${KERNEL}pool.ts`,
    from: '  if (count != 0) return false;\n',
    to: '',
    threads: ['reseek'],
  },
  {
    name: 'pool: a free segment is told to nobody',
    file: `${KERNEL}pool.ts`,
    from: '  wakePoolWaiters(true);\n}\n\n/**\n * Control',
    to: '}\n\n/**\n * Control',
    threads: ['pool'],
  },
  {
    name: 'sleep: no second look',
    file: `${KERNEL}news.ts`,
    from: 'if (word == 0 && summary == 0 && !hasNews()) return true;',
    to: 'return true;',
    threads: ['alone', 'crowd'],
  },
  {
    name: 'news: a word is taken by a load and a store',
    file: `${KERNEL}news.ts`,
    from: 'word = atomic.xchg<u64>(row + (<usize>wordIndex << 3), 0, THREAD_NEWS);',
    to: `word = atomic.load<u64>(row + (<usize>wordIndex << 3), THREAD_NEWS);
      chaos(3);
      atomic.store<u64>(row + (<usize>wordIndex << 3), 0, THREAD_NEWS);`,
    threads: ['wide'],
  },
  {
    name: 'news: a summary is taken by a load and a store',
    file: `${KERNEL}news.ts`,
    from: 'summary = atomic.xchg<u64>(row + (<usize>summaryIndex << 3), 0, THREAD_SUMMARY);',
    to: `summary = atomic.load<u64>(row + (<usize>summaryIndex << 3), THREAD_SUMMARY);
      chaos(3);
      atomic.store<u64>(row + (<usize>summaryIndex << 3), 0, THREAD_SUMMARY);`,
    threads: ['alone'],
  },
  {
    name: 'news: the sleeping flag is looked at before the summary is written',
    file: `${KERNEL}news.ts`,
    from: `  atomic.or<u64>(row + (<usize>(index >> 6) << 3), <u64>1 << <u64>(index & 63), THREAD_SUMMARY);
  chaos(4000);`,
    to: `  const sleeps = atomic.load<u32>(row, THREAD_SLEEPING);
  chaos(5);
  atomic.or<u64>(row + (<usize>(index >> 6) << 3), <u64>1 << <u64>(index & 63), THREAD_SUMMARY);
  if (!sleeps) return;`,
    threads: ['alone', 'crowd'],
  },
  {
    name: 'recovery: holes are left',
    file: `${KERNEL}recovery.ts`,
    from: '    holes++;',
    to: '    if (holes == 0) continue;\n    holes++;',
    threads: ['deaths'],
  },
  {
    name: 'recovery: missing seals are left',
    file: `${KERNEL}recovery.ts`,
    from: 'if (!atomic.load<u64>(recordAt(previous, record))) {',
    to: 'if (!me && !snapshot) {',
    threads: ['deaths'],
  },
  {
    name: 'recovery: segments that the dead one took are lost',
    file: `${KERNEL}recovery.ts`,
    from: '(STATE_OWNED | dead)) freeSegment(segment);',
    to: '(STATE_OWNED | dead)) continue;',
    threads: ['deaths'],
  },
  {
    name: 'recovery: the new tail of a dead rotation stays its own',
    file: `${KERNEL}recovery.ts`,
    from: `  while (segment != head) {
    atomic.store<u32>(stateAt(segment), STATE_CHAIN | stream);`,
    to: '  while (segment != head) {',
    threads: ['deaths'],
  },
  {
    name: 'recovery: pins of the dead one stay',
    file: `${KERNEL}recovery.ts`,
    from: '    atomic.and<u64>(segmentRow(segment), ~bit, SEGMENT_PINS);\n',
    to: '',
    threads: ['deaths'],
  },
  {
    name: 'recovery: a retiring segment is not mended',
    file: `${KERNEL}recovery.ts`,
    from: '  mendRetiring(stream, owner);\n',
    to: '',
    threads: ['deaths'],
  },
  {
    name: 'recovery: a retiring segment with a cleared directory is put back',
    file: `${KERNEL}recovery.ts`,
    from: '} else if (sealedNext(segment)) {',
    to: '} else if (segment) {',
    threads: ['deaths'],
  },
  {
    name: 'recovery: the lock of a dead owner is not taken',
    file: `${KERNEL}recovery.ts`,
    from: 'if (owner == me || isAlive(owner)) return false;',
    to: 'if (owner < 64) return false;',
    threads: ['deaths'],
  },
  {
    name: 'recovery: nobody is told',
    file: 'src/ring/recovery.ts',
    from: '  kernel.tellAll();\n',
    to: '',
    threads: ['deaths'],
  },
  {
    name: 'recovery: no grace',
    file: 'src/ring/recovery.ts',
    from: 'while (isInTurn(recovery, thread, turns[thread]!)) {',
    to: 'while (isInTurn(recovery, thread, turns[thread]!) && turns.length === 0) {',
    threads: ['deaths'],
  },
  {
    name: 'recovery: the turns are read before the snapshot',
    file: 'src/ring/recovery.ts',
    from: `    kernel.recoverSnapshot(stream);
    // First the snapshot, then the turns: what is claimed below the snapshot was claimed in these turns.
    const turns = Array.from({ length: recovery.threads }, (_, thread) => kernel.turnOf(thread));`,
    to: `    const turns = Array.from({ length: recovery.threads }, (_, thread) => kernel.turnOf(thread));
    await pause();
    kernel.recoverSnapshot(stream);`,
    threads: ['deaths'],
  },
  {
    name: 'recovery: nobody is signalled before the grace',
    file: 'src/ring/recovery.ts',
    from: `    // Only now: a thread may block with its flag taken by the dead one, who never signalled it.
    signalEverybody(recovery);`,
    to: '',
    threads: ['deaths'],
  },
  {
    name: 'recovery: nobody is signalled at the end',
    file: 'src/ring/recovery.ts',
    from: '  kernel.tellAll();\n  signalEverybody(recovery);',
    to: '  kernel.tellAll();',
    threads: ['deaths'],
  },
];

const copy = join(root, 'build/mutant');

function prepare() {
  rmSync(copy, { recursive: true, force: true });
  mkdirSync(copy, { recursive: true });
  for (const name of ['src', 'test', 'scripts', 'dist', 'package.json', 'vitest.config.ts']) {
    cpSync(join(root, name), join(copy, name), { recursive: true });
  }
  for (const name of ['tsconfig.json', 'tsconfig.build.json', 'tsconfig.kernel.json']) {
    cpSync(join(root, name), join(copy, name));
  }
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  execFileSync(process.execPath, ['scripts/build.mjs'], { cwd: copy });
}

/** Answers the file's text with the fault in it; throws when the place is not found. */
function plant({ name, file, from, to, also = [] }) {
  let text = readFileSync(join(root, file), 'utf8');
  for (const change of [{ from, to }, ...also]) {
    if (!text.includes(change.from)) throw new Error(`"${name}": ${file} has no: ${change.from}`);
    text = text.replace(change.from, () => change.to);
  }
  return text;
}

function run(command, args, seconds) {
  return spawnSync(command, args, {
    cwd: copy,
    encoding: 'utf8',
    timeout: seconds * 1000,
    killSignal: 'SIGKILL',
    env: { ...process.env, NO_COLOR: '1' },
  });
}

/** Answers what caught it, or null. */
function caughtBy({ threads }, rounds = Number(values.rounds)) {
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  const files = ['append.interleavings', 'cursor.model', 'news', 'recovery'].map(
    (name) => `test/ring/${name}.test.ts`,
  );
  const tests = run(process.execPath, [vitest, 'run', '--bail', '1', ...files], 120);
  if (tests.status !== 0) {
    const where = /FAIL\s+test\/ring\/([a-z.]+)\.test/.exec(tests.stdout + tests.stderr)?.[1];
    return where ?? 'enumeration (it hung)';
  }
  for (let round = 1; round <= rounds; round++) {
    for (const name of threads) {
      const options = {
        ...CONFIGURATIONS[name],
        seed: round,
        milliseconds: Number(values.milliseconds) * round,
      };
      const args = ['test/ring/campaign.mjs', '--json', JSON.stringify(options)];
      const stress = run(process.execPath, args, 30 + (options.milliseconds / 1000) * 2);
      if (stress.status !== 0) return `threads "${name}", round ${round}`;
    }
  }
  return null;
}

prepare();
if (values.only === '') {
  const by = caughtBy(SOUND, 1);
  if (by !== null) throw new Error(`the tests fail without any fault: ${by}`);
  console.log('sound     no fault at all');
}
const rows = [];
for (const mutation of mutations.filter(({ name }) =>
  values.only.split('|').some((text) => name.includes(text)),
)) {
  const original = readFileSync(join(root, mutation.file), 'utf8');
  writeFileSync(join(copy, mutation.file), plant(mutation));
  const kernels = mutation.file.startsWith(KERNEL) ? ['--kernels'] : [];
  execFileSync(process.execPath, ['scripts/build.mjs', ...kernels], {
    cwd: copy,
    stdio: 'inherit',
  });
  const by = caughtBy(mutation);
  rows.push({ name: mutation.name, by });
  console.log(`${by === null ? 'SURVIVED' : 'CAUGHT  '}  ${mutation.name}${by ? `  (${by})` : ''}`);
  writeFileSync(join(copy, mutation.file), original);
  if (kernels.length === 0) execFileSync(process.execPath, ['scripts/build.mjs'], { cwd: copy });
}
const survived = rows.filter(({ by }) => by === null);
console.log(`${rows.length - survived.length} of ${rows.length} faults caught`);
process.exitCode = survived.length === 0 ? 0 : 1;
