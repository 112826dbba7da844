// The shapes in which the thread tests run: each strains another part of the log.
import { ON_FULL_EVICT } from '../../../dist/ring/layout.js';

const small = { maxRun: 8, maxPayload: 300 };

export const SHAPES = {
  'two appenders and a reader on a short log': { ...small, limitBytes: 16384 },
  'appenders that die at any point': {
    ...small,
    appenders: 3,
    limitBytes: 16384,
    streams: 2,
    deathOneIn: 2500,
  },
  'readers that die too': {
    ...small,
    readers: 2,
    limitBytes: 16384,
    deathOneIn: 4000,
    readerDeathOneIn: 3000,
  },
  'threads that are really ended': {
    ...small,
    appenders: 2,
    readers: 1,
    both: 1,
    limitBytes: 32768,
    terminateEveryMs: 25,
  },
  'frames of the largest size among small ones': {
    appenders: 2,
    largeOneIn: 10,
    limitBytes: 1_000_000,
    dawdleOneIn: 30,
    deathOneIn: 6000,
  },
  'slow readers that are moved on': {
    ...small,
    readers: 2,
    limitBytes: 16384,
    onFull: ON_FULL_EVICT,
    detachOneIn: 4,
    reseekOneIn: 20,
    deathOneIn: 5000,
  },
  'slow readers that hold everybody': {
    ...small,
    readers: 2,
    limitBytes: 12288,
    dawdleOneIn: 3,
  },
  'a pool that many streams share': {
    appenders: 0,
    readers: 0,
    both: 3,
    streams: 30,
    limitBytes: 10_000_000,
    poolBytes: 2_500_000,
    readerDeathOneIn: 8000,
  },
  'a pool that nobody reads': {
    appenders: 3,
    readers: 0,
    streams: 4,
    limitBytes: 10_000_000,
    poolBytes: 2_500_000,
  },
};
