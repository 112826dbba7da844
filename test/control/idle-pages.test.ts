import { Buffer } from 'node:buffer';
import { expect, test } from 'vitest';
import { IDLE_LOOKS_MIN, releaseIdlePages } from '../../src/control/idle-pages.js';
import { harness } from '../support/shard-harness.js';
import { data } from '../support/test-peer.js';

const MIB = 1024 * 1024;
const keepsNone = (): boolean => false;

/** A stream that went three times round its limit, so that segments of it are free again. */
function used() {
  const h = harness({ retentionBytes: MIB, socketBufferBytes: 8 * MIB });
  const peer = h.connect();
  const stream = peer.open('a');
  for (let i = 1; i <= 60; i++) {
    peer.write(data(stream, Buffer.alloc(50_000, 0x41), i));
    h.run();
  }
  return h;
}

test('segments that stay free give their pages back, and no others', () => {
  const h = used();
  const freeBefore = h.control.freeCount();
  for (let look = 0; look < IDLE_LOOKS_MIN; look++) {
    expect(releaseIdlePages(h.control, h.sys, keepsNone)).toBe(0);
  }
  const released = releaseIdlePages(h.control, h.sys, keepsNone);
  expect(released).toBeGreaterThan(0);
  expect(h.control.freeCount()).toBe(freeBefore);
  expect(releaseIdlePages(h.control, h.sys, keepsNone)).toBe(0);
  h.assertSound();
});

test('a segment that is in use again keeps its pages', () => {
  const h = used();
  for (let look = 0; look < IDLE_LOOKS_MIN; look++) releaseIdlePages(h.control, h.sys, keepsNone);
  const taken: number[] = [];
  for (;;) {
    const segment = h.control.claimIdle(1, IDLE_LOOKS_MIN);
    if (segment === 0) break;
    taken.push(segment);
  }
  expect(taken.length).toBeGreaterThan(0);
  // All that was idle is owned: there is nothing left to give back.
  expect(releaseIdlePages(h.control, h.sys, keepsNone)).toBe(0);
  for (const segment of taken) h.control.freeSegment(segment);
});

test('a segment that is kept keeps its pages, and is free all the same', () => {
  const h = used();
  const freeBefore = h.control.freeCount();
  const asked: number[] = [];
  for (let look = 0; look <= IDLE_LOOKS_MIN; look++) {
    const released = releaseIdlePages(h.control, h.sys, (byteOffset) => {
      asked.push(byteOffset);
      return true;
    });
    expect(released).toBe(0);
  }
  expect(asked.length).toBeGreaterThan(0);
  expect(new Set(asked).size).toBe(asked.length);
  expect(asked.every((byteOffset) => byteOffset % 4096 === 0)).toBe(true);
  expect(h.control.freeCount()).toBe(freeBefore);
  h.assertSound();
});
