import { expect, test } from 'vitest';
import {
  CPUS_MAX,
  EVENTS_MAX,
  IOVEC_BYTES,
  MSGHDR_BYTES,
  SPANS_MAX,
} from '../../src/sys/layout.js';
import {
  LINUX_LAYOUTS,
  MSGHDR_IOVECS_BYTE_OFFSET,
  MSGHDR_IOVEC_COUNT_BYTE_OFFSET,
} from '../../src/sys/layout.js';
import { linuxTarget, loadLibc } from '../../src/sys/libc.js';
import { DRAIN_BYTES, SCRATCH, Scratch } from '../../src/sys/scratch.js';

test('epoll_event is packed on x64 alone, and move_pages has two numbers', () => {
  expect(LINUX_LAYOUTS).toEqual({
    x64: { epollEventBytes: 12, epollDataByteOffset: 4, movePagesNumber: 279 },
    arm64: { epollEventBytes: 16, epollDataByteOffset: 8, movePagesNumber: 239 },
  });
});

test('iovec and msghdr are those of 64-bit Linux', () => {
  expect([IOVEC_BYTES, MSGHDR_BYTES]).toEqual([16, 56]);
  expect([MSGHDR_IOVECS_BYTE_OFFSET, MSGHDR_IOVEC_COUNT_BYTE_OFFSET]).toEqual([16, 24]);
});

test('glibc is tried first, then the musl of that machine', () => {
  expect(linuxTarget('linux', 'x64')).toEqual({
    layout: LINUX_LAYOUTS.x64,
    libcNames: ['libc.so.6', 'libc.musl-x86_64.so.1', 'libc.so'],
  });
  expect(linuxTarget('linux', 'arm64')).toEqual({
    layout: LINUX_LAYOUTS.arm64,
    libcNames: ['libc.so.6', 'libc.musl-aarch64.so.1', 'libc.so'],
  });
});

test('elsewhere the seam refuses, and says where it runs', () => {
  for (const [platform, architecture] of [
    ['darwin', 'arm64'],
    ['win32', 'x64'],
    ['linux', 'ia32'],
    ['linux', 'riscv64'],
  ] as const) {
    expect(() => linuxTarget(platform, architecture)).toThrow(
      expect.objectContaining({
        code: 'MS_ERR_NOT_LINUX',
        message: expect.stringContaining(`${platform} on ${architecture}`) as string,
      }),
    );
  }
});

test('a machine without any of the C libraries is told their names', () => {
  expect(() => loadLibc(['libno.so.1', 'libnone.so.2'])).toThrow(
    expect.objectContaining({
      code: 'MS_ERR_SYSTEM',
      message: expect.stringContaining('libno.so.1, libnone.so.2') as string,
    }),
  );
});

test('regions of the scratch are disjoint and inside of its buffer, on both architectures', () => {
  for (const layout of Object.values(LINUX_LAYOUTS)) {
    const scratch = new Scratch(
      loadLibc(linuxTarget(process.platform, process.arch).libcNames),
      layout,
    );
    const regions = [
      [SCRATCH.one, 8],
      [SCRATCH.value, 24],
      [SCRATCH.length, 8],
      [SCRATCH.sockaddr, 28],
      [SCRATCH.msghdr, MSGHDR_BYTES],
      [SCRATCH.mask, CPUS_MAX / 8],
      [SCRATCH.iovecs, SPANS_MAX * IOVEC_BYTES],
      [SCRATCH.events, EVENTS_MAX * layout.epollEventBytes],
      [SCRATCH.drain, DRAIN_BYTES],
    ] as const;
    let end = 0;
    for (const [byteOffset, byteCount] of regions) {
      expect(byteOffset).toBeGreaterThanOrEqual(end);
      expect(byteOffset % 8).toBe(0);
      end = byteOffset + byteCount;
    }
    expect(end).toBeLessThanOrEqual(scratch.bytes.length);
    expect(scratch.clearedMask().byteOffset).toBe(SCRATCH.mask);
    expect(scratch.clearedMask().length).toBe(CPUS_MAX / 8);
  }
});
