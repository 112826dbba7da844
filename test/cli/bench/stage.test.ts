import { expect, test } from 'vitest';
import { systemClock } from '../../../src/clock.js';
import { makeStage } from './support.js';

test('it is over once, for whoever waits and for whoever comes later', async () => {
  const { stage } = makeStage();
  const told: string[] = [];
  stage.onStop(() => told.push('before'));
  const slept = stage.sleep(3_600_000);
  expect(stage.isStopped).toBe(false);
  stage.stop();
  stage.stop();
  stage.onStop(() => told.push('after'));
  expect(told).toEqual(['before', 'after']);
  expect(await slept).toBe(false);
  expect(await stage.sleep(3_600_000)).toBe(false);
  expect(stage.isStopped).toBe(true);
});

test('main says when it begins and when it is over', async () => {
  const { stage, main } = makeStage();
  await stage.ready();
  const over = new Promise<void>((resolve) => stage.onStop(resolve));
  main.postMessage('stop');
  await over;
});

test('it is over after a time, or never where none is given', async () => {
  const { stage } = makeStage();
  stage.stopAfter(undefined);
  const over = new Promise<void>((resolve) => stage.onStop(resolve));
  stage.stopAfter(5);
  await over;
  stage.stopAfter(5);
});

test('it is never before a time that it waits for, however long the turn was before', async () => {
  const { stage } = makeStage();
  for (let i = 0; i < 20; i++) {
    const dueMs = systemClock.monotonicMs() + 6;
    // A timer counts from the beginning of this turn.
    while (systemClock.monotonicMs() < dueMs - 3);
    expect(await stage.until(dueMs)).toBe(true);
    expect(systemClock.monotonicMs()).toBeGreaterThanOrEqual(dueMs);
  }
  stage.stop();
  expect(await stage.until(systemClock.monotonicMs() + 3_600_000)).toBe(false);
});

test('on the way to a time it comes back before, and never long after it has passed', async () => {
  const { stage } = makeStage();
  const dueMs = systemClock.monotonicMs() + 20;
  let turns = 0;
  for (; systemClock.monotonicMs() < dueMs; turns++) await stage.towards(dueMs);
  expect(turns).toBeGreaterThan(0);
  await stage.towards(dueMs);
});

test('a result is of the time that counts', async () => {
  const { stage } = makeStage();
  await stage.ready();
  const nowMs = Math.floor(systemClock.monotonicMs());
  const given = stage.result([1, 2], { fromMs: nowMs, toMs: nowMs + 250 });
  expect(given).toMatchObject({ elapsedMs: 250, perConnection: [1, 2] });
  expect(stage.result([], { fromMs: nowMs + 1e6 }).elapsedMs).toBe(0);
  expect(stage.result([]).elapsedMs).toBeGreaterThanOrEqual(0);
  expect(stage.result([]).busy).toBeGreaterThanOrEqual(0);
});
