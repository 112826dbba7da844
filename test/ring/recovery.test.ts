import { describe, expect, it } from 'vitest';
import type { RecoveryKernel } from '../../src/ring/recovery.js';
import { recoverDeadThread } from '../../src/ring/recovery.js';

/** A kernel that only writes down what is asked of it. */
class FakeKernel implements RecoveryKernel {
  readonly calls: string[] = [];
  readonly turns = [0, 0, 0, 0];
  readonly sleeping = new Set<number>();
  readonly dead = new Set<number>();
  stream = 5;
  locked = 0;
  onSnapshot: () => void = () => undefined;

  setAlive(thread: number, alive: number | boolean): void {
    if (!alive) this.dead.add(thread);
    this.calls.push(`setAlive ${thread} ${Boolean(alive)}`);
  }
  isAlive(thread: number): number {
    return this.dead.has(thread) ? 0 : 1;
  }
  isSleeping(thread: number): number {
    return this.sleeping.has(thread) ? 1 : 0;
  }
  turnOf(thread: number): number {
    return this.turns[thread]!;
  }
  recoverThread(dead: number): number {
    this.calls.push(`recoverThread ${dead}`);
    return this.stream;
  }
  recoverLock(): number {
    return this.locked-- > 0 ? 0 : 1;
  }
  recoverSnapshot(): void {
    this.calls.push('recoverSnapshot');
    this.onSnapshot();
  }
  recoverStream(): void {
    this.calls.push('recoverStream');
  }
  recoverPins(dead: number): void {
    this.calls.push(`recoverPins ${dead}`);
  }
  recoverUnlock(): void {
    this.calls.push('recoverUnlock');
  }
  tellAll(): void {
    this.calls.push('tellAll');
  }
  recoveredHoles(): number {
    return 0;
  }
  recoveredLostSequences(): number {
    return 0;
  }
  recoveredSeals(): number {
    return 0;
  }
}

function recover(
  kernel: FakeKernel,
  dead: number,
  onPause: (round: number) => void = () => undefined,
) {
  let rounds = 0;
  let nowMs = 0;
  return recoverDeadThread({
    kernel,
    dead,
    threads: 4,
    signal: (thread) => kernel.calls.push(`signal ${thread}`),
    pause: () => {
      nowMs += 1;
      onPause(rounds++);
      return Promise.resolve();
    },
    graceMsMax: 50,
    nowMs: () => nowMs,
  });
}

describe('recovery of a dead thread', () => {
  it('waits until each live thread has begun a new turn, sleeps or is dead, and signals before it waits', async () => {
    const kernel = new FakeKernel();
    kernel.sleeping.add(3);
    await recover(kernel, 1, () => kernel.turns[2]!++);
    expect(kernel.calls).toEqual([
      'setAlive 1 false',
      'recoverThread 1',
      'recoverSnapshot',
      'signal 2',
      'signal 3',
      'recoverStream',
      'recoverPins 1',
      'recoverUnlock',
      'tellAll',
      'signal 2',
      'signal 3',
    ]);
  });

  it('gives back pins and tells everybody also when the thread was at work on no stream', async () => {
    const kernel = new FakeKernel();
    kernel.stream = 0;
    await recover(kernel, 2);
    const done = ['recoverPins 2', 'tellAll', 'signal 1', 'signal 3'];
    expect(kernel.calls).toEqual(['setAlive 2 false', 'recoverThread 2', ...done]);
  });

  it('counts no turn that was begun before the snapshot', async () => {
    const kernel = new FakeKernel();
    kernel.sleeping.add(3);
    kernel.onSnapshot = () => kernel.turns[2]!++;
    let pauses = 0;
    await recover(kernel, 1, () => {
      pauses++;
      kernel.turns[2]!++;
    });
    expect(pauses).toBe(1);
  });

  it('waits for the lock that a live thread holds', async () => {
    const kernel = new FakeKernel();
    kernel.locked = 5;
    const recovered = await recover(kernel, 1, () => {
      kernel.turns[2]!++;
      kernel.turns[3]!++;
    });
    expect(recovered.milliseconds).toBeGreaterThanOrEqual(5);
  });

  it.each([
    ['a lock that is not given back', 'the lock of stream 5 is not given back', 1000, []],
    ['a thread that begins no new turn', 'thread 2 begins no new turn', 0, ['recoverUnlock']],
  ])('ends with an error after its grace: %s', async (_, message, locked, undone) => {
    const kernel = new FakeKernel();
    kernel.locked = locked;
    await expect(recover(kernel, 1)).rejects.toMatchObject({
      code: 'MS_ERR_SHARD_LOST',
      message: expect.stringContaining(message) as unknown,
    });
    expect(kernel.calls.filter((call) => call === 'recoverUnlock')).toEqual(undone);
    expect(kernel.calls).not.toContain('recoverStream');
  });

  it('recovers one death after another, but marks each at once', async () => {
    const kernel = new FakeKernel();
    kernel.sleeping.add(3);
    const first = recover(kernel, 1);
    const second = recover(kernel, 2);
    expect(kernel.calls).toEqual(['setAlive 1 false', 'setAlive 2 false']);
    await Promise.all([first, second]);
    const order = kernel.calls.filter((call) => /recoverThread|recoverPins/.test(call));
    expect(order).toEqual(['recoverThread 1', 'recoverPins 1', 'recoverThread 2', 'recoverPins 2']);
  });

  it('goes on with the next death when one cannot be recovered from', async () => {
    const kernel = new FakeKernel();
    kernel.locked = 60;
    const first = recover(kernel, 1);
    const second = recover(kernel, 2, () => kernel.sleeping.add(3));
    await expect(first).rejects.toThrow('lock of stream');
    await expect(second).resolves.toMatchObject({ holes: 0 });
  });
});
