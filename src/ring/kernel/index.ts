// What JavaScript may call of the ring. Numbers only: u64 values come and go as BigInt, so none of these
// is called once per frame.
export { attach } from './memory';
export { seedChaos, setDeathOneIn } from './chaos';
export { append, appendedBytes, fullLogCount, lostSwapCount, rotationCount } from './append';
export {
  advance,
  closeCursor,
  cursorSequence,
  detach,
  firstSequenceOf,
  nextSequenceOf,
  peek,
  seek,
  subscribeThread,
  takeGap,
  unsubscribeThread,
} from './cursor';
export { beginTurn, nextNews, prepareToSleep, takeWakes, wokenUp } from './news';
export { claimIdle, freeCount, freeSegment } from './pool';
export { segmentAt, segmentCapacity } from './memory';
export { flapCount, reclaimedCount } from './reclaim';
export { createStream } from './stream';
export {
  chainLength,
  isAlive,
  isSleeping,
  recoveredHoles,
  recoveredLostSequences,
  recoveredSeals,
  recoverLock,
  recoverPins,
  recoverSnapshot,
  recoverStream,
  recoverThread,
  recoverUnlock,
  setAlive,
  tellAll,
  turnOf,
} from './recovery';
