import { expect } from 'vitest';
import { FakeSys } from '../../src/sys/fake.js';
import { ARENA_BYTES, describeContract } from './contract.js';

describeContract('fake', () => {
  const arena = new WebAssembly.Memory({
    initial: ARENA_BYTES / 65536,
    maximum: ARENA_BYTES / 65536,
    shared: true,
  });
  const sys = new FakeSys(arena);
  return {
    sys,
    bytes: new Uint8Array(arena.buffer),
    connect: (port) => Promise.resolve(sys.connect(port)),
    finish: () => expect(sys.openFds()).toEqual([]),
  };
});
