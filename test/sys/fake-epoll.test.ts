import { expect, test } from 'vitest';
import { FakeSys } from '../../src/sys/fake.js';
import { EAGAIN, EPOLLIN } from '../../src/sys/sys.js';

const arena = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });

test('a socket that is watched for bytes alone is not told of room', () => {
  const sys = new FakeSys(arena, { socketBufferBytes: 100 });
  expect(sys.socketpair()).toBe(0);
  const [near, far] = [sys.pairFirst(), sys.pairSecond()];
  const epollFd = sys.epollCreate();
  expect(sys.epollAddReadable(epollFd, near, 1, 2)).toBe(0);
  expect(sys.send(near, 0, 1000)).toBe(100);
  expect(sys.send(near, 0, 1)).toBe(-EAGAIN);
  expect(sys.receive(far, 0, 1000)).toBe(100);
  expect(sys.epollWait(epollFd, 0)).toBe(0);
  expect(sys.send(far, 0, 1)).toBe(1);
  expect(sys.epollWait(epollFd, 0)).toBe(1);
  expect(sys.eventFlags(0)).toBe(EPOLLIN);
  expect([near, far, epollFd].map((fd) => sys.close(fd))).toEqual([0, 0, 0]);
});

test('an epoll in an epoll is never ready: nesting is not modelled', () => {
  const sys = new FakeSys(arena);
  const [outer, inner, eventFd] = [sys.epollCreate(), sys.epollCreate(), sys.eventfd()];
  expect(sys.epollAddReadable(outer, inner, 1, 2)).toBe(0);
  expect(sys.epollAddReadable(inner, eventFd, 3, 4)).toBe(0);
  expect(sys.eventfdSignal(eventFd)).toBe(0);
  expect([sys.epollWait(outer, 0), sys.epollWait(inner, 0)]).toEqual([0, 1]);
  expect([outer, inner, eventFd].map((fd) => sys.close(fd))).toEqual([0, 0, 0]);
});
