// Everything that JavaScript calls of the broker's kernel.
export { check, encode } from '../../frame/kernel/index';
export * from '../../ring/kernel/index';
export {
  ingest,
  ingestedBytes,
  ingestedFrames,
  ingestStoppedAt,
  ingestStoppedBytes,
  ingestStoppedCode,
} from './ingest';
export { checkOf, closeKeys, frameHandled, openKeys, openVersion } from './keys';
export { sendsEnd, turnBegins, turnTook } from './meters';
export { addPublication, dropPublications, findPublication } from './publications';
export { dropOutput, outFrame, outRoom, writeAcks } from './output';
export {
  announceNeeded,
  clearAnnounce,
  collectNews,
  cursorAt,
  deliveredBytes,
  deliveredFrames,
  dropFromQueue,
  dropRest,
  endCursor,
  endCursors,
  gather,
  gatheredBytes,
  hopelessConnection,
  isDrained,
  movedOnCount,
  moveOn,
  nextToSend,
  openCursor,
  openQueue,
  queueIsEmpty,
  sent,
  somebodyWaits,
  toldGaps,
  wakeCursor,
  wantSend,
} from './deliver';
export { copyBytes, freeRows, giveRow, openArea, rowAt, setStreamFlag, takeRow } from './rows';
