import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { Output } from '../../src/cli/output.js';

/** Takes what is written until it is told to fail, then fails with that code. */
class Disk extends Writable {
  readonly taken: string[] = [];
  failWith: string | undefined;

  override _write(bytes: Buffer, _encoding: string, done: (error?: Error) => void): void {
    if (this.failWith !== undefined) {
      done(Object.assign(new Error(`it failed: ${this.failWith}`), { code: this.failWith }));
      return;
    }
    this.taken.push(bytes.toString());
    done();
  }
}

test('what is written arrives in order, and nothing of nothing', async () => {
  const disk = new Disk();
  const output = new Output(disk);
  await output.write(Buffer.from('a'));
  await output.write(Buffer.alloc(0));
  await output.write(Buffer.from('b'));
  expect(disk.taken).toEqual(['a', 'b']);
  expect(output.gone).toBe(false);
});

test('a reader that is gone is told once, and what is written then is dropped without an error', async () => {
  const disk = new Disk();
  const output = new Output(disk);
  let told = 0;
  output.onGone(() => told++);
  disk.failWith = 'EPIPE';
  await output.write(Buffer.from('a'));
  await output.write(Buffer.from('b'));
  expect([output.gone, told, disk.taken]).toEqual([true, 1, []]);
});

test('any other fault is told with its cause, now and from then on', async () => {
  const disk = new Disk();
  const output = new Output(disk);
  disk.failWith = 'ENOSPC';
  const refusal = {
    code: 'MS_ERR_SYSTEM',
    message: 'standard output: it failed: ENOSPC',
    cause: expect.objectContaining({ code: 'ENOSPC' }) as Error,
  };
  // The stream tells its error in a later turn than the write.
  await new Promise<void>((resolve) => {
    output.onGone(resolve);
    void output.write(Buffer.from('a')).catch(() => undefined);
  });
  await expect(output.write(Buffer.from('b'))).rejects.toMatchObject(refusal);
  await expect(output.write(Buffer.alloc(0))).rejects.toMatchObject(refusal);
});
